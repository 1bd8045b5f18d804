//! What the core wants done. An effect is the only way anything happens, and
//! each is in the journal before it does.

use alloc::{boxed::Box, string::String, vec::Vec};
use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    incident::{Breach, Incident, Outcome},
    moment::Moment,
    plan::Step,
    words::{IncidentId, ProjectName, RevisionNo, ServiceName},
};

/// One thing to be done, and acknowledged when it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "effect", rename_all = "snake_case")]
pub enum Effect {
    /// Run one step; answer with [`crate::event::Event::StepEnded`].
    RunStep {
        /// The rollback.
        incident: IncidentId,
        /// The project.
        project: ProjectName,
        /// Counts the runs of steps in this rollback, retries included.
        run: u32,
        /// How long to wait first: a step that the world made fail is tried again.
        after: Duration,
        /// The step.
        step: Step,
    },
    /// Tell people.
    Tell(Notice),
}

/// Something a person must know.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Notice {
    /// When it happened.
    pub at: Moment,
    /// The project it is about.
    pub project: ProjectName,
    /// What happened.
    pub news: News,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "news", rename_all = "snake_case")]
pub enum News {
    /// A trigger breached that does not lead to a rollback.
    Alert {
        /// The breach.
        breach: Breach,
        /// Why there is no rollback: the trigger's action, no deployment to
        /// blame.
        reason: String,
    },
    /// An image that was rolled back from is deployed again.
    KnownBad {
        /// The services that run it.
        services: Vec<ServiceName>,
        /// The rollback that it is known by.
        by: IncidentId,
        /// Something other than a person's Compose brought it, as far as can be
        /// seen; then it is put back at once.
        unattended: bool,
    },
    /// A trigger has had no usable data for too long and `on_blind = "alert"`.
    Blind {
        /// The service.
        service: ServiceName,
        /// The trigger's name.
        trigger: String,
        /// What its source said last.
        reason: String,
    },
    /// A rollback has begun.
    Began(Box<Incident>),
    /// A rollback has ended.
    Ended {
        /// The whole of it.
        incident: Box<Incident>,
        /// How.
        outcome: Outcome,
        /// What a person must do now, a sentence each.
        todo: Vec<String>,
    },
    /// A rollback was called for and a guard refused it.
    Refused(Box<Incident>),
    /// A pause has ended by itself.
    PauseEnded,
    /// A target's own containers failed; another is tried.
    TargetFailed {
        /// The rollback.
        incident: Box<Incident>,
        /// The target that failed.
        revision: RevisionNo,
        /// How.
        why: String,
    },
}
