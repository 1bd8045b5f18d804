//! Looks at a project once more when its rollback has ended: what was seen
//! before shows the rollback's own making, and nothing is decided by it.

use rollbackd_core::{event::Event, words::ProjectName};
use tokio::sync::mpsc;

use crate::engine::Engine;

/// Looks whenever it is asked to, until nobody asks.
pub(super) async fn run(
    mut asked: mpsc::Receiver<ProjectName>,
    engine: Engine,
    events: mpsc::Sender<Event>,
) {
    while let Some(project) = asked.recv().await {
        match engine.observe(&project).await {
            Ok(seen) => {
                if events.send(Event::Observed(seen)).await.is_err() {
                    return;
                }
            }
            // The engine's own watch looks again before long.
            Err(error) => tracing::debug!(%project, %error, "daemon.look.failed"),
        }
    }
}
