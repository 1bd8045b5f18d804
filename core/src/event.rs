//! What happens to the core: everything it ever hears.

use alloc::{boxed::Box, string::String};
use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    incident::Incident,
    plan::StepOutcome,
    reading::Sample,
    revision::Observation,
    words::{ImageId, IncidentId, ProjectName, RevisionNo, ServiceName},
};

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Event {
    /// A source was asked.
    Sample(Sample),
    /// A project was looked at.
    Observed(Observation),
    /// The engine answers (`None`) or does not (`Some(why)`).
    Engine(Option<String>),
    /// Whether a revision can be returned to right now: its images and records
    /// are there. `Some(why)` when not.
    Restorable {
        /// The project.
        project: ProjectName,
        /// The revision.
        revision: RevisionNo,
        /// What is missing.
        problem: Option<String>,
    },
    /// The step that was asked for has ended.
    StepEnded {
        /// The rollback.
        incident: IncidentId,
        /// Which run of a step: the number that [`crate::effect::Effect::RunStep`] gave.
        run: u32,
        /// How it went.
        outcome: StepOutcome,
    },
    /// A person asks for something. The answer is in the turn.
    Command(Command),
    /// Nothing but time.
    Deadline,
}

/// What a person can ask for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum Command {
    /// Go back by hand.
    Rollback {
        /// The project.
        project: ProjectName,
        /// One service; else all that differ from the target.
        service: Option<ServiceName>,
        /// Where to; else to the revision that the daemon would choose.
        to: Option<Goal>,
        /// Why, for the history.
        reason: String,
        /// Only say what would be done.
        dry_run: bool,
    },
    /// Undo the last rollback; clear the bad mark.
    Forward {
        /// The project.
        project: ProjectName,
        /// The service; else all of the last rollback.
        service: Option<ServiceName>,
    },
    /// Hold automatic action.
    Pause {
        /// One project; else every one.
        project: Option<ProjectName>,
        /// For how long; else until resumed.
        lasts: Option<Duration>,
        /// Why, for status.
        reason: String,
    },
    /// A person's own command is about to deploy: until it has ended, nothing is
    /// rolled back by itself, and all that changes is one deployment.
    DeployBegins {
        /// The project.
        project: ProjectName,
        /// Whose it is, chosen by who asks: told twice, it is announced once.
        id: String,
        /// How long it may last.
        limit: Duration,
    },
    /// That command has ended, well or not.
    DeployEnds {
        /// The project.
        project: ProjectName,
        /// As it was announced.
        id: String,
    },
    /// Stop a running rollback after its present step.
    Abort {
        /// The rollback.
        incident: IncidentId,
    },
    /// End a pause.
    Resume {
        /// One project; else every one.
        project: Option<ProjectName>,
    },
}

/// Where a person wants to go back to. A number alone is read as a revision, as
/// older senders write it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Goal {
    /// A revision.
    Revision(RevisionNo),
    /// An image, for one service.
    Image(WantedImage),
}

/// An image that a person asked for by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WantedImage {
    /// As they wrote it: `shop:previous`, `shop@sha256:...`, `sha256:...`.
    pub reference: String,
    /// The image itself: whoever has an engine to ask finds it out before the
    /// core decides.
    #[serde(default)]
    pub id: Option<ImageId>,
}

impl From<RevisionNo> for Goal {
    fn from(number: RevisionNo) -> Self {
        Self::Revision(number)
    }
}

/// What a person is answered.
pub type Answer = Result<Accepted, Refusal>;

/// A command was taken.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Accepted {
    /// What was done, or would be, in words.
    pub message: String,
    /// The rollback that began; with `dry_run` the one that would, with the
    /// number 0 and every step of its plan.
    pub incident: Option<Box<Incident>>,
}

/// A command was not taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Why, in words.
    pub message: String,
    /// What to do about it; may be empty.
    pub hint: String,
}
