//! Tells why something was or was not done at a past moment, from what was
//! recorded: on a thread of its own, with connections that only read, so that
//! neither the loop nor the store waits for it.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use rollbackd_core::{
    moment::Moment,
    reducer::Core,
    words::{ProjectName, ServiceName},
};
use tokio::{
    sync::{mpsc, watch},
    time::timeout,
};

use crate::{
    api::{PastQuestion, Then, Untold},
    replay::past::core_at,
    store::{Cause, Past, Span},
};

/// The newest moments are written with the next checkpoint, five seconds later at
/// most; the rest is for a slow disk.
const WRITTEN_WITHIN: Duration = Duration::from_secs(10);

/// Answers one question after the other: the memory that one needs is enough.
pub(super) async fn run(
    mut asked: mpsc::Receiver<PastQuestion>,
    state_dir: PathBuf,
    mut recorded: watch::Receiver<Moment>,
) {
    while let Some(PastQuestion { project, service, at, answer }) = asked.recv().await {
        if answer.is_closed() {
            continue;
        }
        // What is not written by then is told as missing.
        let _ = timeout(WRITTEN_WITHIN, recorded.wait_for(|until| *until >= at)).await;
        let dir = state_dir.clone();
        let telling = tokio::task::spawn_blocking(move || tell(&dir, &project, &service, at));
        let told = telling.await.unwrap_or_else(|error| {
            Err(Untold::Unreadable(format!("the telling broke ({error}); this is a bug")))
        });
        // The person may have gone.
        let _ = answer.send(told);
    }
}

fn tell(
    dir: &Path,
    project: &ProjectName,
    service: &ServiceName,
    at: Moment,
) -> Result<Then, Untold> {
    let unreadable = |error: &dyn std::fmt::Display| Untold::Unreadable(error.to_string());
    let past = Past::open(dir).map_err(|error| unreadable(&error))?;
    let Some(span) = past.span(at).map_err(|error| unreadable(&error))? else {
        return Err(Untold::TooOld(past.oldest().map_err(|error| unreadable(&error))?));
    };
    if span.until < at {
        return Err(missing(&span));
    }
    let core = core_at(&span.core, &span.chunks, &span.facts, at);
    let core = core.map_err(|error| unreadable(&error))?;
    let Some(why) = core.why(project, service, at) else {
        return Err(Untold::Unknown(known(&core, at)));
    };
    // The newest keyframe has the configuration of now: each reload begins one.
    let now: Option<Core> =
        span.newest.as_deref().and_then(|newest| serde_json::from_slice(newest).ok());
    let other = |now: &Core| now.rules(project, service) != core.rules(project, service);
    Ok(Then { why, other_configuration: now.as_ref().is_some_and(other) })
}

fn missing(span: &Span) -> Untold {
    let from = span.until;
    match span.next {
        Some((to, Cause::Start)) => Untold::Away { from, to },
        Some((to, _)) => Untold::Lost { from, to: Some(to) },
        None => Untold::Lost { from, to: None },
    }
}

/// The services of that moment.
fn known(core: &Core, at: Moment) -> Vec<(ProjectName, ServiceName)> {
    let views = core.views(at).into_iter();
    views
        .flat_map(|view| {
            let project = view.name;
            view.services.into_iter().map(move |service| (project.clone(), service.name))
        })
        .collect()
}
