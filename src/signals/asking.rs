//! Builders for tests: triggers that ask, and what asking needs.

use std::{collections::BTreeMap, time::Duration};

use rollbackd_core::{
    reading::{Missing, Reading, Sample},
    settings::{Action, Blame, Clear, Condition, Hold, OnBlind, TriggerSettings},
    signal::Signal,
    words::{TriggerId, TriggerIx},
};
use tokio::sync::{broadcast, mpsc};
use url::Url;

use super::{Asked, Needs};
use crate::{
    config::settings::{Ask, HttpAuth, Page, Probe, Prometheus, Scrape, Source, Watch},
    docker::Docker,
    host::clock::Clock,
};

/// A trigger of the service `web` in the project `shop`.
pub(super) fn asked(trigger: u32, signal: &str, ask: Ask, every: Duration) -> Asked {
    let trigger_settings = TriggerSettings {
        id: TriggerId::new(format!("t{trigger}")),
        name: format!("web {signal}"),
        service: "web".into(),
        signal: Signal::parse(signal),
        source: "s".into(),
        measures: String::new(),
        condition: Condition::Above(0.0),
        hold: Hold::For(Duration::from_secs(60)),
        for_known_bad: Duration::from_secs(20),
        clear: Clear::default(),
        every,
        max_gap: every * 3,
        grace: Duration::ZERO,
        recover_within: Duration::from_secs(60),
        looks_back: Duration::ZERO,
        on_blind: OnBlind::Ignore,
        blames: Vec::new(),
        blame: Blame::Careful,
        group: None,
        action: Action::Alert,
    };
    Asked {
        trigger: TriggerIx(trigger),
        project: "shop".into(),
        start_timeout: Duration::from_secs(60),
        watch: Watch { trigger: trigger_settings, ask },
    }
}

pub(super) fn query(query: &str) -> Ask {
    Ask::Prometheus { source: "s".into(), query: query.into() }
}

pub(super) fn scrape(window: Duration, min_requests: u64) -> Ask {
    Ask::Scrape { source: "s".into(), window, min_requests }
}

pub(super) fn probe(window: Duration, min_requests: u64) -> Ask {
    Ask::Probe { source: "s".into(), window, min_requests }
}

/// A Prometheus server at a URL.
pub(super) fn prometheus_at(url: &Url, timeout: Duration) -> Prometheus {
    Prometheus { url: url.clone(), auth: HttpAuth::default(), timeout }
}

/// A metrics page at a URL, with the usual names.
pub(super) fn page_at(url: &Url) -> Scrape {
    let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
    Scrape {
        page: Page::Url(url.clone()),
        auth: HttpAuth::default(),
        timeout: Duration::from_secs(10),
        requests: names(&["http_requests_total", "http_server_requests_seconds_count"]),
        status_label: names(&["status", "code"]),
        error_status: "5..".into(),
        latency: names(&["http_request_duration_seconds", "http_server_requests_seconds"]),
    }
}

/// Something to probe, which is well when it answers 200.
pub(super) fn probe_at(url: &Url, timeout: Duration) -> Probe {
    Probe {
        url: url.clone(),
        expect: vec![200],
        body_contains: None,
        timeout,
        auth: HttpAuth::default(),
    }
}

/// What asking one source needs, and where the samples come out. The engine is
/// the one of this machine.
pub(super) fn needs(source: Option<Source>) -> (Needs, mpsc::Receiver<Sample>) {
    let (samples, taken) = mpsc::channel(1000);
    let sources: BTreeMap<_, _> =
        source.into_iter().map(|source| ("s".to_owned(), source)).collect();
    let needs = Needs {
        clock: Clock::resume(None),
        sources,
        docker: Docker::connect("unix:///var/run/docker.sock").unwrap(),
        events: broadcast::channel(1024).0,
        samples,
    };
    (needs, taken)
}

/// The value, or the kind of what is missing and why.
pub(super) fn said(reading: &Reading) -> String {
    match reading {
        Reading::Value(value) => format!("value {value}"),
        Reading::Missing(Missing::Empty(why)) => format!("empty: {why}"),
        Reading::Missing(Missing::Failed(why)) => format!("failed: {why}"),
    }
}
