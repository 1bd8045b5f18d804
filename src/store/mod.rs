//! What lasts: facts, the journal of effects, the outbox, container records and
//! the clock's anchor in `state.db`, written with full synchronisation;
//! checkpoints of windows and the recording in `samples.db`, which may be lost. One thread owns
//! both files; no SQL and no row leaves this room.

mod commands;
mod database;
mod directory;
mod error;
mod handle;
mod outbox;
mod past;
mod recorded;
mod records;
#[cfg(feature = "testing")]
mod refusals;
mod schema;
#[cfg(test)]
mod tests;

pub use database::{Contents, EffectId, Store};
pub use error::StoreError;
#[cfg(feature = "testing")]
pub use handle::open_here;
pub use handle::{Handle, Opened, open};
pub use outbox::{Letter, LetterId, Outbox, Queued};
pub use past::{Past, Span};
pub use recorded::{Cause, Chunk, Keyframe};
pub use records::Touch;
