//! What a page's pasts come to, against promtool's rates and quantiles of the
//! very same readings: series that are born within the window, away for a
//! reading or gone, apps that begin anew, pages that could not be read.

use std::{collections::BTreeMap, fmt::Write as _};

use super::{
    super::{
        asking::{asked, page_at, scrape},
        oracle::{
            cases,
            dice::Dice,
            promtool::{Bench, Said, ask},
            same, versions_differ,
        },
    },
    *,
};

const EVERY: Duration = Duration::from_secs(10);
const WINDOW: Duration = Duration::from_secs(60);
const READINGS: u32 = 30;
/// How many apps one promtool is given.
const APPS: u64 = 60;
/// How many apps every test run compares.
const CASES: u64 = 300;

/// An app's series over the readings; `None` where one is not on the page.
struct App {
    /// By what stands before the value on the page.
    series: BTreeMap<String, Vec<Option<f64>>>,
    /// Which readings came about.
    read: Vec<bool>,
}

impl App {
    fn at_random(dice: &mut Dice) -> Self {
        let readings = usize::try_from(READINGS).unwrap();
        let mut app = Self { series: BTreeMap::new(), read: Vec::new() };
        let (unread, restarts) = (dice.pick(&[4, 15, 1000]), dice.pick(&[8, 30, 1000]));
        app.read = (0..readings).map(|_| !dice.one_in(unread)).collect();
        let restarts: Vec<_> = (0..readings).map(|_| dice.one_in(restarts)).collect();
        for path in ["/", "/slow"] {
            for status in ["200", "404", "500", "503"] {
                let growth = dice.pick(&[0.0, 1.0, 5.0, 200.0]);
                let name = format!("http_requests_total{{path=\"{path}\",status=\"{status}\"}}");
                let values = grown(dice, &restarts, growth);
                let values = app.present(dice, &values);
                app.series.insert(name, values);
            }
            app.histogram(dice, path, &restarts);
        }
        app
    }

    /// One path's buckets are all there; the other's come and go each by itself,
    /// but for +Inf, by which we count requests.
    fn histogram(&mut self, dice: &mut Dice, path: &str, restarts: &[bool]) {
        let mut below = vec![0.0; restarts.len()];
        for le in ["0.05", "0.1", "0.5", "2.5", "+Inf"] {
            let growth = dice.pick(&[0.0, 0.0, 2.0, 60.0]);
            let bucket = grown(dice, restarts, growth);
            below.iter_mut().zip(bucket).for_each(|(below, bucket)| *below += bucket);
            let values = match (path, le) {
                ("/", _) | (_, "+Inf") => {
                    self.read.iter().zip(&below).map(|(&read, &n)| read.then_some(n)).collect()
                }
                _ => self.present(dice, &below),
            };
            let name =
                format!("http_request_duration_seconds_bucket{{path=\"{path}\",le=\"{le}\"}}");
            self.series.insert(name, values);
        }
    }

    /// Born late or gone early, or away now and then.
    fn present(&self, dice: &mut Dice, values: &[f64]) -> Vec<Option<f64>> {
        let readings = u64::from(READINGS);
        let (born, dies) = match dice.below(5) {
            0 => (dice.below(readings), readings),
            1 => (0, dice.below(readings)),
            _ => (0, readings),
        };
        let away = dice.pick(&[3, 1000]);
        let there = |(n, (&read, &value)): (u64, (&bool, &f64))| {
            let there = read && (born..dies).contains(&n) && !dice.one_in(away);
            there.then_some(value)
        };
        (0..).zip(self.read.iter().zip(values)).map(there).collect()
    }

    fn page(&self, reading: usize) -> String {
        let mut page = String::from(
            "# TYPE http_requests_total counter\n# TYPE http_request_duration_seconds histogram\n",
        );
        for (name, values) in &self.series {
            if let Some(value) = values[reading] {
                let _ = writeln!(page, "{name} {value}");
            }
        }
        page
    }

    /// Whether Prometheus 2, which is asked here, and 3, which is our
    /// definition, differ over one of its series.
    fn versions_differ(&self, reading: u32) -> bool {
        let (from, until) = (moment(reading) - WINDOW, moment(reading));
        self.series.values().any(|values| {
            let points = (0..).zip(values).filter_map(|(n, value)| Some((moment(n), (*value)?)));
            let seen: Vec<_> = points.filter(|(at, _)| (from..=until).contains(at)).collect();
            seen.len() > 1 && versions_differ(&seen, until, WINDOW)
        })
    }
}

/// A counter's values, reading by reading.
fn grown(dice: &mut Dice, restarts: &[bool], growth: f64) -> Vec<f64> {
    let mut count: f64 = dice.pick(&[0.0, 0.0, 3.0, 1e6]);
    let value = |&restarts: &bool| {
        count = if restarts { 0.0 } else { count };
        count += (growth * 2.0 * dice.share()).round();
        count
    };
    restarts.iter().map(value).collect()
}

fn moment(reading: u32) -> Moment {
    Moment::ZERO + Duration::from_secs(1_000_000) + EVERY * reading
}

/// Both numbers of every app at every reading, as promtool works them out. A
/// page without a series of errors has no errors.
fn theirs(apps: &[App]) -> Vec<[BTreeMap<usize, f64>; 2]> {
    let mut series = Vec::new();
    for (n, app) in apps.iter().enumerate() {
        for (name, values) in &app.series {
            let text =
                |value: &Option<f64>| value.map_or("_".to_owned(), |value| value.to_string());
            let values: Vec<_> = values.iter().map(text).collect();
            series.push((name.replace('{', &format!("{{app=\"{n}\",")), values.join(" ")));
        }
    }
    let all = "sum by (app) (rate(http_requests_total[1m]))";
    let errors = "sum by (app) (rate(http_requests_total{status=~\"5..\"}[1m]))";
    let rate = format!("({errors} or 0 * {all}) / {all}");
    let buckets = "sum by (app, le) (rate(http_request_duration_seconds_bucket[1m]))";
    let latency = format!("histogram_quantile(0.913, {buckets})");
    let asks =
        (0..READINGS).flat_map(|n| [(rate.clone(), EVERY * n), (latency.clone(), EVERY * n)]);
    let (every, between, asks) = (EVERY, EVERY, asks.collect());
    let answers = ask(&Bench { every, between, series, rules: Vec::new(), asks });
    let by_app = |said: &Vec<Said>| {
        said.iter().map(|said| (said.labels["app"].parse().unwrap(), said.value)).collect()
    };
    answers.chunks(2).map(|two| [by_app(&two[0]), by_app(&two[1])]).collect()
}

/// The quantile is one that no few requests have a bucket end at exactly: before
/// empty buckets, rounding would decide between its end and the next one's start.
const SIGNALS: [&str; 2] = ["error_rate", "latency_p913"];

/// How many readings had a number, had none, and were left out, by signal.
#[derive(Default)]
struct Tally {
    numbers: [u32; 2],
    none: [u32; 2],
    skipped: u32,
}

impl Tally {
    /// One app's readings against promtool's.
    fn compare(&mut self, app: &App, theirs: &[[Option<f64>; 2]], name: &str) {
        let url: url::Url = "http://app.example/metrics".parse().unwrap();
        let asked = [(0, SIGNALS[0]), (1, SIGNALS[1])]
            .map(|(i, signal)| asked(i, signal, scrape(WINDOW, 0), EVERY));
        let mut book = Book::new(WINDOW);
        for (reading, (theirs, read)) in (0..).zip(theirs.iter().zip(&app.read)) {
            let round = match read {
                true => {
                    let page = page::read(&app.page(reading), &page_at(&url));
                    Round(Ok(vec![(Target::page(url.clone()), Ok(page))]))
                }
                false => Round::unread("refused".into()),
            };
            let reading = u32::try_from(reading).unwrap();
            let samples = book.told(moment(reading), &round, &asked);
            if !read {
                continue;
            }
            if app.versions_differ(reading) {
                self.skipped += 1;
                continue;
            }
            for kind in 0..2 {
                let place = format!("{name}, {}, reading {reading}", SIGNALS[kind]);
                self.one(kind, &samples[kind].reading, theirs[kind], &place);
            }
        }
    }

    fn one(&mut self, kind: usize, ours: &Reading, theirs: Option<f64>, place: &str) {
        match (ours, theirs.filter(|theirs| !theirs.is_nan())) {
            (Reading::Value(ours), Some(theirs)) => {
                self.numbers[kind] += 1;
                assert!(same(*ours, theirs), "{place}: {ours} and not {theirs}");
            }
            (Reading::Missing(_), None) => self.none[kind] += 1,
            (ours, theirs) => panic!("{place}: {ours:?} and not {theirs:?}"),
        }
    }
}

#[test]
fn error_rates_and_latencies_of_a_page_are_what_promtool_says_they_are() {
    let mut tally = Tally::default();
    for seed in 0..cases(CASES).div_ceil(APPS) {
        let mut dice = Dice(seed);
        let apps: Vec<_> = (0..APPS).map(|_| App::at_random(&mut dice)).collect();
        let answers = theirs(&apps);
        for (n, app) in apps.iter().enumerate() {
            let of_app =
                |both: &[BTreeMap<usize, f64>; 2]| [0, 1].map(|kind| both[kind].get(&n).copied());
            let theirs: Vec<_> = answers.iter().map(of_app).collect();
            tally.compare(app, &theirs, &format!("seed {seed}, app {n}"));
        }
    }
    let Tally { numbers, none, skipped } = tally;
    assert!(numbers.iter().all(|&n| n > 3000), "{numbers:?} compared, {skipped} left out");
    assert!(none.iter().all(|&n| n > 100), "{none:?} without a number");
}
