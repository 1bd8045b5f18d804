//! When a trigger's value breaches: the threshold in its signal's own unit and
//! range, and in the direction that is bad for it.

use std::ops::Range;

use rollbackd_core::{
    settings::Condition,
    signal::{Signal, Unit},
};

use super::{
    reader::{Got, Table},
    values::{self, Value, Wrong},
};

/// Reads `above`, `below` or `failures`; with the place of what was written.
pub(super) fn read(table: &Table<'_>, signal: &Signal) -> Option<(Condition, Range<usize>)> {
    if *signal == Signal::Health {
        return health(table);
    }
    let misplaced =
        refuse(table, &["failures"], "counts only for `health`", "write `above` or `below`");
    let baseline = table.value("above_baseline").is_some();
    if let Some(value) = table.value("above_baseline") {
        let positive = values::plain_number(&value).is_ok_and(|factor| factor > 0.0);
        if positive {
            let hint = "write a fixed threshold with `above`";
            table.not_built("above_baseline", "`above_baseline`", hint);
        } else {
            let message = "`above_baseline` takes a factor greater than zero";
            table.findings.error(
                value.span,
                message,
                "write a fixed threshold with `above`; `above_baseline` is not built yet",
            );
        }
    }
    let condition = match signal {
        Signal::Availability => {
            refuse(
                table,
                &["above"],
                "is not what is bad for availability",
                "write `below = \"99%\"`",
            );
            one(table, "below", signal, baseline || table.value("above").is_some())
        }
        Signal::Own(_) => either(table, signal, baseline),
        _ => {
            let said = format!("is not what is bad for `{signal}`");
            refuse(table, &["below"], &said, &format!("write {}", example("above", signal)));
            one(table, "above", signal, baseline || table.value("below").is_some())
        }
    };
    condition.filter(|_| !misplaced && !baseline)
}

/// Tells keys that make no sense for a signal.
pub(super) fn refuse(table: &Table<'_>, keys: &[&'static str], why: &str, hint: &str) -> bool {
    let found = keys.iter().filter_map(|key| Some((key, table.key_place(key)?)));
    let told =
        found.map(|(key, place)| table.findings.error(place, format!("`{key}` {why}"), hint));
    told.count() > 0
}

fn health(table: &Table<'_>) -> Option<(Condition, Range<usize>)> {
    let why = "says nothing for `health`";
    let told = refuse(table, &["above", "below", "above_baseline"], why, "write `failures = 3`");
    let lines = ["clear_below", "clear_above"];
    let told = refuse(table, &lines, why, "leave it out, or write `clear_for = \"2m\"`") || told;
    let failures = table.read("failures", values::count(1..=1000));
    let place = failures.span().unwrap_or_else(|| table.place.clone());
    let failures = failures.or(3)?;
    (!told).then(|| (Condition::AtLeast(float(failures)), place))
}

/// The one key that a signal takes. `told` says that something else stands in
/// its place, and was told.
fn one(
    table: &Table<'_>,
    key: &'static str,
    signal: &Signal,
    told: bool,
) -> Option<(Condition, Range<usize>)> {
    let read = table.read(key, |value| threshold(value, signal));
    if read.is_absent() && !told {
        table.lacks(key, &format!("say when it is bad: {}", example(key, signal)));
    }
    match read {
        Got::Good(number, place) if key == "below" => Some((Condition::Below(number), place)),
        Got::Good(number, place) => Some((Condition::Above(number), place)),
        Got::Absent | Got::Wrong => None,
    }
}

fn either(table: &Table<'_>, signal: &Signal, baseline: bool) -> Option<(Condition, Range<usize>)> {
    match (table.key_place("above"), table.key_place("below")) {
        (Some(_), Some(place)) => {
            let message = "a trigger has `above` or `below`, not both";
            table.findings.error(place, message, "make two triggers of it");
            None
        }
        (None, Some(_)) => one(table, "below", signal, baseline),
        (None, None) if !baseline => {
            table.lacks("above", "say when it is bad: `above = 100` or `below = 10`");
            None
        }
        _ => one(table, "above", signal, baseline),
    }
}

/// A number in its signal's unit.
pub(super) fn number(value: &Value<'_>, signal: &Signal) -> Result<f64, Wrong> {
    match signal {
        Signal::Availability => values::share("99%")(value),
        Signal::ErrorRate | Signal::Cpu | Signal::Memory => values::share("5%")(value),
        Signal::Latency(_) => values::latency(value),
        Signal::Restarts | Signal::Health => values::count(0..=1_000_000)(value).map(float),
        Signal::Own(_) => values::plain_number(value),
    }
}

/// A threshold in its signal's unit, within its range.
fn threshold(value: &Value<'_>, signal: &Signal) -> Result<f64, Wrong> {
    let never = |why: &str| {
        let hint = format!("write {}", example(value.key, signal));
        Wrong::new(format!("this trigger can never fire: {why}"), hint)
    };
    let always = |why: &str| {
        let hint = format!("write {}", example(value.key, signal));
        Wrong::new(format!("this trigger would always breach: {why}"), hint)
    };
    let number = number(value, signal)?;
    match signal {
        Signal::Availability if number <= 0.0 => Err(never("availability is never below 0%")),
        Signal::ErrorRate | Signal::Cpu | Signal::Memory if number >= 1.0 => {
            Err(never(&format!("`{signal}` is never above 100%")))
        }
        Signal::Latency(_) if number <= 0.0 => {
            Err(always("every request takes longer than nothing"))
        }
        _ => Ok(number),
    }
}

/// How a threshold of a signal is written.
fn example(key: &str, signal: &Signal) -> String {
    match signal {
        Signal::Availability => "`below = \"99%\"`".into(),
        Signal::Cpu | Signal::Memory => "`above = \"80%\"`".into(),
        _ => match signal.unit() {
            Unit::Share => "`above = \"5%\"`".into(),
            Unit::Seconds => "`above = \"2s\"` or `\"500ms\"`".into(),
            Unit::Count => "`above = 3`".into(),
            Unit::Number => format!("`{key} = 100`"),
        },
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts are at most a million")]
const fn float(count: u64) -> f64 {
    count as f64
}
