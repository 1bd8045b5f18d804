//! How the demo words and draws what it was told: the signals against their
//! thresholds, a rollback's phases, a mail.

use owo_colors::OwoColorize;

use crate::{
    daemon::{Incident, Project, Trigger},
    message::Message,
    traffic::{Now, Totals},
};

/// A value of a signal as a person reads it.
pub(crate) fn value(signal: &str, value: f64) -> String {
    if signal.contains("latency") {
        seconds(value)
    } else if ["error_rate", "availability", "cpu", "memory"].iter().any(|s| signal.contains(s)) {
        format!("{:.1} %", value * 100.0)
    } else {
        format!("{value}")
    }
}

fn seconds(value: f64) -> String {
    if value < 1.0 { format!("{:.0} ms", value * 1000.0) } else { format!("{value:.2} s") }
}

/// A trigger's condition: `above 5.0 %`.
pub(crate) fn condition(signal: &str, condition: &str, threshold: f64) -> String {
    format!("{} {}", condition.replace('_', " "), value(signal, threshold))
}

/// One character a value, against the largest of them.
fn sparkline(values: &[Option<f64>]) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let largest = values.iter().flatten().copied().fold(f64::MIN_POSITIVE, f64::max);
    let bar = |value: &Option<f64>| match value {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 7")]
        Some(value) => BARS[((value / largest).clamp(0.0, 1.0) * 7.0).round() as usize],
        None => ' ',
    };
    values.iter().map(bar).collect()
}

/// The picture: the signals against their thresholds, and what customers see.
pub(crate) fn picture(project: &Project, now: &Now) -> Vec<String> {
    let mut lines = vec![String::new()];
    let revision = project.revision.map_or("none yet".to_owned(), |number| number.to_string());
    let standing = project.standing.as_deref().unwrap_or("being recorded");
    lines.push(format!("  revision {revision}, {standing}"));
    let head = format!("  {:14}{:>9}  {:16}{:10}", "signal", "value", "threshold", "state");
    lines.push(head.dimmed().to_string());
    let triggers = project.services.iter().flat_map(|service| &service.triggers);
    for trigger in triggers {
        let Trigger { signal, state, threshold, .. } = trigger;
        let shown = trigger.value.map_or("-".to_owned(), |v| value(signal, v));
        let state = format!("{state:10}");
        let state = match state.trim() {
            "ok" => state.green().to_string(),
            "pending" => state.yellow().to_string(),
            "breached" => state.red().bold().to_string(),
            _ => state.dimmed().to_string(),
        };
        let limit = condition(signal, &trigger.condition, *threshold);
        lines.push(format!(
            "  {signal:14}{shown:>9}  {limit:16}{state}{}",
            sparkline(&trigger.recent)
        ));
    }
    lines.push(format!("  {:14}{}", "customers", customers(now)));
    lines
}

/// The picture in one line.
pub(crate) fn line(project: &Project, now: &Now) -> String {
    let triggers = project.services.iter().flat_map(|service| &service.triggers);
    let signals = triggers.map(|trigger| {
        let shown = trigger.value.map_or("-".to_owned(), |v| value(&trigger.signal, v));
        format!("{} {shown} ({})", trigger.signal, trigger.state)
    });
    let parts: Vec<String> = signals.chain([customers(now)]).collect();
    format!("  {}", parts.join(", "))
}

fn customers(now: &Now) -> String {
    let version = now.version.as_deref().unwrap_or("nobody");
    let Now { rate, errors, p99, .. } = now;
    format!(
        "{rate:.0} requests/s, {:.1} % fail, p99 {}, served by {version}",
        errors * 100.0,
        seconds(*p99)
    )
}

/// Why a rollback began, in one line.
pub(crate) fn because(incident: &Incident) -> String {
    let trigger = incident.trigger.as_deref().unwrap_or("a person asked");
    match (incident.value, incident.threshold) {
        (Some(number), Some(threshold)) => {
            let word = incident.condition.as_deref().unwrap_or_default();
            let limit = condition(trigger, word, threshold);
            format!("{trigger} is {}, {limit}", value(trigger, number))
        }
        _ => trigger.to_owned(),
    }
}

/// A rollback as it went: its phases, drawn to one scale.
pub(crate) fn summary(incident: &Incident) -> Vec<String> {
    let revision = |number: Option<u64>| number.map_or("?".to_owned(), |n| n.to_string());
    let Incident { id, from, to, .. } = incident;
    let outcome = incident.outcome.as_deref().unwrap_or("still running");
    let mut lines = vec![
        format!(
            "  {} {id}: from revision {} to {}, {}",
            incident.kind,
            revision(*from),
            revision(*to),
            outcome.bold()
        ),
        format!("  because {}", because(incident)),
    ];
    if let Some(reason) = incident.reason.as_deref().filter(|reason| !reason.is_empty()) {
        lines.push(format!("  {reason}"));
    }
    let phases = &incident.phases;
    let phases = [
        ("detect", phases.detect),
        ("decide", phases.decide),
        ("act", phases.act),
        ("verify", phases.verify),
    ];
    let longest = phases.iter().filter_map(|(_, took)| *took).fold(0.1, f64::max);
    for (name, took) in phases {
        let Some(took) = took else { continue };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 40")]
        let bar = "━".repeat((took / longest * 40.0).clamp(0.0, 40.0).round() as usize);
        lines.push(format!("    {name:8}{took:7.2} s  {bar}"));
    }
    lines
}

/// A mail, framed at its left.
pub(crate) fn mail(message: &Message) -> Vec<String> {
    let mut lines = vec![format!("  {} {}", "│".dimmed(), message.subject.bold())];
    lines.push(format!("  {}", "│".dimmed()));
    lines.extend(message.text.lines().map(|line| format!("  {} {line}", "│".dimmed())));
    lines
}

/// What customers had of it all.
pub(crate) fn harm(totals: &Totals) -> String {
    let Totals { requests, errors, unanswered, longest_gap } = totals;
    format!(
        "{requests} requests since v2 was deployed: {errors} answered with an error, \
         {unanswered} not answered, longest time without a good answer {:.2} s",
        longest_gap.as_secs_f64()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_and_conditions_read_in_their_signals_units() {
        assert_eq!(value("error_rate", 0.12), "12.0 %");
        assert_eq!(value("web latency_p99", 0.91), "910 ms");
        assert_eq!(condition("availability", "below", 0.99), "below 99.0 %");
        assert_eq!(condition("health", "at_least", 3.0), "at least 3");
    }

    #[test]
    fn a_sparkline_shows_values_against_their_largest_and_gaps_as_gaps() {
        assert_eq!(sparkline(&[Some(0.0), None, Some(0.5), Some(1.0)]), "▁ ▅█");
        assert_eq!(sparkline(&[Some(0.0), Some(0.0)]), "▁▁");
    }
}
