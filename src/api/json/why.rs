//! `why`: why a service was or was not rolled back, now or at a past moment.

use jiff::Timestamp;
use rollbackd_core::{
    guard::Guard,
    revision::Standing,
    words::{ProjectName, RevisionNo, ServiceName},
};
use serde::{Deserialize, Serialize};

use super::Trigger;

/// What is known of one service at one moment, and what was decided by it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Why {
    /// The project.
    pub project: ProjectName,
    /// The service.
    pub service: ServiceName,
    /// The moment that is told of.
    pub at: Timestamp,
    /// It is past, and told from what was recorded.
    pub recorded: bool,
    /// The configuration of this service was another one then; what is told goes
    /// by the one of then.
    pub other_configuration: bool,
    /// The revision that ran.
    pub revision: Option<RevisionNo>,
    /// What was thought of it.
    pub standing: Option<Standing>,
    /// In a sentence: what happens, and what stands in the way of it.
    pub says: String,
    /// Its triggers, those that may act first.
    pub triggers: Vec<WhyTrigger>,
}

/// One trigger, and what stands between its breach and a rollback.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WhyTrigger {
    /// As in `status`.
    #[serde(flatten)]
    pub trigger: Trigger,
    /// For how long its condition must hold, in seconds.
    pub holds_for: f64,
    /// Which share of the samples of that time must breach; null: all.
    pub share: Option<f64>,
    /// Its condition in words, with the values.
    pub says: String,
    /// Every guard, as it is for a breach at that moment, in the order in which
    /// they are asked: the first that is not passed decides.
    pub guards: Vec<WhyGuard>,
}

/// One guard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WhyGuard {
    /// Its name: `paused`, `cooldown`, ...
    pub name: Guard,
    /// It does not stand in the way.
    pub passed: bool,
    /// What was found, with its values.
    pub says: String,
}
