//! `[source.NAME]`: where numbers come from, and which signals each kind of
//! source can give.

use std::{cell::Cell, collections::BTreeMap, ops::Range, path::Path, time::Duration};

use rollbackd_core::signal::Signal;
use url::Url;

use super::{
    addresses,
    problem::Findings,
    reader::{Got, Table},
    schema,
    settings::{HttpAuth, Page, Probe, Prometheus, Scrape, Secret, Source},
    values::{self, Value, Wrong, quoted},
};

const REQUESTS: [&str; 6] = [
    "http_requests_total",
    "http_server_requests_total",
    "http_server_request_duration_seconds_count",
    "http_request_duration_seconds_count",
    "http_server_requests_seconds_count",
    "requests_total",
];
const STATUS_LABELS: [&str; 5] =
    ["status", "code", "status_code", "http_response_status_code", "http_status_code"];
const LATENCY: [&str; 4] = [
    "http_request_duration_seconds",
    "http_server_request_duration_seconds",
    "http_server_requests_seconds",
    "request_duration_seconds",
];

/// A kind of source; `docker` is always there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Prometheus,
    Scrape,
    Probe,
    Docker,
}

impl Kind {
    /// The word for it.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Prometheus => "prometheus",
            Self::Scrape => "scrape",
            Self::Probe => "probe",
            Self::Docker => "docker",
        }
    }

    /// Can it give this signal?
    pub(super) const fn gives(self, signal: &Signal) -> bool {
        match self {
            Self::Prometheus => !matches!(signal, Signal::Health),
            Self::Scrape => matches!(signal, Signal::ErrorRate | Signal::Latency(_)),
            Self::Probe => {
                matches!(signal, Signal::ErrorRate | Signal::Latency(_) | Signal::Availability)
            }
            Self::Docker => {
                matches!(signal, Signal::Health | Signal::Restarts | Signal::Cpu | Signal::Memory)
            }
        }
    }

    /// The kinds that can give a signal, in words.
    pub(super) fn giving(signal: &Signal) -> String {
        let kinds = [Self::Prometheus, Self::Scrape, Self::Probe, Self::Docker].into_iter();
        let words: Vec<&str> = kinds.filter(|kind| kind.gives(signal)).map(Self::word).collect();
        words.join(" or ")
    }
}

/// A source that the file defines.
pub(super) struct Defined {
    place: Range<usize>,
    /// Its kind, where that can be read.
    pub(super) kind: Option<Kind>,
    /// The source, where it is without errors.
    pub(super) source: Option<Source>,
    /// Does a trigger name it?
    pub(super) used: Cell<bool>,
}

/// The sources of the file.
#[derive(Default)]
pub(super) struct Sources {
    /// By name.
    pub(super) defined: BTreeMap<String, Defined>,
    /// A trigger names one that nobody knows: perhaps one that seems unused.
    pub(super) unsure: Cell<bool>,
}

/// Reads every `[source.NAME]`.
pub(super) fn read(top: &Table<'_>, dir: &Path) -> Sources {
    let mut sources = Sources::default();
    for (name, place, value) in top.named("source", "[source.prom]") {
        if name == "docker" {
            let hint =
                "give it another name: `docker` is the container engine itself, and always there";
            top.findings.error(place, "a source cannot be called `docker`", hint);
            continue;
        }
        let place = value.span.clone();
        let (kind, source) = read_one(top.findings, name, &value, dir);
        sources
            .defined
            .insert(name.to_owned(), Defined { place, kind, source, used: Cell::new(false) });
    }
    sources
}

/// Tells which sources no trigger names.
pub(super) fn tell_unused(sources: &Sources, findings: &Findings<'_>) {
    if sources.unsure.get() || findings.is_broken() {
        return;
    }
    let unused = sources.defined.iter().filter(|(_, source)| !source.used.get());
    for (name, source) in unused {
        let hint = format!("name it in a trigger, `source = \"{name}\"`, or remove it");
        findings.warn(source.place.clone(), format!("no trigger uses the source `{name}`"), hint);
    }
}

fn read_one(
    findings: &Findings<'_>,
    name: &str,
    value: &Value<'_>,
    dir: &Path,
) -> (Option<Kind>, Option<Source>) {
    let title = format!("[source.{name}]");
    let toml::de::DeValue::Table(table) = value.item else {
        let message = format!("`{name}` takes a table, not {}", value.kind());
        findings.error(value.span.clone(), message, format!("head it with {title}"));
        return (None, None);
    };
    let open = |shape| Table::open(findings, table, value.span.clone(), title.clone(), shape);
    let kinds =
        [("prometheus", Kind::Prometheus), ("scrape", Kind::Scrape), ("probe", Kind::Probe)];
    let hint = "write `kind = \"prometheus\"`, `\"scrape\"` (an app's own metrics page) or `\"probe\"` (HTTP requests)";
    // Without its kind, no key of any kind is wrong.
    let any = schema::Shape { title: "[source.NAME]", keys: schema::SOURCE_KEYS };
    let known = Table::silent(findings, table, value.span.clone(), title.clone());
    let Some(kind) = known.read("kind", values::word(&kinds)).maybe().flatten() else {
        let table = open(any);
        if known.value("kind").is_none() {
            table.lacks("kind", hint);
        }
        return (None, None);
    };
    let source = match kind {
        Kind::Prometheus => prometheus(&open(schema::PROMETHEUS), dir).map(Source::Prometheus),
        Kind::Scrape => scrape(&open(schema::SCRAPE), dir).map(Source::Scrape),
        Kind::Probe => probe(&open(schema::PROBE), dir).map(Source::Probe),
        Kind::Docker => None,
    };
    (Some(kind), source)
}

fn prometheus(table: &Table<'_>, dir: &Path) -> Option<Prometheus> {
    let url = table.need(
        "url",
        addresses::url("http://127.0.0.1:9090"),
        "write `url = \"http://127.0.0.1:9090\"`",
    );
    let timeout = timeout(table, Duration::from_secs(10));
    let auth = auth(table, dir);
    Some(Prometheus { url: url?, auth: auth?, timeout: timeout? })
}

fn scrape(table: &Table<'_>, dir: &Path) -> Option<Scrape> {
    let names = |key, defaults: &[&str]| {
        let defaults = defaults.iter().map(|name| (*name).to_owned()).collect();
        table
            .read(key, values::some(values::list(metric_name), "\"http_requests_total\""))
            .or(defaults)
    };
    let page = page(table);
    let timeout = timeout(table, Duration::from_secs(5));
    let auth = auth(table, dir);
    let (requests, status_label) =
        (names("requests", &REQUESTS), names("status_label", &STATUS_LABELS));
    let error_status = table.read("error_status", status_pattern).or("5..".to_owned());
    let latency = names("latency", &LATENCY);
    Some(Scrape {
        page: page?,
        auth: auth?,
        timeout: timeout?,
        requests: requests?,
        status_label: status_label?,
        error_status: error_status?,
        latency: latency?,
    })
}

/// Where a page is: `service`, `port` and `path`, or `url`.
fn page(table: &Table<'_>) -> Option<Page> {
    let url = table.read("url", addresses::url("http://127.0.0.1:3000/metrics"));
    let service = table.read("service", values::service);
    let port = table.read("port", values::count(1..=65_535));
    let path = table.read("path", http_path);
    if let Some(place) = table.key_place("url") {
        let others =
            ["service", "port", "path"].into_iter().filter(|key| table.value(key).is_some());
        let others: Vec<&str> = others.collect();
        if !others.is_empty() {
            let hint = "keep `url` for one page, or `service`, `port` and `path` for every container of a service";
            let message = format!("{} has both `url` and `{}`", table.title, others.join("`, `"));
            table.findings.error(place, message, hint);
            return None;
        }
        return url.maybe()?.map(Page::Url);
    }
    let lacks = |key: &str, absent: bool| {
        if absent {
            table.lacks(key, "write `service = \"backend\"` and `port = 3000`, or `url = \"http://127.0.0.1:3000/metrics\"`");
        }
    };
    lacks("service", service.is_absent());
    lacks("port", port.is_absent() && !service.is_absent());
    let port = port.maybe()??;
    let port = u16::try_from(port).ok()?;
    Some(Page::Containers {
        service: service.maybe()??,
        port,
        path: path.or("/metrics".to_owned())?,
    })
}

fn probe(table: &Table<'_>, dir: &Path) -> Option<Probe> {
    let url = table.need(
        "url",
        addresses::url("http://127.0.0.1:3000/health"),
        "write `url = \"http://127.0.0.1:3000/health\"`",
    );
    let codes = values::some(values::list(values::count(100..=599)), "[200]");
    let expect = table.read("expect", codes).or(vec![200]);
    let body_contains = table.read("body_contains", values::text("ready")).maybe();
    let timeout = timeout(table, Duration::from_secs(2));
    let auth = auth(table, dir);
    let code = |code: u64| u16::try_from(code).ok();
    Some(Probe {
        url: url?,
        expect: expect?.into_iter().filter_map(code).collect(),
        body_contains: body_contains?,
        timeout: timeout?,
        auth: auth?,
    })
}

fn timeout(table: &Table<'_>, default: Duration) -> Option<Duration> {
    let limits = Duration::from_millis(1)..=Duration::from_secs(300);
    table.read("timeout", values::duration("2s", limits)).or(default)
}

/// `bearer_token_file`, `user` with `password_file`, `ca_file`.
fn auth(table: &Table<'_>, dir: &Path) -> Option<HttpAuth> {
    let file = |key, example| table.read(key, addresses::path(example, dir));
    let token = file("bearer_token_file", "/etc/rollbackd/token");
    let password = file("password_file", "/etc/rollbackd/password");
    let ca_file = file("ca_file", "/etc/rollbackd/ca.pem");
    let user = table.read("user", values::text("rollbackd"));
    let mut both = false;
    if let (Got::Good(..), Some(place)) = (&token, user.span()) {
        let message = format!("{} has both a bearer token and a user", table.title);
        table.findings.error(
            place,
            message,
            "keep `bearer_token_file`, or `user` and `password_file`",
        );
        both = true;
    }
    if !user.is_absent() && password.is_absent() && !both {
        table.lacks(
            "password_file",
            "`user` needs it: `password_file = \"/etc/rollbackd/password\"`",
        );
    }
    if user.is_absent() && !password.is_absent() {
        table.lacks("user", "`password_file` needs it: write `user = \"NAME\"`");
    }
    let secret = |got: Got<_>| got.maybe().map(|file| file.map(|file| Secret { file }));
    let (user, password, token) = (user.maybe()?, secret(password)?, secret(token)?);
    Some(HttpAuth { bearer_token: token, basic: user.zip(password), ca_file: ca_file.maybe()? })
}

/// A metric's or a label's name.
fn metric_name(value: &Value<'_>) -> Result<String, Wrong> {
    let name = values::text("http_requests_total")(value)?;
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | ':');
    if name.chars().all(fits) && !name.starts_with(|c: char| c.is_ascii_digit()) {
        return Ok(name);
    }
    let message = format!("{} is no name of a metric or a label", quoted(&name));
    let hint = "write the bare name, without braces: `http_requests_total`; the usual names need not be written";
    Err(Wrong::new(message, hint))
}

/// Which status codes are errors: digits, `.` or `x` for any digit, `|`.
fn status_pattern(value: &Value<'_>) -> Result<String, Wrong> {
    let pattern = values::text("5..")(value)?;
    let fits = |part: &str| {
        !part.is_empty() && part.chars().all(|c| c.is_ascii_digit() || ".xX".contains(c))
    };
    if pattern.split('|').all(fits) {
        return Ok(pattern);
    }
    let message = format!(
        "`error_status` takes digits, `.` or `x` for any digit, and `|`, not {}",
        quoted(&pattern)
    );
    Err(Wrong::new(message, "write `error_status = \"5..\"` or, say, `\"5xx|429\"`"))
}

fn http_path(value: &Value<'_>) -> Result<String, Wrong> {
    let path = values::text("/metrics")(value)?;
    let fits = path.starts_with('/') && !path.contains(char::is_whitespace);
    let wrong = || {
        Wrong::new(
            format!("`path` begins with a slash, and {} does not", quoted(&path)),
            "write `path = \"/metrics\"`",
        )
    };
    // A base that exists shows that the path makes a URL.
    let makes_url = Url::parse("http://service").is_ok_and(|base| base.join(&path).is_ok());
    if fits && makes_url { Ok(path.clone()) } else { Err(wrong()) }
}
