//! Runs the steps that the core asks for, one a project at a time, and reports
//! how each went.

use std::time::Duration;

use rollbackd_core::{
    event::Event,
    plan::{Fault, Step, StepOutcome},
    words::{IncidentId, ProjectName},
};
use tokio::{sync::mpsc, task::JoinSet};

use crate::{engine::Engine, rollback};

/// One step to run.
#[derive(Clone, Debug)]
pub(super) struct Order {
    pub(super) incident: IncidentId,
    pub(super) project: ProjectName,
    pub(super) run: u32,
    /// How long to wait first.
    pub(super) after: Duration,
    pub(super) step: Step,
}

/// Runs orders until their sender is gone. The core has at most one open a
/// project, so this is no queue.
pub(super) async fn run(
    mut orders: mpsc::Receiver<Order>,
    engine: Engine,
    reports: mpsc::Sender<Event>,
) {
    let mut steps = JoinSet::new();
    loop {
        tokio::select! {
            order = orders.recv() => match order {
                Some(order) => {
                    steps.spawn(carry_out(order, engine.clone(), reports.clone()));
                }
                None => return,
            },
            Some(ended) = steps.join_next() => {
                if let Err(error) = ended {
                    tracing::error!(%error, "rollback.step.lost");
                }
            }
        }
    }
}

async fn carry_out(order: Order, engine: Engine, reports: mpsc::Sender<Event>) {
    let Order { incident, project, run, after, step } = order;
    tokio::time::sleep(after).await;
    let work = tokio::spawn(async move { rollback::run(&step, &project, incident, &engine).await });
    // A step that breaks must not leave its rollback waiting for ever.
    let outcome = work.await.unwrap_or_else(|error| StepOutcome::Failed {
        why: format!("the step broke ({error}); this is a bug of rollbackd"),
        fault: Fault::World,
    });
    // The loop is gone only when the daemon is.
    let _ = reports.send(Event::StepEnded { incident, run, outcome }).await;
}
