//! `history ID`: one rollback whole: cause, images, what happened when, how
//! long each phase took.

use jiff::Timestamp;
use rollbackd_core::incident::IncidentKind;

use crate::{
    api::json::{Incident, Phases, Step, StepEnd},
    cli::{
        out::Reader,
        show::{
            history::{asked, ending, reading},
            plan::{change, way},
            style,
            words::{pad, short_name, time_of_day, took, when, wrap},
        },
    },
};

/// The whole text.
pub(in crate::cli) fn incident(seen: &Incident, reader: &Reader) -> String {
    let ending = match seen.outcome {
        Some(outcome) => style::outcome(outcome),
        None => ending(seen),
    };
    let kind = match seen.kind {
        IncidentKind::Rollback => "rollback",
        IncidentKind::Refused => "refusal",
    };
    let mut text = format!(
        "{kind} {}  {}  {}  {ending}\n",
        seen.id,
        style::strong(seen.project.as_str()),
        way(seen),
    );
    text += &fact("began", &when(seen.began_at, reader), reader);
    text += &fact("cause", &why(seen), reader);
    if !seen.joined.is_empty() {
        text += &fact("also", &seen.joined.join(", "), reader);
    }
    if !seen.reason.is_empty() {
        text += &fact("reason", &seen.reason, reader);
    }
    for (number, each) in seen.changes.iter().enumerate() {
        text += &fact(if number == 0 { "services" } else { "" }, &change(each), reader);
    }
    text += "\n";
    text += &timeline(seen, reader);
    let phases = phases(&seen.phases);
    if !phases.is_empty() && seen.kind == IncidentKind::Rollback {
        text += "\n";
        text += &fact("phases", &phases, reader);
    }
    text
}

fn fact(name: &str, what: &str, reader: &Reader) -> String {
    let lines = wrap(what, reader.width.saturating_sub(12).max(20));
    format!("  {}  {}\n", style::quiet(&pad(name, 8)), lines.join("\n            "))
}

fn why(seen: &Incident) -> String {
    match (&seen.trigger, &seen.service, reading(seen)) {
        (Some(trigger), Some(service), Some(reading)) => {
            format!("{} of {service}: {reading}", short_name(trigger, service))
        }
        _ => asked(seen),
    }
}

/// What happened when, a line each.
fn timeline(seen: &Incident, reader: &Reader) -> String {
    let mut lines: Vec<(Timestamp, String, String)> = Vec::new();
    if let Some(at) = seen.pending_since {
        lines.push((at, "pending".into(), String::new()));
    }
    if let Some(at) = seen.breached_at {
        lines.push((at, "breach".into(), String::new()));
    }
    lines.push((seen.began_at, "decided".into(), String::new()));
    for step in &seen.steps {
        let (what, note) = self::step(step);
        lines.push((step.began_at, what, note));
    }
    let rolled_back = seen.kind == IncidentKind::Rollback;
    if let (true, Some(at), Some(outcome)) = (rolled_back, seen.ended_at, seen.outcome) {
        lines.push((at, format!("ended, {}", outcome.as_str()), String::new()));
    }
    let times: Vec<String> = lines.iter().map(|(at, ..)| time_of_day(*at, reader)).collect();
    let widest = times.iter().map(String::len).max().unwrap_or(0);
    let names = lines.iter().map(|(_, what, _)| what.chars().count()).max().unwrap_or(0);
    let mut text = String::new();
    for ((_, what, note), time) in lines.iter().zip(&times) {
        let head = format!("  {}  {}", pad(time, widest), pad(what, names));
        let indent = " ".repeat(widest + 6);
        if note.is_empty() || head.chars().count() + 2 + note.chars().count() <= reader.width {
            text += format!("{head}  {note}").trim_end();
        } else {
            let wrapped = wrap(note, reader.width.saturating_sub(indent.len()).max(20));
            text += head.trim_end();
            text += &format!("\n{indent}{}", wrapped.join(&format!("\n{indent}")));
        }
        text += "\n";
    }
    text
}

/// A step's name and how it went: also what a rollback that is waited for
/// prints as it goes on.
pub(in crate::cli) fn step(step: &Step) -> (String, String) {
    let took = step.ended_at.map(|end| took(end.duration_since(step.began_at).as_secs_f64()));
    let mut parts = vec![match (step.outcome, took) {
        (Some(StepEnd::Done), Some(took)) => format!("done in {took}"),
        (Some(StepEnd::Done), None) => "done".to_owned(),
        (Some(StepEnd::Failed), Some(took)) => format!("failed after {took}"),
        (Some(StepEnd::Failed), None) => "failed".to_owned(),
        (None, _) => "runs".to_owned(),
    }];
    if step.attempts > 1 {
        parts.push(format!("{} attempts", step.attempts));
    }
    if !step.output.is_empty() {
        parts.push(step.output.trim().to_owned());
    }
    (step.name.clone(), parts.join(", "))
}

fn phases(phases: &Phases) -> String {
    let each = [
        ("detect", phases.detect),
        ("decide", phases.decide),
        ("act", phases.act),
        ("verify", phases.verify),
    ];
    let known =
        each.iter().filter_map(|(name, seconds)| Some(format!("{name} {}", took((*seconds)?))));
    known.collect::<Vec<_>>().join(", ")
}
