//! Keeps what must stay restorable, and says when it no longer is.

use std::{collections::BTreeSet, time::Duration};

use rollbackd_core::{
    event::Event,
    revision::Revision,
    words::{ImageId, ProjectName},
};
use tokio::{
    sync::{broadcast, mpsc, watch},
    time::timeout,
};

use crate::{docker::event::Happening, engine::Engine};

/// How often everything is looked at without an event.
const LOOK_AGAIN: Duration = Duration::from_secs(60);
/// A burst of image events (`docker image prune`) is looked at once.
const BURST: Duration = Duration::from_millis(200);

/// The revisions of each project that must stay restorable.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Wanted(pub(super) Vec<(ProjectName, Vec<Revision>)>);

/// Reconciles for ever: on every change of what is wanted, on every image
/// event, and now and then.
pub(super) async fn run(
    mut wanted: watch::Receiver<Wanted>,
    mut happenings: broadcast::Receiver<Happening>,
    engine: Engine,
    events: mpsc::Sender<Event>,
) {
    loop {
        let now = wanted.borrow_and_update().clone();
        keep(&now, &engine).await;
        if check(now, &engine, &events).await.is_err() {
            return;
        }
        tokio::select! {
            changed = wanted.changed() => if changed.is_err() { return },
            () = images(&mut happenings) => {
                while timeout(BURST, images(&mut happenings)).await.is_ok() {}
            }
            () = tokio::time::sleep(LOOK_AGAIN) => {}
        }
    }
}

async fn keep(wanted: &Wanted, engine: &Engine) {
    let revisions = wanted.0.iter().flat_map(|(_, revisions)| revisions);
    let images: BTreeSet<ImageId> = revisions
        .flat_map(|revision| revision.services.iter().map(|service| service.image_id))
        .collect();
    if let Err(error) = engine.keep(&images).await {
        tracing::warn!(%error, "engine.keep.failed");
    }
}

/// Reports each revision. `Err`: the loop is gone.
async fn check(wanted: Wanted, engine: &Engine, events: &mpsc::Sender<Event>) -> Result<(), ()> {
    for (project, revisions) in wanted.0 {
        for revision in revisions {
            let problem = engine.restorable(&revision).await;
            let (project, revision) = (project.clone(), revision.number);
            let event = Event::Restorable { project, revision, problem };
            events.send(event).await.map_err(drop)?;
        }
    }
    Ok(())
}

/// Until something happened to an image, or to the engine itself.
async fn images(happenings: &mut broadcast::Receiver<Happening>) {
    loop {
        match happenings.recv().await {
            Ok(Happening::Images | Happening::Up) | Err(broadcast::error::RecvError::Lagged(_)) => {
                return;
            }
            Ok(Happening::Down(_) | Happening::Container(_)) => {}
            // The stream ends only with the daemon.
            Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
        }
    }
}
