//! The JSON documents of the contract, as types that the daemon writes and the
//! command line reads. Times are RFC 3339 in UTC, durations seconds, shares 0
//! to 1; an infinite value is written as ±1.797e308 (the largest number, as jq
//! does), because JSON has no infinity.

use jiff::Timestamp;
use rollbackd_core::{
    incident::{IncidentKind, Outcome},
    plan::Fault,
    revision::Standing,
    settings::{Action, Mode},
    signal::Signal,
    view::{TriggerState, Verdict as Says, WaitsFor},
    words::{ImageId, IncidentId, ProjectName, RevisionNo, ServiceName},
};
use serde::{Deserialize, Serialize};

/// `status`: every project as it stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// The daemon's version.
    pub version: String,
    /// When this was true.
    pub at: Timestamp,
    /// The mode that projects have unless they say otherwise.
    pub mode: Mode,
    /// Why the engine does not answer.
    pub engine: Option<String>,
    /// Since when it does not.
    pub engine_away_since: Option<Timestamp>,
    /// What keeps every project unarmed: state cannot be written.
    pub trouble: Option<String>,
    /// How far the daemon is behind its samples, in seconds.
    pub behind: f64,
    /// Every project, in the configuration's order.
    pub projects: Vec<Project>,
}

/// One project as it stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Project {
    /// Its name.
    pub name: ProjectName,
    /// Whether rollbackd may act on it.
    pub mode: Mode,
    /// The revision that runs.
    pub revision: Option<RevisionNo>,
    /// What is thought of it.
    pub standing: Option<Standing>,
    /// When its deployment ended.
    pub deployed_at: Option<Timestamp>,
    /// A deployment is under way since then.
    pub deploying_since: Option<Timestamp>,
    /// How far its bake has come.
    pub bake: Option<Bake>,
    /// Automatic action is held.
    pub paused: bool,
    /// Until when; null also for a pause that lasts until somebody resumes.
    pub paused_until: Option<Timestamp>,
    /// Why, in the person's words.
    pub pause_reason: Option<String>,
    /// `rollbackd deploy` is at work.
    pub announced: Option<Announced>,
    /// The ID of the rollback that runs.
    pub rollback: Option<IncidentId>,
    /// What can be said of the newest revision.
    pub verdict: Verdict,
    /// What can be said of the revision that runs.
    pub running: Verdict,
    /// Its services.
    pub services: Vec<Service>,
}

/// A deployment that was announced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Announced {
    /// Since when its command is at work.
    pub since: Timestamp,
    /// Its limit.
    pub until: Timestamp,
}

/// What can be said of a revision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// The revision; null before the first was recorded.
    pub revision: Option<RevisionNo>,
    /// `waits`, `good`, `rolled-back`, `not-rolled-back` or `unknown`.
    pub verdict: Says,
    /// While it waits: `look`, `deployment`, `bake`, `rollback` or
    /// `verification`.
    pub waits_for: Option<WaitsFor>,
    /// Why, in words.
    pub reason: String,
    /// The ID of the rollback that it is about.
    pub rollback: Option<IncidentId>,
    /// How that ended.
    pub outcome: Option<Outcome>,
}

/// How far a bake has come.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bake {
    /// Seconds of it that were observed.
    pub observed: f64,
    /// Its length in seconds.
    pub of: f64,
}

/// One service as it stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Service {
    /// Its name.
    pub name: ServiceName,
    /// The reference it runs; null when it has no container.
    pub image: Option<String>,
    /// The image it runs.
    pub image_id: Option<ImageId>,
    /// Since when.
    pub since: Option<Timestamp>,
    /// It has a trigger, fresh data and a revision to return to.
    pub armed: bool,
    /// Why not, or what else a person should know.
    pub reasons: Vec<String>,
    /// The revision it would return to.
    pub target: Option<RevisionNo>,
    /// What is watched.
    pub triggers: Vec<Trigger>,
}

/// Which side of the threshold breaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Compare {
    /// More than the threshold.
    Above,
    /// Less than it.
    Below,
    /// As much or more.
    AtLeast,
}

/// One trigger as it stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trigger {
    /// What people call it.
    pub name: String,
    /// What it measures.
    pub signal: Signal,
    /// The source's name.
    pub source: String,
    /// What a breach does.
    pub action: Action,
    /// What it is doing.
    pub state: TriggerState,
    /// The last usable value: a share 0 to 1, seconds or a count, by `unit`.
    pub value: Option<f64>,
    /// What it is compared with, in the same unit.
    pub threshold: f64,
    /// Which side of it breaches.
    pub condition: Compare,
    /// `share`, `seconds`, `count` or `number`.
    pub unit: String,
    /// When the last usable value was asked for.
    pub at: Option<Timestamp>,
    /// Since when the condition holds.
    pub pending_since: Option<Timestamp>,
    /// Why it is blind or in grace, or why its breach does nothing.
    pub reason: Option<String>,
    /// The last values, oldest first; null where there was none.
    pub recent: Vec<Option<f32>>,
}

/// `revisions`: one state that can be returned to, or why it cannot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Revision {
    /// The project.
    pub project: ProjectName,
    /// Its number.
    pub revision: RevisionNo,
    /// What is thought of it.
    pub standing: Standing,
    /// It was rolled back from and was not the cause: going back did not help.
    #[serde(default)]
    pub acquitted: bool,
    /// It is the one that runs.
    pub current: bool,
    /// When its deployment began.
    pub began_at: Timestamp,
    /// When its deployment ended.
    pub deployed_at: Timestamp,
    /// Every service and what it ran.
    pub services: Vec<RevisionService>,
    /// The services that its deployment changed.
    pub changed: Vec<ServiceName>,
    /// It can be returned to right now.
    pub restorable: bool,
    /// Why not.
    pub reason: Option<String>,
}

/// What a service ran in a revision.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RevisionService {
    /// Its name.
    pub name: ServiceName,
    /// The reference.
    pub image: String,
    /// The image.
    pub image_id: ImageId,
}

/// `history`: one rollback, drill or refusal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Incident {
    /// Its number; 0 for a plan that was only asked for.
    pub id: IncidentId,
    /// What it is.
    pub kind: IncidentKind,
    /// The project.
    pub project: ProjectName,
    /// The services that go back, in order.
    pub services: Vec<ServiceName>,
    /// What each of them ran and what it goes back to.
    pub changes: Vec<Change>,
    /// The revision that ran.
    pub from: RevisionNo,
    /// The revision to return to.
    pub to: Option<RevisionNo>,
    /// `breach`, `person`, `forward` or `not-recovered`.
    pub cause: String,
    /// The trigger that breached; null when a person asked.
    pub trigger: Option<String>,
    /// Its service.
    pub service: Option<ServiceName>,
    /// Its signal.
    pub signal: Option<Signal>,
    /// The value that completed the breach.
    pub value: Option<f64>,
    /// What it was compared with.
    pub threshold: Option<f64>,
    /// Which side of it breaches.
    pub condition: Option<Compare>,
    /// Since when the condition held.
    pub pending_since: Option<Timestamp>,
    /// When it had held for its time.
    pub breached_at: Option<Timestamp>,
    /// Further triggers that breached meanwhile.
    pub joined: Vec<String>,
    /// When it was decided.
    pub began_at: Timestamp,
    /// When it ended; null while it runs.
    pub ended_at: Option<Timestamp>,
    /// How it ended; null while it runs.
    pub outcome: Option<Outcome>,
    /// Why so, in words; for a rollback by hand that still runs, the person's.
    pub reason: String,
    /// The steps as they went.
    pub steps: Vec<Step>,
    /// Every step of the plan, in order.
    pub plan: Vec<PlanStep>,
    /// How long each phase took.
    pub phases: Phases,
}

/// What a service ran and what it goes back to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// The service.
    pub name: ServiceName,
    /// The reference that ran.
    pub from_image: String,
    /// The image that ran.
    pub from_image_id: ImageId,
    /// The reference to return to.
    pub to_image: String,
    /// The image to return to.
    pub to_image_id: ImageId,
}

/// How a step went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepEnd {
    /// It did what it should.
    Done,
    /// It did not.
    Failed,
}

/// A step as it went.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Its name.
    pub name: String,
    /// Its kind: `recreate`.
    pub kind: String,
    /// When it first began.
    pub began_at: Timestamp,
    /// When it ended; null while it runs.
    pub ended_at: Option<Timestamp>,
    /// How often it was begun.
    pub attempts: u32,
    /// How it went; null while it runs.
    pub outcome: Option<StepEnd>,
    /// Of a failed step: the target's own containers' or the world's.
    pub fault: Option<Fault>,
    /// What it had to say.
    pub output: String,
}

/// A step as it is planned.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlanStep {
    /// Its name.
    pub name: String,
    /// Its kind: `recreate`.
    pub kind: String,
    /// What exactly it does, in words.
    pub does: String,
    /// How long it may take, in seconds.
    pub limit: f64,
}

/// How long each phase took, in seconds, as far as it has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Phases {
    /// From the first breaching sample to the breach.
    pub detect: Option<f64>,
    /// From the breach to the decision.
    pub decide: Option<f64>,
    /// From the decision to the end of the last acting step.
    pub act: Option<f64>,
    /// From there to the end.
    pub verify: Option<f64>,
}

/// What was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Looked {
    /// The projects.
    pub projects: Vec<ProjectName>,
}

/// A command was taken.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Accepted {
    /// What was done, or would be.
    pub message: String,
    /// The rollback that began, or would.
    pub incident: Option<Incident>,
}

/// How a test message fared on its way to one recipient.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelReport {
    /// `email`, or a webhook's name.
    pub channel: String,
    /// The recipient.
    pub to: String,
    /// It was taken.
    pub ok: bool,
    /// What the other side answered, or why it could not be reached.
    pub message: String,
}

/// `{ "error": { ... } }`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorDocument {
    /// The error.
    pub error: ErrorBody,
}

/// What went wrong, and what to do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// A word for programs: `refused`, `busy`, `not_found`, ...
    pub code: String,
    /// What and where, a sentence.
    pub message: String,
    /// What to do; may be empty.
    pub hint: String,
    /// The file, where it is about one.
    pub file: Option<String>,
    /// The line in it, from 1.
    pub line: Option<usize>,
    /// The column in it, from 1, in characters.
    pub column: Option<usize>,
}
