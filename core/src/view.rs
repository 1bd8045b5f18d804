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
    /// A person's own command is deploying: since when, and its limit.
    pub announced: Option<(Moment, Moment)>,
    /// The rollback that runs.
    pub rollback: Option<IncidentId>,
    /// What can be said of the newest revision.
    pub verdict: VerdictView,
    /// What can be said of the revision that runs.
    pub running: VerdictView,
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

/// What can be said of a revision, for a job that waits for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerdictView {
    /// The revision; `None` before the first was recorded.
    pub revision: Option<RevisionNo>,
    /// What.
    pub verdict: Verdict,
    /// While it waits: for what.
    pub waits_for: Option<WaitsFor>,
    /// Why, in words.
    pub reason: String,
    /// The rollback that it is about.
    pub rollback: Option<IncidentId>,
    /// How that ended.
    pub outcome: Option<crate::incident::Outcome>,
}

/// What can be said of a deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Nothing yet.
    Waits,
    /// Its bake was observed and passed.
    Good,
    /// It was rolled back from.
    RolledBack,
    /// It breached and runs all the same.
    NotRolledBack,
    /// Nobody can tell.
    Unknown,
}

/// What a verdict waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WaitsFor {
    /// The first look since the daemon started.
    Look,
    /// A deployment that has not settled.
    Deployment,
    /// The bake.
    Bake,
    /// The steps of a rollback.
    Rollback,
    /// The signals after a rollback.
    Verification,
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
