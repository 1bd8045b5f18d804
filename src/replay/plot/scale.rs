//! From moments and values to places, and the few numbers that are written at
//! an axis.

use std::{fmt, time::Duration};

use rollbackd_core::{moment::Moment, reading::Reading, signal::Unit};

use super::{Curve, Plot};

/// Steps of a time axis, in seconds: those that people count in.
const STEPS: [u64; 18] = [
    1, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21_600, 43_200, 86_400, 172_800,
    604_800,
];
/// Least room between two numbers of the time axis.
const APART: f64 = 52.0;

/// A number as it stands in the SVG: to a tenth, without noise, as short as it
/// can be.
#[derive(Clone, Copy)]
pub(super) struct N(pub(super) f64);

impl fmt::Display for N {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tenths = (self.0 * 10.0).round();
        // No "-0".
        let tenths = if tenths == 0.0 { 0.0 } else { tenths };
        if tenths % 10.0 == 0.0 {
            write!(f, "{:.0}", tenths / 10.0)
        } else {
            let written = format!("{:.1}", tenths / 10.0);
            let short = written.strip_prefix('0').map(str::to_owned);
            f.write_str(&short.unwrap_or_else(|| written.replacen("-0.", "-.", 1)))
        }
    }
}

/// The time axis.
#[derive(Clone, Copy)]
pub(super) struct Time {
    zero: Moment,
    from: Moment,
    to: Moment,
    left: f64,
    width: f64,
}

impl Time {
    pub(super) fn new(plot: &Plot, left: f64, right: f64) -> Self {
        Self { zero: plot.zero, from: plot.from, to: plot.to, left, width: right - left }
    }

    /// Where a moment lies; moments outside lie at the ends.
    pub(super) fn x(&self, at: Moment) -> f64 {
        let all = self.to.since(self.from).as_secs_f64().max(1e-9);
        let passed = at.min(self.to).since(self.from).as_secs_f64();
        self.left + self.width * passed / all
    }

    pub(super) fn shows(&self, at: Moment) -> bool {
        (self.from..=self.to).contains(&at)
    }

    /// Where numbers are written, and which.
    pub(super) fn ticks(&self) -> Vec<(f64, String)> {
        let all = self.to.since(self.from).as_secs_f64().max(1e-9);
        let wide = |step: &&u64| seconds(**step).as_secs_f64() / all * self.width >= APART;
        let step = seconds(STEPS.iter().find(wide).copied().unwrap_or(2_592_000));
        let mut ticks = Vec::new();
        let (mut before, mut back) = (self.zero, Duration::ZERO);
        while before >= self.from + step {
            (before, back) = (before - step, back + step);
        }
        while before <= self.to {
            if self.shows(before) {
                let label = if before < self.zero {
                    format!("−{}", words(self.zero.since(before)))
                } else {
                    words(before.since(self.zero))
                };
                ticks.push((self.x(before), label));
            }
            before = before + step;
        }
        ticks
    }
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A time as an axis says it: `0`, `30s`, `1m 30s`, `2h`.
fn words(time: Duration) -> String {
    let whole = time.as_secs();
    let parts = [
        (whole / 86_400, "d"),
        (whole / 3600 % 24, "h"),
        (whole / 60 % 60, "m"),
        (whole % 60, "s"),
    ];
    let said: Vec<String> = parts
        .iter()
        .filter(|(amount, _)| *amount > 0)
        .map(|(amount, unit)| format!("{amount}{unit}"))
        .collect();
    if said.is_empty() { "0".to_owned() } else { said.join(" ") }
}

/// The axis of a curve's values.
#[derive(Clone, Copy)]
pub(super) struct Values {
    unit: Unit,
    low: f64,
    high: f64,
    top: f64,
    height: f64,
}

impl Values {
    /// The values and all lines fit, and zero where it is not far.
    pub(super) fn new(curve: &Curve, top: f64, height: f64) -> Self {
        let measured = curve.samples.iter().filter_map(|dot| match dot.reading {
            Reading::Value(value) => Some(value),
            Reading::Missing(_) => None,
        });
        let all = measured.chain(curve.lines.iter().map(|line| line.value));
        let finite = all.filter(|value| value.is_finite());
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for value in finite {
            (low, high) = (low.min(value), high.max(value));
        }
        if low > high {
            (low, high) = (0.0, 1.0);
        }
        if low >= 0.0 && low < high * 0.6 || low == high {
            low = low.min(0.0);
        }
        let room = (high - low).max(1e-12) * 0.12;
        let low = if low == 0.0 { 0.0 } else { low - room };
        Self { unit: curve.unit, low, high: high + room, top, height }
    }

    /// Where a value lies; what is infinite lies at the edge.
    pub(super) fn y(&self, value: f64) -> f64 {
        let share = (value.clamp(self.low, self.high) - self.low) / (self.high - self.low);
        self.top + self.height * (1.0 - share)
    }

    /// Two to five numbers, and where they are written.
    pub(super) fn ticks(&self) -> Vec<(f64, String)> {
        let rough = (self.high - self.low) / 3.2;
        let power = 10_f64.powf(rough.log10().floor());
        let nice = [1.0, 2.0, 2.5, 5.0, 10.0].into_iter().map(|factor| factor * power);
        let mut step = nice.into_iter().find(|step| *step >= rough * 0.999).unwrap_or(rough);
        if self.unit == Unit::Count {
            step = step.round().max(1.0);
        }
        let first = (self.low / step - 1e-9).ceil();
        let count = ((self.high / step + 1e-9).floor() - first).clamp(0.0, 8.0);
        let mut ticks = Vec::new();
        let mut nth = 0.0;
        while nth <= count {
            let value = (first + nth) * step;
            ticks.push((self.y(value), self.unit.show(value)));
            nth += 1.0;
        }
        ticks
    }
}
