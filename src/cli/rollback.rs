//! `rollback`: by hand. Asks first, with what exactly would be done, then sees
//! it through.

use rollbackd_core::event::{Command, Goal, WantedImage};

use crate::{
    api::json::Incident,
    cli::{
        args::Rollback,
        ask::{Consent, confirm, consent},
        client::Client,
        exit::{Exit, Failure},
        follow,
        out::Out,
        show,
    },
};

/// Does it, or with `--dry-run` shows the exact steps.
pub(super) async fn rollback(
    client: &Client,
    wanted: &Rollback,
    out: &Out,
) -> Result<Exit, Failure> {
    if wanted.dry_run {
        let plan = planned(client, wanted).await?;
        if out.json {
            out.document(&plan)?;
        } else {
            out.text(&show::plan::plan(&plan, &out.reader()))?;
        }
        return Ok(Exit::Done);
    }
    let mut to = wanted.to.clone();
    if consent(wanted.acting, out)? == Consent::Ask {
        let plan = planned(client, wanted).await?;
        confirm(&show::plan::question(&wanted.target, &plan))?;
        // What was shown is what is done, whatever was deployed meanwhile.
        to = shown(&plan, to);
    }
    let accepted = client.command(&command(wanted, to, false)).await?;
    follow::taken(client, accepted, wanted.acting, out).await
}

async fn planned(client: &Client, wanted: &Rollback) -> Result<Incident, Failure> {
    let accepted = client.command(&command(wanted, wanted.to.clone(), true)).await?;
    accepted.incident.ok_or_else(|| {
        let hint = "restart the daemon after an upgrade: `systemctl restart rollbackd`";
        Failure::new(Exit::Failed, "odd_answer", "the daemon answered without a plan", hint)
    })
}

/// Where a plan goes: its revision, or the very image that it names.
fn shown(plan: &Incident, asked: Option<Goal>) -> Option<Goal> {
    let image = |mut wanted: WantedImage| {
        wanted.id = plan.changes.first().map(|change| change.to_image_id);
        Goal::Image(wanted)
    };
    match (plan.to, asked) {
        (Some(number), _) => Some(Goal::Revision(number)),
        (None, Some(Goal::Image(wanted))) => Some(image(wanted)),
        (None, asked) => asked,
    }
}

fn command(wanted: &Rollback, to: Option<Goal>, dry_run: bool) -> Command {
    Command::Rollback {
        project: wanted.target.project.clone(),
        service: wanted.target.service.clone(),
        to,
        reason: wanted.reason.clone(),
        dry_run,
    }
}
