//! The addresses: what may be looked at, and what may be asked for. Every body
//! is bounded, every answer has a time limit, every error is the contract's
//! error document.

use std::{sync::Arc, time::Duration};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{
        DefaultBodyLimit, Path, Query, Request, State,
        rejection::{BytesRejection, QueryRejection},
    },
    http::{Method, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use rollbackd_core::{
    event::{Command, Goal},
    view::ProjectView,
    words::{IncidentId, ProjectName},
};
use serde::Deserialize;
use tokio::{
    sync::{
        mpsc::{Sender, error::TrySendError},
        oneshot,
    },
    time::timeout,
};

use crate::api::{
    Doors, Snapshot,
    health::health,
    json::{self, ErrorBody, ErrorDocument},
    map,
    metrics::{self, Metrics},
    page,
};

/// A command is a few names and a reason.
const BODY: usize = 64 * 1024;

/// A command is answered after its commit, at most one turn of the loop later.
const COMMAND_WITHIN: Duration = Duration::from_secs(30);

/// The engine is asked for every container of a project.
const LOOK_WITHIN: Duration = Duration::from_secs(60);

/// A question is answered between two turns of the loop.
const QUESTION_WITHIN: Duration = Duration::from_secs(10);

/// About the past: the newest moments are written within seconds, and a span is
/// made again in about one.
const PAST_WITHIN: Duration = Duration::from_secs(30);

/// A rollback to an image is answered when that is here, and may be pulled first.
const IMAGE_WITHIN: Duration = Duration::from_secs(660);

/// Each mail server has a minute; they are asked at the same time.
const TEST_WITHIN: Duration = Duration::from_secs(90);

/// Any request whole, but for a command: longer than the longest other.
const REQUEST_WITHIN: Duration = Duration::from_secs(100);

#[derive(Clone)]
struct Rooms {
    doors: Doors,
    metrics: Arc<Metrics>,
}

impl Rooms {
    fn snapshot(&self) -> Arc<Snapshot> {
        self.doors.snapshots.borrow().clone()
    }
}

/// What the TCP address answers: GET alone.
pub(super) fn looks(doors: Doors) -> Router {
    finish(views(), doors).layer(middleware::from_fn(only_look))
}

/// What the socket answers: the same, and commands.
pub(super) fn acts(doors: Doors) -> Router {
    let asks = views()
        .route("/v1/command", post(command))
        .route("/v1/look", post(look))
        .route("/v1/test-notify", post(test_notify));
    finish(asks, doors)
}

fn views() -> Router<Rooms> {
    Router::new()
        .route("/", get(front))
        .route("/healthz", get(healthz))
        .route("/metrics", get(metrics_page))
        .route("/v1/status", get(status))
        .route("/v1/revisions", get(revisions))
        .route("/v1/history", get(history))
        .route("/v1/history/{id}", get(incident))
        .route("/v1/why/{project}/{service}", get(why::why))
}

fn finish(routes: Router<Rooms>, doors: Doors) -> Router {
    let nothing = async || {
        let hint = "there are /v1/status, /v1/revisions, /v1/history, \
                    /v1/why/PROJECT/SERVICE, /healthz and /metrics";
        Problem::new(StatusCode::NOT_FOUND, "not_found", "there is nothing at this address", hint)
    };
    let other_method = async || {
        let (status, code) = (StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed");
        Problem::new(status, code, "this address does not take this method", "")
    };
    routes
        .fallback(nothing)
        .method_not_allowed_fallback(other_method)
        .layer(DefaultBodyLimit::max(BODY))
        .layer(middleware::from_fn(in_time))
        .with_state(Rooms { doors, metrics: Arc::default() })
}

async fn only_look(request: Request, next: Next) -> Response {
    if matches!(*request.method(), Method::GET | Method::HEAD) {
        return next.run(request).await;
    }
    let hint = "use `rollbackd` on the machine itself, which asks over the Unix socket";
    let message = "this address is only for looking";
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "read_only", message, hint).into_response()
}

async fn in_time(request: Request, next: Next) -> Response {
    let is_command = request.uri().path() == "/v1/command";
    let within = if is_command { IMAGE_WITHIN + COMMAND_WITHIN } else { REQUEST_WITHIN };
    match timeout(within, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::timeout("the request took too long").into_response(),
    }
}

async fn front(State(rooms): State<Rooms>) -> Response {
    let snapshot = rooms.snapshot();
    let health = health(&snapshot, &rooms.doors.clock);
    let status = map::status(&snapshot, &rooms.doors.clock);
    // The page has no script and loads nothing; the browser is told so.
    let policy = "default-src 'none'; style-src 'unsafe-inline'";
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (headers, page::render(&status, health.err().as_deref())).into_response()
}

async fn healthz(State(rooms): State<Rooms>) -> Response {
    match health(&rooms.snapshot(), &rooms.doors.clock) {
        Ok(()) => "ok\n".into_response(),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response(),
    }
}

async fn metrics_page(State(rooms): State<Rooms>) -> Response {
    match rooms.metrics.render(&rooms.snapshot()) {
        Ok(page) => ([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], page).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn status(State(rooms): State<Rooms>) -> Json<json::Status> {
    Json(map::status(&rooms.snapshot(), &rooms.doors.clock))
}

#[derive(Deserialize)]
struct Which {
    project: Option<ProjectName>,
}

impl Which {
    /// The views asked for; all of them when none was named.
    fn of<'a>(&self, snapshot: &'a Snapshot) -> Result<Vec<&'a ProjectView>, Problem> {
        let wanted =
            |view: &&ProjectView| self.project.as_ref().is_none_or(|name| *name == view.name);
        let found: Vec<_> = snapshot.projects.iter().map(|view| &**view).filter(wanted).collect();
        match &self.project {
            Some(name) if found.is_empty() => Err(Problem::no_project(name, snapshot)),
            _ => Ok(found),
        }
    }
}

async fn revisions(
    State(rooms): State<Rooms>,
    which: Result<Query<Which>, QueryRejection>,
) -> Result<Json<Vec<json::Revision>>, Problem> {
    let snapshot = rooms.snapshot();
    let views = which?.of(&snapshot)?;
    let clock = &rooms.doors.clock;
    Ok(Json(views.iter().flat_map(|view| map::revisions(view, clock)).collect()))
}

/// The newest first.
async fn history(
    State(rooms): State<Rooms>,
    which: Result<Query<Which>, QueryRejection>,
) -> Result<Json<Vec<json::Incident>>, Problem> {
    let snapshot = rooms.snapshot();
    let views = which?.of(&snapshot)?;
    let mut all: Vec<_> = views.iter().flat_map(|view| &view.incidents).collect();
    all.sort_by_key(|incident| std::cmp::Reverse(incident.id));
    Ok(Json(all.iter().map(|incident| map::incident(incident, &rooms.doors.clock)).collect()))
}

async fn incident(
    State(rooms): State<Rooms>,
    Path(id): Path<String>,
) -> Result<Json<json::Incident>, Problem> {
    let snapshot = rooms.snapshot();
    let wanted = id.parse().ok().map(IncidentId);
    let found = snapshot
        .projects
        .iter()
        .flat_map(|view| &view.incidents)
        .find(|incident| Some(incident.id) == wanted);
    let missing = || {
        let message = format!("there is no rollback with the ID {id}");
        let hint = "`rollbackd history` lists those that are remembered";
        Problem::new(StatusCode::NOT_FOUND, "not_found", message, hint)
    };
    let found = found.ok_or_else(missing)?;
    Ok(Json(map::incident(found, &rooms.doors.clock)))
}

async fn command(
    State(rooms): State<Rooms>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<json::Accepted>, Problem> {
    let command: Command = serde_json::from_slice(&body?).map_err(|why| {
        let message = format!("this is no command: {why}");
        let hint =
            "an older or newer `rollbackd` may have sent it: restart the daemon after an upgrade";
        Problem::new(StatusCode::BAD_REQUEST, "bad_request", message, hint)
    })?;
    let within = match &command {
        Command::Rollback { to: Some(Goal::Image(_)), .. } => IMAGE_WITHIN,
        _ => COMMAND_WITHIN,
    };
    let (answer, answered) = oneshot::channel();
    hand_over(&rooms.doors.commands, (command, answer))?;
    match timeout(within, answered).await {
        Ok(Ok(Ok(accepted))) => Ok(Json(map::accepted(&accepted, &rooms.doors.clock))),
        Ok(Ok(Err(refusal))) => {
            Err(Problem::new(StatusCode::CONFLICT, "refused", refusal.message, refusal.hint))
        }
        Ok(Err(_)) => Err(Problem::stopping()),
        Err(_) => Err(Problem::timeout("the daemon has taken the command and not yet answered")),
    }
}

/// Looks at one project, or at all, and answers when that was taken.
async fn look(
    State(rooms): State<Rooms>,
    which: Result<Query<Which>, QueryRejection>,
) -> Result<Json<json::Looked>, Problem> {
    let snapshot = rooms.snapshot();
    let names = which?.of(&snapshot)?.iter().map(|view| view.name.clone()).collect::<Vec<_>>();
    for name in &names {
        let (answer, answered) = oneshot::channel();
        hand_over(&rooms.doors.looks, (name.clone(), answer))?;
        match timeout(LOOK_WITHIN, answered).await {
            Ok(Ok(Ok(()))) => {}
            Ok(Ok(Err(refusal))) => {
                let (message, hint) = (refusal.message, refusal.hint);
                let status = StatusCode::SERVICE_UNAVAILABLE;
                return Err(Problem::new(status, "unseen", message, hint));
            }
            Ok(Err(_)) => return Err(Problem::stopping()),
            Err(_) => return Err(Problem::timeout("the engine does not answer")),
        }
    }
    Ok(Json(json::Looked { projects: names }))
}

async fn test_notify(
    State(rooms): State<Rooms>,
) -> Result<Json<Vec<json::ChannelReport>>, Problem> {
    let (answer, answered) = oneshot::channel();
    hand_over(&rooms.doors.test_notify, answer)?;
    match timeout(TEST_WITHIN, answered).await {
        Ok(Ok(reports)) => Ok(Json(reports)),
        Ok(Err(_)) => Err(Problem::stopping()),
        Err(_) => Err(Problem::timeout("the test messages are still on their way")),
    }
}

/// Never waits for the loop: a full queue is the person's to know.
fn hand_over<T>(queue: &Sender<T>, what: T) -> Result<(), Problem> {
    queue.try_send(what).map_err(|error| match error {
        TrySendError::Full(_) => {
            let message = "the daemon has more commands waiting than it takes";
            let hint = "nothing was done; ask again in a moment";
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "busy", message, hint)
        }
        TrySendError::Closed(_) => Problem::stopping(),
    })
}

/// An error as the contract writes it.
#[derive(Debug)]
struct Problem {
    status: StatusCode,
    /// Boxed: a rare thing need not make every result large.
    body: Box<ErrorBody>,
}

impl Problem {
    fn new(
        status: StatusCode,
        code: &str,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        let (code, message, hint) = (code.to_owned(), message.into(), hint.into());
        let body = ErrorBody { code, message, hint, ..ErrorBody::default() };
        Self { status, body: Box::new(body) }
    }

    fn timeout(message: &str) -> Self {
        let hint = "`rollbackd status` and `rollbackd history` tell what came of it";
        Self::new(StatusCode::GATEWAY_TIMEOUT, "timeout", message, hint)
    }

    fn stopping() -> Self {
        let hint = "ask again when it runs: `systemctl status rollbackd`";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "stopping", "the daemon is stopping", hint)
    }

    fn no_project(name: &ProjectName, snapshot: &Snapshot) -> Self {
        let known: Vec<_> = snapshot.projects.iter().map(|view| view.name.as_str()).collect();
        let message = format!("there is no project {name}");
        let hint = format!("the configuration has: {}", known.join(", "));
        Self::new(StatusCode::NOT_FOUND, "not_found", message, hint)
    }
}

impl From<BytesRejection> for Problem {
    fn from(why: BytesRejection) -> Self {
        Self::new(why.status(), "bad_request", format!("the body cannot be read: {why}"), "")
    }
}

impl From<QueryRejection> for Problem {
    fn from(why: QueryRejection) -> Self {
        let hint = "one project can be named: ?project=NAME";
        Self::new(why.status(), "bad_request", format!("the query cannot be read: {why}"), hint)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        (self.status, Json(ErrorDocument { error: *self.body })).into_response()
    }
}

mod why;

#[cfg(test)]
mod tests;
