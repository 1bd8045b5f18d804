//! What can be seen of the core from outside: snapshots for readers, which
//! never wait for the one that decides.

use alloc::{string::String, vec::Vec};

use serde::{Deserialize, Serialize};

use crate::{
    incident::Incident,
    moment::Moment,
    revision::{Revision, Standing},
    settings::{Action, Condition, Hold, Mode},
    signal::Signal,
    words::{ImageId, IncidentId, ProjectName, RevisionNo, ServiceName},
};

/// One project as it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct ProjectView {
    /// Its name.
    pub name: ProjectName,
    /// Whether rollbackd may act on it.
    pub mode: Mode,
    /// The revision that runs; `None` before the first was recorded.
    pub revision: Option<RevisionNo>,
    /// What is thought of it.
    pub standing: Option<Standing>,
    /// A deployment is under way since then.
    pub deploying_since: Option<Moment>,
    /// How much of the bake has been observed, and how long it is.
    pub bake: Option<(core::time::Duration, core::time::Duration)>,
    /// The pause, if there is one.
    pub paused: Option<PauseView>,
    /// The rollback that runs.
    pub rollback: Option<IncidentId>,
    /// Its services, by name: those that run and those that have a trigger.
    pub services: Vec<ServiceView>,
    /// Every revision that is remembered, oldest first.
    pub revisions: Vec<RevisionView>,
    /// The last incidents, oldest first.
    pub incidents: Vec<Incident>,
}

/// A pause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PauseView {
    /// When it ends; `None` when somebody resumes.
    pub until: Option<Moment>,
    /// Why, in the person's words.
    pub reason: String,
}

/// One service as it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct ServiceView {
    /// Its name.
    pub name: ServiceName,
    /// The reference it runs; `None` when it has no container.
    pub image: Option<String>,
    /// The image it runs.
    pub image_id: Option<ImageId>,
    /// Since when its containers run what they run.
    pub since: Option<Moment>,
    /// It has a trigger, fresh data and a target.
    pub armed: bool,
    /// Why not, or what else a person should know.
    pub reasons: Vec<String>,
    /// The revision it would return to.
    pub target: Option<RevisionNo>,
    /// What is watched.
    pub triggers: Vec<TriggerView>,
}

/// What a trigger is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TriggerState {
    /// The condition does not hold.
    Ok,
    /// It holds, but not yet for its time.
    Pending,
    /// It has held for its time.
    Breached,
    /// No usable data.
    Blind,
    /// Samples do not count yet.
    Grace,
}

impl TriggerState {
    /// The contract's word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Pending => "pending",
            Self::Breached => "breached",
            Self::Blind => "blind",
            Self::Grace => "grace",
        }
    }
}

/// How many values a sparkline shows.
pub const RECENT: usize = 24;

/// One trigger as it stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TriggerView {
    /// What people call it.
    pub name: String,
    /// What it measures.
    pub signal: Signal,
    /// The source's name.
    pub source: String,
    /// What it does when it breaches.
    pub action: Action,
    /// What it is doing.
    pub state: TriggerState,
    /// The last usable value.
    #[serde(default, with = "crate::number::option")]
    pub value: Option<f64>,
    /// When that was asked for.
    pub at: Option<Moment>,
    /// The condition.
    pub condition: Condition,
    /// For how long it must hold.
    pub hold: Hold,
    /// That is shorter than usual: the service runs an image that was rolled
    /// back from before.
    pub known_bad: bool,
    /// Since when the condition holds.
    pub pending_since: Option<Moment>,
    /// Why it is blind or in grace, or why its breach does nothing.
    pub reason: Option<String>,
    /// The last values, oldest first; `None` where there was none.
    pub recent: Vec<Option<f32>>,
}

/// One revision as it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct RevisionView {
    /// What it is.
    pub revision: Revision,
    /// What is thought of it.
    pub standing: Standing,
    /// It was rolled back from and was not the cause.
    pub acquitted: bool,
    /// `None`: it can be returned to. Else what is missing.
    pub problem: Option<String>,
}
