//! What one metrics page says of requests and latencies, pure: which of the
//! metrics it was looked for under it has, and the counters themselves.

use std::{
    borrow::Cow,
    cmp::Reverse,
    collections::BTreeSet,
    hash::{DefaultHasher, Hash, Hasher},
};

use super::super::{
    caller::{clip, quoted},
    exposition::{self, Labels, Line, Raw},
};
use crate::config::settings::Scrape;

/// Most series that are kept of one metric: memory is bounded.
const MOST_SERIES: usize = 20_000;
/// Words that say nothing of what a metric counts.
const COMMON: [&str; 6] = ["http", "total", "seconds", "bucket", "count", ""];
/// Most names that are remembered to suggest the nearest.
const MOST_NAMES: usize = 5_000;

/// What was found, each with its own reason why not.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Page {
    /// The counter of requests.
    pub(super) requests: Result<Metric, String>,
    /// The histogram of latencies.
    pub(super) latency: Result<Metric, String>,
}

/// A metric that the page has. It may have no series yet.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Metric {
    /// Its name, and the label that decides what an error is.
    pub(super) name: String,
    /// Its series.
    pub(super) series: Vec<Seen>,
}

/// One series as it stands on the page.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Seen {
    /// The same for the same labels.
    pub(super) key: u64,
    /// What it counts.
    pub(super) tag: Tag,
    /// How far it has counted.
    pub(super) value: f64,
}

/// What a series counts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Tag {
    /// Requests that are no errors.
    Good,
    /// Requests that are errors.
    Error,
    /// Requests that took at most this many seconds.
    Bucket(f64),
}

/// Which status codes are errors: digits, `.` and `x` for any character, `|`
/// between alternatives; the whole label.
fn is_error(pattern: &str, status: &str) -> bool {
    let fits = |one: &str| {
        one.chars().count() == status.chars().count()
            && one.chars().zip(status.chars()).all(|(p, s)| matches!(p, '.' | 'x') || p == s)
    };
    pattern.split('|').any(fits)
}

/// Reads a page for what a source looks for.
pub(super) fn read(text: &str, wanted: &Scrape) -> Page {
    let mut requests = Candidates::new(wanted.requests.iter().cloned());
    let buckets = wanted.latency.iter().map(|name| format!("{name}_bucket"));
    let mut latency = Candidates::new(buckets);
    let (mut good, mut malformed) = (0_usize, 0_usize);
    for line in exposition::lines(text) {
        match line {
            Line::Type { name, kind } => {
                requests.declared(name, kind);
                latency.declared(name, kind);
            }
            Line::Sample(raw) => match requests.take(&raw).and(latency.take(&raw)) {
                Ok(()) => good += 1,
                Err(Malformed) => malformed += 1,
            },
            Line::Malformed => malformed += 1,
        }
    }
    let about = About { text, good, malformed };
    Page {
        requests: requests.found(&about).and_then(|found| classified(found, wanted)),
        latency: latency.found(&about).and_then(bucketed),
    }
}

struct Malformed;

/// A metric that may go by several names, the first of which counts.
struct Candidates<'p> {
    names: Vec<String>,
    /// The best of the names that the page has.
    best: Option<usize>,
    /// A summary that goes by one of the names.
    summary: Option<String>,
    /// Its series; one more than allowed when there are too many.
    series: Vec<(Labels<'p>, f64)>,
}

struct About<'p> {
    text: &'p str,
    good: usize,
    malformed: usize,
}

impl<'p> Candidates<'p> {
    fn new(names: impl Iterator<Item = String>) -> Self {
        Self { names: names.collect(), best: None, summary: None, series: Vec::new() }
    }

    /// A metric that is declared exists, also when nothing has been counted.
    fn declared(&mut self, name: &str, kind: &str) {
        let is = |candidate: &str| match kind {
            "counter" => candidate.strip_suffix("_total") == Some(name) || candidate == name,
            "histogram" => {
                matches!(candidate.strip_prefix(name), Some("_bucket" | "_count"))
            }
            "summary" => candidate.strip_prefix(name) == Some("_count"),
            _ => candidate == name,
        };
        let bucket = |candidate: &String| candidate.strip_suffix("_bucket") == Some(name);
        if kind == "summary" && self.names.iter().any(bucket) {
            self.summary = Some(name.to_owned());
        }
        if let Some(rank) = self.names.iter().position(|candidate| is(candidate)) {
            self.prefer(rank);
        }
    }

    /// Whether series of this rank are to be kept.
    fn prefer(&mut self, rank: usize) -> bool {
        match self.best {
            Some(best) if best < rank => false,
            Some(best) if best == rank => true,
            _ => {
                self.best = Some(rank);
                self.series.clear();
                true
            }
        }
    }

    fn take(&mut self, raw: &Raw<'p>) -> Result<(), Malformed> {
        let Some(rank) = self.names.iter().position(|name| *name == raw.name) else {
            return Ok(());
        };
        let series = raw.read().ok_or(Malformed)?;
        // A counter that is no finite number counts nothing.
        if self.prefer(rank) && series.value.is_finite() && self.series.len() <= MOST_SERIES {
            self.series.push((series.labels, series.value));
        }
        Ok(())
    }

    /// The series of the best name, or why there are none.
    fn found(self, about: &About<'_>) -> Result<Found<'p>, String> {
        let Some(best) = self.best else {
            return Err(match self.summary {
                Some(name) => format!(
                    "`{name}` is a summary, whose quantiles cannot be worked out over a window or \
                     added up: let the app count it as a histogram"
                ),
                None => not_there(&self.names, about),
            });
        };
        let name = self.names.into_iter().nth(best).unwrap_or_default();
        if self.series.len() > MOST_SERIES {
            return Err(format!("`{name}` has more than {MOST_SERIES} series on one page"));
        }
        Ok(Found { name, series: self.series })
    }
}

struct Found<'p> {
    name: String,
    series: Vec<(Labels<'p>, f64)>,
}

/// Which requests are errors: by the first of the labels that any series has.
fn classified(found: Found<'_>, wanted: &Scrape) -> Result<Metric, String> {
    let Found { name, series } = found;
    let has = |label: &String| series.iter().any(|(labels, _)| value_of(labels, label).is_some());
    let Some(label) = wanted.status_label.iter().find(|label| has(label)) else {
        if series.is_empty() {
            return Ok(Metric { name, series: Vec::new() });
        }
        let there: BTreeSet<_> =
            series.iter().flat_map(|(labels, _)| labels.iter().map(|(name, _)| &**name)).collect();
        let there = if there.is_empty() { "none".into() } else { quoted(there, 8) };
        return Err(format!(
            "`{name}` has no label for the status code (looked for {}; it has {there}): write \
             `status_label`",
            quoted(wanted.status_label.iter().map(String::as_str), 8),
        ));
    };
    let tag = |labels: &Labels<'_>| match value_of(labels, label) {
        Some(status) if is_error(&wanted.error_status, status) => Tag::Error,
        _ => Tag::Good,
    };
    let seen = series.iter().map(|(labels, value)| Seen {
        key: key(labels),
        tag: tag(labels),
        value: *value,
    });
    Ok(Metric { series: seen.collect(), name: format!("{name} (by {label})") })
}

fn bucketed(found: Found<'_>) -> Result<Metric, String> {
    let Found { name, series } = found;
    let name = name.trim_end_matches("_bucket").to_owned();
    let bound = |labels: &Labels<'_>| value_of(labels, "le")?.parse::<f64>().ok();
    let seen = series.iter().filter_map(|(labels, value)| {
        Some(Seen { key: key(labels), tag: Tag::Bucket(bound(labels)?), value: *value })
    });
    let seen: Vec<_> = seen.collect();
    let infinite = |seen: &Seen| seen.tag == Tag::Bucket(f64::INFINITY);
    if !series.is_empty() && !seen.iter().any(infinite) {
        return Err(format!("the histogram `{name}` has no bucket with le=\"+Inf\""));
    }
    Ok(Metric { name, series: seen })
}

fn value_of<'l>(labels: &'l Labels<'_>, wanted: &str) -> Option<&'l str> {
    labels.iter().find(|(name, _)| name == wanted).map(|(_, value)| &**value)
}

/// The same for the same labels in any order. Two series of a page share one
/// by chance in one of some 10^11 pages of 20,000.
fn key(labels: &Labels<'_>) -> u64 {
    let mut sorted: Vec<&(Cow<'_, str>, Cow<'_, str>)> = labels.iter().collect();
    sorted.sort();
    let mut hasher = DefaultHasher::new();
    sorted.hash(&mut hasher);
    hasher.finish()
}

/// What was looked for, and what the page has that is like it.
fn not_there(names: &[String], about: &About<'_>) -> String {
    let looked_for = quoted(names.iter().map(String::as_str), 6);
    if about.good == 0 {
        return match about.malformed {
            0 => format!("the page is empty; looked for {looked_for}"),
            lines => {
                let begin = clip(about.text.trim_start(), 40);
                format!(
                    "the page is no metrics page: none of its lines can be read (of {lines}), \
                     it begins with {begin:?}"
                )
            }
        };
    }
    let mut nearest = nearest(names, about.text);
    nearest.truncate(3);
    let mut said = format!("the page has none of {looked_for}");
    if !nearest.is_empty() {
        said += &format!("; the nearest that it has: {}", quoted(nearest.iter().map(|n| &**n), 3));
    }
    if about.malformed > 0 {
        said += &format!("; {} of its lines cannot be read", about.malformed);
    }
    said
}

/// The page's names that share most words with those looked for; nearest first.
fn nearest<'p>(names: &[String], text: &'p str) -> Vec<Cow<'p, str>> {
    let histograms = names.iter().any(|name| name.ends_with("_bucket"));
    let fits = |name: &str| match name.rsplit('_').next() {
        Some("bucket") => histograms,
        Some("sum" | "created" | "max") => false,
        _ => !histograms,
    };
    let there: BTreeSet<Cow<'p, str>> = exposition::lines(text)
        .filter_map(|line| match line {
            Line::Sample(raw) if fits(&raw.name) => Some(raw.name),
            _ => None,
        })
        .take(MOST_NAMES)
        .collect();
    let wanted: Vec<_> = names.iter().map(|name| words(name)).collect();
    let shared = |name: &str| {
        let has = words(name);
        let all = wanted.iter().map(|wanted| {
            let both = wanted.intersection(&has).filter(|word| !COMMON.contains(word)).count();
            // Of two that share as much, the one with less besides is nearer.
            (both, Reverse(wanted.symmetric_difference(&has).count()))
        });
        all.max().filter(|(both, _)| *both > 0)
    };
    let mut scored: Vec<_> =
        there.iter().filter_map(|name| Some((shared(name)?, name.clone()))).collect();
    scored.sort_by(|(a, first), (b, second)| b.cmp(a).then_with(|| first.cmp(second)));
    scored.into_iter().map(|(_, name)| name).collect()
}

fn words(name: &str) -> BTreeSet<&str> {
    name.split(['_', ':', '.']).collect()
}

#[cfg(test)]
mod tests;
