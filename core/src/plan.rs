//! What a rollback does, in order. A plan is resolved once, when the rollback
//! begins, and kept whole in the journal: a reload does not change it.

use alloc::{string::String, vec::Vec};
use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    settings::Order,
    words::{ContainerId, ImageId, ServiceName},
};

/// The steps of one rollback, and those that put back what ran before.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// What is done.
    pub steps: Vec<Step>,
    /// What is done instead of the rest when a step fails for good, from the
    /// first.
    pub undo: Vec<Step>,
}

/// One step of a plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// What people read: `recreate backend`.
    pub name: String,
    /// What it does.
    pub does: Does,
    /// How long it may take before it counts as failed.
    pub limit: Duration,
}

/// What a step does. Every one may be run again after it was interrupted, and
/// then finishes what was begun.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Does {
    /// People are told. The core does this itself.
    Tell,
    /// The moving tag of a service is set to an image, where only services that
    /// go back to this image use the tag; elsewhere it is left and the step says
    /// so.
    Retag {
        /// The service whose tag it is.
        service: ServiceName,
        /// Others that go back to the same image by the same tag.
        #[serde(default)]
        along: Vec<ServiceName>,
        /// The tag, as the container was started by it.
        reference: String,
        /// What it shall name.
        image: ImageId,
    },
    /// The service's containers are replaced by recorded ones. What ran is
    /// stopped and kept aside, so that it can be put back.
    Recreate {
        /// The service.
        service: ServiceName,
        /// The records to create from, by container number.
        records: Vec<ContainerId>,
        /// The image they run.
        image: ImageId,
        /// What they take the place of. What else has it by then was deployed by
        /// somebody meanwhile, and stays.
        #[serde(default)]
        replaces: Option<Replaced>,
        /// Which runs first.
        order: Order,
        /// Start-first: how long both run once the new one is healthy.
        drain: Duration,
        /// Start-first: how long the new one has to become healthy.
        start_timeout: Duration,
    },
    /// The service is deployed with an image that never ran here, by Compose
    /// itself, with the configuration that its containers were made from and no
    /// other. What ran is gone afterwards: its record puts it back.
    Compose {
        /// The service.
        service: ServiceName,
        /// The image, as it was asked for.
        reference: String,
        /// What that named when it was decided.
        image: ImageId,
        /// How many containers ran.
        scale: u32,
        /// What they take the place of. What else has it by then was deployed by
        /// somebody meanwhile, and stays.
        replaces: Replaced,
    },
    /// Until each service's containers run, and are healthy where they have a
    /// check (or have ended with 0 where they are one-shot).
    WaitHealthy {
        /// The services.
        services: Vec<ServiceName>,
    },
    /// What [`Does::Recreate`] kept aside is removed.
    Discard {
        /// The services.
        services: Vec<ServiceName>,
    },
    /// What [`Does::Recreate`] kept aside runs again; what replaced it is
    /// removed.
    PutBack {
        /// The service.
        service: ServiceName,
    },
    /// The signals are judged. The core does this itself.
    Verify,
}

/// What ran of a service when it was decided that it goes back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replaced {
    /// Its image.
    pub image: ImageId,
    /// Its containers; some may run another image.
    pub containers: Vec<ContainerId>,
}

impl Does {
    /// The word for the journal: `recreate`.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Tell => "tell",
            Self::Retag { .. } => "retag",
            Self::Recreate { .. } => "recreate",
            Self::Compose { .. } => "compose",
            Self::WaitHealthy { .. } => "wait-healthy",
            Self::Discard { .. } => "discard",
            Self::PutBack { .. } => "put-back",
            Self::Verify => "verify",
        }
    }
}

/// How a step went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepOutcome {
    /// It did what it should; the text says what a person would want to know
    /// ("left shop:latest: web uses it too"), or is empty.
    Done(String),
    /// It did not.
    Failed {
        /// One sentence: what, and what the engine said.
        why: String,
        /// Whose fault it was.
        fault: Fault,
    },
}

/// Whose fault a failed step was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// The target's own containers: they exited, stayed unhealthy, could not be
    /// executed. Only this marks a revision bad.
    Target,
    /// Anything else: a taken port, a full disk, an engine that does not answer.
    World,
}
