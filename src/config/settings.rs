//! The checked configuration: valid by construction, ready for the rooms above.

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, time::Duration};

use rollbackd_core::settings::{Mode, ProjectSettings, Settings, TriggerSettings};
use url::Url;

/// Everything the file says, checked and resolved. Paths are absolute.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The file it was read from.
    pub path: PathBuf,
    /// Where what lasts is kept.
    pub state_dir: PathBuf,
    /// What projects do unless they say otherwise.
    pub mode: Mode,
    /// Who may ask and look.
    pub api: Api,
    /// The engine.
    pub docker: Docker,
    /// Mail; `None` when people are not told by mail.
    pub email: Option<Email>,
    /// The sources by name.
    pub sources: BTreeMap<String, Source>,
    /// The projects in the file's order.
    pub projects: Vec<Project>,
}

/// `[api]`
#[derive(Clone, Debug, PartialEq)]
pub struct Api {
    /// The Unix socket.
    pub socket: PathBuf,
    /// The TCP address that may only look.
    pub listen: Option<SocketAddr>,
}

/// `[docker]`
#[derive(Clone, Debug, PartialEq)]
pub struct Docker {
    /// `unix:///...` or `tcp://...`
    pub host: String,
    /// How Compose is called.
    pub compose: ComposeCommand,
}

/// How Compose is called.
#[derive(Clone, Debug, PartialEq)]
pub enum ComposeCommand {
    /// The first of `docker compose` and `docker-compose` that answers.
    Auto,
    /// These words.
    Words(Vec<String>),
}

/// `[email]`
#[derive(Clone, Debug, PartialEq)]
pub struct Email {
    /// The server's name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the connection is protected.
    pub security: MailSecurity,
    /// Who logs in, if anybody.
    pub user: Option<String>,
    /// Where the password is.
    pub password: Option<Secret>,
    /// The sender's mailbox.
    pub from: String,
    /// The recipients' mailboxes; at least one.
    pub to: Vec<String>,
    /// A private certificate authority, PEM.
    pub ca_file: Option<PathBuf>,
}

/// How a connection to a mail server is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailSecurity {
    /// Not at all.
    Plain,
    /// STARTTLS, required.
    StartTls,
    /// TLS from the first byte.
    Tls,
}

/// Where a secret is: the file written in the configuration, or a systemd
/// credential of the same name (`$CREDENTIALS_DIRECTORY/NAME`). Read at use.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Secret {
    /// The file.
    pub file: PathBuf,
}

/// `[source.NAME]`
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// A Prometheus server.
    Prometheus(Prometheus),
    /// An app's own metrics page.
    Scrape(Scrape),
    /// Plain HTTP requests.
    Probe(Probe),
}

/// How a request is authenticated and whom it trusts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HttpAuth {
    /// A file with a bearer token.
    pub bearer_token: Option<Secret>,
    /// Basic authentication: the user, and where the password is.
    pub basic: Option<(String, Secret)>,
    /// A private certificate authority, PEM.
    pub ca_file: Option<PathBuf>,
}

/// A Prometheus server.
#[derive(Clone, Debug, PartialEq)]
pub struct Prometheus {
    /// Its base URL.
    pub url: Url,
    /// How it is asked.
    pub auth: HttpAuth,
    /// How long an answer may take.
    pub timeout: Duration,
}

/// An app's own metrics page.
#[derive(Clone, Debug, PartialEq)]
pub struct Scrape {
    /// Where the page is.
    pub page: Page,
    /// How it is asked.
    pub auth: HttpAuth,
    /// How long an answer may take.
    pub timeout: Duration,
    /// The counter of requests; candidates in order, the first that the page
    /// has is used.
    pub requests: Vec<String>,
    /// The label of that counter that holds the status code; candidates in
    /// order.
    pub status_label: Vec<String>,
    /// Which status codes are errors: a regular expression on the whole label,
    /// `5..` unless written.
    pub error_status: String,
    /// The histogram of latencies in seconds, without `_bucket`; candidates in
    /// order.
    pub latency: Vec<String>,
}

/// Where a metrics page is.
#[derive(Clone, Debug, PartialEq)]
pub enum Page {
    /// Every container of a service, by its own address.
    Containers {
        /// The service, in the project of the trigger that asks.
        service: String,
        /// The port inside the container.
        port: u16,
        /// The path.
        path: String,
    },
    /// One page.
    Url(Url),
}

/// Plain HTTP requests.
#[derive(Clone, Debug, PartialEq)]
pub struct Probe {
    /// What is requested.
    pub url: Url,
    /// The status codes that are a success.
    pub expect: Vec<u16>,
    /// Text that must occur in the body.
    pub body_contains: Option<String>,
    /// How long the whole answer may take.
    pub timeout: Duration,
    /// How it is asked.
    pub auth: HttpAuth,
}

/// `[project.NAME]`
#[derive(Clone, Debug, PartialEq)]
pub struct Project {
    /// What the core must know, without the triggers (see [`Project::watches`]).
    pub settings: ProjectSettings,
    /// How what is kept is protected from pruning.
    pub keep_by: KeepBy,
    /// The most that kept images may take, in bytes.
    pub keep_max: u64,
    /// Where Compose finds what it deploys from.
    pub files: ComposeFiles,
    /// What is watched.
    pub watches: Vec<Watch>,
}

/// What Compose is told of a project; what is not written here is read from the
/// labels of the containers. A relative path is relative to the project's own
/// directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ComposeFiles {
    /// The project's own directory.
    pub dir: Option<PathBuf>,
    /// The Compose files, in their order.
    pub files: Vec<PathBuf>,
    /// What `--env-file` names, in their order.
    pub env_files: Vec<PathBuf>,
    /// What `--profile` names.
    pub profiles: Vec<String>,
}

/// How an image is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeepBy {
    /// A tag of our own: survives `docker image prune`.
    Tag,
    /// A tag and a tiny running container: survives `docker system prune -af`.
    Anchor,
}

/// A trigger and how its number is got.
#[derive(Clone, Debug, PartialEq)]
pub struct Watch {
    /// What the core judges it by.
    pub trigger: TriggerSettings,
    /// How its number is got.
    pub ask: Ask,
}

/// How a trigger's number is got.
#[derive(Clone, Debug, PartialEq)]
pub enum Ask {
    /// A PromQL query, asked of a source of the kind `prometheus`.
    Prometheus {
        /// The source's name.
        source: String,
        /// The query.
        query: String,
    },
    /// A number worked out from a metrics page over a window.
    Scrape {
        /// The source's name.
        source: String,
        /// Over how long.
        window: Duration,
        /// Fewer requests in the window are missing data.
        min_requests: u64,
    },
    /// A number worked out from probes over a window.
    Probe {
        /// The source's name.
        source: String,
        /// Over how long.
        window: Duration,
        /// Fewer probes in the window are missing data, for error rates and
        /// latencies.
        min_requests: u64,
    },
    /// What the engine itself knows of the service's containers: `health`,
    /// `restarts`, `cpu`, `memory`.
    Container {
        /// Over how long exits and restarts are counted and CPU is averaged.
        window: Duration,
    },
}

impl Config {
    /// What the core must know of it.
    #[must_use]
    pub fn settings(&self) -> Settings {
        let project = |project: &Project| {
            let triggers = project.watches.iter().map(|watch| watch.trigger.clone());
            ProjectSettings { triggers: triggers.collect(), ..project.settings.clone() }
        };
        Settings { projects: self.projects.iter().map(project).collect() }
    }
}
