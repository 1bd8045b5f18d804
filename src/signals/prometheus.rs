//! Numbers from a Prometheus server, or one that speaks as it does: instant
//! queries, and what every odd answer is read as.

use std::{collections::HashMap, sync::Mutex};

use prometheus_http_query::response::{Data, InstantVector, Sample as Point};
use rollbackd_core::{
    reading::{Missing, Reading},
    signal::Signal,
};
use serde::Deserialize;
use serde_json::Value;
use url::Url;

use super::{
    Fault,
    caller::{CallError, Caller, clip},
};
use crate::{
    config::settings::Prometheus,
    host::http::{Answer, Body, Connections, HttpError, Request, place},
};

/// Longest answer that is read, in bytes. One number takes 150.
const LONGEST: usize = 1 << 20;
/// A query longer than this is sent as a form: servers and proxies bound URLs.
const LONG_QUERY: usize = 2048;
/// How many characters of a server's own words go into a reason.
const WORDS: usize = 300;

/// A server to ask.
pub(super) struct Server {
    source: String,
    config: Prometheus,
    caller: Caller,
    /// What each query was warned of last: said once, not at every moment.
    warned: Mutex<HashMap<String, Vec<String>>>,
}

/// What the server said.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Told {
    /// The number, or why there is none.
    pub(super) reading: Reading,
    /// What the server thinks is doubtful about it.
    pub(super) warnings: Vec<String>,
    /// What is wrong with the query itself, if that is why there is no number.
    pub(super) fault: Option<Fault>,
}

impl Server {
    pub(super) fn new(source: String, config: Prometheus) -> Self {
        let caller = Caller::new(config.auth.clone(), Connections::Kept);
        Self { source, config, caller, warned: Mutex::default() }
    }

    /// Asks for the number that a query has now. The signal only decides what
    /// is advised.
    pub(super) async fn ask(&self, query: &str, signal: &Signal) -> Told {
        let server = place(&self.config.url);
        let (url, request) = self.request(query);
        let told = match self.caller.send(&url, request).await {
            Ok(answer) => read(&answer, &server, signal),
            Err(CallError::Http(error @ HttpError::TooLong { .. })) => {
                let hint = aggregation(signal);
                faulty(format!("{error}; {hint}"), Fault::of(error.to_string(), hint))
            }
            Err(error) => failed(error.to_string()),
        };
        self.log(query, &told.warnings);
        told
    }

    fn request(&self, query: &str) -> (Url, Request) {
        let mut url = self.config.url.clone();
        url.set_query(None);
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(["api", "v1", "query"]);
        }
        let limit = self.config.timeout;
        // The server need not go on after we have given up.
        let fields = vec![
            ("query", query.to_owned()),
            ("timeout", format!("{}ms", limit.as_millis().max(1))),
        ];
        let get = |url: &Url| Request::get(url.clone(), limit, Body::Whole(LONGEST));
        let request = if query.len() > LONG_QUERY {
            get(&url).form(fields)
        } else {
            url.query_pairs_mut().extend_pairs(fields);
            get(&url)
        };
        (url, request.accept("application/json"))
    }

    fn log(&self, query: &str, warnings: &[String]) {
        // A poisoned lock only means that a warning may be said twice.
        let mut warned = self.warned.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let last = warned.insert(query.to_owned(), warnings.to_vec());
        if last.as_deref().unwrap_or_default() != warnings {
            for warning in warnings {
                tracing::warn!(source = self.source, query, warning, "signals.prometheus.warned");
            }
        }
    }
}

/// The body of every answer of the API.
#[derive(Deserialize)]
struct Envelope {
    status: String,
    #[serde(default)]
    data: Value,
    #[serde(default, rename = "errorType")]
    error_type: String,
    #[serde(default)]
    error: String,
    #[serde(default)]
    warnings: Vec<String>,
}

/// What an answer says.
fn read(answer: &Answer, server: &str, signal: &Signal) -> Told {
    let status = answer.status;
    let envelope = match serde_json::from_slice::<Envelope>(&answer.body) {
        Ok(envelope) => envelope,
        Err(_) if status != 200 => return failed(refusal(answer, server)),
        Err(error) => {
            return failed(format!(
                "{server} does not answer as a Prometheus server does ({error}): is `url` its base \
                 address?"
            ));
        }
    };
    if envelope.status != "success" {
        return refused(&envelope, status, server);
    }
    let mut warnings = envelope.warnings;
    warnings.truncate(5);
    warnings.iter_mut().for_each(|warning| *warning = clip(warning, WORDS));
    match number(envelope.data, server, signal) {
        Ok(reading) => Told { reading, warnings, fault: None },
        Err(fault) => {
            let why = format!("{}; {}", fault.message, fault.hint);
            Told { reading: missing(why), warnings, fault: Some(fault) }
        }
    }
}

/// A query that the server does not understand, or cannot work out.
fn refused(envelope: &Envelope, status: u16, server: &str) -> Told {
    let (kind, words) = (clip(&envelope.error_type, 40), own_words(&envelope.error));
    let why = match kind.as_str() {
        "bad_data" => format!("{server} does not understand the query: {words}"),
        _ => format!("{server} cannot work the query out ({status} {kind}): {words}"),
    };
    match kind.as_str() {
        "bad_data" | "execution" => {
            let hint = format!("try it in the page of the server itself, at {server}");
            let fault = Fault { place: place_in(&words), ..Fault::of(why.clone(), hint) };
            faulty(why, fault)
        }
        _ => failed(why),
    }
}

/// The server's own words, without what only speaks of its API.
fn own_words(error: &str) -> String {
    clip(error.strip_prefix("invalid parameter \"query\": ").unwrap_or(error), WORDS)
}

/// `1:16: parse error: ...`: the line and the column that a server names.
fn place_in(words: &str) -> Option<(usize, usize)> {
    let mut parts = words.split(':');
    Some((parts.next()?.trim().parse().ok()?, parts.next()?.parse().ok()?))
}

/// Why there is no answer of the API's.
fn refusal(answer: &Answer, server: &str) -> String {
    let Answer { status, location, body } = answer;
    let words = clip(&String::from_utf8_lossy(body), 100);
    match status {
        300..=399 => {
            let to = clip(location.as_deref().unwrap_or("another address"), 200);
            format!("{server} redirects to {to} ({status}): write that server's address as `url`")
        }
        401 | 403 => format!(
            "{server} lets nobody in without the right login ({status}): see `bearer_token_file`, \
             or `user` and `password_file`"
        ),
        404 => format!("{server} has no Prometheus API there (404): is `url` its base address?"),
        _ if words.is_empty() => format!("{server} answers {status}"),
        _ => format!("{server} answers {status}: {words}"),
    }
}

/// The one number of a result, or why the query gives none.
fn number(data: Value, server: &str, signal: &Signal) -> Result<Reading, Fault> {
    let fault = |message: &str, hint: &str| Err(Fault::of(message, hint));
    let kind = data["resultType"].as_str().unwrap_or_default();
    match kind {
        "vector" | "scalar" => {}
        "matrix" => {
            let message = "the query's result is a range of values, and a trigger needs one number";
            return fault(message, "put it into `rate(...)` or `avg_over_time(...)`");
        }
        "string" => {
            let message = "the query's result is a text, and a trigger needs a number";
            return fault(message, "take the quotes away");
        }
        "" => return Ok(missing(format!("{server} answers without a result"))),
        other => {
            let other = clip(other, 40);
            return Ok(missing(format!("{server} answers with a result of the kind `{other}`")));
        }
    }
    if data["result"][0].get("histogram").is_some() {
        let message = "the query's result is a native histogram, and a trigger needs a number";
        return fault(message, "put it into `histogram_quantile(...)`");
    }
    match serde_json::from_value::<Data>(data) {
        Ok(Data::Scalar(point)) => Ok(value(point)),
        Ok(Data::Vector(series)) => match series.as_slice() {
            [] => Ok(Reading::Missing(Missing::Empty(
                "the query's result is empty; where that means zero, write `(...) or vector(0)`"
                    .into(),
            ))),
            [one] => Ok(value(*one.sample())),
            several => {
                let (count, names) = (several.len(), named(several));
                let message = format!("the query's result is {count} series and not one: {names}");
                Err(Fault::of(message, aggregation(signal)))
            }
        },
        Ok(Data::Matrix(_)) => Ok(missing("the query's result is a range of values")),
        Err(error) => Ok(missing(format!("{server} answers with an unreadable result ({error})"))),
    }
}

/// How several series become the one number of a signal. The sum of ratios is
/// no ratio, and the average of quantiles no quantile.
fn aggregation(signal: &Signal) -> String {
    match signal {
        Signal::ErrorRate => "aggregate both sides of the ratio: `sum(...) / sum(...)`".to_owned(),
        Signal::Latency(quantile) => format!(
            "aggregate the buckets, `histogram_quantile({}, sum by (le) (...))`, or take the \
             slowest with `max(...)`",
            quantile.get()
        ),
        Signal::Availability => {
            "aggregate them with `avg(...)`, or take the worst with `min(...)`".to_owned()
        }
        Signal::Cpu | Signal::Memory => "take the fullest with `max(...)`".to_owned(),
        Signal::Restarts | Signal::Health => "aggregate them with `sum(...)`".to_owned(),
        Signal::Own(_) => "aggregate them, as in `sum(...)` or `max(...)`".to_owned(),
    }
}

fn value(point: Point) -> Reading {
    if point.value().is_nan() {
        let why = "the query's result is NaN, as 0/0 is: no requests in its range?";
        return Reading::Missing(Missing::Empty(why.into()));
    }
    Reading::Value(point.value())
}

/// The first three series by their labels, the same three at every moment.
fn named(series: &[InstantVector]) -> String {
    let mut names: Vec<_> = series.iter().map(|one| labelled(one.metric())).collect();
    names.sort();
    if names.len() > 3 {
        names.truncate(3);
        names.push("…".into());
    }
    names.join(", ")
}

fn labelled(metric: &HashMap<String, String>) -> String {
    let mut labels: Vec<_> =
        metric.iter().filter(|(name, _)| *name != "__name__").collect::<Vec<_>>();
    labels.sort();
    let labels: Vec<_> =
        labels.iter().map(|(name, value)| format!("{name}=\"{}\"", clip(value, 40))).collect();
    let name = metric.get("__name__").map_or("", String::as_str);
    clip(&format!("{name}{{{}}}", labels.join(", ")), 120)
}

fn failed(why: impl Into<String>) -> Told {
    Told { reading: missing(why), warnings: Vec::new(), fault: None }
}

fn faulty(why: impl Into<String>, fault: Fault) -> Told {
    Told { fault: Some(fault), ..failed(why) }
}

fn missing(why: impl Into<String>) -> Reading {
    Reading::Missing(Missing::Failed(why.into()))
}

/// What was answered, for a person who asks once.
pub(super) fn once(told: &Told, signal: &Signal) -> (Reading, String) {
    let mut text = match &told.reading {
        Reading::Value(value) => format!("{signal} is {}", signal.unit().show(*value)),
        Reading::Missing(why) => why.to_string(),
    };
    for warning in &told.warnings {
        text += &format!("; the server warns: {warning}");
    }
    (told.reading.clone(), text)
}

#[cfg(test)]
mod tests;
