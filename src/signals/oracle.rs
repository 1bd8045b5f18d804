//! A real Prometheus server as the oracle: it scrapes a page of ours every
//! second, its own raw samples are fed to our arithmetic, and both must come
//! to the same numbers. And it is asked by the code that asks users' servers.
//! Series at random are below, by promtool, which need not wait for them.

#[path = "../../tests/support/dice.rs"]
#[expect(unreachable_pub, reason = "shared with the integration tests")]
pub(super) mod dice;
mod failing;
#[path = "../../tests/support/promtool.rs"]
#[expect(unreachable_pub, reason = "shared with the integration tests")]
pub(super) mod promtool;
mod random;

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    process::Stdio,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use rollbackd_core::{moment::Moment, reading::Reading, signal::Signal};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};
use url::Url;

use super::{
    asking::{asked, prometheus_at, said},
    prometheus::Server,
    quantile::{self, Bucket},
    rates,
};
use crate::host::http::{
    Body, Connections, Http, Request, Trust,
    odd::{Give, Server as Odd},
};

const WINDOW: Duration = Duration::from_secs(6);

/// What the page says when it is read for the `n`th time: steady counters, one
/// that begins anew, one that appears late, one that comes and goes, and two
/// apps' histograms.
fn page(n: u32) -> String {
    let mut page = String::from("# TYPE hits counter\n");
    let mut hits = |name: &str, code: u32, value: u32| {
        let _ = writeln!(page, "hits{{series=\"{name}\",code=\"{code}\"}} {value}");
    };
    hits("steady", 200, 100_000 + n * 10);
    hits("from_zero", 500, n);
    hits("resets", 503, (n % 5) * 7 + 3);
    hits("bursts", 200, 500 + (n / 4) * 90);
    hits("still", 500, 77);
    if n >= 6 {
        hits("late", 500, 4000 + n * 3);
    }
    if !n.is_multiple_of(4) {
        hits("flaps", 200, 9000 + n * 2);
    }
    page += "# TYPE took histogram\n";
    for (app, slow) in [("a", n % 3), ("b", n / 2)] {
        let counts = [n * 40, n * 60 + slow, n * 70 + slow * 2, n * 70 + slow * 3];
        for (le, count) in ["0.1", "0.5", "2.5", "+Inf"].iter().zip(counts) {
            let _ = writeln!(page, "took_bucket{{app=\"{app}\",le=\"{le}\"}} {count}");
        }
    }
    page
}

/// A real server that scrapes that page.
struct Prometheus {
    url: Url,
    page: Odd,
    http: Http,
    _process: Child,
    _dir: tempfile::TempDir,
}

impl Prometheus {
    async fn start() -> Self {
        let reads = AtomicU32::new(0);
        Self::scraping(move || page(reads.fetch_add(1, Ordering::SeqCst)), &json!([])).await
    }

    /// One that scrapes this page, with these rules.
    async fn scraping(page: impl Fn() -> String + Send + Sync + 'static, rules: &Value) -> Self {
        let page = Odd::start(move |_| Give::answer(200, &page())).await;
        let dir = tempfile::tempdir().unwrap();
        let target = format!("127.0.0.1:{}", page.url.port().unwrap());
        let rules = json!({ "groups": [{ "name": "all", "interval": "1s", "rules": rules }] });
        std::fs::write(dir.path().join("rules.json"), rules.to_string()).unwrap();
        let config = format!(
            "global: {{scrape_interval: 1s, scrape_timeout: 1s}}\n\
             rule_files: [rules.json]\nscrape_configs:\n\
             - job_name: page\n  metrics_path: /\n  static_configs: [{{targets: ['{target}']}}]\n"
        );
        std::fs::write(dir.path().join("prometheus.yml"), config).unwrap();
        let mut process = Command::new("prometheus")
            .arg(format!("--config.file={}", dir.path().join("prometheus.yml").display()))
            .arg(format!("--storage.tsdb.path={}", dir.path().join("data").display()))
            .arg("--web.listen-address=127.0.0.1:0")
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the test needs a real Prometheus: apt-get install prometheus");
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let mut address = None;
        loop {
            let line = lines.next_line().await.unwrap().expect("Prometheus says when it is ready");
            if line.contains("Listening on") {
                address = line.rsplit_once("address=").map(|(_, address)| address.to_owned());
            }
            if line.contains("ready to receive") {
                break;
            }
        }
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        let url: Url = format!("http://{}/", address.unwrap()).parse().unwrap();
        let http = Http::new(&url, &Trust::Platform, Connections::Kept).unwrap();
        Self { url, page, http, _process: process, _dir: dir }
    }

    /// Waits until the page has been read so often.
    async fn reads(&self, count: usize) {
        while self.page.heard().len() < count {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The raw result of a query at a time in milliseconds.
    async fn query(&self, query: &str, at: u64) -> Vec<Value> {
        let mut url = self.url.join("api/v1/query").unwrap();
        #[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 fit")]
        let time = format!("{:.3}", at as f64 / 1000.0);
        url.query_pairs_mut().append_pair("query", query).append_pair("time", &time);
        let answer = self.get(url).await;
        assert_eq!(answer["status"], "success", "{query}: {answer}");
        answer["data"]["result"].as_array().unwrap().clone()
    }

    async fn get(&self, url: Url) -> Value {
        let request = Request::get(url, Duration::from_secs(10), Body::Whole(8 << 20));
        serde_json::from_slice(&self.http.send(request).await.unwrap().body).unwrap()
    }

    /// One number, by what its label says.
    async fn numbers(&self, query: &str, at: u64) -> BTreeMap<String, f64> {
        let result = self.query(query, at).await;
        result.iter().map(|one| (label(one), float(&one["value"][1]))).collect()
    }

    /// The raw samples in the window, by what the series' label says.
    async fn samples(&self, selector: &str, at: u64) -> Vec<(Value, Vec<(Moment, f64)>)> {
        let result = self.query(&format!("{selector}[{}s]", WINDOW.as_secs()), at).await;
        let points = |one: &Value| {
            let values = one["values"].as_array().unwrap().iter();
            values
                .map(|pair| {
                    (moment((pair[0].as_f64().unwrap() * 1000.0).round() as u64), float(&pair[1]))
                })
                .collect()
        };
        result.into_iter().map(|one| (one["metric"].clone(), points(&one))).collect()
    }

    /// The time of the page's newest sample, in milliseconds.
    async fn newest(&self) -> u64 {
        let now = Timestamp(self).now().await;
        let steady = self.samples("hits{series=\"steady\"}", now).await;
        steady[0].1.last().unwrap().0.as_nanos() / 1_000_000
    }
}

/// The server's own idea of the time.
struct Timestamp<'p>(&'p Prometheus);

impl Timestamp<'_> {
    async fn now(&self) -> u64 {
        let mut url = self.0.url.join("api/v1/query").unwrap();
        url.query_pairs_mut().append_pair("query", "time()");
        let answer = self.0.get(url).await;
        (float(&answer["data"]["result"][1]) * 1000.0) as u64
    }
}

fn label(one: &Value) -> String {
    let metric = &one["metric"];
    metric["series"].as_str().or(metric["le"].as_str()).unwrap_or_default().to_owned()
}

fn float(text: &Value) -> f64 {
    text.as_str().unwrap().parse().unwrap()
}

fn moment(millis: u64) -> Moment {
    Moment::from_nanos(millis * 1_000_000)
}

/// How many cases at random a test compares: `ROLLBACKD_ORACLE_CASES`, or what
/// every test run does.
pub(super) fn cases(every_run: u64) -> u64 {
    std::env::var("ROLLBACKD_ORACLE_CASES").map_or(every_run, |text| text.parse().unwrap())
}

/// To 1e-9: sums in another order, no more.
pub(super) fn same(ours: f64, theirs: f64) -> bool {
    (ours.is_nan() && theirs.is_nan())
        || ours == theirs
        || (ours - theirs).abs() <= 1e-9 * theirs.abs().max(1.0)
}

/// The one corner in which Prometheus 2 and 3 differ (see `rates`): the series
/// begins inside the range, and its zero lies between.
pub(super) fn versions_differ(points: &[(Moment, f64)], at: Moment, window: Duration) -> bool {
    let (Some(first), Some(last)) = (points.first(), points.last()) else { return false };
    let sampled = last.0.since(first.0).as_secs_f64();
    let between = sampled / (points.len() - 1) as f64;
    let resets: f64 = points.windows(2).filter(|p| p[1].1 < p[0].1).map(|p| p[0].1).sum();
    let zero = sampled * first.1 / (last.1 - first.1 + resets);
    let start = first.0.since(at - window).as_secs_f64();
    start >= between * 1.1 && zero > between / 2.0 && zero < between * 1.1
}

#[tokio::test]
async fn increase_is_what_prometheus_says_it_is() {
    let prometheus = Prometheus::start().await;
    let (mut compared, mut names) = (0, std::collections::BTreeSet::new());
    for reads in [4, 9, 14, 17] {
        prometheus.reads(reads).await;
        let newest = prometheus.newest().await;
        // At a sample, between two of them, and after the last.
        for at in [newest, newest - 350, newest - 1999, newest + 600, newest + 1400] {
            let theirs = prometheus.numbers("increase(hits[6s])", at).await;
            for (metric, points) in prometheus.samples("hits", at).await {
                let name = metric["series"].as_str().unwrap().to_owned();
                let ours = rates::increase(points.iter().copied(), moment(at), WINDOW);
                if ours.is_some() && versions_differ(&points, moment(at), WINDOW) {
                    continue;
                }
                match (ours, theirs.get(&name)) {
                    (Some(ours), Some(&theirs)) => {
                        assert!(same(ours, theirs), "{name}: {ours} and not {theirs}: {points:?}");
                        compared += 1;
                        names.insert(name);
                    }
                    (ours, theirs) => assert_eq!(ours, theirs.copied(), "{name} {points:?}"),
                }
            }
        }
    }
    assert!(compared >= 60, "only {compared} were compared");
    assert_eq!(names.len(), 7, "{names:?}");
}

#[tokio::test]
async fn histogram_quantile_and_error_ratio_are_what_prometheus_says_they_are() {
    let prometheus = Prometheus::start().await;
    prometheus.reads(12).await;
    let newest = prometheus.newest().await;
    for at in [newest, newest - 420, newest + 700] {
        let mut buckets = Vec::new();
        for (metric, points) in prometheus.samples("took_bucket", at).await {
            let bound = metric["le"].as_str().unwrap().parse().unwrap();
            if let Some(count) = rates::increase(points.into_iter(), moment(at), WINDOW) {
                buckets.push(Bucket { bound, count });
            }
        }
        assert_eq!(buckets.len(), 8);
        for q in [0.05, 0.5, 0.9, 0.99, 0.999] {
            let query = format!("histogram_quantile({q}, sum by (le) (rate(took_bucket[6s])))");
            let theirs = prometheus.numbers(&query, at).await[""];
            let ours = quantile::of_buckets(q, buckets.clone()).unwrap();
            assert!(same(ours, theirs), "p{q}: {ours} and not {theirs}");
        }
        let (mut all, mut errors) = (0.0, 0.0);
        let steady = "hits{series!~\"late|from_zero\"}";
        for (metric, points) in prometheus.samples(steady, at).await {
            if let Some(grown) = rates::increase(points.into_iter(), moment(at), WINDOW) {
                all += grown;
                let is_error = metric["code"].as_str().unwrap().starts_with('5');
                errors += if is_error { grown } else { 0.0 };
            }
        }
        let query = "sum(rate(hits{series!~\"late|from_zero\",code=~\"5..\"}[6s])) \
            / sum(rate(hits{series!~\"late|from_zero\"}[6s]))";
        let theirs = prometheus.numbers(query, at).await[""];
        assert!(same(errors / all, theirs), "{} and not {theirs}", errors / all);
    }
}

#[tokio::test]
async fn quantiles_over_time_are_what_prometheus_says_they_are() {
    let prometheus = Prometheus::start().await;
    prometheus.reads(8).await;
    let at = prometheus.newest().await;
    let bursts = prometheus.samples("hits{series=\"resets\"}", at).await.remove(0).1;
    for q in [0.0, 0.5, 0.9, 0.99, 1.0] {
        let query = format!("quantile_over_time({q}, hits{{series=\"resets\"}}[6s])");
        let theirs = prometheus.numbers(&query, at).await["resets"];
        let ours = quantile::of_values(q, bursts.iter().map(|(_, value)| *value).collect());
        assert!(same(ours.unwrap(), theirs), "{q}: {ours:?} and not {theirs}");
    }
}

#[tokio::test]
async fn a_real_server_is_read_as_the_table_says() {
    let prometheus = Prometheus::start().await;
    prometheus.reads(3).await;
    let server =
        Server::new("prom".into(), prometheus_at(&prometheus.url, Duration::from_secs(10)));
    let mut answers = String::new();
    let own = Signal::Own("hits".into());
    for query in [
        "hits{series=\"still\"}",
        "vector(0.25)",
        "scalar(vector(4))",
        "1/0",
        "vector(1)/0",
        "0/0",
        "hits{code=\"418\"}",
        "sum(hits{code=\"418\"}) or vector(0)",
        "sum(took_bucket{le=\"nowhere\"}) / sum(hits)",
        "count by (code) (hits)",
        "hits[5s]",
        "\"a text\"",
        "sum(hits",
    ] {
        let told = server.ask(query, &own).await;
        let place = crate::host::http::place(&prometheus.url);
        let said = said(&told.reading).replace(&place, "HOST");
        let said = said.replace(&place_of(&prometheus.page.url), "PAGE");
        writeln!(answers, "{query}\n    {said}").unwrap();
    }
    insta::assert_snapshot!(answers, @r#"
hits{series="still"}
    value 77
vector(0.25)
    value 0.25
scalar(vector(4))
    value 4
1/0
    value inf
vector(1)/0
    value inf
0/0
    empty: the query's result is NaN, as 0/0 is: no requests in its range?
hits{code="418"}
    empty: the query's result is empty; where that means zero, write `(...) or vector(0)`
sum(hits{code="418"}) or vector(0)
    value 0
sum(took_bucket{le="nowhere"}) / sum(hits)
    empty: the query's result is empty; where that means zero, write `(...) or vector(0)`
count by (code) (hits)
    failed: the query's result is 3 series and not one: {code="200"}, {code="500"}, {code="503"}; aggregate them, as in `sum(...)` or `max(...)`
hits[5s]
    failed: the query's result is a range of values, and a trigger needs one number; put it into `rate(...)` or `avg_over_time(...)`
"a text"
    failed: the query's result is a text, and a trigger needs a number; take the quotes away
sum(hits
    failed: HOST does not understand the query: 1:9: parse error: unclosed left parenthesis
"#);
    let many = said(&server.ask("hits + on(code) group_left hits", &own).await.reading);
    assert!(many.contains("cannot work the query out (422 execution)"), "{many}");
    let long = format!("vector(3) or vector({})", "1 + ".repeat(3000) + "1");
    assert_eq!(server.ask(&long, &own).await.reading, Reading::Value(3.0));
}

fn place_of(url: &Url) -> String {
    crate::host::http::place(url)
}
