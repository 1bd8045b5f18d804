//! HTTP with limits on everything: the whole call's time, the body's length
//! while it streams, no redirect followed, no proxy, no compression. Who is
//! asked and what an answer means is the caller's.

use std::{
    error::Error as _,
    fmt, io,
    path::{Path, PathBuf},
    time::Duration,
};

use reqwest::{Certificate, Method, redirect};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::limits::exhausted;

/// How long an idle connection is kept for the next request.
const IDLE: Duration = Duration::from_secs(90);

/// Whose certificates are trusted for `https`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Those of the platform.
    Platform,
    /// Those of one private authority alone: a PEM file.
    Authority(PathBuf),
}

/// Whether a connection is used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connections {
    /// The next request may take it.
    Kept,
    /// Every request makes its own: for asking whether one can be made.
    Fresh,
}

/// Somebody to ask over HTTP. Cheap to clone; clones share their connections.
#[derive(Clone, Debug)]
pub struct Http(reqwest::Client);

/// What a request shows to be let in.
#[derive(Clone, Debug, Default)]
pub enum Auth {
    /// Nothing.
    #[default]
    None,
    /// A bearer token.
    Bearer(SecretString),
    /// A user and a password.
    Basic(String, SecretString),
}

/// What to do with a body that is longer than the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// Up to this many bytes; more are an error.
    Whole(usize),
    /// This many bytes are enough; the rest is not read.
    Head(usize),
}

/// One request.
#[derive(Clone, Debug)]
pub struct Request {
    url: Url,
    auth: Auth,
    accept: &'static str,
    form: Option<Vec<(&'static str, String)>>,
    limit: Duration,
    body: Body,
}

/// What was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// Where a redirect points; it was not followed.
    pub location: Option<String>,
    /// The body, or as much of it as was asked for.
    pub body: Vec<u8>,
}

/// Why there is no answer. No text contains a URL's user, password or query.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The private authority cannot be used.
    #[error("the certificates of {} cannot be used ({why}): the file must hold certificates in PEM form", path.display())]
    Authority {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// TLS cannot be set up at all.
    #[error("TLS cannot be set up ({0}): install the platform's certificates, or give a ca_file")]
    Tls(String),
    /// Nobody takes the connection.
    #[error("{place} refuses the connection: is it running, and is the port right?")]
    Refused {
        /// Host and port.
        place: String,
    },
    /// A connection cannot be made for another reason.
    #[error("{place} cannot be reached ({why})")]
    Unreachable {
        /// Host and port.
        place: String,
        /// The deepest cause.
        why: String,
    },
    /// This process has none left of something that asking takes. It says
    /// nothing of who is asked.
    #[error("rollbackd itself has {what} left to ask {place}; {remedy}")]
    Exhausted {
        /// Host and port.
        place: String,
        /// As `no file descriptor`.
        what: &'static str,
        /// What to do.
        remedy: &'static str,
    },
    /// The whole call took too long.
    #[error("{place} did not answer completely within {}", humantime::format_duration(*limit))]
    TimedOut {
        /// Host and port.
        place: String,
        /// How long it had.
        limit: Duration,
    },
    /// The body is longer than the limit.
    #[error("{place} answers with more than {}, which is not read further", Size(*limit))]
    TooLong {
        /// Host and port.
        place: String,
        /// How long it may be, in bytes.
        limit: usize,
    },
    /// The answer ended in the middle.
    #[error("{place} cut its answer off ({why})")]
    CutOff {
        /// Host and port.
        place: String,
        /// The deepest cause.
        why: String,
    },
    /// What came is no HTTP, or the request cannot be made.
    #[error("{place} gives no usable HTTP answer ({why}): is it the right port?")]
    Other {
        /// Host and port.
        place: String,
        /// The deepest cause.
        why: String,
    },
}

impl Http {
    /// Somebody to ask `url`s of one kind. The platform's certificates are read
    /// only when `url` needs them.
    ///
    /// # Errors
    /// [`HttpError::Authority`] or [`HttpError::Tls`].
    pub fn new(url: &Url, trust: &Trust, connections: Connections) -> Result<Self, HttpError> {
        // Fails when it is installed already: then it is what is wanted.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = reqwest::Client::builder()
            .redirect(redirect::Policy::none())
            .referer(false)
            .no_proxy()
            .http1_only()
            .tcp_nodelay(true)
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(match connections {
                Connections::Kept => 2,
                Connections::Fresh => 0,
            })
            .user_agent(concat!("rollbackd/", env!("CARGO_PKG_VERSION")));
        if url.scheme() != "https" {
            builder = builder.tls_certs_only([]);
        } else if let Trust::Authority(path) = trust {
            builder = builder.tls_certs_only(certificates(path)?);
        }
        builder.build().map(Self).map_err(|error| HttpError::Tls(cause(&error)))
    }

    /// Asks, and reads the answer within the request's limits.
    ///
    /// # Errors
    /// [`HttpError`]; any status code is an answer.
    pub async fn send(&self, request: Request) -> Result<Answer, HttpError> {
        let place = place(&request.url);
        let limit = request.limit;
        match tokio::time::timeout(limit, self.exchange(request, &place)).await {
            Ok(answered) => answered,
            Err(_) => Err(HttpError::TimedOut { place, limit }),
        }
    }

    async fn exchange(&self, request: Request, place: &str) -> Result<Answer, HttpError> {
        let Request { url, auth, accept, form, body, .. } = request;
        let method = if form.is_some() { Method::POST } else { Method::GET };
        let mut asked = self.0.request(method, url).header(reqwest::header::ACCEPT, accept);
        asked = match &auth {
            Auth::None => asked,
            Auth::Bearer(token) => asked.bearer_auth(token.expose_secret()),
            Auth::Basic(user, password) => asked.basic_auth(user, Some(password.expose_secret())),
        };
        if let Some(form) = form {
            asked = asked.form(&form);
        }
        let mut answer = asked.send().await.map_err(|error| failed(&error, place))?;
        let location = answer.headers().get(reqwest::header::LOCATION);
        let location = location.and_then(|text| text.to_str().ok()).map(ToOwned::to_owned);
        let status = answer.status().as_u16();
        let body = read(&mut answer, body, place).await?;
        Ok(Answer { status, location, body })
    }
}

async fn read(
    answer: &mut reqwest::Response,
    body: Body,
    place: &str,
) -> Result<Vec<u8>, HttpError> {
    let (Body::Whole(limit) | Body::Head(limit)) = body;
    let mut bytes = Vec::new();
    let cut = |error: reqwest::Error| HttpError::CutOff { place: place.into(), why: cause(&error) };
    while let Some(chunk) = answer.chunk().await.map_err(cut)? {
        let room = limit - bytes.len();
        bytes.extend_from_slice(&chunk[..chunk.len().min(room)]);
        match body {
            Body::Whole(_) if chunk.len() > room => {
                return Err(HttpError::TooLong { place: place.into(), limit });
            }
            Body::Head(_) if bytes.len() == limit => break,
            Body::Whole(_) | Body::Head(_) => {}
        }
    }
    Ok(bytes)
}

impl Request {
    /// A GET of `url` that may take `limit` in all.
    #[must_use]
    pub fn get(url: Url, limit: Duration, body: Body) -> Self {
        Self { url, auth: Auth::None, accept: "*/*", form: None, limit, body }
    }

    /// A POST of these fields as a form.
    #[must_use]
    pub fn form(self, fields: Vec<(&'static str, String)>) -> Self {
        Self { form: Some(fields), ..self }
    }

    /// Shows this to be let in.
    #[must_use]
    pub fn auth(self, auth: Auth) -> Self {
        Self { auth, ..self }
    }

    /// Which media types are wanted.
    #[must_use]
    pub fn accept(self, accept: &'static str) -> Self {
        Self { accept, ..self }
    }
}

/// Host and port of a URL: enough to know who is meant, and nothing secret.
#[must_use]
pub fn place(url: &Url) -> String {
    let host = url.host_str().unwrap_or("?");
    match url.port_or_known_default() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

fn certificates(path: &Path) -> Result<Vec<Certificate>, HttpError> {
    let unusable = |why: String| HttpError::Authority { path: path.to_owned(), why };
    let pem = std::fs::read(path).map_err(|error| unusable(error.to_string()))?;
    let found = Certificate::from_pem_bundle(&pem).map_err(|error| unusable(cause(&error)))?;
    if found.is_empty() {
        return Err(unusable("it contains no certificate".into()));
    }
    Ok(found)
}

fn failed(error: &reqwest::Error, place: &str) -> HttpError {
    let (place, why) = (place.to_owned(), cause(error));
    if let Some((what, remedy)) = io_error(error).and_then(exhausted) {
        return HttpError::Exhausted { place, what, remedy };
    }
    if error.is_connect() {
        return match io_kind(error) {
            Some(io::ErrorKind::ConnectionRefused) => HttpError::Refused { place },
            _ => HttpError::Unreachable { place, why },
        };
    }
    match hyper_cause(error) {
        Some(hyper) if hyper.is_incomplete_message() || hyper.is_closed() => {
            HttpError::CutOff { place, why }
        }
        _ if io_kind(error).is_some() => HttpError::CutOff { place, why },
        _ => HttpError::Other { place, why },
    }
}

fn causes<'a>(
    error: &'a (dyn std::error::Error + 'static),
) -> impl Iterator<Item = &'a (dyn std::error::Error + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

fn io_error(error: &reqwest::Error) -> Option<&io::Error> {
    causes(error).find_map(|cause| cause.downcast_ref::<io::Error>())
}

fn io_kind(error: &reqwest::Error) -> Option<io::ErrorKind> {
    io_error(error).map(io::Error::kind)
}

fn hyper_cause(error: &reqwest::Error) -> Option<&hyper::Error> {
    causes(error).find_map(|cause| cause.downcast_ref::<hyper::Error>())
}

/// The deepest cause: the layers above it only say that there is one. A
/// reqwest error of its own names the URL, which may hold a password.
fn cause(error: &reqwest::Error) -> String {
    match error.source() {
        Some(source) => causes(source).last().map(ToString::to_string).unwrap_or_default(),
        None if error.is_builder() => "the URL or a header is not usable".to_owned(),
        None => "no further cause is given".to_owned(),
    }
}

struct Size(usize);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            bytes if bytes.is_multiple_of(1 << 20) => write!(f, "{} MiB", bytes >> 20),
            bytes if bytes.is_multiple_of(1 << 10) => write!(f, "{} KiB", bytes >> 10),
            bytes => write!(f, "{bytes} bytes"),
        }
    }
}

#[cfg(test)]
pub(crate) mod odd;
#[cfg(test)]
mod tests;
