//! `GET /v1/why/PROJECT/SERVICE[?at=TIME]`: a question to the loop, or to what was
//! recorded.

use axum::{
    Json,
    extract::{Path, Query, State, rejection::QueryRejection},
    http::StatusCode,
};
use jiff::{RoundMode, SignedDuration, Timestamp, TimestampRound, Unit};
use rollbackd_core::{
    moment::Moment,
    words::{ProjectName, ServiceName},
};
use serde::Deserialize;
use tokio::{sync::oneshot, time::timeout};

use super::{PAST_WITHIN, Problem, QUESTION_WITHIN, Rooms, hand_over};
use crate::{
    api::{PastQuestion, Question, Snapshot, Untold, json, map},
    host::clock::Clock,
};

/// Clocks of two programs are not one: this much in the future is now.
const SOON: SignedDuration = SignedDuration::from_secs(2);

#[derive(Deserialize)]
pub(super) struct When {
    at: Option<Timestamp>,
}

/// Why it did or did not act.
pub(super) async fn why(
    State(rooms): State<Rooms>,
    Path((project, service)): Path<(ProjectName, ServiceName)>,
    when: Result<Query<When>, QueryRejection>,
) -> Result<Json<json::why::Why>, Problem> {
    let Query(When { at }) = when.map_err(|why| {
        let hint = "a moment is written as ?at=2026-11-21T03:12:00Z";
        let message = format!("the query cannot be read: {why}");
        Problem::new(StatusCode::BAD_REQUEST, "bad_request", message, hint)
    })?;
    match at {
        None => now(&rooms, project, service).await,
        Some(at) => then(&rooms, project, service, at).await,
    }
    .map(Json)
}

async fn now(
    rooms: &Rooms,
    project: ProjectName,
    service: ServiceName,
) -> Result<json::why::Why, Problem> {
    let (answer, answered) = oneshot::channel();
    let question = Question { project: project.clone(), service: service.clone(), answer };
    hand_over(&rooms.doors.questions, question)?;
    match timeout(QUESTION_WITHIN, answered).await {
        Ok(Ok(Some(why))) => Ok(map::why(&why, &rooms.doors.clock)),
        Ok(Ok(None)) => Err(Problem::no_service(&project, &service, &rooms.snapshot())),
        Ok(Err(_)) => Err(Problem::stopping()),
        Err(_) => Err(Problem::timeout("the daemon is too busy to answer just now")),
    }
}

async fn then(
    rooms: &Rooms,
    project: ProjectName,
    service: ServiceName,
    at: Timestamp,
) -> Result<json::why::Why, Problem> {
    let clock = &rooms.doors.clock;
    if at.duration_since(clock.wall()) > SOON {
        let hint = "without a time it tells of now";
        let message = format!("{at} has not come yet");
        return Err(Problem::new(StatusCode::BAD_REQUEST, "bad_request", message, hint));
    }
    let (answer, answered) = oneshot::channel();
    let (moment, asked) = (clock.moment_of(at), (project.clone(), service.clone()));
    let question = PastQuestion { project, service, at: moment, answer };
    hand_over(&rooms.doors.pasts, question)?;
    match timeout(PAST_WITHIN, answered).await {
        Ok(Ok(Ok(then))) => Ok(json::why::Why {
            recorded: true,
            other_configuration: then.other_configuration,
            ..map::why(&then.why, clock)
        }),
        Ok(Ok(Err(untold))) => Err(Problem::untold(&untold, at, &asked, clock)),
        Ok(Err(_)) => Err(Problem::stopping()),
        Err(_) => Err(Problem::timeout("the past is still being read")),
    }
}

impl Problem {
    /// Says which there are.
    fn no_service(project: &ProjectName, service: &ServiceName, snapshot: &Snapshot) -> Self {
        let Some(view) = snapshot.projects.iter().find(|view| view.name == *project) else {
            return Self::no_project(project, snapshot);
        };
        let known = view.services.iter().map(|known| format!("{project}/{}", known.name));
        let known: Vec<String> = known.collect();
        let message = format!("there is no service {service} in project {project}");
        Self::new(StatusCode::NOT_FOUND, "not_found", message, there_are(&known))
    }

    fn untold(
        untold: &Untold,
        at: Timestamp,
        (project, service): &(ProjectName, ServiceName),
        clock: &Clock,
    ) -> Self {
        let missing = |why: String, hint: String| {
            let message = format!("nothing was recorded at {at}: {why}");
            Self::new(StatusCode::NOT_FOUND, "not_recorded", message, hint)
        };
        let before = |moment: &Moment| second(clock, *moment, RoundMode::Floor);
        let after = |moment: &Moment| second(clock, *moment, RoundMode::Ceil);
        match untold {
            Untold::TooOld(None) => {
                missing("nothing is recorded yet".into(), "ask again in a moment".into())
            }
            Untold::TooOld(Some(oldest)) => {
                let hint =
                    format!("the oldest moment that can be asked about is {}", after(oldest));
                missing("that is before what is kept".into(), hint)
            }
            Untold::Away { from, to } => {
                let why = format!("rollbackd did not run from {} to {}", before(from), after(to));
                let hint = nearest(&before(from), &after(to));
                missing(
                    why,
                    hint + "; a daemon that is killed has not written its last five seconds",
                )
            }
            Untold::Lost { from, to: Some(to) } => {
                let why = format!(
                    "what happened from {} to {} could not be written down",
                    before(from),
                    after(to)
                );
                missing(why, nearest(&before(from), &after(to)))
            }
            Untold::Lost { from, to: None } => {
                let why = format!("what happens since {} is not written down", before(from));
                missing(why, "the daemon's log says why: `journalctl -u rollbackd`".into())
            }
            Untold::Unknown(known) => {
                let known = known.iter().map(|(project, service)| format!("{project}/{service}"));
                let known: Vec<String> = known.collect();
                let message = format!("there was no {project}/{service} at {at}");
                Self::new(StatusCode::NOT_FOUND, "not_found", message, there_are(&known))
            }
            Untold::Unreadable(why) => {
                let hint = "`rollbackd history` has what was done";
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "unreadable", why.clone(), hint)
            }
        }
    }
}

/// As it can be asked about: to the second, on the side where it is recorded.
fn second(clock: &Clock, moment: Moment, mode: RoundMode) -> Timestamp {
    let exact = clock.wall_of(moment);
    exact.round(TimestampRound::new().smallest(Unit::Second).mode(mode)).unwrap_or(exact)
}

fn nearest(before: &Timestamp, after: &Timestamp) -> String {
    format!("the nearest moments that can be asked about are {before} and {after}")
}

fn there_are(known: &[String]) -> String {
    if known.is_empty() {
        "no service is known".to_owned()
    } else {
        format!("there are: {}", known.join(", "))
    }
}
