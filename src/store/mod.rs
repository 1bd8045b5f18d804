//! What lasts: facts, the journal of effects, the outbox, container records and
//! the clock's anchor in `state.db`, written with full synchronisation;
//! checkpoints of windows in `samples.db`, which may be lost. One thread owns
//! both files; no SQL and no row leaves this room.

mod commands;
mod database;
mod directory;
mod error;
mod handle;
mod outbox;
mod records;
mod schema;
#[cfg(test)]
mod tests;

pub use database::{Contents, EffectId, Store};
pub use error::StoreError;
pub use handle::{Handle, Opened, open};
pub use outbox::{Letter, LetterId, Outbox, Queued};
pub use records::Touch;
