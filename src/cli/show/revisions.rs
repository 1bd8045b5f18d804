//! `revisions`: what can be returned to, and how neighbours differ.

use crate::{
    api::json::{Revision, RevisionService},
    cli::{
        out::Reader,
        show::{table::table, words::when},
    },
};

/// A table a project, the newest revision first. What a deployment changed is
/// marked with `*`.
pub(in crate::cli) fn revisions(all: &[Revision], reader: &Reader) -> String {
    if all.is_empty() {
        return "No revision is recorded yet: one is when what runs has settled.\n".to_owned();
    }
    let mut text = String::new();
    let mut rest = all;
    while let Some(first) = rest.first() {
        let length = rest.iter().take_while(|seen| seen.project == first.project).count();
        let (of_project, others) = rest.split_at(length);
        if !text.is_empty() {
            text += "\n";
        }
        text += &format!("{}\n", first.project);
        text += &of_one(of_project, reader);
        rest = others;
    }
    text
}

fn of_one(revisions: &[Revision], reader: &Reader) -> String {
    let rows = revisions.iter().rev().map(|seen| {
        let runs = if seen.current { " runs" } else { "" };
        let images: Vec<String> =
            seen.services.iter().map(|service| image(seen, service)).collect();
        [
            format!("r{}{runs}", seen.revision),
            standing(seen),
            when(seen.deployed_at, reader),
            restorable(seen),
            images.join("\n"),
        ]
    });
    table(["REVISION", "STANDING", "DEPLOYED", "CAN BE RETURNED TO", "SERVICES"], rows, reader)
}

/// Its standing, and whether it was rolled back from without being the cause.
fn standing(seen: &Revision) -> String {
    let standing = seen.standing.as_str();
    if seen.acquitted { format!("{standing}, acquitted") } else { standing.to_owned() }
}

fn restorable(seen: &Revision) -> String {
    match &seen.reason {
        None => "yes".to_owned(),
        Some(reason) => format!("no: {reason}"),
    }
}

fn image(revision: &Revision, service: &RevisionService) -> String {
    let mark = if revision.changed.contains(&service.name) { "*" } else { "" };
    format!("{}{mark} {} {}", service.name, service.image, service.image_id.short())
}
