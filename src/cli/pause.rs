//! `pause` and `resume`: holding automatic action. Nothing that runs is
//! changed, so nobody is asked.

use std::time::Duration;

use rollbackd_core::{event::Command, words::ProjectName};

use crate::cli::{
    client::Client,
    exit::{Exit, Failure},
    out::Out,
};

/// Holds automatic action of one project, or of all.
pub(super) async fn pause(
    client: &Client,
    project: Option<ProjectName>,
    lasts: Option<Duration>,
    reason: String,
    out: &Out,
) -> Result<Exit, Failure> {
    send(client, &Command::Pause { project, lasts, reason }, out).await
}

/// Lets it go on.
pub(super) async fn resume(
    client: &Client,
    project: Option<ProjectName>,
    out: &Out,
) -> Result<Exit, Failure> {
    send(client, &Command::Resume { project }, out).await
}

async fn send(client: &Client, command: &Command, out: &Out) -> Result<Exit, Failure> {
    let accepted = client.command(command).await?;
    if out.json {
        out.document(&accepted)?;
    } else {
        out.progress(&accepted.message)?;
    }
    Ok(Exit::Done)
}
