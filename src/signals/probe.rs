//! Numbers from plain HTTP requests, sent at fixed moments: whether each was
//! answered as expected, and how long it took, over a trigger's window.

use std::{collections::VecDeque, time::Duration};

use rollbackd_core::{
    moment::Moment,
    reading::{Missing, Reading, Sample},
    signal::Signal,
};
use tokio::time::Instant;

use super::{
    Asked,
    caller::{Caller, clip},
    quantile,
};
use crate::{
    config::settings::{Ask, Probe},
    host::http::{Answer, Body, Connections, place},
};

/// How much of a body is read when only its coming matters, in bytes.
const HEAD: usize = 64 << 10;
/// How much of a body is searched, in bytes.
const SEARCHED: usize = 1 << 20;
/// Fewer probes than this within a window say nothing of it.
const LEAST: usize = 2;

/// A place to probe.
pub(super) struct Prober {
    config: Probe,
    caller: Caller,
}

/// How one probe went.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Probed {
    /// What it counts as, in time: until the answer was there, or the whole
    /// time limit when none came.
    pub(super) took: Duration,
    /// Why it failed; `None` when it was answered as expected.
    pub(super) failed: Option<String>,
}

impl Prober {
    pub(super) fn new(config: Probe) -> Self {
        let caller = Caller::new(config.auth.clone(), Connections::Fresh);
        Self { config, caller }
    }

    /// The longest that one probe may take.
    pub(super) fn limit(&self) -> Duration {
        self.config.timeout
    }

    /// Sends one probe.
    ///
    /// # Errors
    /// A sentence when it could not be sent for a reason of our own (a secret,
    /// a certificate file): that says nothing of the service.
    pub(super) async fn probe(&self) -> Result<Probed, String> {
        let Probe { url, timeout, body_contains, .. } = &self.config;
        let body = Body::Head(if body_contains.is_some() { SEARCHED } else { HEAD });
        let began = Instant::now();
        match self.caller.get(url, *timeout, body).await {
            Ok(answer) => {
                Ok(Probed { took: began.elapsed().min(*timeout), failed: self.unexpected(&answer) })
            }
            Err(error) if error.is_ours() => Err(error.to_string()),
            // Nobody answered, or not completely: as slow as can be.
            Err(error) => Ok(Probed { took: *timeout, failed: Some(error.to_string()) }),
        }
    }

    fn unexpected(&self, answer: &Answer) -> Option<String> {
        let Probe { url, expect, body_contains, .. } = &self.config;
        let place = place(url);
        if !expect.contains(&answer.status) {
            let expected: Vec<_> = expect.iter().map(u16::to_string).collect();
            return Some(format!(
                "{place} answers {} and not {}",
                answer.status,
                expected.join(" or ")
            ));
        }
        let wanted = body_contains.as_deref()?;
        let found = wanted.is_empty()
            || answer.body.windows(wanted.len()).any(|part| part == wanted.as_bytes());
        (!found).then(|| {
            let begins = clip(&String::from_utf8_lossy(&answer.body), 60);
            format!("{place} answers without `{wanted}` in the body, which begins with {begins:?}")
        })
    }
}

/// The probes of the longest window that asks.
pub(super) struct Probes {
    keep: Duration,
    all: VecDeque<(Moment, Probed)>,
}

impl Probes {
    /// For triggers whose longest window is `keep`.
    pub(super) fn new(keep: Duration) -> Self {
        Self { keep, all: VecDeque::new() }
    }

    /// Takes in how the probe of a moment went and gives a sample for each who
    /// asked.
    pub(super) fn told(
        &mut self,
        at: Moment,
        probed: Result<Probed, String>,
        asked: &[Asked],
    ) -> Vec<Sample> {
        let unsent = probed.as_ref().err().cloned();
        if let Ok(probed) = probed {
            self.all.push_back((at, probed));
        }
        while self.all.front().is_some_and(|&(then, _)| then + self.keep <= at) {
            self.all.pop_front();
        }
        let sample = |asked: &Asked| {
            let reading = match &unsent {
                Some(why) => Reading::Missing(Missing::Failed(why.clone())),
                None => self.reading(at, asked).map_or_else(Reading::Missing, Reading::of),
            };
            Sample { trigger: asked.trigger, at, reading }
        };
        asked.iter().map(sample).collect()
    }

    /// The number over the window that ends at `at`. A probe stands for the
    /// interval after the one before it, so one that lies exactly a window
    /// back is outside.
    fn reading(&self, at: Moment, asked: &Asked) -> Result<f64, Missing> {
        let signal = &asked.watch.trigger.signal;
        let Ask::Probe { window, min_requests, .. } = asked.watch.ask else {
            return Err(unfit(signal));
        };
        let within = self.all.iter().filter(|(then, _)| *then + window > at);
        let probes: Vec<&Probed> = within.map(|(_, probed)| probed).collect();
        let least = match signal {
            Signal::Availability => LEAST,
            _ => usize::try_from(min_requests).unwrap_or(usize::MAX).max(LEAST),
        };
        if probes.len() < least {
            return Err(Missing::Empty(format!(
                "{} of the {least} probes that are needed within {} have been sent so far",
                probes.len(),
                crate::signals::span(window)
            )));
        }
        value(signal, &probes)
    }
}

#[expect(clippy::cast_precision_loss, reason = "nobody sends 2^53 probes")]
fn value(signal: &Signal, probes: &[&Probed]) -> Result<f64, Missing> {
    let failed = probes.iter().filter(|probed| probed.failed.is_some()).count() as f64;
    let all = probes.len() as f64;
    match signal {
        Signal::Availability => Ok((all - failed) / all),
        Signal::ErrorRate => Ok(failed / all),
        Signal::Latency(q) => {
            let took = probes.iter().map(|probed| probed.took.as_secs_f64()).collect();
            quantile::of_values(q.get(), took).ok_or_else(|| unfit(signal))
        }
        other => Err(unfit(other)),
    }
}

fn unfit(signal: &Signal) -> Missing {
    Missing::Failed(format!(
        "probes give availability, error_rate and latencies, and no `{signal}`: ask a source of \
         the kind `prometheus`"
    ))
}

/// What one probe says, for a person who asks once.
pub(super) fn once(probed: Result<Probed, String>, signal: &Signal) -> (Reading, String) {
    match probed {
        Err(why) => (Reading::Missing(Missing::Failed(why.clone())), why),
        Ok(probed) => {
            let took = rollbackd_core::signal::Unit::Seconds.show(probed.took.as_secs_f64());
            let text = match &probed.failed {
                None => format!("the probe was answered as expected in {took}"),
                Some(why) => format!("the probe failed: {why}"),
            };
            let reading = value(signal, &[&probed]);
            (reading.map_or_else(Reading::Missing, Reading::of), text)
        }
    }
}

#[cfg(test)]
mod tests;
