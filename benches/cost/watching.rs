//! The daemon beside a Prometheus, over the same page, at the same time.

use std::{fmt::Write as _, time::Duration};

use serde_json::Value;

use crate::{
    page,
    prometheus::Prometheus,
    support::{config::Config, daemon::Daemon, project::Project},
    used::{self, Used},
};

/// For how long it is measured.
const MEASURED: Duration = Duration::from_secs(60);

/// Where the daemon has its numbers from.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Source {
    Page,
    Prometheus,
}

const CASES: [(Source, usize, Duration); 6] = [
    (Source::Page, 4, Duration::from_secs(15)),
    (Source::Page, 100, Duration::from_secs(15)),
    (Source::Page, 1_000, Duration::from_secs(1)),
    (Source::Page, 10_000, Duration::from_secs(1)),
    (Source::Prometheus, 4, Duration::from_secs(15)),
    (Source::Prometheus, 100, Duration::from_secs(15)),
];

/// One condition, as a trigger and as a rule. Of many, each has a threshold of
/// its own; there are five signals over eight windows.
pub(crate) struct Question {
    pub(crate) name: String,
    /// `None`: the error rate.
    quantile: Option<&'static str>,
    window: Duration,
    pub(crate) above: f64,
    pub(crate) hold: Duration,
    every: Duration,
}

impl Question {
    fn new(number: usize, every: Duration) -> Self {
        let signals = [None, Some("0.5"), Some("0.9"), Some("0.95"), Some("0.99")];
        let quantile = signals[number % signals.len()];
        let longer = u32::try_from(number / signals.len() % 8).unwrap();
        // Neither is reached: what is measured is watching.
        let least = if quantile.is_some() { 60.0 } else { 0.5 };
        Self {
            name: format!("t{number}"),
            quantile,
            window: every * (10 + longer),
            above: least + number as f64 * 1e-3 * least / 10.0,
            hold: every * 60,
            every,
        }
    }

    /// In PromQL.
    pub(crate) fn query(&self) -> String {
        let window = self.window.as_secs();
        match self.quantile {
            None => format!(
                "sum(rate(http_requests_total{{code=~\"5..\"}}[{window}s])) / sum(rate(http_requests_total[{window}s]))"
            ),
            Some(quantile) => format!(
                "histogram_quantile({quantile}, sum by (le) (rate(http_request_duration_seconds_bucket[{window}s])))"
            ),
        }
    }

    /// The keys of the trigger.
    fn trigger(&self, source: Source) -> String {
        let Self { name, window, above, hold, every, .. } = self;
        let (signal, above) = match self.quantile {
            None => ("error_rate".to_owned(), format!("{:?}", above.min(0.999))),
            Some(quantile) => {
                (format!("latency_p{:0<2}", &quantile[2..]), format!("\"{:.0}ms\"", above * 1e3))
            }
        };
        let mut keys = format!(
            "name = \"{name}\"\nsignal = \"{signal}\"\nsource = \"it\"\nabove = {above}\n\
             for = \"{}s\"\nevery = \"{}s\"\n",
            hold.as_secs(),
            every.as_secs()
        );
        match source {
            Source::Page => writeln!(keys, "window = \"{}s\"", window.as_secs()).unwrap(),
            // A comment of its own makes it a question of its own.
            Source::Prometheus => {
                writeln!(keys, "query = '''{} # {name}'''", self.query()).unwrap();
            }
        }
        keys
    }
}

/// The cases of these sizes, or all, as a table.
pub(crate) fn measure(sizes: &[usize]) {
    println!("watching, over {} s:", MEASURED.as_secs());
    println!(
        "source      triggers  every    ours: cpu  MiB  fresh   Prometheus: cpu   MiB  missed   \
         ours / theirs: cpu  memory   load"
    );
    let page = page::serve();
    let project = Project::new();
    project.image("v1", "");
    project.deploy("v1");
    project.wait_for("v1");
    let chosen = |triggers: usize| sizes.is_empty() || sizes.contains(&triggers);
    for (source, triggers, every) in CASES.into_iter().filter(|case| chosen(case.1)) {
        case(&project, page, source, triggers, every);
    }
}

fn case(project: &Project, page: u16, source: Source, triggers: usize, every: Duration) {
    let questions: Vec<Question> = (0..triggers).map(|one| Question::new(one, every)).collect();
    let prometheus = Prometheus::start(page, every, &questions);
    let table = match source {
        Source::Page => format!("kind = \"scrape\"\nurl = \"http://127.0.0.1:{page}/metrics\""),
        Source::Prometheus => format!("kind = \"prometheus\"\nurl = \"{}\"", prometheus.url),
    };
    let config = Config::new(project).table(&format!("[source.it]\n{table}"));
    // A trigger must be able to hold its time within it.
    let config = config.instead("bake = \"30s\"", "bake = \"1h\"");
    let config = questions
        .iter()
        .fold(config, |config, question| config.trigger(project, &question.trigger(source)));
    let daemon = Daemon::start(project, &config);
    daemon.wait("every trigger has a value", |daemon| (fresh(daemon) >= triggers).then_some(()));
    let missed = prometheus.missed();
    let [ours, theirs] = used::over(MEASURED, [daemon.pid(), prometheus.pid()]);
    let missed = prometheus.missed() - missed;
    let fresh = fresh(&daemon);
    println!(
        "{:<11} {triggers:>8}  {:>4}s  {}  {fresh:>5}   {:>11} {}  {missed:>6}   {:>18.3}  {:>6.3}   {}",
        format!("{source:?}").to_lowercase(),
        every.as_secs(),
        show(ours),
        "",
        show(theirs),
        ours.cpu / theirs.cpu,
        ours.resident / theirs.resident,
        used::load(),
    );
}

fn show(used: Used) -> String {
    format!("{:>8.2} % {:>5.1}", used.cpu * 100.0, used.resident / f64::from(1 << 20))
}

/// How many of the bench's triggers have a value and are not blind.
fn fresh(daemon: &Daemon) -> usize {
    let service = daemon.service("web");
    let triggers = service["triggers"].as_array().cloned().unwrap_or_default();
    let seen = |trigger: &&Value| {
        trigger["source"] == "it" && trigger["value"].is_number() && trigger["state"] != "blind"
    };
    triggers.iter().filter(seen).count()
}
