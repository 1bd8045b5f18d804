//! One run of a plan, or a refusal to run one, with everything that history
//! tells of it.

use alloc::{format, string::String, vec::Vec};
use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    moment::Moment,
    plan::{Fault, Plan},
    settings::Condition,
    signal::Signal,
    words::{ImageId, IncidentId, ProjectName, RevisionNo, ServiceName, TriggerId},
};

/// A rollback or a refusal, from its cause to its outcome.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Incident {
    /// Its number.
    pub id: IncidentId,
    /// What it is.
    pub kind: IncidentKind,
    /// The project.
    pub project: ProjectName,
    /// The services that go back, in the order in which they do.
    pub services: Vec<ServiceChange>,
    /// The revision that ran.
    pub from: RevisionNo,
    /// The revision to return to; `None` where there was none, and where a
    /// person asked for an image that never ran here (see
    /// [`Incident::destination`]).
    pub to: Option<RevisionNo>,
    /// Why.
    pub cause: Cause,
    /// Further triggers that breached meanwhile.
    pub joined: Vec<Breach>,
    /// When it was decided.
    pub began_at: Moment,
    /// When it ended.
    pub ended_at: Option<Moment>,
    /// When the first acting step began and the last one ended.
    pub acted: Option<(Moment, Moment)>,
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// Why it ended so, in words.
    pub reason: String,
    /// The steps as they went; one tried again is listed once.
    pub steps: Vec<StepRun>,
    /// The plan, resolved when it began.
    pub plan: Plan,
}

/// What kind of incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IncidentKind {
    /// A plan was run.
    Rollback,
    /// A guard kept one from being run.
    Refused,
}

/// One service of an incident: what it ran and what it goes back to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceChange {
    /// The service.
    pub name: ServiceName,
    /// The reference that ran.
    pub from_image: String,
    /// The image that ran.
    pub from_id: ImageId,
    /// The reference to return to.
    pub to_image: String,
    /// The image to return to.
    pub to_id: ImageId,
}

/// Why a rollback began.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "snake_case")]
pub enum Cause {
    /// A trigger's condition held for its time.
    Breach(Breach),
    /// A person asked.
    Person {
        /// What they gave as the reason, or nothing.
        reason: String,
        /// They asked to go forward again.
        forward: bool,
    },
    /// Going back did not help, and `not_recovered = "forward"`.
    NotRecovered {
        /// The rollback that did not help.
        incident: IncidentId,
    },
    /// An image that was rolled back from came back, and no person brought it:
    /// it is put back at once.
    KnownBad {
        /// The rollback that the image is known by.
        incident: IncidentId,
    },
}

/// A trigger whose condition has held for its time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Breach {
    /// The trigger.
    pub trigger: TriggerId,
    /// What people call it.
    pub name: String,
    /// Its service.
    pub service: ServiceName,
    /// Its signal.
    pub signal: Signal,
    /// The condition.
    pub condition: Condition,
    /// The value that completed it; `None` for a breach by blindness.
    #[serde(default, with = "crate::number::option")]
    pub value: Option<f64>,
    /// Since when the condition held.
    pub pending_since: Moment,
    /// When it had held for its time.
    pub at: Moment,
}

/// How a rollback ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The target runs and the signals are back.
    Recovered,
    /// The target runs; there was no data to judge by.
    Unverified,
    /// The target runs; the signals are not back.
    NotRecovered,
    /// The target does not run; what ran before was put back, or the reason
    /// says what runs now.
    Failed,
    /// Nothing was done, or a person's deployment took over.
    Refused,
}

impl Outcome {
    /// The contract's word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Recovered => "recovered",
            Self::Unverified => "unverified",
            Self::NotRecovered => "not-recovered",
            Self::Failed => "failed",
            Self::Refused => "refused",
        }
    }
}

/// A step as it went.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepRun {
    /// The step's name.
    pub name: String,
    /// Its kind: `recreate`.
    pub kind: String,
    /// When it first began.
    pub began_at: Moment,
    /// When it ended.
    pub ended_at: Option<Moment>,
    /// How often it was begun.
    pub attempts: u32,
    /// `Some(Ok)` done, `Some(Err)` failed.
    pub outcome: Option<Result<(), Fault>>,
    /// What it had to say.
    pub output: String,
}

/// How long each phase of a rollback took, as far as it has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Phases {
    /// From the first breaching sample to the breach.
    pub detect: Option<Duration>,
    /// From the breach to the decision.
    pub decide: Option<Duration>,
    /// From the decision to the end of the last acting step.
    pub act: Option<Duration>,
    /// From there to the end.
    pub verify: Option<Duration>,
}

impl Incident {
    /// The breach that caused it, unless a person did.
    #[must_use]
    pub const fn breach(&self) -> Option<&Breach> {
        match &self.cause {
            Cause::Breach(breach) => Some(breach),
            Cause::Person { .. } | Cause::NotRecovered { .. } | Cause::KnownBad { .. } => None,
        }
    }

    /// Why a moving tag was left where it was, as its step said.
    #[must_use]
    pub fn left_tag(&self, reference: &str) -> Option<&str> {
        let mut retags = self.steps.iter().filter(|step| step.kind == "retag");
        retags.find_map(|step| {
            let left = step.output.strip_prefix("left ")?.strip_prefix(reference)?;
            left.strip_prefix(": ")
        })
    }

    /// Where it goes, in few words: `r1`, or the image that was asked for;
    /// `None` where there was nothing to return to.
    #[must_use]
    pub fn destination(&self) -> Option<String> {
        match (self.to, &self.services[..]) {
            (Some(to), _) => Some(format!("r{to}")),
            (None, [only]) => Some(only.to_image.clone()),
            (None, _) => None,
        }
    }

    /// The tag that Compose was given the image by, where it was moved for that.
    #[must_use]
    pub fn moved_tag(&self) -> Option<&str> {
        let step = self.steps.iter().find(|step| step.kind == "compose")?;
        Some(step.output.split_once(" names ")?.0)
    }

    /// How long each phase took.
    #[must_use]
    pub fn phases(&self) -> Phases {
        let breach = self.breach();
        let acted = self.acted.map(|(_, last)| last);
        Phases {
            detect: breach.map(|breach| breach.at.since(breach.pending_since)),
            decide: breach.map(|breach| self.began_at.since(breach.at)),
            act: acted.map(|last| last.since(self.began_at)),
            verify: acted.zip(self.ended_at).map(|(last, end)| end.since(last)),
        }
    }
}
