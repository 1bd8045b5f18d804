//! How a trigger's number is got: which source it names, whether that can give
//! the signal, and the query.

use rollbackd_core::signal::Signal;

use super::{
    nearest::nearest,
    promql,
    reader::Table,
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
    let place = read.span();
    let docker = |name: String| From { name, kind: Kind::Docker, source: None };
    let from = match (read.maybe()?, signal) {
        (None, None) => return None,
        (None, Some(signal)) if Kind::Docker.gives(signal) && table.value("query").is_none() => {
            return Some(docker("docker".into()));
        }
        (None, Some(signal)) => {
            table.lacks("source", &which(signal, sources));
            return None;
        }
        (Some(name), _) if name == "docker" => docker(name),
        (Some(name), _) => {
            let place = place.clone().unwrap_or_default();
            let Some(defined) = sources.get(&name) else {
                let known = sources.keys().map(String::as_str);
                let hint = match nearest(&name, known) {
                    Some(near) => format!("did you mean \"{near}\"?"),
                    None => format!("define it: a table [source.{name}] with its `kind` and `url`"),
                };
                let message = format!("there is no source called {}", values::quoted(&name));
                table.findings.absent(place, message, hint);
                return None;
            };
            defined.used.set(true);
            From { name, kind: defined.kind?, source: defined.source.as_ref() }
        }
    };
    let signal = signal?;
    if from.kind.gives(signal) {
        return Some(from);
    }
    let message = format!(
        "this trigger can never fire: a {} source cannot give `{signal}`",
        from.kind.word()
    );
    table.findings.error(place.unwrap_or_default(), message, which(signal, sources));
    None
}

/// Which sources can give a signal, those of this file first.
fn which(signal: &Signal, sources: &Sources) -> String {
    let able =
        sources.iter().filter(|(_, source)| source.kind.is_some_and(|kind| kind.gives(signal)));
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

/// Reads `query`: there for a Prometheus server, and for nothing else.
pub(super) fn query(table: &Table<'_>, kind: Kind) -> Option<Option<String>> {
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
    if kind != Kind::Prometheus {
        let Some(place) = table.key_place("query") else { return Some(None) };
        let message = format!("a {} source has no use for a `query`", kind.word());
        table.findings.error(place, message, "remove it, or name a source of the kind prometheus");
        return None;
    }
    let read = table.read("query", promql_text);
    if read.is_absent() && !selects {
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

fn warn_of_empty(table: &Table<'_>, place: std::ops::Range<usize>) {
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
