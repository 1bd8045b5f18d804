//! What is told when an image that was rolled back from is deployed again.

use rollbackd_core::words::{IncidentId, ServiceName};

use super::{
    layout::{Page, Tone},
    story::{Story, text},
};

impl Story<'_> {
    /// An image that was rolled back from is deployed again.
    pub(super) fn known_bad(
        &self,
        services: &[ServiceName],
        by: IncidentId,
        unattended: bool,
    ) -> Page {
        let names: Vec<&str> = services.iter().map(ServiceName::as_str).collect();
        let (names, project) = (names.join(", "), &self.notice.project);
        let place = self.place(match services {
            [one] => Some(one),
            _ => None,
        });
        let done = if unattended {
            "No person seems to have brought it (no Compose run, or only minutes after the \
             rollback): it is put back as soon as it stands still."
        } else {
            "Nothing yet: somebody deployed it. Its triggers use the shorter `for_known_bad`."
        };
        let todo = if unattended {
            format!(
                "Stop what brings it, or publish a good image. If it was meant: `rollbackd forward {project}` when this has ended."
            )
        } else {
            format!(
                "Deploy a good one if this was not meant. If it was: nothing; it loses the mark \
                 when it has baked. `rollbackd history {by}` shows why it was rolled back from."
            )
        };
        Page {
            title: format!("{place}: an image known to be bad is back"),
            tone: Tone::Bad,
            happened: vec![text(format!(
                "{names} of {project} runs an image again that incident {by} rolled back from."
            ))],
            done: vec![text(done)],
            over: vec![text(if unattended {
                "No. You will be told how it ends."
            } else {
                "That depends on how it does this time."
            })],
            todo: vec![text(todo)],
            footer: self.letterhead.footer(None),
        }
    }
}
