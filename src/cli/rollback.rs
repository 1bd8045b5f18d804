//! `rollback`: by hand. Asks first, with what exactly would be done, then sees
//! it through.

use rollbackd_core::{event::Command, words::RevisionNo};

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
    let mut to = wanted.to;
    if consent(wanted.acting, out)? == Consent::Ask {
        let plan = planned(client, wanted).await?;
        confirm(&show::plan::question(&wanted.target, &plan))?;
        // What was shown is what is done, whatever was deployed meanwhile.
        to = plan.to;
    }
    let accepted = client.command(&command(wanted, to, false)).await?;
    follow::taken(client, accepted, wanted.acting, out).await
}

async fn planned(client: &Client, wanted: &Rollback) -> Result<Incident, Failure> {
    let accepted = client.command(&command(wanted, wanted.to, true)).await?;
    accepted.incident.ok_or_else(|| {
        let hint = "restart the daemon after an upgrade: `systemctl restart rollbackd`";
        Failure::new(Exit::Failed, "odd_answer", "the daemon answered without a plan", hint)
    })
}

fn command(wanted: &Rollback, to: Option<RevisionNo>, dry_run: bool) -> Command {
    Command::Rollback {
        project: wanted.target.project.clone(),
        service: wanted.target.service.clone(),
        to,
        reason: wanted.reason.clone(),
        dry_run,
    }
}
