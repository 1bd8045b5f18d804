//! `wait`: for a deploy job. First compares with what runs, then returns when the
//! newest revision has its standing.

use std::time::Duration;

use rollbackd_core::words::ProjectName;

use crate::cli::{
    client::Client,
    exit::{Exit, Failure},
    out::Out,
    standing::{Of, Wait},
};

/// Waits.
pub(super) async fn wait(
    client: &Client,
    project: &ProjectName,
    timeout: Duration,
    out: &Out,
) -> Result<Exit, Failure> {
    // A daemon that is not there at the beginning is not waited for.
    known(client, project).await?;
    let mut wait = Wait::new(client, project, out, timeout);
    wait.look().await?;
    wait.end(Of::Newest).await?.say(out)
}

/// The daemon answers, and watches this project.
pub(super) async fn known(client: &Client, project: &ProjectName) -> Result<(), Failure> {
    let status = client.status().await?;
    let names: Vec<&str> = status.projects.iter().map(|project| project.name.as_str()).collect();
    // One that has just started knows of none yet.
    if names.is_empty() || names.contains(&project.as_str()) {
        return Ok(());
    }
    let message = format!("no project named {project} is configured");
    let hint = format!("the configuration has: {}", names.join(", "));
    Err(Failure::new(Exit::Refused, "refused", message, hint))
}
