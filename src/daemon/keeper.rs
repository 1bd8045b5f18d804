//! Keeps what must stay restorable, and says when it no longer is.

use std::{collections::BTreeMap, time::Duration};

use rollbackd_core::{event::Event, revision::Revision, words::ProjectName};
use tokio::{
    sync::{broadcast, mpsc, watch},
    time::timeout,
};

use crate::{config::settings::KeepBy, docker::event::Happening, engine::Engine};

/// How often everything is looked at without an event.
const LOOK_AGAIN: Duration = Duration::from_secs(60);
/// A burst of image events (`docker image prune`) is looked at once.
const BURST: Duration = Duration::from_millis(200);

/// The revisions of each project that must stay restorable.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Wanted(pub(super) Vec<(ProjectName, Vec<Revision>)>);

/// How each project's images are kept.
pub(super) type Ways = BTreeMap<ProjectName, KeepBy>;

/// Reconciles for ever: on every change of what is wanted, on every image
/// event, and now and then.
pub(super) async fn run(
    mut wanted: watch::Receiver<Wanted>,
    mut ways: watch::Receiver<Ways>,
    mut happenings: broadcast::Receiver<Happening>,
    engine: Engine,
    events: mpsc::Sender<Event>,
) {
    loop {
        let now = wanted.borrow_and_update().clone();
        let by = ways.borrow_and_update().clone();
        keep(&now, &by, &engine).await;
        if check(now, &engine, &events).await.is_err() {
            return;
        }
        tokio::select! {
            changed = wanted.changed() => if changed.is_err() { return },
            changed = ways.changed() => if changed.is_err() { return },
            () = images(&mut happenings) => {
                while timeout(BURST, images(&mut happenings)).await.is_ok() {}
            }
            () = tokio::time::sleep(LOOK_AGAIN) => {}
        }
    }
}

async fn keep(wanted: &Wanted, ways: &Ways, engine: &Engine) {
    let mut images = BTreeMap::new();
    for (project, revisions) in &wanted.0 {
        let way = ways.get(project).copied().unwrap_or(KeepBy::Anchor);
        for service in revisions.iter().flat_map(|revision| &revision.services) {
            let kept = images.entry(service.image_id).or_insert(way);
            // Two projects may share an image: the stronger way keeps it.
            if way == KeepBy::Anchor {
                *kept = way;
            }
        }
    }
    if let Err(error) = engine.keep(&images).await {
        tracing::warn!(%error, "engine.keep.failed");
    }
}

/// Reports each revision. `Err`: the loop is gone.
async fn check(wanted: Wanted, engine: &Engine, events: &mpsc::Sender<Event>) -> Result<(), ()> {
    for (project, revisions) in wanted.0 {
        for revision in revisions {
            // An engine that does not answer says nothing about an image.
            let Ok(problem) = engine.restorable(&revision).await else { continue };
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
