//! Seeing a rollback through: a line a step as it ends, until it has its
//! outcome. The daemon may restart meanwhile; the rollback goes on with it.

use std::time::Duration;

use rollbackd_core::words::IncidentId;
use tokio::time::{Instant, sleep};

use crate::{
    api::json::{Accepted, Incident},
    cli::{
        args::Acting,
        client::Client,
        exit::{Exit, Failure},
        out::{Out, Reader},
        show::{self, words},
    },
};

/// How often is asked: a step takes a second or more.
const AGAIN: Duration = Duration::from_millis(250);

/// How long a daemon may be gone: a restart under systemd.
const GONE: Duration = Duration::from_secs(60);

/// How long what was begun may not be seen: readers see a snapshot, which is
/// made a moment after the answer.
const UNSEEN: Duration = Duration::from_secs(5);

/// What is left to do when a command was taken: see the rollback through, if
/// one began and the person waits.
pub(super) async fn taken(
    client: &Client,
    accepted: Accepted,
    acting: Acting,
    out: &Out,
) -> Result<Exit, Failure> {
    out.progress(&accepted.message)?;
    let Some(begun) = &accepted.incident else {
        return tell(&accepted, out);
    };
    let id = begun.id;
    if acting.no_wait {
        out.progress(&format!("follow it with `rollbackd history {id}`"))?;
        return tell(&accepted, out);
    }
    let ended = through(client, id, out).await?;
    if out.json {
        out.document(&ended)?;
    }
    Ok(ended.outcome.map_or(Exit::Failed, Exit::of))
}

fn tell(accepted: &Accepted, out: &Out) -> Result<Exit, Failure> {
    match &accepted.incident {
        Some(incident) if out.json => out.document(incident)?,
        None if out.json => out.document(accepted)?,
        _ => {}
    }
    Ok(Exit::Done)
}

/// Sees a rollback through to its end.
pub(super) async fn through(
    client: &Client,
    id: IncidentId,
    out: &Out,
) -> Result<Incident, Failure> {
    let mut told = Told::default();
    let mut gone_since = None;
    loop {
        match client.incident(id).await {
            Ok(incident) => {
                gone_since = None;
                for line in told.news(&incident, &out.reader()) {
                    out.progress(&line)?;
                }
                if incident.ended_at.is_some() {
                    return Ok(incident);
                }
            }
            Err(failure) => {
                let patience = patience(&failure);
                let since = *gone_since.get_or_insert_with(Instant::now);
                match patience {
                    Some(patience) if since.elapsed() <= patience => {}
                    _ => return Err(failure),
                }
            }
        }
        sleep(AGAIN).await;
    }
}

/// How long an error may pass by itself.
fn patience(failure: &Failure) -> Option<Duration> {
    match (failure.exit, failure.error.code.as_str()) {
        (Exit::Unreachable, _) => Some(GONE),
        (_, "not_found") => Some(UNSEEN),
        _ => None,
    }
}

/// What the person has been told already.
#[derive(Debug, Default)]
struct Told {
    steps: usize,
}

impl Told {
    /// The steps that have ended since the last look, and the end.
    fn news(&mut self, incident: &Incident, reader: &Reader) -> Vec<String> {
        let ended = incident.steps.iter().take_while(|step| step.ended_at.is_some());
        let mut lines: Vec<String> = ended
            .skip(self.steps)
            .map(|step| {
                let (name, how) = show::incident::step(step);
                let at = step.ended_at.unwrap_or(step.began_at);
                format!("{}  {name}: {how}", words::clock(at, reader))
            })
            .collect();
        self.steps += lines.len();
        if let (Some(at), Some(outcome)) = (incident.ended_at, incident.outcome) {
            let reason = if incident.reason.is_empty() {
                String::new()
            } else {
                format!(": {}", incident.reason)
            };
            let outcome = show::style::outcome(outcome);
            lines.push(format!("{}  {outcome}{reason}", words::clock(at, reader)));
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use anstream::adapter::strip_str;

    use super::*;
    use crate::{api::samples, cli::show::tests::reader};

    #[test]
    fn each_step_is_told_once_as_it_ends_and_the_end_with_its_reason() {
        let whole = samples::incident();
        let mut running = whole.clone();
        (running.ended_at, running.outcome) = (None, None);
        running.steps.last_mut().unwrap().ended_at = None;
        let mut told = Told::default();
        let first = told.news(&running, &reader(80));
        assert_eq!(first.len(), running.steps.len() - 1);
        assert!(told.news(&running, &reader(80)).is_empty());
        let last = strip_str(&told.news(&whole, &reader(80)).join("\n")).to_string();
        insta::assert_snapshot!(last, @r"
        08:44:07  verify: done in 1m 3s
        08:44:07  recovered: errors is at 0.2% again
        ");
    }
}
