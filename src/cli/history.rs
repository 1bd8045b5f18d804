//! `history`: all rollbacks and refusals, or one whole.

use rollbackd_core::words::IncidentId;

use crate::cli::{
    client::Client,
    exit::{Exit, Failure},
    out::Out,
    show,
};

/// Lists them, the newest first.
pub(super) async fn list(client: &Client, out: &Out) -> Result<Exit, Failure> {
    let history = client.history().await?;
    if out.json {
        out.document(&history)?;
    } else {
        out.text(&show::history::history(&history, &out.reader()))?;
    }
    Ok(Exit::Done)
}

/// Shows one whole. As JSON it is a list of one, so that a program reads both
/// the same way.
pub(super) async fn one(client: &Client, id: IncidentId, out: &Out) -> Result<Exit, Failure> {
    let incident = client.incident(id).await?;
    if out.json {
        out.document(&[incident])?;
    } else {
        out.text(&show::incident::incident(&incident, &out.reader()))?;
    }
    Ok(Exit::Done)
}
