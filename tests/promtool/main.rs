//! A trigger with `max_gap = "0s"` and without `share` is a Prometheus alerting
//! rule: pending, firing and resolved at the very same evaluations, and since
//! the same moment. Prometheus's own `promtool test rules` is the oracle, over
//! cases made at random.
//!
//! `ROLLBACKD_ORACLE_CASES=100000` compares more of them than every test run
//! does. One that differs is made small, and printed with the seed of its batch
//! and as the line that keeps it as a fixed test below;
//! `ROLLBACKD_ORACLE_SEED=n` compares that one batch.
#![allow(
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    missing_docs,
    unreachable_pub,
    reason = "tests fail by panicking, and their support is nobody's library"
)]

#[path = "../support/dice.rs"]
mod dice;
#[path = "../support/promtool.rs"]
mod promtool;

mod fixed;
mod ours;
mod seen;
mod series;
mod theirs;

use std::{
    env,
    sync::atomic::{AtomicU64, Ordering},
    thread,
};

use seen::{Difference, Seen, State};
use series::{Case, Pace, Rule, batch};

/// How many cases every test run compares.
const CASES: u64 = 3000;
/// How many of them one promtool compares: it takes more than twice the time
/// for twice as many.
const BATCH: u64 = 250;

/// What the two made of a batch.
#[derive(Default)]
struct Compared {
    differences: Vec<Difference>,
    values: Vec<Vec<Option<f64>>>,
    theirs: Vec<Vec<Seen>>,
}

fn compare(pace: Pace, cases: &[Case], ours: impl Fn(&Rule) -> Rule) -> Compared {
    let (values, theirs) = theirs::evaluate(pace, cases);
    let mut differences = Vec::new();
    for ((case, values), theirs) in cases.iter().zip(&values).zip(&theirs) {
        let ours = ours::evaluate(pace, &ours(&case.rule), values);
        if ours != *theirs {
            let (case, values, theirs) = (case.clone(), values.clone(), theirs.clone());
            differences.push(Difference { pace, case, values, theirs, ours });
        }
    }
    Compared { differences, values, theirs }
}

/// The same difference with as few values as show it: what comes after it is
/// cut off, and whatever else can be taken away is.
fn smallest(found: Difference, ours: impl Fn(&Rule) -> Rule + Copy) -> Difference {
    let mut least = found;
    loop {
        let smaller = simpler(&least);
        let found = compare(least.pace, &smaller, ours).differences.into_iter().next();
        let Some(found) = found else { return least };
        least = found;
    }
}

/// Every case with something less: the second half, the last value, any value.
fn simpler(difference: &Difference) -> Vec<Case> {
    let case = &difference.case;
    let mut all = Vec::new();
    for (part, series) in case.series.iter().enumerate() {
        let values: Vec<&str> = series.split(' ').collect();
        let mut with = |values: &[&str]| {
            let mut smaller = case.clone();
            smaller.series[part] = values.join(" ");
            all.push(smaller);
        };
        if values.len() > 1 {
            with(&values[..values.len().div_ceil(2)]);
            with(&values[..values.len() - 1]);
        }
        for at in (0..values.len()).filter(|&at| values[at] != "_") {
            let mut without = values.clone();
            without[at] = "_";
            with(&without);
        }
    }
    all
}

fn wanted(variable: &str) -> Option<u64> {
    env::var(variable).ok().map(|text| text.parse().unwrap())
}

/// What cases at random had in them, lest nothing is compared.
#[derive(Default)]
struct Had {
    values: AtomicU64,
    nothing: AtomicU64,
    nan: AtomicU64,
    infinite: AtomicU64,
    pending: AtomicU64,
    firing: AtomicU64,
    resolved: AtomicU64,
    withdrawn: AtomicU64,
}

impl Had {
    fn count(&self, compared: &Compared) {
        let add = |count: &AtomicU64, n: usize| {
            count.fetch_add(u64::try_from(n).unwrap(), Ordering::Relaxed);
        };
        for values in &compared.values {
            let usable = || values.iter().flatten();
            add(&self.values, usable().count());
            add(&self.nothing, values.len() - usable().count());
            add(&self.nan, usable().filter(|value| value.is_nan()).count());
            add(&self.infinite, usable().filter(|value| value.is_infinite()).count());
        }
        for seen in &compared.theirs {
            let is = |state| seen.iter().filter(|seen| seen.state == state).count();
            let turns = |from, to| {
                seen.windows(2).filter(|two| (two[0].state, two[1].state) == (from, to)).count()
            };
            add(&self.pending, is(State::Pending));
            add(&self.firing, is(State::Firing));
            add(&self.resolved, turns(State::Firing, State::Inactive));
            add(&self.withdrawn, turns(State::Pending, State::Inactive));
        }
    }

    /// At least so many of everything for every 1000 cases.
    fn check(&self, cases: u64) {
        let least = |what: &str, count: &AtomicU64, least: u64| {
            let count = count.load(Ordering::Relaxed);
            eprintln!("{count:>9} {what}");
            assert!(count >= least * cases / 1000, "only {count} {what} in {cases} cases");
        };
        least("values", &self.values, 10_000);
        least("empty answers", &self.nothing, 1000);
        least("answers that are NaN", &self.nan, 100);
        least("infinite values", &self.infinite, 100);
        least("evaluations pending", &self.pending, 1000);
        least("evaluations firing", &self.firing, 1000);
        least("alerts resolved", &self.resolved, 500);
        least("alerts withdrawn before they fired", &self.withdrawn, 500);
    }
}

#[test]
fn a_trigger_without_gaps_fires_exactly_when_a_prometheus_rule_does() {
    let batches = wanted("ROLLBACKD_ORACLE_CASES").unwrap_or(CASES).div_ceil(BATCH);
    let seeds = match wanted("ROLLBACKD_ORACLE_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..batches,
    };
    let (next, had) = (AtomicU64::new(seeds.start), Had::default());
    let run = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                return;
            }
            let (pace, cases) = batch(seed, usize::try_from(BATCH).unwrap());
            let mut compared = compare(pace, &cases, Rule::clone);
            let differing = compared.differences.len();
            if differing > 0 {
                let least = smallest(compared.differences.swap_remove(0), Rule::clone);
                panic!(
                    "{differing} cases of ROLLBACKD_ORACLE_SEED={seed} differ, as this one\n{least}"
                );
            }
            had.count(&compared);
        }
    };
    let threads = thread::available_parallelism().map_or(1, usize::from).min(4);
    thread::scope(|scope| {
        let all: Vec<_> = (0..threads).map(|_| scope.spawn(run)).collect();
        for one in all {
            if let Err(why) = one.join() {
                std::panic::resume_unwind(why);
            }
        }
    });
    if seeds.end - seeds.start >= CASES / BATCH {
        had.check((seeds.end - seeds.start) * BATCH);
    }
}

#[test]
fn the_oracle_finds_a_rule_that_is_off_by_a_moment_and_shows_the_least_of_it() {
    let later =
        |rule: &Rule| Rule { hold: rule.hold + std::time::Duration::from_millis(1), ..*rule };
    let (pace, cases) = batch(3, 60);
    let found = compare(pace, &cases, later).differences.swap_remove(0);
    let at = found.first();
    let least = smallest(found, later);
    assert!(least.first() <= at, "{least}");
    assert_eq!(least.theirs[least.first()].state, State::Firing, "{least}");
    assert_eq!(least.ours[least.first()].state, State::Pending, "{least}");
    let shown = least.to_string();
    assert!(shown.ends_with('\n') && shown.contains("<--") && shown.contains("case(Query::"));
}
