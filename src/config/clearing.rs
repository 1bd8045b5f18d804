//! When a breach is over: `clear_below` or `clear_above`, on the good side of
//! the threshold, and `clear_for`.

use std::time::Duration;

use rollbackd_core::{
    settings::{Clear, Condition},
    signal::Signal,
};

use super::{
    reader::{Got, Table},
    threshold,
    values::{self, Value, Wrong},
};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Reads them; `condition` is `None` where that is wrong.
pub(super) fn read(
    table: &Table<'_>,
    signal: &Signal,
    condition: Option<Condition>,
) -> Option<Clear> {
    let lasts = table.read("clear_for", values::duration("2m", Duration::ZERO..=DAY));
    let line = match condition {
        // Of health only whole failures are counted, and the threshold's own
        // reader refuses a line.
        _ if *signal == Signal::Health => Some(None),
        Some(condition) => line(table, signal, condition),
        None => {
            for key in ["clear_below", "clear_above"] {
                table.read(key, |value| threshold::number(value, signal));
            }
            None
        }
    };
    Some(Clear { line: line?, lasts: lasts.or(Duration::ZERO)? })
}

/// The line of the key that goes with the condition.
fn line(table: &Table<'_>, signal: &Signal, condition: Condition) -> Option<Option<f64>> {
    let (key, other, with, over) = match condition {
        Condition::Above(_) | Condition::AtLeast(_) => {
            ("clear_below", "clear_above", "below", "above")
        }
        Condition::Below(_) => ("clear_above", "clear_below", "above", "below"),
    };
    let threshold = signal.unit().show(condition.threshold());
    let why = format!("is for triggers with `{with}`");
    let hint = format!("a breach of `{over}` is over at a value {with} a line: write `{key}`");
    let misplaced = threshold::refuse(table, &[other], &why, &hint);
    let read = table.read(key, |value| {
        let line = threshold::number(value, signal)?;
        fits(value, signal, condition, line, &threshold)
    });
    if misplaced && matches!(read, Got::Absent) { None } else { read.maybe() }
}

/// The line lies on the good side, and there are values beyond it.
fn fits(
    value: &Value<'_>,
    signal: &Signal,
    condition: Condition,
    line: f64,
    threshold: &str,
) -> Result<f64, Wrong> {
    let (key, shown) = (value.key, signal.unit().show(line));
    let (good, side, than) = match condition {
        Condition::Above(limit) | Condition::AtLeast(limit) => (line < limit, "below", "less"),
        Condition::Below(limit) => (line > limit, "above", "more"),
    };
    let unreachable = |line: f64| match (signal, condition) {
        (Signal::Own(_), _) => false,
        (Signal::Availability, _) => line >= 1.0,
        _ => line <= 0.0,
    };
    let without = "leave it out: then a breach is over as soon as a sample does not breach";
    let remedy = match unreachable(condition.threshold()) {
        // No value lies between the threshold and the end of the range.
        true => without.to_owned(),
        false => format!("write {than} than {threshold}, or {without}"),
    };
    if unreachable(line) {
        let message = format!(
            "a breach of this trigger would never be over: `{signal}` is never {side} {shown}"
        );
        return Err(Wrong::new(message, remedy));
    }
    if !good {
        let message =
            format!("`{key}` is {shown}, and must be {side} the threshold of {threshold}");
        return Err(Wrong::new(message, remedy));
    }
    Ok(line)
}
