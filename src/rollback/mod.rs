//! Running one step when told, and saying how it went: a file for each kind of
//! step. Which step comes next, and what a failure means, is the core's.

mod compose;
mod discard;
mod put_back;
mod recreate;
mod retag;
mod wait;

use std::time::Duration;

use rollbackd_core::{
    plan::{Does, Fault, Step, StepOutcome},
    words::{IncidentId, ProjectName, ServiceName},
};
use tokio::time::timeout;

use crate::engine::{
    Engine,
    compose::{Errand, up::Wanted},
    error::EngineError,
};

/// How long a step that keeps its own limit may be late.
const LATE: Duration = Duration::from_secs(5);

/// Runs one step of a rollback, within the step's limit. Every step may be run
/// again, also after this future was dropped or the program was killed, and
/// then finishes what was begun.
pub async fn run(
    step: &Step,
    project: &ProjectName,
    incident: IncidentId,
    engine: &Engine,
) -> StepOutcome {
    let Engine::Compose(compose) = engine;
    let errand = Errand { project, incident };
    let work = async {
        // At most one Compose of ours for a project, whoever began the other.
        if let Err(error) = compose.end_left_behind(project).await {
            return outcome_of_the_world(Err(error));
        }
        match &step.does {
            Does::Retag { service, along, reference, image } => {
                let users: Vec<&ServiceName> = std::iter::once(service).chain(along).collect();
                retag::run(compose, errand, &users, reference, *image).await
            }
            Does::Recreate { service, records, image, replaces, order, drain, start_timeout } => {
                let target = crate::engine::compose::recreate::Target {
                    service,
                    records,
                    image: *image,
                    replaces: replaces.as_ref(),
                    order: *order,
                    drain: *drain,
                    start_timeout: *start_timeout,
                };
                recreate::run(compose, errand, target).await
            }
            Does::Compose { service, reference, image, scale, replaces } => {
                let (image, scale) = (*image, *scale);
                let wanted = Wanted { service, reference, image, scale, replaces };
                compose::run(compose, errand, wanted, step.limit).await
            }
            Does::WaitHealthy { services } => {
                wait::run(compose, errand, services, step.limit).await
            }
            Does::Discard { services } => discard::run(compose, errand, services).await,
            Does::PutBack { service } => put_back::run(compose, errand, service).await,
            // The core does these itself; asked for here, there is nothing to do.
            Does::Tell | Does::Verify => StepOutcome::Done(String::new()),
        }
    };
    let limit = match step.does {
        // It says itself what it waited for.
        Does::WaitHealthy { .. } => step.limit + LATE,
        _ => step.limit,
    };
    let outcome = timeout(limit, work).await.unwrap_or_else(|_| late(step));
    tracing::info!(%project, %incident, step = %step.name, ?outcome, "rollback.step.ended");
    outcome
}

fn late(step: &Step) -> StepOutcome {
    let limit = humantime::format_duration(step.limit);
    let why = format!("`{}` was not done after {limit}; look at `docker ps -a`", step.name);
    StepOutcome::Failed { why, fault: Fault::World }
}

/// What the engine room's answer means for the journal.
fn outcome(result: Result<String, EngineError>) -> StepOutcome {
    match result {
        Ok(said) => StepOutcome::Done(said),
        Err(error) => StepOutcome::Failed { why: error.to_string(), fault: error.fault() },
    }
}

/// The same where nothing can be the target's fault.
fn outcome_of_the_world(result: Result<String, EngineError>) -> StepOutcome {
    match outcome(result) {
        StepOutcome::Failed { why, .. } => StepOutcome::Failed { why, fault: Fault::World },
        done @ StepOutcome::Done(_) => done,
    }
}

#[cfg(test)]
mod tests;
