//! A plan that was only asked for: `rollback --dry-run`, and the question
//! before a rollback.

use crate::{
    api::json::{Change, Incident},
    cli::{
        args::Target,
        out::Reader,
        show::words::{pad, took, wrap},
    },
};

/// Every step, exactly.
pub(in crate::cli) fn plan(incident: &Incident, reader: &Reader) -> String {
    let mut text = format!("{}  {}\n", incident.project, way(incident));
    for change in &incident.changes {
        text += &format!("  {}\n", self::change(change));
    }
    text += "\n";
    let names = incident.plan.iter().map(|step| step.name.chars().count()).max().unwrap_or(0);
    for (number, step) in (1..).zip(&incident.plan) {
        let head = format!("{number:>3}. {}  ", pad(&step.name, names));
        let indent = " ".repeat(head.chars().count());
        let does = format!("{}, within {}", step.does, took(step.limit));
        let lines = wrap(&does, reader.width.saturating_sub(indent.len()).max(20));
        text += &format!("{head}{}\n", lines.join(&format!("\n{indent}")));
    }
    text
}

/// `backend  shop:latest 1a2b3c4d5e6f -> shop:latest 9f8e7d6c5b4a`
pub(super) fn change(change: &Change) -> String {
    format!(
        "{}  {} {} -> {} {}",
        change.name,
        change.from_image,
        change.from_image_id.short(),
        change.to_image,
        change.to_image_id.short(),
    )
}

/// `r2 -> r1`
pub(super) fn way(incident: &Incident) -> String {
    match (incident.to, &incident.changes[..]) {
        (Some(to), _) => format!("r{} -> r{to}", incident.from),
        (None, [only]) => format!("r{} -> {}", incident.from, only.to_image),
        (None, _) => format!("r{} -> nothing to return to", incident.from),
    }
}

/// The question before a rollback by hand.
pub(in crate::cli) fn question(target: &Target, incident: &Incident) -> String {
    let place = |image: &str, id: String| format!(" ({image} {id})");
    let (from, to) = match &incident.changes[..] {
        [only] => (
            place(&only.from_image, only.from_image_id.short()),
            place(&only.to_image, only.to_image_id.short()),
        ),
        _ => Default::default(),
    };
    let to = match (incident.to, &incident.changes[..]) {
        (Some(number), _) => format!("r{number}{to}"),
        (None, [only]) => format!("{} {}", only.to_image, only.to_image_id.short()),
        (None, _) => "nothing".to_owned(),
    };
    let several: String = match &incident.changes[..] {
        [] | [_] => String::new(),
        many => many.iter().map(|each| format!("  {}\n", change(each))).collect(),
    };
    format!("{several}Roll back {target} from r{}{from} to {to}?", incident.from)
}
