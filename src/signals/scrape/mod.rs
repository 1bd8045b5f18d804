//! Numbers from an app's own metrics page: read from every running container of
//! a service by its own address, or from one URL. Error rates and latencies
//! are worked out over a trigger's window as PromQL's `rate` and
//! `histogram_quantile` define them, summed over series and containers.

mod history;
mod page;
mod targets;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures_util::{StreamExt, stream};
use rollbackd_core::{
    moment::Moment,
    reading::{Missing, Reading, Sample},
    signal::Signal,
    words::ProjectName,
};

use self::{
    history::History,
    page::{Page, Tag},
    targets::{Target, targets},
};
use super::{
    Asked,
    caller::{Caller, clip},
    quantile::{self, Bucket},
};
use crate::{
    config::settings::{self, Ask, Scrape},
    docker::Docker,
    host::http::{Body, Connections, Request, place},
};

/// Longest page that is read, in bytes.
const LONGEST: usize = 8 << 20;
/// A page longer than this is parsed off the tasks that keep time.
const LONG: usize = 256 << 10;
/// How many pages are read at once.
const AT_ONCE: usize = 8;
const ACCEPT: &str = "text/plain;version=0.0.4;q=1,*/*;q=0.1";

/// A source to read.
pub(super) struct Reader {
    config: Arc<Scrape>,
    project: Option<ProjectName>,
    docker: Docker,
    caller: Caller,
}

/// What every page said at one moment.
pub(super) struct Round(Result<Vec<Read>, String>);

/// One page, or why it could not be read.
type Read = (Target, Result<Page, String>);

impl Round {
    /// A moment at which no page was read.
    pub(super) fn unread(why: String) -> Self {
        Self(Err(why))
    }

    /// A page of one app that is given instead of asked for.
    #[cfg(feature = "testing")]
    pub(super) fn given(text: &str, source: &Scrape) -> Self {
        let url = url::Url::parse("http://app.example/metrics").ok();
        let target = url.map(Target::page).ok_or_else(|| "no page".to_owned());
        Self(target.map(|target| vec![(target, Ok(page::read(text, source)))]))
    }
}

impl Reader {
    /// A source; the project says whose containers are meant, where the page is
    /// theirs.
    pub(super) fn new(config: Scrape, project: Option<ProjectName>, docker: Docker) -> Self {
        let caller = Caller::new(config.auth.clone(), Connections::Kept);
        Self { config: Arc::new(config), project, docker, caller }
    }

    /// The longest that one round may take.
    pub(super) fn limit(&self) -> Duration {
        self.config.timeout
    }

    /// Reads every page once.
    pub(super) async fn read(&self) -> Round {
        let targets = match self.targets().await {
            Ok(targets) => targets,
            Err(why) => return Round(Err(why)),
        };
        let read = stream::iter(targets).map(|target| async {
            let page = self.page(&target).await;
            (target, page)
        });
        Round(Ok(read.buffered(AT_ONCE).collect().await))
    }

    async fn targets(&self) -> Result<Vec<Target>, String> {
        Ok(match (&self.config.page, &self.project) {
            (settings::Page::Containers { service, port, path }, Some(project)) => {
                let all = self.docker.containers(project).await;
                let all = all.map_err(|error| error.to_string())?;
                targets(&all, service, *port, path)?
            }
            (settings::Page::Url(url), _) => vec![Target::page(url.clone())],
            (settings::Page::Containers { .. }, None) => Vec::new(),
        })
    }

    async fn page(&self, target: &Target) -> Result<Page, String> {
        let request = Request::get(target.url.clone(), self.config.timeout, Body::Whole(LONGEST));
        let answer = self.caller.send(&target.url, request.accept(ACCEPT)).await;
        let answer = answer.map_err(|error| format!("{error}{}", target.hint()))?;
        if answer.status != 200 {
            let words = clip(&String::from_utf8_lossy(&answer.body), 80);
            let path = target.url.path();
            return Err(format!(
                "{} answers {} for {path}: {words}",
                place(&target.url),
                answer.status
            ));
        }
        if answer.body.len() <= LONG {
            return Ok(page::read(&String::from_utf8_lossy(&answer.body), &self.config));
        }
        let config = Arc::clone(&self.config);
        let parse = move || page::read(&String::from_utf8_lossy(&answer.body), &config);
        tokio::task::spawn_blocking(parse).await.map_err(|error| error.to_string())
    }
}

/// What was read over time, and the numbers worked out from it.
pub(super) struct Book {
    keep: Duration,
    pages: BTreeMap<String, Histories>,
}

#[derive(Default)]
struct Histories {
    requests: History,
    latency: History,
}

impl Book {
    /// For triggers whose longest window is `keep`.
    pub(super) fn new(keep: Duration) -> Self {
        Self { keep, pages: BTreeMap::new() }
    }

    /// Takes in a round and gives a sample for each who asked.
    pub(super) fn told(&mut self, at: Moment, round: &Round, asked: &[Asked]) -> Vec<Sample> {
        if let Ok(pages) = &round.0 {
            self.take(at, pages);
        }
        // Triggers often differ in their thresholds alone: what they have in
        // common is worked out once.
        let mut known: BTreeMap<_, Reading> = BTreeMap::new();
        let mut samples = Vec::with_capacity(asked.len());
        for asked in asked {
            let work_out = || match &round.0 {
                Ok(pages) => {
                    self.reading(at, pages, asked).map_or_else(Reading::Missing, Reading::of)
                }
                Err(why) => Reading::Missing(Missing::Failed(why.clone())),
            };
            let reading = known.entry(sum(asked)).or_insert_with(work_out).clone();
            samples.push(Sample { trigger: asked.trigger, at, reading });
        }
        samples
    }

    fn take(&mut self, at: Moment, pages: &[Read]) {
        for (target, page) in pages {
            let Ok(page) = page else { continue };
            let histories = self.pages.entry(target.id.clone()).or_default();
            if let Ok(metric) = &page.requests {
                histories.requests.push(at, metric, self.keep);
            }
            if let Ok(metric) = &page.latency {
                histories.latency.push(at, metric, self.keep);
            }
        }
        let old = at - self.keep;
        self.pages.retain(|_, page| page.requests.last().max(page.latency.last()) >= Some(old));
    }

    fn reading(&self, at: Moment, pages: &[Read], asked: &Asked) -> Result<f64, Missing> {
        let Ask::Scrape { window, min_requests, .. } = asked.watch.ask else {
            return Err(unfit(&asked.watch.trigger.signal));
        };
        let signal = &asked.watch.trigger.signal;
        let found = |page: &Page| match signal {
            Signal::ErrorRate => page.requests.as_ref().map(drop).map_err(String::clone),
            _ => page.latency.as_ref().map(drop).map_err(String::clone),
        };
        usable(pages, found).map_err(Missing::Failed)?;
        let here = pages.iter().filter_map(|(target, _)| self.pages.get(&target.id));
        let span = Span { at, window, min_requests };
        match signal {
            Signal::ErrorRate => error_rate(here.map(|page| &page.requests), span),
            Signal::Latency(quantile) => {
                latency(quantile.get(), here.map(|page| &page.latency), span)
            }
            other => Err(unfit(other)),
        }
    }
}

fn unfit(signal: &Signal) -> Missing {
    Missing::Failed(format!(
        "a metrics page gives error rates and latencies, and no `{signal}`: ask a source of the \
         kind `prometheus`"
    ))
}

/// One page that can be used is enough; else the first reason why there is
/// none.
fn usable(pages: &[Read], found: impl Fn(&Page) -> Result<(), String>) -> Result<(), String> {
    let mut reasons = Vec::new();
    for (target, page) in pages {
        match page.as_ref().map_err(String::clone).and_then(&found) {
            Ok(()) => return Ok(()),
            Err(why) => reasons.push(match pages.len() {
                1 => why,
                _ => format!("{}: {why}", target.name),
            }),
        }
    }
    let others = reasons.len().saturating_sub(1);
    let first = reasons.into_iter().next().unwrap_or_else(|| "there is no page to read".into());
    Err(match others {
        0 => first,
        1 => format!("{first} (and another page)"),
        more => format!("{first} (and {more} other pages)"),
    })
}

/// What makes two numbers of one page the same.
fn sum(asked: &Asked) -> (&Signal, Option<(Duration, u64)>) {
    let over = match asked.watch.ask {
        Ask::Scrape { window, min_requests, .. } => Some((window, min_requests)),
        Ask::Prometheus { .. } | Ask::Probe { .. } | Ask::Container { .. } => None,
    };
    (&asked.watch.trigger.signal, over)
}

/// Over what a number is worked out.
#[derive(Clone, Copy)]
struct Span {
    at: Moment,
    window: Duration,
    min_requests: u64,
}

impl Span {
    /// Whether so many requests are enough to say anything.
    fn enough(self, requests: Option<f64>, readings: usize) -> Result<f64, Missing> {
        let window = crate::signals::span(self.window);
        let Some(requests) = requests else {
            return Err(Missing::Empty(match readings {
                0 | 1 => format!(
                    "the page was read {} within {window} so far; a rate needs two readings",
                    if readings == 0 { "never" } else { "once" }
                ),
                _ => format!("no request was counted yet ({readings} readings within {window})"),
            }));
        };
        #[expect(clippy::cast_precision_loss, reason = "nobody asks for 2^53 requests")]
        let least = self.min_requests as f64;
        if requests.round() < least {
            return Err(Missing::Empty(format!(
                "{requests:.0} requests within {window}, fewer than min_requests = {}",
                self.min_requests
            )));
        }
        if requests <= 0.0 {
            return Err(Missing::Empty(format!("no requests within {window}")));
        }
        Ok(requests)
    }
}

/// `sum(rate(errors)) / sum(rate(all))`.
fn error_rate<'h>(pages: impl Iterator<Item = &'h History>, span: Span) -> Result<f64, Missing> {
    let (mut all, mut errors, mut readings) = (None, 0.0, 0);
    for page in pages {
        readings = readings.max(page.readings(span.at, span.window));
        for (tag, grown) in page.grown(span.at, span.window) {
            *all.get_or_insert(0.0) += grown;
            errors += if tag == Tag::Error { grown } else { 0.0 };
        }
    }
    Ok(errors / span.enough(all, readings)?)
}

/// `histogram_quantile(q, sum by (le) (rate(buckets)))`.
fn latency<'h>(
    q: f64,
    pages: impl Iterator<Item = &'h History>,
    span: Span,
) -> Result<f64, Missing> {
    let (mut all, mut buckets, mut readings) = (None, Vec::new(), 0);
    for page in pages {
        readings = readings.max(page.readings(span.at, span.window));
        for (tag, count) in page.grown(span.at, span.window) {
            let Tag::Bucket(bound) = tag else { continue };
            if bound == f64::INFINITY {
                *all.get_or_insert(0.0) += count;
            }
            buckets.push(Bucket { bound, count });
        }
    }
    span.enough(all, readings)?;
    quantile::of_buckets(q, buckets).ok_or_else(|| {
        Missing::Failed("the histogram has no bucket with a finite bound to work with".into())
    })
}

/// What one round says of the time since the app's start, for a person who
/// asks once: a rate needs two.
pub(super) fn once(round: &Round, signal: &Signal) -> (Reading, String) {
    let failed = |why: String| (Reading::Missing(Missing::Failed(why.clone())), why);
    let pages = match &round.0 {
        Ok(pages) => pages,
        Err(why) => return failed(why.clone()),
    };
    let of = |page: &Page| match signal {
        Signal::ErrorRate => page.requests.clone(),
        _ => page.latency.clone(),
    };
    if let Err(why) = usable(pages, |page| of(page).map(drop)) {
        return failed(why);
    }
    let read = pages.iter().filter_map(|(_, page)| of(page.as_ref().ok()?).ok());
    let (mut all, mut errors, mut buckets, mut name) = (0.0, 0.0, Vec::new(), String::new());
    for metric in read {
        for seen in &metric.series {
            match seen.tag {
                Tag::Error => errors += seen.value,
                Tag::Good => {}
                Tag::Bucket(bound) => buckets.push(Bucket { bound, count: seen.value }),
            }
            all += match seen.tag {
                Tag::Bucket(bound) if bound < f64::INFINITY => 0.0,
                _ => seen.value,
            };
        }
        name = metric.name;
    }
    let good = pages.iter().filter(|(_, page)| page.is_ok()).count();
    let value = match signal {
        Signal::ErrorRate => Some(errors / all),
        Signal::Latency(q) => quantile::of_buckets(q.get(), buckets),
        other => return failed(unfit(other).to_string()),
    };
    let shown = value
        .filter(|value| value.is_finite())
        .map_or_else(|| "nothing yet".to_owned(), |value| signal.unit().show(value));
    let text = format!(
        "{good} of {} page{} read; {name} counts {all:.0} requests since the app's start, \
         {signal} over them is {shown}",
        pages.len(),
        if pages.len() == 1 { "" } else { "s" },
    );
    (Reading::of(value.unwrap_or(f64::NAN)), text)
}

#[cfg(test)]
mod oracle;
#[cfg(test)]
mod tests;
