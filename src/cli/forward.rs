//! `forward`: undoes the last rollback and clears the bad mark.

use rollbackd_core::{event::Command, incident::IncidentKind};

use crate::{
    api::json::Incident,
    cli::{
        args::{Acting, Target},
        ask::{Consent, confirm, consent},
        client::Client,
        exit::{Exit, Failure},
        follow,
        out::Out,
    },
};

/// Does it.
pub(super) async fn forward(
    client: &Client,
    target: &Target,
    acting: Acting,
    out: &Out,
) -> Result<Exit, Failure> {
    if consent(acting, out)? == Consent::Ask {
        let history = client.history().await?;
        confirm(&question(target, &history))?;
    }
    let (project, service) = (target.project.clone(), target.service.clone());
    let accepted = client.command(&Command::Forward { project, service }).await?;
    follow::taken(client, accepted, acting, out).await
}

/// Names the rollback that would be undone; the daemon decides whether it can.
fn question(target: &Target, history: &[Incident]) -> String {
    let last = history.iter().find(|seen| {
        let touches = |service| seen.services.contains(service);
        seen.kind == IncidentKind::Rollback
            && seen.project == target.project
            && target.service.as_ref().is_none_or(touches)
    });
    let way = |seen: &Incident| match (seen.to, &seen.changes[..]) {
        (Some(to), _) => Some(format!("r{to}")),
        (None, [only]) => Some(only.to_image.clone()),
        (None, _) => None,
    };
    match last.and_then(|seen| Some((seen, way(seen)?))) {
        Some((seen, to)) => {
            format!(
                "Go forward with {target} from {to} to r{}, undoing rollback {}?",
                seen.from, seen.id
            )
        }
        None => format!("Go forward with {target}, undoing its last rollback?"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::samples;

    #[test]
    fn the_question_names_the_rollback_that_would_be_undone() {
        let history = [samples::refusal(), samples::incident()];
        let ask = |target: &str| question(&target.parse().unwrap(), &history);
        insta::assert_snapshot!(ask("shop/backend"), @"Go forward with shop/backend from r1 to r2, undoing rollback 7?");
        insta::assert_snapshot!(ask("shop/web"), @"Go forward with shop/web, undoing its last rollback?");
    }
}
