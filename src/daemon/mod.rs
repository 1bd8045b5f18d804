//! Starting everything, and the one loop.
//!
//! ```text
//!  signals ──samples──▶┐                       ┌──▶ executor ──▶ rollback ──▶ engine
//!  engine ──observed──▶│ heart: handle, commit,│
//!  api ────commands───▶│ apply, hand on        ├──▶ notifier ──▶ outbox ──▶ mail
//!  executor ──ended───▶┘                       └──▶ snapshots ──▶ api
//! ```

mod executor;
mod fatal;
mod goals;
mod heart;
mod keeper;
mod log;
mod looker;
mod notifier;
mod reload;
mod start;

pub use fatal::Fatal;
pub use start::run;
