//! Starting everything, and the one loop.
//!
//! ```text
//!  signals ──samples──▶┐                       ┌──▶ executor ──▶ rollback ──▶ engine
//!  engine ──observed──▶│ heart: handle, commit,│
//!  api ────commands───▶│ apply, hand on        ├──▶ notifier ──▶ outbox ──▶ mail
//!  executor ──ended───▶┘                       └──▶ snapshots ──▶ api
//! ```

mod ends;
mod executor;
mod fatal;
mod goals;
mod heart;
mod keeper;
mod log;
mod looker;
mod memory;
mod notifier;
mod rebuild;
mod reload;
mod start;
mod systemd;
mod teller;

pub use fatal::Fatal;
pub use start::run;
