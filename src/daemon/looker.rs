//! Looks at a project once more when its rollback has ended (what was seen before
//! shows the rollback's own making, and nothing is decided by it), and when a
//! person asks for it: then what was seen is taken before they are answered.

use rollbackd_core::{
    event::{Event, Refusal},
    revision::Observation,
    words::ProjectName,
};
use tokio::sync::{mpsc, oneshot};

use crate::{api::AskedLook, engine::Engine};

/// What a person asked to be seen, and where the answer goes.
pub(super) type Looked = (Observation, oneshot::Sender<Result<(), Refusal>>);

/// Looks whenever it is asked to, until nobody asks.
pub(super) async fn run(
    mut after_rollbacks: mpsc::Receiver<ProjectName>,
    mut for_people: mpsc::Receiver<AskedLook>,
    engine: Engine,
    events: mpsc::Sender<Event>,
    looked: mpsc::Sender<Looked>,
) {
    loop {
        // The loop is gone only when the daemon is.
        tokio::select! {
            project = after_rollbacks.recv() => {
                let Some(project) = project else { return };
                match engine.observe(&project).await {
                    Ok(seen) => drop(events.send(Event::Observed(seen)).await),
                    // The engine's own watch looks again before long.
                    Err(error) => tracing::debug!(%project, %error, "daemon.look.failed"),
                }
            }
            asked = for_people.recv() => {
                let Some((project, answer)) = asked else { return };
                match engine.observe(&project).await {
                    Ok(seen) => drop(looked.send((seen, answer)).await),
                    Err(error) => {
                        let message = format!("{project} cannot be looked at: {error}");
                        let hint = "see whether the engine answers: `docker info`".to_owned();
                        // The person may have gone.
                        let _ = answer.send(Err(Refusal { message, hint }));
                    }
                }
            }
        }
    }
}
