//! Our arithmetic over series at random, against promtool's: counters that are
//! away, begin late and begin anew, asked for at any moment, and histograms of
//! every kind that an app may show. What differs is printed whole.

use std::{collections::BTreeMap, time::Duration};

use rollbackd_core::moment::Moment;

use super::{
    cases,
    dice::Dice,
    promtool::{Bench, Said, ask, millis},
    same, versions_differ,
};
use crate::signals::{
    quantile::{self, Bucket},
    rates,
};

/// How many series one promtool is given.
const BATCH: u64 = 200;
/// How many series of each kind every test run compares.
const CASES: u64 = 1000;

fn bench(between: Duration, series: Vec<(String, String)>, asks: Vec<(String, Duration)>) -> Bench {
    Bench { every: between, between, series, rules: Vec::new(), asks }
}

/// In promtool's notation.
fn notation(values: &[Option<f64>]) -> String {
    let texts = values.iter().map(|value| value.map_or("_".to_owned(), |v| v.to_string()));
    texts.collect::<Vec<_>>().join(" ")
}

/// A counter over so many readings; `None` where it is away.
fn counter(dice: &mut Dice, readings: u64) -> Vec<Option<f64>> {
    let mut count = dice.pick(&[0.0, 0.0, 1.0, 40.0, 1e6, 9e15, 0.25]);
    let step = dice.pick(&[0.0, 1.0, 3.0, 100.0, 0.001, 1e9]);
    let (born, dies) = match dice.below(4) {
        0 => (dice.below(readings), readings),
        1 => (0, dice.below(readings)),
        _ => (0, readings),
    };
    let (resets, away) = (dice.pick(&[4, 20, 1000]), dice.pick(&[2, 6, 1000]));
    let steady = dice.one_in(2);
    let reading = |n| {
        if dice.one_in(resets) {
            count = dice.pick(&[0.0, 0.0, step, count / 2.0, count]);
        }
        count += step * if steady { 1.0 } else { 2.0 * dice.share() };
        ((born..dies).contains(&n) && !dice.one_in(away)).then_some(count)
    };
    (0..readings).map(reading).collect()
}

/// promtool's 0 on our axis.
fn moment(at: Duration) -> Moment {
    Moment::ZERO + Duration::from_secs(1_000_000) + at
}

/// A series' number, by its label `case`.
fn by_case(answer: &[Said]) -> BTreeMap<usize, f64> {
    answer.iter().map(|said| (said.labels["case"].parse().unwrap(), said.value)).collect()
}

/// Near 2^53 a counter cannot tell its own steps apart, and the order of adding
/// up decides.
fn same_growth(ours: f64, theirs: f64, points: &[(Moment, f64)]) -> bool {
    let largest = points.iter().map(|(_, value)| *value).fold(0.0, f64::max);
    same(ours, theirs) || (ours - theirs).abs() <= 4.0 * largest * f64::EPSILON
}

/// How many answers were compared, were none, and were left out.
#[derive(Default)]
struct Tally {
    numbers: u32,
    none: u32,
    skipped: u32,
}

impl Tally {
    /// One counter's growth over a range that ends at a moment.
    fn growth(
        &mut self,
        points: &[(Moment, f64)],
        end: Moment,
        range: Duration,
        theirs: Option<f64>,
    ) {
        let ours = rates::increase(points.iter().copied(), end, range);
        let within = |point: &&(Moment, f64)| (end - range..=end).contains(&point.0);
        let seen: Vec<_> = points.iter().filter(within).copied().collect();
        match (ours, theirs) {
            (Some(_), Some(_)) if versions_differ(&seen, end, range) => self.skipped += 1,
            (Some(ours), Some(theirs)) => {
                self.numbers += 1;
                let same = same_growth(ours, theirs, &seen);
                assert!(same, "{range:?} until {end}: {ours} and not {theirs}: {seen:?}");
            }
            (ours, theirs) => {
                self.none += 1;
                assert_eq!(ours, theirs, "{range:?} until {end}: {seen:?}");
            }
        }
    }
}

/// Ranges and the moments they end at: at a reading, between two, after the last.
fn ranges(dice: &mut Dice, between: Duration) -> Vec<(Duration, Duration)> {
    let off = |dice: &mut Dice| Duration::from_millis(dice.below(2) * dice.below(1500));
    let times = |dice: &mut Dice, most| u32::try_from(dice.below(most)).unwrap();
    let one = |_| {
        let range = between * (1 + times(dice, 20)) + off(dice);
        (range, between * times(dice, 44) + off(dice))
    };
    (0..24).map(one).collect()
}

#[test]
fn increase_is_what_promtool_says_it_is() {
    let mut tally = Tally::default();
    for seed in 0..cases(CASES).div_ceil(BATCH) {
        let mut dice = Dice(seed);
        let between = Duration::from_millis(dice.pick(&[1000, 1000, 700, 15_000, 10_000]));
        let counters: Vec<_> = (0..BATCH).map(|_| counter(&mut dice, 40)).collect();
        let ranges = ranges(&mut dice, between);
        let named = counters.iter().enumerate();
        let series = named.map(|(n, values)| (format!("hits{{case=\"{n}\"}}"), notation(values)));
        let asks =
            ranges.iter().map(|(range, at)| (format!("increase(hits[{}])", millis(*range)), *at));
        let answers = ask(&bench(between, series.collect(), asks.collect()));
        for ((range, at), answer) in ranges.into_iter().zip(&answers) {
            let theirs = by_case(answer);
            for (n, values) in counters.iter().enumerate() {
                let all = (0..).zip(values);
                let there = all.filter_map(|(i, value)| Some((moment(between * i), (*value)?)));
                tally.growth(
                    &there.collect::<Vec<_>>(),
                    moment(at),
                    range,
                    theirs.get(&n).copied(),
                );
            }
        }
    }
    let Tally { numbers, none, skipped } = tally;
    assert!(numbers > none && none > numbers / 50, "{numbers} compared, {none} without");
    assert!(skipped < numbers / 10, "{skipped} left out of {numbers}");
}

const INF: f64 = f64::INFINITY;

/// Bounds as apps have them, and as none should: negative, only +Inf, none of it.
fn bounds(dice: &mut Dice) -> Vec<f64> {
    let mut last = dice.pick(&[0.005, 0.1, 1.0, 0.0, -2.0, -0.5]);
    let mut bounds = vec![last];
    for _ in 0..dice.below(12) {
        last += dice.pick(&[0.005, 0.25, 1.0, 10.0]);
        bounds.push(last);
    }
    match dice.below(8) {
        0 => vec![INF],
        1 => bounds,
        _ => bounds.into_iter().chain([INF]).collect(),
    }
}

/// A histogram: of nothing, all in its first or its last bucket, with counts that
/// fall, with a bucket twice or missing, or as it should be.
fn histogram(dice: &mut Dice) -> Vec<Bucket> {
    let (shape, whole) = (dice.below(8), dice.one_in(2));
    let (mut count, mut buckets) = (0.0, Vec::new());
    for bound in bounds(dice) {
        count += match shape {
            1 if bound == INF => 70.0,
            2 if buckets.is_empty() => 30.0,
            0..=2 => 0.0,
            3 => 40.0 * (dice.share() - 0.4),
            _ if dice.one_in(3) => 0.0,
            _ => dice.share() * dice.pick(&[1.0, 100.0, 1e6]),
        };
        count = if whole { count.round() } else { count }.max(0.0);
        let times = if dice.one_in(12) { 2 } else { 1 };
        buckets.extend((0..times).map(|_| Bucket { bound, count }));
    }
    if dice.one_in(6) {
        let one = dice.below(u64::try_from(buckets.len()).unwrap());
        buckets.remove(usize::try_from(one).unwrap());
    }
    buckets
}

/// At the very edge of a bucket that is followed by empty ones, rounding decides
/// on which side a quantile lies.
fn same_quantile(q: f64, buckets: &[Bucket], theirs: f64) -> bool {
    let near = [q, q * (1.0 - 1e-12), q * (1.0 + 1e-12)];
    near.iter()
        .any(|&q| same(quantile::of_buckets(q, buckets.to_vec()).unwrap_or(f64::NAN), theirs))
}

#[test]
fn histogram_quantile_is_what_promtool_says_it_is() {
    let (mut numbers, mut none) = (0_u32, 0_u32);
    for seed in 0..cases(CASES).div_ceil(BATCH) {
        let mut dice = Dice(seed);
        let histograms: Vec<_> = (0..BATCH).map(|_| histogram(&mut dice)).collect();
        let series = histograms.iter().enumerate().flat_map(|(n, buckets)| {
            buckets.iter().enumerate().map(move |(app, bucket)| {
                let le =
                    if bucket.bound.is_finite() { bucket.bound.to_string() } else { "+Inf".into() };
                let labels = format!("took{{case=\"{n}\",app=\"{app}\",le=\"{le}\"}}");
                (labels, bucket.count.to_string())
            })
        });
        let quantiles = [0.001, 0.05, 0.5, 0.75, 0.9, 0.99, 0.999, dice.share(), dice.share()];
        let asks = quantiles.map(|q| {
            (format!("histogram_quantile({q}, sum by (case, le) (took))"), Duration::ZERO)
        });
        let bench = bench(Duration::from_secs(15), series.collect(), asks.to_vec());
        for (q, answer) in quantiles.into_iter().zip(&ask(&bench)) {
            let theirs = by_case(answer);
            for (n, buckets) in histograms.iter().enumerate().filter(|(_, all)| !all.is_empty()) {
                let theirs = theirs[&n];
                *if theirs.is_nan() { &mut none } else { &mut numbers } += 1;
                let same = same_quantile(q, buckets, theirs);
                assert!(same, "seed {seed}, q = {q}: not {theirs}: {buckets:?}");
            }
        }
    }
    assert!(numbers > none && none > numbers / 20, "{numbers} numbers, {none} without");
}
