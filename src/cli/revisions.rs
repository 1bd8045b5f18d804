//! `revisions`: what can be returned to.

use rollbackd_core::words::ProjectName;

use crate::cli::{
    client::Client,
    exit::{Exit, Failure},
    out::Out,
    show,
};

/// Lists the revisions of one project, or of all.
pub(super) async fn list(
    client: &Client,
    project: Option<ProjectName>,
    out: &Out,
) -> Result<Exit, Failure> {
    let revisions = client.revisions(project.as_ref()).await?;
    if out.json {
        out.document(&revisions)?;
    } else {
        out.text(&show::revisions::revisions(&revisions, &out.reader()))?;
    }
    Ok(Exit::Done)
}
