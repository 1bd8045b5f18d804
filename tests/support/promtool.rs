//! The real `promtool test rules`: series and rules in, and what Prometheus
//! says at each time out. It expects of every query that there is nothing, so
//! that promtool prints what there is.

use std::{collections::BTreeMap, fs, process::Command, time::Duration};

use serde_json::{Value, json};

/// What every question asks for besides, so that no answer is silence.
const CANARY: &str = "canary";

/// Series, the rules over them, and what is asked.
pub struct Bench {
    /// How often rules are evaluated. promtool also takes the series in by these
    /// steps: what comes after the last evaluation is not there.
    pub every: Duration,
    /// The time between two values of a series. The first is at 0.
    pub between: Duration,
    /// Each with its values in promtool's notation: `1 _ stale NaN`.
    pub series: Vec<(String, String)>,
    /// Rules as in a rule file.
    pub rules: Vec<Value>,
    /// Expressions whose results are vectors, each with its time.
    pub asks: Vec<(String, Duration)>,
}

/// A series with its value at the time that was asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Said {
    /// Its labels, `__name__` among them.
    pub labels: BTreeMap<String, String>,
    /// Its value.
    pub value: f64,
}

/// What was answered to each question, in their order.
pub fn ask(bench: &Bench) -> Vec<Vec<Said>> {
    let dir = tempfile::TempDir::with_prefix("rbtest-promtool-").unwrap();
    let write = |name: &str, content: &Value| {
        fs::write(dir.path().join(name), content.to_string()).unwrap();
    };
    // JSON is YAML.
    write("rules.json", &json!({ "groups": [{ "name": "all", "rules": bench.rules }] }));
    write("test.json", &test(bench));
    let told = Command::new("promtool")
        .args(["test", "rules", "test.json"])
        .current_dir(dir.path())
        .output()
        .expect("promtool is there: sh tests/bring-tools.sh");
    let words = String::from_utf8_lossy(&told.stdout) + String::from_utf8_lossy(&told.stderr);
    read(&words, &bench.asks)
}

fn test(bench: &Bench) -> Value {
    let last = bench.asks.iter().map(|(_, at)| at.as_nanos()).max().unwrap_or_default();
    let length = last / bench.between.as_nanos() + 1;
    let series = bench.series.iter().map(|(series, values)| (series.as_str(), values.clone()));
    let canary = (CANARY, format!("1x{length}"));
    let series = series.chain([canary]);
    let series = series.map(|(series, values)| json!({ "series": series, "values": values }));
    let asks = bench
        .asks
        .iter()
        .map(|(expr, at)| json!({ "expr": with_canary(expr), "eval_time": millis(*at) }));
    json!({
        "rule_files": ["rules.json"],
        "evaluation_interval": millis(bench.every),
        "tests": [{
            "interval": millis(bench.between),
            "input_series": series.collect::<Vec<_>>(),
            "promql_expr_test": asks.collect::<Vec<_>>(),
        }],
    })
}

fn with_canary(expr: &str) -> String {
    format!("({expr}) or {CANARY}")
}

/// A time as Prometheus writes it.
pub fn millis(time: Duration) -> String {
    format!("{}ms", time.as_millis())
}

fn read(words: &str, asks: &[(String, Duration)]) -> Vec<Vec<Said>> {
    let mut got = words.lines().filter_map(|line| line.trim().strip_prefix("got: "));
    let mut asked = words.lines().filter_map(|line| line.trim().strip_prefix("expr: "));
    let answer = |(expr, at): &(String, Duration)| {
        let (heading, said) = asked.next().zip(got.next()).unwrap_or_else(|| {
            panic!("promtool says nothing of `{expr}` at {at:?}:\n{}", clip(words))
        });
        let expected = format!("{:?}, time: ", with_canary(expr));
        let time = heading.strip_prefix(&expected).and_then(|time| time.strip_suffix(','));
        let time = time.map(|time| humantime::parse_duration(time).unwrap());
        assert_eq!(time, Some(*at), "{heading}");
        let mut said: Vec<_> = said.split(", {").map(one).collect();
        said.retain(|one| !is_canary(one));
        said
    };
    let answers: Vec<_> = asks.iter().map(answer).collect();
    assert!(asked.next().is_none(), "promtool says more than was asked:\n{}", clip(words));
    answers
}

fn is_canary(said: &Said) -> bool {
    said.labels.get("__name__").is_some_and(|name| name == CANARY)
}

fn clip(words: &str) -> &str {
    words.get(..4000).unwrap_or(words)
}

/// `{__name__="value", case="7"} 2.5E-01`
fn one(text: &str) -> Said {
    let (labels, value) = text.rsplit_once("} ").unwrap_or_else(|| panic!("no series: {text}"));
    let label = |label: &str| {
        let (name, value) = label.split_once('=').unwrap();
        (name.to_owned(), value.trim_matches('"').to_owned())
    };
    let labels = labels.trim_start_matches('{').split(", ").filter(|label| !label.is_empty());
    Said { labels: labels.map(label).collect(), value: value.parse().unwrap() }
}
