//! Whether the daemon does its work, in one answer for a supervisor.

use std::time::Duration;

use crate::{api::Snapshot, host::clock::Clock};

/// A snapshot older than this means that the loop hangs: it makes one at least
/// every five seconds.
pub(super) const STUCK_AFTER: Duration = Duration::from_secs(30);

/// An engine may be away for this long (it is restarted now and then) before
/// that is the daemon's own ill health.
pub(super) const ENGINE_AWAY_FOR: Duration = Duration::from_secs(60);

/// `Err` says why the daemon cannot protect anything right now.
///
/// A service that is unarmed is not ill health: `status --check` tells that.
pub(super) fn health(snapshot: &Snapshot, clock: &Clock) -> Result<(), String> {
    let now = clock.now();
    let age = now.since(snapshot.at);
    if age > STUCK_AFTER {
        return Err(format!("the daemon's loop has not answered for {}s", age.as_secs()));
    }
    if let Some(trouble) = &snapshot.trouble {
        return Err(trouble.clone());
    }
    match &snapshot.engine {
        Some(away) if now.since(away.since) > ENGINE_AWAY_FOR => {
            let seconds = now.since(away.since).as_secs();
            Err(format!("the engine has not answered for {seconds}s: {}", away.why))
        }
        _ => Ok(()),
    }
}
