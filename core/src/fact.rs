//! What lasts. The core's whole durable state is the fold of these; starting up
//! is applying the stored ones in order.

use alloc::{boxed::Box, string::String, vec::Vec};

use serde::{Deserialize, Serialize};

use crate::{
    guard::Guard,
    incident::{Breach, Incident, Outcome},
    moment::Moment,
    plan::StepOutcome,
    revision::{Revision, Standing},
    words::{IncidentId, ProjectName, RevisionNo, ServiceName, TriggerId},
};

/// Something that has happened and is remembered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "fact", rename_all = "snake_case")]
pub enum Fact {
    /// What a service runs has begun to change.
    DeploymentBegan {
        /// The project.
        project: ProjectName,
        /// When.
        at: Moment,
        /// The services that have changed so far.
        services: Vec<ServiceName>,
    },
    /// More services change in the same deployment.
    DeploymentGrew {
        /// The project.
        project: ProjectName,
        /// The services that changed besides.
        services: Vec<ServiceName>,
    },
    /// Nothing has changed for `settle`: this is what runs now.
    DeploymentEnded {
        /// The project.
        project: ProjectName,
        /// What runs.
        revision: Revision,
    },
    /// What runs is again what ran before the deployment began.
    DeploymentVanished {
        /// The project.
        project: ProjectName,
        /// When that was seen.
        at: Moment,
    },
    /// A revision's standing has changed.
    Stands {
        /// The project.
        project: ProjectName,
        /// The revision.
        revision: RevisionNo,
        /// What is thought of it now.
        standing: Standing,
        /// When.
        at: Moment,
        /// It may be returned to, for all that is known of it.
        returnable: bool,
        /// Why, in words.
        reason: String,
    },
    /// A revision was seen without a fault for long enough to be returned to,
    /// though its bake is not over: another deployment follows it.
    Clean {
        /// The project.
        project: ProjectName,
        /// The revision.
        revision: RevisionNo,
        /// When.
        at: Moment,
        /// What was seen, in words.
        reason: String,
    },
    /// A revision was rolled back from and was not the cause: going back did
    /// not help.
    Acquitted {
        /// The project.
        project: ProjectName,
        /// The revision.
        revision: RevisionNo,
        /// The rollback that did not help.
        incident: IncidentId,
    },
    /// Services run an image again that was rolled back from.
    KnownBad {
        /// The project.
        project: ProjectName,
        /// The services.
        services: Vec<ServiceName>,
        /// The rollback that the image is known by.
        by: IncidentId,
        /// When that was seen.
        at: Moment,
    },
    /// A trigger's condition has held for its time.
    Breached {
        /// The project.
        project: ProjectName,
        /// The breach.
        breach: Breach,
    },
    /// A breached trigger no longer breaches.
    Cleared {
        /// The project.
        project: ProjectName,
        /// The trigger.
        trigger: TriggerId,
        /// When.
        at: Moment,
    },
    /// People were told of a breach that leads to no rollback.
    Alerted {
        /// The project.
        project: ProjectName,
        /// The trigger.
        trigger: TriggerId,
        /// Why it leads to none.
        guard: Guard,
    },
    /// A rollback was called for and refused.
    Refused {
        /// The refusal.
        incident: Box<Incident>,
        /// By what.
        guard: Guard,
    },
    /// A rollback has begun.
    RollbackBegan(Box<Incident>),
    /// Another trigger breached while it ran.
    Joined {
        /// The rollback.
        incident: IncidentId,
        /// The breach.
        breach: Breach,
    },
    /// A step was handed to the executor.
    StepBegan {
        /// The rollback.
        incident: IncidentId,
        /// Which run of a step.
        run: u32,
        /// Its place in the plan's steps, or in its undo steps.
        index: u32,
        /// It is one of the undo steps.
        undo: bool,
        /// When.
        at: Moment,
    },
    /// The executor has reported.
    StepEnded {
        /// The rollback.
        incident: IncidentId,
        /// Which run of a step.
        run: u32,
        /// When.
        at: Moment,
        /// How it went.
        outcome: StepOutcome,
    },
    /// The signals are being judged.
    Verifying {
        /// The rollback.
        incident: IncidentId,
        /// Since when.
        at: Moment,
        /// Samples before this do not count.
        counts_from: Moment,
        /// By when the signals must be back.
        until: Moment,
    },
    /// The target's own containers failed; the next target is tried.
    NextTarget {
        /// The rollback, its plan and target replaced.
        incident: Box<Incident>,
    },
    /// A rollback has ended.
    RollbackEnded {
        /// The rollback.
        incident: IncidentId,
        /// When.
        at: Moment,
        /// How.
        outcome: Outcome,
        /// Why so, in words.
        reason: String,
    },
    /// A person has asked that the rollback stop after its present step.
    AbortAsked {
        /// The rollback.
        incident: IncidentId,
        /// When.
        at: Moment,
    },
    /// A person's own command begins to deploy.
    Announced {
        /// The project.
        project: ProjectName,
        /// Whose it is.
        id: String,
        /// When.
        at: Moment,
        /// Its limit.
        until: Moment,
    },
    /// That command has ended; the next look ends its deployment.
    CommandEnded {
        /// The project.
        project: ProjectName,
        /// When.
        at: Moment,
    },
    /// An announced deployment is over: it was looked at after its command's
    /// end, or its limit has passed.
    AnnouncementOver {
        /// The project.
        project: ProjectName,
        /// When.
        at: Moment,
        /// Its limit has passed, and nobody said that it ended.
        ran_out: bool,
    },
    /// Automatic action is held.
    Paused {
        /// The project.
        project: ProjectName,
        /// Until when; `None` until resumed.
        until: Option<Moment>,
        /// Why, in the person's words.
        reason: String,
        /// When.
        at: Moment,
    },
    /// Automatic action goes on.
    Resumed {
        /// The project.
        project: ProjectName,
        /// When.
        at: Moment,
    },
}

impl Fact {
    /// The project it is about, unless it names a rollback alone.
    #[must_use]
    pub const fn project(&self) -> Option<&ProjectName> {
        match self {
            Self::DeploymentBegan { project, .. }
            | Self::DeploymentGrew { project, .. }
            | Self::DeploymentEnded { project, .. }
            | Self::DeploymentVanished { project, .. }
            | Self::Stands { project, .. }
            | Self::Clean { project, .. }
            | Self::Acquitted { project, .. }
            | Self::KnownBad { project, .. }
            | Self::Breached { project, .. }
            | Self::Cleared { project, .. }
            | Self::Alerted { project, .. }
            | Self::Announced { project, .. }
            | Self::CommandEnded { project, .. }
            | Self::AnnouncementOver { project, .. }
            | Self::Paused { project, .. }
            | Self::Resumed { project, .. } => Some(project),
            Self::Refused { incident, .. }
            | Self::RollbackBegan(incident)
            | Self::NextTarget { incident } => Some(&incident.project),
            Self::Joined { .. }
            | Self::StepBegan { .. }
            | Self::StepEnded { .. }
            | Self::Verifying { .. }
            | Self::AbortAsked { .. }
            | Self::RollbackEnded { .. } => None,
        }
    }

    /// The rollback or refusal it is about.
    #[must_use]
    pub const fn incident(&self) -> Option<IncidentId> {
        match self {
            Self::Refused { incident, .. }
            | Self::RollbackBegan(incident)
            | Self::NextTarget { incident } => Some(incident.id),
            Self::Joined { incident, .. }
            | Self::StepBegan { incident, .. }
            | Self::StepEnded { incident, .. }
            | Self::Verifying { incident, .. }
            | Self::AbortAsked { incident, .. }
            | Self::RollbackEnded { incident, .. } => Some(*incident),
            // `Acquitted` names one that has ended: it is not about it any more.
            _ => None,
        }
    }
}
