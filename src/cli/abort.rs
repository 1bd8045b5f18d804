//! `abort`: stops a running rollback after its present step, and says what state
//! that leaves. Nobody is asked: it only stops.

use rollbackd_core::{event::Command, incident::Outcome, words::IncidentId};

use crate::cli::{
    client::Client,
    exit::{Exit, Failure},
    follow,
    out::Out,
};

/// Stops it, and waits until it has.
pub(super) async fn abort(client: &Client, id: IncidentId, out: &Out) -> Result<Exit, Failure> {
    let accepted = client.command(&Command::Abort { incident: id }).await?;
    out.progress(&accepted.message)?;
    let ended = follow::through(client, id, out).await?;
    if out.json {
        out.document(&ended)?;
    }
    Ok(match ended.outcome {
        Some(Outcome::Refused | Outcome::Unverified) => Exit::Done,
        // It could not be left as it was, or had ended before it was stopped.
        _ => Exit::Failed,
    })
}
