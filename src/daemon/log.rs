//! What goes into the journal of the machine: one line a fact, with names and
//! fields that do not change.

use rollbackd_core::fact::Fact;

/// One fact that has been committed.
pub(super) fn fact(fact: &Fact) {
    match fact {
        Fact::DeploymentBegan { project, services, .. } => {
            tracing::info!(%project, services = %names(services), "deployment.began");
        }
        Fact::DeploymentGrew { project, services } => {
            tracing::info!(%project, services = %names(services), "deployment.grew");
        }
        Fact::DeploymentEnded { project, revision } => {
            let (number, changed) = (revision.number, names(&revision.changed));
            tracing::info!(%project, revision = %number, %changed, "deployment.ended");
        }
        Fact::DeploymentVanished { project, .. } => {
            tracing::info!(%project, "deployment.vanished: it runs what it ran before");
        }
        Fact::Stands { project, revision, standing, reason, .. } => {
            let standing = standing.as_str();
            tracing::info!(%project, %revision, standing, reason, "revision.stands");
        }
        Fact::Clean { project, revision, reason, .. } => {
            tracing::info!(%project, %revision, reason, "revision.clean");
        }
        Fact::Acquitted { project, revision, incident } => {
            tracing::warn!(%project, %revision, id = %incident, "revision.acquitted");
        }
        Fact::KnownBad { project, services, by, .. } => {
            tracing::warn!(%project, services = %names(services), id = %by, "deployment.known_bad");
        }
        Fact::Breached { project, breach } => {
            let (trigger, value) = (&breach.name, breach.value);
            tracing::warn!(%project, trigger, value, "trigger.breached");
        }
        Fact::Cleared { project, trigger, .. } => {
            tracing::info!(%project, %trigger, "trigger.cleared");
        }
        Fact::Alerted { project, trigger, .. } => {
            tracing::info!(%project, %trigger, "trigger.alerted");
        }
        Fact::Refused { incident, .. } => {
            let project = &incident.project;
            tracing::warn!(%project, id = %incident.id, reason = incident.reason, "rollback.refused");
        }
        Fact::RollbackBegan(incident) => {
            let (project, from) = (&incident.project, incident.from);
            let to = incident.destination();
            tracing::warn!(%project, id = %incident.id, %from, to, services = incident.service_names(), "rollback.began");
        }
        Fact::Joined { incident, breach } => {
            tracing::warn!(id = %incident, trigger = breach.name, "rollback.joined");
        }
        Fact::StepBegan { incident, index, undo, run, .. } => {
            tracing::info!(id = %incident, index, undo, run, "rollback.step.began");
        }
        // The executor's room tells how each step went, with its name.
        Fact::StepEnded { .. } => {}
        Fact::Verifying { incident, .. } => tracing::info!(id = %incident, "rollback.verifying"),
        Fact::NextTarget { incident } => {
            let to = incident.to.map_or(0, |to| to.0);
            tracing::warn!(id = %incident.id, to, "rollback.next_target");
        }
        Fact::RollbackEnded { incident, outcome, reason, .. } => {
            tracing::warn!(id = %incident, outcome = outcome.as_str(), reason, "rollback.ended");
        }
        Fact::AbortAsked { incident, .. } => tracing::warn!(id = %incident, "rollback.abort_asked"),
        Fact::Announced { project, id, .. } => tracing::info!(%project, id, "deploy.announced"),
        Fact::CommandEnded { project, .. } => tracing::info!(%project, "deploy.command_ended"),
        Fact::AnnouncementOver { project, ran_out: true, .. } => {
            tracing::warn!(%project, "deploy.over: its limit has passed, and nobody said its end");
        }
        Fact::AnnouncementOver { project, .. } => tracing::info!(%project, "deploy.over"),
        Fact::Paused { project, reason, .. } => tracing::info!(%project, reason, "project.paused"),
        Fact::Resumed { project, .. } => tracing::info!(%project, "project.resumed"),
    }
}

fn names(services: &[rollbackd_core::words::ServiceName]) -> String {
    let names: Vec<&str> =
        services.iter().map(rollbackd_core::words::ServiceName::as_str).collect();
    names.join(",")
}
