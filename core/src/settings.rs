//! What the core must know of the configuration: valid by construction, made
//! by `config/` from what the user wrote.

use alloc::{string::String, vec::Vec};
use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    ratio::Ratio,
    signal::Signal,
    words::{GroupName, ProjectName, ServiceName, TriggerId},
};

/// Everything the core decides by.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
pub struct Settings {
    /// The projects to watch.
    pub projects: Vec<ProjectSettings>,
}

/// Whether rollbackd may touch anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Decide, tell and act.
    Act,
    /// Decide and tell; touch nothing.
    Observe,
}

/// One project's rules.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProjectSettings {
    /// The Compose project's name.
    pub name: ProjectName,
    /// May rollbackd act here?
    pub mode: Mode,
    /// How long after a deployment a breach is blamed on it.
    pub bake: Duration,
    /// What a breach does when no deployment can be blamed.
    pub after_bake: AfterBake,
    /// A deployment ends when nothing has changed for this long.
    pub settle: Duration,
    /// Samples do not count for this long after a start.
    pub grace: Duration,
    /// What goes back.
    pub scope: Scope,
    /// Which of the two containers runs first.
    pub order: Order,
    /// Start-first: the pause between the new one's health and the old one's end.
    pub drain: Duration,
    /// Whether services with named volumes go back when the scope is `project`.
    pub stateful: bool,
    /// Good revisions kept restorable.
    pub keep: u32,
    /// Least time between two rollbacks from the same image.
    pub cooldown: Duration,
    /// Most rollbacks from the same image in 24 hours.
    pub max_rollbacks: u32,
    /// How long the signals have to be back, once verification has begun.
    pub recover_within: Duration,
    /// What to do when they are not.
    pub not_recovered: NotRecovered,
    /// How many further targets are tried when a target's own containers fail.
    pub max_depth: u32,
    /// How long a container has to be running, and healthy where it has a check.
    pub start_timeout: Duration,
    /// Groups of triggers, and how many of each must be breached at once before
    /// a rollback begins.
    pub groups: Vec<Group>,
    /// What is watched.
    pub triggers: Vec<TriggerSettings>,
}

/// Triggers that act together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// What its triggers name it by.
    pub name: GroupName,
    /// How many of them must be breached at once.
    pub needs: u32,
}

/// What a breach does after the bake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AfterBake {
    /// People are told.
    Alert,
    /// The last good revision is put back all the same.
    Rollback,
}

/// Which services go back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// All that the blamed deployments changed.
    Deployment,
    /// The breaching service alone.
    Service,
    /// Every service that differs from the target.
    Project,
}

/// Which container runs first when one replaces another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// The old one stops, then the new one starts.
    StopFirst,
    /// The new one is healthy before the old one stops.
    StartFirst,
}

/// What to do when going back did not help.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NotRecovered {
    /// Stay at the target; people decide.
    Stay,
    /// It was not the deployment: go forward again.
    Forward,
}

/// One trigger: a condition on a signal that must hold for a time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TriggerSettings {
    /// What makes it the same trigger across reloads.
    pub id: TriggerId,
    /// What people call it: its `name`, else "SERVICE SIGNAL".
    pub name: String,
    /// The service it judges.
    pub service: ServiceName,
    /// What it measures.
    pub signal: Signal,
    /// The source's name in the configuration; `docker` for the engine itself.
    pub source: String,
    /// Everything else that makes up what is measured (query, window, ...), as
    /// one text: when it changes on a reload, the window starts empty.
    pub measures: String,
    /// When a value breaches.
    pub condition: Condition,
    /// For how long it must.
    pub hold: Hold,
    /// The same, while its service runs an image that was rolled back from
    /// before.
    pub for_known_bad: Duration,
    /// When a breach is over.
    pub clear: Clear,
    /// How often the source is asked.
    pub every: Duration,
    /// The longest gap that counts as time. Zero is Prometheus's own rule: only
    /// an empty answer clears, a failed query leaves the state as it was.
    pub max_gap: Duration,
    /// Samples do not count for this long after a start; zero for `health`.
    pub grace: Duration,
    /// How long the signal has to be back after a rollback.
    pub recover_within: Duration,
    /// How far back one value looks (the window, or the longest range in the
    /// query): verification waits this long, so that errors of the old version
    /// do not condemn the new.
    pub looks_back: Duration,
    /// What no data does.
    pub on_blind: OnBlind,
    /// Services besides its own whose deployment is blamed too.
    pub blames: Vec<ServiceName>,
    /// Whether a deployment is blamed though something else is wrong as well.
    pub blame: Blame,
    /// The group without which it does not act.
    pub group: Option<GroupName>,
    /// What a breach does.
    pub action: Action,
}

/// When a value breaches.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// Greater than this.
    Above(f64),
    /// Less than this.
    Below(f64),
    /// This or more: counted failures.
    AtLeast(f64),
}

impl Condition {
    /// Does this value breach?
    #[must_use]
    pub fn breached_by(self, value: f64) -> bool {
        match self {
            Self::Above(threshold) => value > threshold,
            Self::Below(threshold) => value < threshold,
            Self::AtLeast(threshold) => value >= threshold,
        }
    }

    /// The number it compares with.
    #[must_use]
    pub const fn threshold(self) -> f64 {
        match self {
            Self::Above(threshold) | Self::Below(threshold) | Self::AtLeast(threshold) => threshold,
        }
    }

    /// How far a value lies beyond the threshold; negative when it does not
    /// breach.
    #[must_use]
    pub fn excess(self, value: f64) -> f64 {
        match self {
            Self::Above(threshold) | Self::AtLeast(threshold) => value - threshold,
            Self::Below(threshold) => threshold - value,
        }
    }

    /// Is this value beyond the line where a breach clears?
    #[must_use]
    pub fn cleared_by(self, value: f64, line: Option<f64>) -> bool {
        match (self, line) {
            (_, None) => !self.breached_by(value),
            (Self::Above(_) | Self::AtLeast(_), Some(line)) => value < line,
            (Self::Below(_), Some(line)) => value > line,
        }
    }
}

/// When a breach is over: hysteresis, so that a signal at its threshold does
/// not breach and clear by turns. What is only pending is cleared by any sample
/// that does not breach, as in Prometheus.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Clear {
    /// A sample counts towards clearing when it is beyond this line
    /// (`clear_below`, `clear_above`); `None`: when it does not breach.
    #[serde(default, with = "crate::number::option")]
    pub line: Option<f64>,
    /// For how long, without a sample that does not count (`clear_for`).
    pub lasts: Duration,
}

/// Whether a deployment is blamed though something else is wrong as well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Blame {
    /// Not while what the service depends on is itself unwell, nor while
    /// services breach that were not deployed.
    #[default]
    Careful,
    /// All the same.
    Always,
}

/// For how long a condition must hold.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hold {
    /// Prometheus's `for`: every sample over at least this long.
    For(Duration),
    /// At least this share of the samples within a span, the newest among them.
    Share {
        /// The share that must breach.
        share: Ratio,
        /// The span they must cover.
        within: Duration,
    },
}

impl Hold {
    /// The time the condition must hold.
    #[must_use]
    pub const fn span(self) -> Duration {
        match self {
            Self::For(span) | Self::Share { within: span, .. } => span,
        }
    }

    /// The same rule over another time.
    #[must_use]
    pub const fn over(self, span: Duration) -> Self {
        match self {
            Self::For(_) => Self::For(span),
            Self::Share { share, .. } => Self::Share { share, within: span },
        }
    }
}

/// What missing data does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnBlind {
    /// Nothing but making the service unarmed.
    Ignore,
    /// People are told.
    Alert,
    /// It is a breach, if the trigger had data before the deployment and has
    /// had none since.
    Breach,
}

/// What a breach does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// The previous revision is put back.
    Rollback,
    /// People are told.
    Alert,
}
