//! The core as it was before the daemon stopped: the fold of the stored facts,
//! the configuration of now, and the windows of the last checkpoint.

use rollbackd_core::{
    fact::Fact, moment::Moment, reducer::Core, settings::Settings, status::Checkpoint,
};

/// Rebuilds the core from what was stored.
pub(super) fn rebuild(
    facts: &[(Moment, Fact)],
    settings: &Settings,
    checkpoint: Option<&[u8]>,
    now: Moment,
) -> Core {
    let mut core = Core::new();
    for (_, fact) in facts {
        core.apply(fact);
    }
    core.configure(settings, now);
    match checkpoint.map(serde_json::from_slice::<Checkpoint>) {
        Some(Ok(checkpoint)) => core.restore(checkpoint, now),
        Some(Err(error)) => {
            tracing::warn!(%error, "daemon.checkpoint.unreadable: windows start empty");
        }
        None => {}
    }
    core
}
