//! How a trigger's number is got: which source it names, whether that can give
//! the signal, and the query.

use std::ops::Range;

use rollbackd_core::signal::Signal;

use super::{
    nearest::nearest,
    promql,
    reader::{Got, Table},
    settings::{Page, Probe, Source},
    source::{Kind, Sources},
    values::{self, Value, Wrong},
};

/// The source of a trigger.
#[derive(Clone)]
pub(super) struct From<'s> {
    pub(super) name: String,
    pub(super) kind: Kind,
    /// The source, where it is without errors; `None` for `docker`.
    pub(super) source: Option<&'s Source>,
}

/// Reads `source` and finds it; `signal` is `None` where that is wrong.
pub(super) fn source<'s>(
    table: &Table<'_>,
    signal: Option<&Signal>,
    sources: &'s Sources,
) -> Option<From<'s>> {
    let read = table.read("source", values::text("prom"));
    let place = read.span().unwrap_or_else(|| table.place.clone());
    let from = match read {
        Got::Good(name, _) => find(table, name, place.clone(), sources),
        Got::Absent => unnamed(table, signal, sources),
        Got::Wrong => None,
    };
    if from.is_none() {
        sources.unsure.set(true);
    }
    let (from, signal) = (from?, signal?);
    if from.kind.gives(signal) {
        return Some(from);
    }
    let kind = from.kind.word();
    let message = format!("this trigger can never fire: a {kind} source cannot give `{signal}`");
    table.findings.error(place, message, which(signal, sources));
    None
}

const fn docker<'s>(name: String) -> From<'s> {
    From { name, kind: Kind::Docker, source: None }
}

fn find<'s>(
    table: &Table<'_>,
    name: String,
    place: Range<usize>,
    sources: &'s Sources,
) -> Option<From<'s>> {
    if name == "docker" {
        return Some(docker(name));
    }
    if let Some(defined) = sources.defined.get(&name) {
        defined.used.set(true);
        return Some(From { name, kind: defined.kind?, source: defined.source.as_ref() });
    }
    let hint = match nearest(&name, sources.defined.keys().map(String::as_str)) {
        Some(near) => format!("did you mean \"{near}\"?"),
        None => format!("define it: a table [source.{name}] with its `kind` and `url`"),
    };
    table.findings.absent(
        place,
        format!("there is no source called {}", values::quoted(&name)),
        hint,
    );
    None
}

/// A trigger without `source`: the engine, for what only that knows.
fn unnamed<'s>(table: &Table<'_>, signal: Option<&Signal>, sources: &Sources) -> Option<From<'s>> {
    let signal = signal?;
    if Kind::Docker.gives(signal) && table.value("query").is_none() {
        return Some(docker("docker".into()));
    }
    table.lacks("source", &which(signal, sources));
    None
}

/// Which sources can give a signal, those of this file first.
fn which(signal: &Signal, sources: &Sources) -> String {
    let able = sources
        .defined
        .iter()
        .filter(|(_, source)| source.kind.is_some_and(|kind| kind.gives(signal)));
    let mut named: Vec<String> = able.map(|(name, _)| format!("\"{name}\"")).collect();
    if Kind::Docker.gives(signal) {
        named.push("\"docker\"".into());
    }
    let query = match signal {
        Signal::Own(_) => ", with a `query`: a signal of your own comes from nowhere else",
        _ => "",
    };
    if named.is_empty() {
        format!(
            "`{signal}` comes from a source of the kind {}{query}: define one",
            Kind::giving(signal)
        )
    } else {
        format!("write `source = {}`{query}", named.join("` or `source = "))
    }
}

/// Reads `query`: there for a Prometheus server, and for nothing else. `kind` is
/// `None` where the source is wrong.
pub(super) fn query(table: &Table<'_>, kind: Option<Kind>) -> Option<Option<String>> {
    let selects = table.value("select").is_some();
    if let Some(value) = table.value("select") {
        let hint = "write the whole `query`";
        if matches!(value.item, toml::de::DeValue::Table(_)) {
            table.not_built("select", "`select`", hint);
        } else {
            let message = format!("`select` takes a table of labels, not {}", value.kind());
            table.findings.error(
                value.span,
                message,
                "write the whole `query`: `select` is not built yet",
            );
        }
    }
    if let Some(kind) = kind.filter(|kind| *kind != Kind::Prometheus) {
        let Some(place) = table.key_place("query") else { return Some(None) };
        let message = format!("a {} source has no use for a `query`", kind.word());
        table.findings.error(place, message, "remove it, or name a source of the kind prometheus");
        return None;
    }
    let read = table.read("query", promql_text);
    if read.is_absent() && !selects && kind.is_some() {
        table.lacks(
            "query",
            "write PromQL that gives one number: `query = 'sum(rate(http_requests_total[1m]))'`",
        );
    }
    if let Some(place) = read.span() {
        warn_of_empty(table, place);
    }
    read.maybe()?.map(Some)
}

fn promql_text(value: &Value<'_>) -> Result<String, Wrong> {
    let query = values::text("sum(rate(http_requests_total[1m]))")(value)?;
    match promql::Query::read(&query) {
        Ok(_) => Ok(query.trim().to_owned()),
        Err(why) => Err(Wrong::new(
            format!("`query` is no PromQL: {why}"),
            "try it in the Prometheus page first",
        )),
    }
}

fn warn_of_empty(table: &Table<'_>, place: Range<usize>) {
    let Some(Ok(text)) = table.value("query").map(|value| promql_text(&value)) else { return };
    let Ok(query) = promql::Query::read(&text) else { return };
    let Some(numerator) = query.goes_empty() else { return };
    let bare = numerator.trim().trim_start_matches('(').len() == numerator.trim().len();
    let numerator = if bare {
        format!("({numerator} or vector(0))")
    } else {
        format!("({numerator}) or vector(0)")
    };
    let message = "this ratio is empty while there are no errors, and no data is not zero";
    table.findings.warn(
        place,
        message,
        format!("let the numerator fall back to zero: `{numerator} / ...`"),
    );
}

/// What a source measures, as text: when it changes, old samples are of
/// something else.
pub(super) fn measured(source: &Source) -> String {
    match source {
        Source::Prometheus(server) => format!("prometheus {}", server.url),
        Source::Scrape(page) => {
            let place = match &page.page {
                Page::Containers { service, port, path } => format!("{service}:{port}{path}"),
                Page::Url(url) => url.to_string(),
            };
            let names =
                [&page.requests, &page.status_label, &page.latency].map(|names| names.join(","));
            format!("scrape {place} {} {}", names.join(" "), page.error_status)
        }
        Source::Probe(probe) => {
            let Probe { url, expect, body_contains, timeout, .. } = probe;
            format!("probe {url} {expect:?} {body_contains:?} {timeout:?}")
        }
    }
}
