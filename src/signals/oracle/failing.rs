//! promtool ends at the first rule that cannot be evaluated, so what a failing
//! query does to an alert is asked of a real server: nothing.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use jiff::Timestamp;
use rollbackd_core::{moment::Moment, reading::Reading, signal::Signal, watch::Watch};
use serde_json::{Value, json};

use super::{Prometheus, Server, asked, moment, prometheus_at};
use crate::signals::asking;

/// Fails while there are two of `other`: which of them is meant?
const QUERY: &str = "max(one) by (job) * on (job) other";
const CALM: &str = "one 0\nother 1\n";
const BAD: &str = "one 1\nother 1\n";
const FAILING: &str = "one 1\nother{n=\"1\"} 1\nother{n=\"2\"} 1\n";
/// Long enough for the query to fail before it is over.
const HOLD: Duration = Duration::from_secs(10);

/// The server's rule as it was evaluated last.
#[derive(Debug)]
struct Rule {
    at: Moment,
    failed: bool,
    /// `inactive`, `pending` or `firing`.
    state: String,
    since: Option<Moment>,
}

impl Rule {
    fn read(answer: &Value) -> Option<Self> {
        let rule = &answer["data"]["groups"][0]["rules"][0];
        let time = |value: &Value| {
            let time: Timestamp = value.as_str()?.parse().ok()?;
            Some(moment(u64::try_from(time.as_millisecond()).ok()?))
        };
        Some(Self {
            // Before the first evaluation it is the year 1.
            at: time(&rule["lastEvaluation"])?,
            failed: rule["health"] == "err",
            state: rule["state"].as_str()?.to_owned(),
            since: time(&rule["alerts"][0]["activeAt"]),
        })
    }
}

/// The server, what its page says, and a trigger that says what its rule says.
struct Both {
    prometheus: Prometheus,
    page: Arc<Mutex<String>>,
    server: Server,
    watch: Watch,
}

impl Both {
    async fn start() -> Self {
        let page = Arc::new(Mutex::new(CALM.to_owned()));
        let shown = Arc::clone(&page);
        let alert = json!([{
            "alert": "breach", "expr": format!("{QUERY} > 0"), "for": format!("{}s", HOLD.as_secs()),
        }]);
        let prometheus = Prometheus::scraping(move || shown.lock().unwrap().clone(), &alert).await;
        let config = prometheus_at(&prometheus.url, Duration::from_secs(10));
        let mut trigger = asked(0, "errors", asking::query(QUERY), Duration::from_secs(1));
        trigger.watch.trigger.max_gap = Duration::ZERO;
        trigger.watch.trigger.hold = rollbackd_core::settings::Hold::For(HOLD);
        let watch = Watch::new(trigger.watch.trigger, Moment::ZERO);
        Self { prometheus, page, server: Server::new("prom".into(), config), watch }
    }

    /// Shows a page and waits for an evaluation as it should be then; our
    /// trigger is fed what the same query answers us.
    async fn show(&mut self, page: &str, is: impl Fn(&Rule) -> bool) -> (Rule, Reading) {
        page.clone_into(&mut self.page.lock().unwrap());
        loop {
            let url = self.prometheus.url.join("api/v1/rules").unwrap();
            let rule = Rule::read(&self.prometheus.get(url).await);
            let reading = self.server.ask(QUERY, &Signal::Own("a_number".into())).await.reading;
            if let Some(rule) = rule.filter(&is) {
                self.watch.feed(rule.at, &reading);
                return (rule, reading);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Since when our trigger's condition holds, and whether it is a breach.
    fn ours(&self, at: Moment) -> (Option<Moment>, bool) {
        let breach = self.watch.breach(at);
        let since = self.watch.view(at).pending_since;
        assert_eq!(self.watch.is_pending(), since.is_some() && breach.is_none());
        (since, breach.is_some())
    }
}

fn has_failed(reading: &Reading) -> bool {
    matches!(reading, Reading::Missing(rollbackd_core::reading::Missing::Failed(_)))
}

#[tokio::test]
async fn a_query_that_fails_leaves_the_state_as_prometheus_leaves_it() {
    let mut both = Both::start().await;
    both.show(CALM, |rule| !rule.failed && rule.at > Moment::ZERO).await;

    let (pending, reading) = both.show(BAD, |rule| rule.state == "pending").await;
    assert_eq!(reading, Reading::Value(1.0));
    let since = pending.since.unwrap();
    // We may have seen a later evaluation than the first.
    let ours = both.ours(pending.at).0.unwrap();
    assert_eq!(ours, pending.at);

    // It fails for longer than `for`: pending still, and not a moment later.
    let over = ours.max(since) + HOLD + Duration::from_secs(1);
    let (failing, reading) = both.show(FAILING, |rule| rule.failed && rule.at > over).await;
    assert!(has_failed(&reading), "{reading:?}");
    assert_eq!((failing.state.as_str(), failing.since), ("pending", Some(since)), "{failing:?}");
    assert_eq!(both.ours(failing.at), (Some(ours), false));

    // The first answer that breaches fires: the time has counted.
    let (firing, _) = both.show(BAD, |rule| !rule.failed && rule.at > failing.at).await;
    assert_eq!((firing.state.as_str(), firing.since), ("firing", Some(since)), "{firing:?}");
    assert_eq!(both.ours(firing.at), (Some(ours), true));

    let later = firing.at + Duration::from_secs(5);
    let (failing, _) = both.show(FAILING, |rule| rule.failed && rule.at > later).await;
    assert_eq!((failing.state.as_str(), failing.since), ("firing", Some(since)), "{failing:?}");
    assert_eq!(both.ours(failing.at), (Some(ours), true));

    let (calm, _) = both.show(CALM, |rule| !rule.failed && rule.at > failing.at).await;
    assert_eq!(calm.state, "inactive", "{calm:?}");
    assert_eq!(both.ours(calm.at), (None, false));
}
