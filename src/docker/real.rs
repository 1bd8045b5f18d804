//! The real engine, at the other end of a wire.
//!
//! bollard makes the requests whose answers hold no document (start, stop,
//! rename, remove, tag, pull, ...) and reads what comes back. Documents it
//! cannot carry: it types every answer, which drops the fields it does not know
//! and fails the whole answer on an enum value it does not know, and it types
//! the body of a create. A record must be the engine's own document to the
//! last field, so lists, inspects, creates, updates, events and stats are raw
//! JSON here. Both go over the one [`Wire`], which is bollard's transport; it
//! also sets the API version, because bollard 0.21 resolves each path against
//! the versioned one and so loses the version it negotiated.

use std::{sync::Arc, time::Duration};

use bollard::{
    API_DEFAULT_VERSION, BollardRequest,
    errors::Error as Typed,
    query_parameters::{
        CreateImageOptions, KillContainerOptions, RemoveContainerOptions, RemoveImageOptions,
        RenameContainerOptions, StopContainerOptions, TagImageOptions,
    },
};
use futures_util::TryStreamExt;
use http_body_util::Full;
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header::CONTENT_TYPE,
};
use jiff::Timestamp;
use serde_json::{Value, json};
use url::Url;

use super::{
    call::Call,
    error::DockerError,
    lines::Lines,
    wire::{VERSIONS, Wire},
};

/// The newest API that this version was written against: bollard's own. The
/// oldest that will do is 1.41; everything used here is in that one.
const NEWEST: u32 = API_DEFAULT_VERSION.minor_version as u32;

/// How long it may take until a stream of events is open.
const OPEN_LIMIT: Duration = Duration::from_secs(10);

/// What is listened for. `health_status` stands for all its words. Left out
/// are `exec_*`: each health check is three of them.
const HEARD: [&str; 17] = [
    "create",
    "start",
    "restart",
    "kill",
    "die",
    "oom",
    "stop",
    "pause",
    "unpause",
    "rename",
    "update",
    "destroy",
    "health_status",
    "tag",
    "untag",
    "delete",
    "pull",
];

/// The engine, and both ways to speak over its wire.
pub(super) struct Real {
    wire: Arc<Wire>,
    typed: bollard::Docker,
}

impl Real {
    pub(super) fn new(host: &str) -> Result<Self, DockerError> {
        let wire = Wire::new(host)?;
        let carrier = Arc::clone(&wire);
        let carry = move |request: BollardRequest| {
            let wire = Arc::clone(&carrier);
            async move { carry(&wire, request).await }
        };
        // The limit is ours, around whole calls; this one is never reached.
        let typed = bollard::Docker::connect_with_custom_transport(
            carry,
            Some("http://docker"),
            u64::from(u32::MAX),
            API_DEFAULT_VERSION,
        )
        .map_err(|_| DockerError::BadHost(host.to_owned()))?;
        Ok(Self { wire, typed })
    }

    /// Asks, and gives the document of the answer; `Null` where there is none.
    pub(super) async fn answer(&self, call: &Call<'_>) -> Result<Value, DockerError> {
        if matches!(call, Call::Version) {
            return self.agree().await;
        }
        if self.wire.minor().is_none() {
            self.agree().await?;
        }
        match question(call) {
            Some((method, path, query, body)) => {
                self.document(call.name(), method, &path, &query, body).await
            }
            None => self.change(call).await.map_err(|error| self.cause(call.name(), error)),
        }
    }

    /// Opens the stream of events since a time of the engine's.
    pub(super) async fn events(&self, since: Timestamp) -> Result<Lines, DockerError> {
        let (call, limit) = ("docker.events", OPEN_LIMIT);
        let filters = json!({ "type": ["container", "image"], "event": HEARD }).to_string();
        let since = format!("{}.{:09}", since.as_second(), since.subsec_nanosecond());
        let query = [("since", since), ("filters", filters)];
        let open = async {
            self.agree().await?;
            let answer = self.ask(call, Method::GET, "/events", &query, None).await?;
            Ok(Lines::new(answer.into_body()))
        };
        let opened = tokio::time::timeout(limit, open).await;
        opened.unwrap_or(Err(DockerError::Timeout { call, limit }))
    }

    /// Why a stream ended.
    pub(super) fn cut(&self, error: Option<hyper::Error>) -> DockerError {
        match error {
            Some(error) => self.wire.unreachable(&error),
            None => DockerError::Unreachable {
                host: self.wire.host.clone(),
                why: "it ended the stream of events".into(),
            },
        }
    }

    /// Asks for the versions, without one, and speaks the engine's own as far
    /// as it is known here: an engine raises its lowest now and then.
    async fn agree(&self) -> Result<Value, DockerError> {
        let call = Call::Version.name();
        let versions = self.document(call, Method::GET, VERSIONS, &[], None).await?;
        let minor = |field: &str| -> Option<u32> {
            versions[field].as_str()?.strip_prefix("1.")?.parse().ok()
        };
        let Some(own) = minor("ApiVersion") else {
            let why = "it names no version 1 of its API".into();
            return Err(DockerError::Unreadable { call, why });
        };
        self.wire.speak(own.min(NEWEST).max(minor("MinAPIVersion").unwrap_or(0)));
        Ok(versions)
    }

    async fn document(
        &self,
        call: &'static str,
        method: Method,
        path: &str,
        query: &[(&str, String)],
        body: Option<&Value>,
    ) -> Result<Value, DockerError> {
        let answer = self.ask(call, method, path, query, body).await?;
        let body = self.wire.whole(call, answer.into_body()).await?;
        if body.iter().all(u8::is_ascii_whitespace) {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&body)
            .map_err(|error| DockerError::Unreadable { call, why: format!("no JSON: {error}") })
    }

    /// The answer to a raw request, if it is no refusal.
    async fn ask(
        &self,
        call: &'static str,
        method: Method,
        path: &str,
        query: &[(&str, String)],
        body: Option<&Value>,
    ) -> Result<Response<Incoming>, DockerError> {
        let request = request(method, path, query, body)
            .map_err(|why| DockerError::Unreadable { call, why })?;
        let answer =
            self.wire.send(request).await.map_err(|error| self.wire.unreachable(&*error))?;
        match refusal(&self.wire, call, answer).await? {
            Ok(answer) => Ok(answer),
            Err((status, message)) => Err(DockerError::refused(call, status, &message)),
        }
    }

    /// The changes whose answers hold no document.
    async fn change(&self, call: &Call<'_>) -> Result<Value, Typed> {
        let docker = &self.typed;
        match *call {
            Call::Start(id) => docker.start_container(id, None).await?,
            Call::Stop { id, grace } => {
                // Whole seconds are all it takes; a fraction is rounded up.
                let seconds = grace.as_secs() + u64::from(grace.subsec_nanos() > 0);
                let t = Some(i32::try_from(seconds).unwrap_or(i32::MAX));
                docker.stop_container(id, Some(StopContainerOptions { t, signal: None })).await?;
            }
            Call::Kill(id) => {
                let signal = "SIGKILL".to_owned();
                docker.kill_container(id, Some(KillContainerOptions { signal })).await?;
            }
            Call::Rename { id, name } => {
                let name = name.to_owned();
                docker.rename_container(id, RenameContainerOptions { name }).await?;
            }
            Call::Remove { id, volumes, force } => {
                let options = RemoveContainerOptions { v: volumes, force, link: false };
                docker.remove_container(id, Some(options)).await?;
            }
            Call::Tag { image, repository, tag } => {
                let (repo, tag) = (Some(repository.to_owned()), Some(tag.to_owned()));
                docker.tag_image(image, Some(TagImageOptions { repo, tag })).await?;
            }
            Call::Untag(reference) => {
                let options = RemoveImageOptions { force: false, noprune: true, platforms: None };
                docker.remove_image(reference, Some(options), None).await?;
            }
            Call::Pull(reference) => {
                let from_image = Some(reference.to_owned());
                let options = CreateImageOptions { from_image, ..CreateImageOptions::default() };
                // Progress is for people who wait; here only its end counts.
                let mut progress = docker.create_image(Some(options), None, None);
                while progress.try_next().await?.is_some() {}
            }
            Call::Version
            | Call::Containers(_)
            | Call::Container(_)
            | Call::Create { .. }
            | Call::Update { .. }
            | Call::Connect { .. }
            | Call::Disconnect { .. }
            | Call::Image(_)
            | Call::Images(_)
            | Call::Stats(_)
            | Call::Network(_)
            | Call::Volume(_) => {}
        }
        Ok(Value::Null)
    }

    /// The cause of what bollard reports.
    fn cause(&self, call: &'static str, error: Typed) -> DockerError {
        match error {
            Typed::DockerResponseServerError { status_code, message } => {
                DockerError::refused(call, status_code, &message)
            }
            Typed::DockerStreamError { error } => DockerError::refused(call, 500, &error),
            Typed::JsonDataError { message, .. } => DockerError::Unreadable { call, why: message },
            error => self.wire.unreachable(&error),
        }
    }
}

/// The raw request of a call, where it is one: method, path, query, body.
type Question<'a> = (Method, String, Vec<(&'static str, String)>, Option<&'a Value>);

fn question<'a>(call: &Call<'a>) -> Option<Question<'a>> {
    let get = |path: String| (Method::GET, path, Vec::new(), None);
    let post = |path: String, body| (Method::POST, path, Vec::new(), Some(body));
    Some(match *call {
        Call::Containers(label) => {
            let mut query = vec![("all", "1".to_owned())];
            if let Some(label) = label {
                query.push(("filters", json!({ "label": [label] }).to_string()));
            }
            (Method::GET, "/containers/json".into(), query, None)
        }
        Call::Container(id) => get(format!("/containers/{id}/json")),
        Call::Create { name, body } => {
            let query = vec![("name", name.to_owned())];
            (Method::POST, "/containers/create".into(), query, Some(body))
        }
        Call::Update { id, body } => post(format!("/containers/{id}/update"), body),
        Call::Connect { network, body } => post(format!("/networks/{network}/connect"), body),
        Call::Disconnect { network, body } => post(format!("/networks/{network}/disconnect"), body),
        Call::Image(reference) => get(format!("/images/{reference}/json")),
        Call::Images(repository) => {
            let filters = json!({ "reference": [repository] }).to_string();
            (Method::GET, "/images/json".into(), vec![("filters", filters)], None)
        }
        Call::Stats(id) => {
            let query = vec![("stream", "0".to_owned()), ("one-shot", "1".to_owned())];
            (Method::GET, format!("/containers/{id}/stats"), query, None)
        }
        Call::Network(name) => get(format!("/networks/{name}")),
        Call::Volume(name) => get(format!("/volumes/{name}")),
        Call::Version
        | Call::Start(_)
        | Call::Stop { .. }
        | Call::Kill(_)
        | Call::Rename { .. }
        | Call::Remove { .. }
        | Call::Tag { .. }
        | Call::Untag(_)
        | Call::Pull(_) => return None,
    })
}

fn request(
    method: Method,
    path: &str,
    query: &[(&str, String)],
    body: Option<&Value>,
) -> Result<Request<Full<Bytes>>, String> {
    // `set_path` encodes what a path may not hold, and leaves slashes, which
    // are part of image references.
    let mut url = Url::parse("http://docker").map_err(|error| error.to_string())?;
    url.set_path(path);
    if !query.is_empty() {
        url.query_pairs_mut().extend_pairs(query);
    }
    let body = body.map_or_else(Bytes::new, |body| Bytes::from(body.to_string()));
    Request::builder()
        .method(method)
        .uri(url.as_str())
        .header(CONTENT_TYPE, "application/json")
        .body(Full::new(body))
        .map_err(|error| error.to_string())
}

/// Carries a request of bollard's, and reads a refusal itself, within a bound.
async fn carry(wire: &Wire, request: BollardRequest) -> Result<Response<Incoming>, Typed> {
    let io = |error: Box<dyn std::error::Error + Send + Sync>| Typed::IOError {
        err: match error.downcast::<std::io::Error>() {
            Ok(error) => *error,
            Err(error) => std::io::Error::other(error),
        },
    };
    let answer = wire.send(request).await.map_err(io)?;
    match refusal(wire, "docker", answer).await.map_err(|error| io(error.into()))? {
        Ok(answer) => Ok(answer),
        Err((status_code, message)) => {
            Err(Typed::DockerResponseServerError { status_code, message })
        }
    }
}

/// The answer itself, or the status and the engine's words if it refused. "Not
/// modified" is what it says to a start of what runs: no refusal.
async fn refusal(
    wire: &Wire,
    call: &'static str,
    answer: Response<Incoming>,
) -> Result<Result<Response<Incoming>, (u16, String)>, DockerError> {
    let status = answer.status();
    if status.is_success() || status == StatusCode::NOT_MODIFIED {
        return Ok(Ok(answer));
    }
    let body = wire.whole(call, answer.into_body()).await?;
    let message = match serde_json::from_slice::<Value>(&body) {
        Ok(Value::Object(object)) if object.contains_key("message") => {
            object["message"].as_str().unwrap_or_default().to_owned()
        }
        _ => String::from_utf8_lossy(&body).into_owned(),
    };
    Ok(Err((status.as_u16(), message)))
}
