//! What the shop counts, and the page that Prometheus reads: requests by code
//! and method, how long they took, since when it runs.

use std::{
    collections::BTreeMap,
    fmt::Write,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// Upper bounds of the histogram's buckets, in seconds: the usual ones of
/// Prometheus's client libraries.
const BOUNDS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// The counters.
pub(crate) struct Metrics {
    began: Instant,
    began_at: f64,
    counts: Mutex<Counts>,
}

#[derive(Default)]
struct Counts {
    requests: BTreeMap<(u16, &'static str), u64>,
    buckets: [u64; BOUNDS.len()],
    count: u64,
    sum: f64,
}

impl Metrics {
    /// All at zero, from now on.
    pub(crate) fn new() -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            began: Instant::now(),
            began_at: since_epoch.as_secs_f64(),
            counts: Mutex::default(),
        }
    }

    /// Counts one answered page.
    pub(crate) fn count(&self, code: u16, method: &'static str, took: Duration) {
        let took = took.as_secs_f64();
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.requests.entry((code, method)).or_default() += 1;
        for (bucket, bound) in counts.buckets.iter_mut().zip(BOUNDS) {
            *bucket += u64::from(took <= bound);
        }
        counts.count += 1;
        counts.sum += took;
    }

    /// The page, in Prometheus's text format.
    pub(crate) fn page(&self) -> String {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let mut page = String::from(
            "# HELP http_requests_total Pages answered.\n# TYPE http_requests_total counter\n",
        );
        for ((code, method), count) in &counts.requests {
            line(
                &mut page,
                format_args!("http_requests_total{{code=\"{code}\",method=\"{method}\"}} {count}"),
            );
        }
        page.push_str(
            "# HELP http_request_duration_seconds How long pages took.\n\
             # TYPE http_request_duration_seconds histogram\n",
        );
        for (bound, count) in BOUNDS.iter().zip(counts.buckets) {
            line(
                &mut page,
                format_args!("http_request_duration_seconds_bucket{{le=\"{bound}\"}} {count}"),
            );
        }
        let Counts { count, sum, .. } = &*counts;
        line(
            &mut page,
            format_args!("http_request_duration_seconds_bucket{{le=\"+Inf\"}} {count}"),
        );
        line(&mut page, format_args!("http_request_duration_seconds_sum {sum}"));
        line(&mut page, format_args!("http_request_duration_seconds_count {count}"));
        page.push_str("# HELP process_start_time_seconds When the shop started.\n# TYPE process_start_time_seconds gauge\n");
        line(&mut page, format_args!("process_start_time_seconds {}", self.began_at));
        page.push_str("# HELP shop_uptime_seconds How long the shop has run.\n# TYPE shop_uptime_seconds gauge\n");
        line(&mut page, format_args!("shop_uptime_seconds {}", self.began.elapsed().as_secs_f64()));
        page
    }
}

fn line(page: &mut String, text: std::fmt::Arguments<'_>) {
    writeln!(page, "{text}").expect("writing to a String cannot fail");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_cumulative_and_requests_are_by_code_and_method() {
        let metrics = Metrics::new();
        metrics.count(200, "GET", Duration::from_millis(3));
        metrics.count(500, "POST", Duration::from_millis(900));
        metrics.count(200, "GET", Duration::from_secs(20));
        let page = metrics.page();
        for line in [
            "http_requests_total{code=\"200\",method=\"GET\"} 2",
            "http_requests_total{code=\"500\",method=\"POST\"} 1",
            "http_request_duration_seconds_bucket{le=\"0.005\"} 1",
            "http_request_duration_seconds_bucket{le=\"0.5\"} 1",
            "http_request_duration_seconds_bucket{le=\"1\"} 2",
            "http_request_duration_seconds_bucket{le=\"+Inf\"} 3",
            "http_request_duration_seconds_count 3",
        ] {
            assert!(page.lines().any(|l| l == line), "no line `{line}` in\n{page}");
        }
    }
}
