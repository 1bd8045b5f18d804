//! Cases at random: a rule and a series that it looks at, with what is hard for
//! rules. Flaps, spikes, values on the threshold and beside it, infinities, NaN,
//! stale markers, gaps shorter and longer than Prometheus looks back, counters
//! that begin anew.

use std::{fmt, time::Duration};

use rollbackd_core::settings::Condition;

use crate::dice::Dice;

/// How many times a rule is evaluated.
pub const EVALUATIONS: u32 = 40;
/// How many series share a rule.
const SERIES: u64 = 10;

/// What a rule asks of its series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Query {
    /// A gauge as it is.
    Plain,
    /// The larger of two gauges, either of which may be away.
    Max,
    /// A counter's `rate` over a range.
    Rate(Duration),
    /// A counter's `increase` over a range.
    Increase(Duration),
    /// One counter's rate as a share of another's.
    Ratio(Duration),
}

/// What a rule says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rule {
    pub query: Query,
    pub condition: Condition,
    /// Its `for`.
    pub hold: Duration,
}

/// When series have values and rules are evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    pub every: Duration,
    pub between: Duration,
}

/// A rule and what it looks at, in promtool's notation.
#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    pub rule: Rule,
    pub series: Vec<String>,
}

impl Pace {
    pub const fn of(every: u64, between: u64) -> Self {
        Self { every: Duration::from_millis(every), between: Duration::from_millis(between) }
    }

    /// How many values a series has until the last evaluation.
    fn values(self) -> u64 {
        let length = self.every * (EVALUATIONS - 1);
        u64::try_from(length.as_nanos() / self.between.as_nanos()).unwrap() + 1
    }

    /// The moments at which rules are evaluated.
    pub fn evaluations(self) -> impl Iterator<Item = Duration> {
        (0..EVALUATIONS).map(move |n| self.every * n)
    }
}

impl Query {
    /// How many series a case of it has.
    pub const fn series(self) -> usize {
        match self {
            Self::Plain | Self::Rate(_) | Self::Increase(_) => 1,
            Self::Max | Self::Ratio(_) => 2,
        }
    }

    /// Over the series `name{part="0"}`, and `part="1"` where it has two.
    pub fn text(self, name: &str) -> String {
        let range = |range: Duration| format!("[{}ms]", range.as_millis());
        match self {
            Self::Plain => format!("{name}{{part=\"0\"}}"),
            Self::Max => format!("max by (case) ({name})"),
            Self::Rate(over) => format!("rate({name}{})", range(over)),
            Self::Increase(over) => format!("increase({name}{})", range(over)),
            Self::Ratio(over) => format!(
                "sum by (case) (rate({name}{{part=\"0\"}}{0})) / sum by (case) (rate({name}{{part=\"1\"}}{0}))",
                range(over)
            ),
        }
    }
}

impl Rule {
    /// What Prometheus compares its query by.
    pub fn compared(&self) -> String {
        let sign = match self.condition {
            Condition::Above(_) => ">",
            Condition::Below(_) => "<",
            Condition::AtLeast(_) => ">=",
        };
        format!("{sign} {}", self.condition.threshold())
    }
}

impl fmt::Display for Case {
    /// As it is written down for a fixed test.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Rule { query, condition, hold } = self.rule;
        let millis = |time: Duration| format!("Duration::from_millis({})", time.as_millis());
        let query = match query {
            Query::Plain | Query::Max => format!("{query:?}"),
            Query::Rate(over) => format!("Rate({})", millis(over)),
            Query::Increase(over) => format!("Increase({})", millis(over)),
            Query::Ratio(over) => format!("Ratio({})", millis(over)),
        };
        let hold = hold.as_millis();
        write!(f, "case(Query::{query}, Condition::{condition:?}, {hold}, &{:?})", self.series)
    }
}

/// A pace, and so many cases at it.
pub fn batch(seed: u64, cases: usize) -> (Pace, Vec<Case>) {
    let mut dice = Dice(seed);
    let every = dice.pick(&[1000, 2500, 5000, 10_000, 15_000, 15_000, 30_000, 60_000, 60_000]);
    let between = match dice.below(8) {
        0 => every * 2,
        1 => every / 2,
        2 => 7000,
        3 => every + 1000,
        4 => every * 3 / 4,
        _ => every,
    };
    let pace = Pace::of(every, between.max(every / 4));
    let mut all = Vec::new();
    while all.len() < cases {
        let rule = rule(&mut dice, pace);
        for _ in 0..SERIES {
            all.push(Case { rule, series: series(&mut dice, pace, &rule) });
        }
    }
    all.truncate(cases);
    (pace, all)
}

fn rule(dice: &mut Dice, pace: Pace) -> Rule {
    let every = u64::try_from(pace.every.as_millis()).unwrap();
    let hold = match dice.below(9) {
        0 => 0,
        1 => every,
        2 => every * 2,
        3 => every * 5,
        4 => every / 2,
        5 => every * 3 / 2,
        6 => every * 7 / 3,
        7 => every * 3 - 1,
        _ => dice.below(every * 12) + 1,
    };
    let over = pace.every.max(pace.between) * dice.pick(&[2, 3, 4, 8]);
    let query = match dice.below(8) {
        0 => Query::Rate(over),
        1 => Query::Increase(over),
        2 => Query::Ratio(over),
        3 => Query::Max,
        _ => Query::Plain,
    };
    let threshold = match query {
        Query::Plain | Query::Max => dice.pick(&[0.05, 0.99, 0.0, -3.5, 2.0, 1e9]),
        Query::Ratio(_) => dice.pick(&[0.05, 0.2, 0.0]),
        Query::Rate(_) => dice.pick(&[0.05, 2.0, 0.0]),
        Query::Increase(_) => dice.pick(&[3.0, 20.0, 0.0]),
    };
    let condition = match dice.below(7) {
        0..=3 => Condition::Above(threshold),
        4..=5 => Condition::Below(threshold),
        _ => Condition::AtLeast(threshold),
    };
    Rule { query, condition, hold: Duration::from_millis(hold) }
}

fn series(dice: &mut Dice, pace: Pace, rule: &Rule) -> Vec<String> {
    let threshold = rule.condition.threshold();
    let second = pace.between.as_secs_f64();
    match rule.query {
        Query::Plain | Query::Max => {
            (0..rule.query.series()).map(|_| gauge(dice, pace, rule)).collect()
        }
        Query::Rate(_) => vec![counter(dice, pace, rule, threshold * second)],
        Query::Increase(over) => {
            vec![counter(dice, pace, rule, threshold / over.as_secs_f64() * second)]
        }
        Query::Ratio(_) => {
            let all = dice.pick(&[1.0, 10.0, 1000.0]);
            vec![counter(dice, pace, rule, threshold * all), counter(dice, pace, rule, all)]
        }
    }
}

/// How many values until a `for` that begins now is over, give or take a few.
fn stretch(dice: &mut Dice, pace: Pace, rule: &Rule) -> u64 {
    let held = u64::try_from(rule.hold.as_nanos() / pace.between.as_nanos()).unwrap();
    match dice.below(4) {
        0 => 1,
        1 => 1 + dice.below(4),
        _ => (held + dice.below(5)).saturating_sub(1).max(1),
    }
}

/// How many values are away, sometimes for longer than Prometheus looks back.
fn hole(dice: &mut Dice, pace: Pace) -> u64 {
    let looks_back = u64::try_from(300_000 / pace.between.as_millis()).unwrap();
    match dice.below(3) {
        0 => looks_back.saturating_sub(2) + dice.below(5),
        _ => 1 + dice.below(4),
    }
}

fn gauge(dice: &mut Dice, pace: Pace, rule: &Rule) -> String {
    let threshold = rule.condition.threshold();
    let away = dice.pick(&[1e-9, 0.01, 1.0, 1e6]);
    let (high, low) = (threshold + away, threshold - away);
    let beside = |value: f64| [value, value.next_up(), value.next_down()];
    let mut values: Vec<String> = Vec::new();
    let wanted = usize::try_from(pace.values()).unwrap();
    while values.len() < wanted {
        let stretch = stretch(dice, pace, rule);
        let mut add = |value: f64, times: u64| {
            values.extend((0..times).map(|_| value.to_string()));
        };
        match dice.below(16) {
            0..=3 => add(high, stretch),
            4..=6 => add(low, stretch),
            7 => add(threshold, stretch),
            8 => add(dice.pick(&beside(threshold)), stretch),
            9 => (0..stretch).for_each(|n| add(if n % 2 == 0 { high } else { low }, 1)),
            10 => (0..stretch).for_each(|_| add(dice.pick(&[high, low, threshold]), 1)),
            11 => add(dice.pick(&[f64::INFINITY, f64::NEG_INFINITY]), 1 + dice.below(4)),
            12 => add(f64::NAN, 1 + dice.below(2)),
            13 => values.push("stale".into()),
            _ => values.extend((0..hole(dice, pace)).map(|_| "_".to_owned())),
        }
    }
    values.truncate(wanted);
    values.join(" ")
}

/// A counter that mostly grows by about `step` from value to value.
fn counter(dice: &mut Dice, pace: Pace, rule: &Rule, step: f64) -> String {
    let step = if step > 0.0 { step } else { 1.0 };
    let whole = dice.one_in(2);
    let mut values: Vec<String> = Vec::new();
    let mut count = dice.pick(&[0.0, 0.0, 7.0, 1e6]);
    let wanted = usize::try_from(pace.values()).unwrap();
    while values.len() < wanted {
        let factor = dice.pick(&[0.0, 0.0, 0.5, 1.0, 1.0, 1.5, 3.0, 20.0]);
        match dice.below(10) {
            0 => count = dice.pick(&[0.0, 0.0, 1.0, count / 2.0]),
            1 => values.push("stale".into()),
            2 => values.extend((0..hole(dice, pace)).map(|_| "_".to_owned())),
            3 if dice.one_in(4) => values.push("NaN".into()),
            4 if dice.one_in(6) => values.push("inf".into()),
            _ => {
                for _ in 0..stretch(dice, pace, rule) {
                    count += factor * step;
                    count = if whole { count.round() } else { count };
                    values.push(count.to_string());
                }
            }
        }
    }
    values.truncate(wanted);
    values.join(" ")
}
