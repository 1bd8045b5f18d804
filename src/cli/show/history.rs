//! `history`: rollbacks and refusals, the newest first.

use rollbackd_core::{incident::IncidentKind, words::ServiceName};

use crate::{
    api::json::Incident,
    cli::{
        out::Reader,
        show::{
            plan::way,
            table::table,
            words::{condition, took, value, when},
        },
    },
};

/// The table.
pub(in crate::cli) fn history(all: &[Incident], reader: &Reader) -> String {
    if all.is_empty() {
        return "Nothing was rolled back yet.\n".to_owned();
    }
    let rows = all.iter().map(|seen| {
        [
            seen.id.to_string(),
            when(seen.began_at, reader),
            place(seen),
            way(seen),
            cause(seen),
            ending(seen),
            length(seen),
        ]
    });
    table(["ID", "BEGAN", "WHERE", "WHAT", "WHY", "OUTCOME", "TOOK"], rows, reader)
}

/// A refusal takes no time; what runs has not ended.
fn length(seen: &Incident) -> String {
    let end = seen.ended_at.filter(|_| seen.kind == IncidentKind::Rollback);
    end.map(|end| took(end.duration_since(seen.began_at).as_secs_f64())).unwrap_or_default()
}

/// `shop/backend`, `shop/api,web`
pub(super) fn place(seen: &Incident) -> String {
    let names: Vec<&str> = seen.services.iter().map(ServiceName::as_str).collect();
    if names.is_empty() {
        seen.project.to_string()
    } else {
        format!("{}/{}", seen.project, names.join(","))
    }
}

/// `errors 12.4%, above 5%`, or who asked.
fn cause(seen: &Incident) -> String {
    match (&seen.trigger, reading(seen)) {
        (Some(trigger), Some(reading)) => format!("{trigger} {reading}"),
        _ => asked(seen),
    }
}

/// `12.4%, above 5%`, when a trigger breached.
pub(super) fn reading(seen: &Incident) -> Option<String> {
    let signal = seen.signal.as_ref()?;
    let limit = condition(signal, seen.condition?, seen.threshold?);
    let value = seen.value.map_or_else(|| "no data".to_owned(), |number| value(signal, number));
    Some(format!("{value}, {limit}"))
}

/// Who asked, when no trigger did.
pub(super) fn asked(seen: &Incident) -> String {
    match seen.cause.as_str() {
        "person" => "by hand".to_owned(),
        "forward" => "forward, by hand".to_owned(),
        "not-recovered" => "going back did not help".to_owned(),
        other => other.to_owned(),
    }
}

/// `recovered`; `runs` while there is no outcome.
pub(super) fn ending(seen: &Incident) -> String {
    match (seen.kind, seen.outcome) {
        (IncidentKind::Refused, _) => "refused".to_owned(),
        (_, Some(outcome)) => outcome.as_str().to_owned(),
        (_, None) => "runs".to_owned(),
    }
}
