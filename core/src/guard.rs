//! What can stand between a breach and a rollback, each with its reason in
//! words. None of them is an error: a breach that is still there when a guard
//! lifts is decided then.

use serde::{Deserialize, Serialize};

/// Why a breach does not lead to a rollback.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Guard {
    /// The trigger's action is to tell.
    AlertOnly,
    /// A rollback runs already: a breach joins it.
    Running,
    /// No deployment can be blamed: none in its bake, or none of what the
    /// trigger watches.
    NobodyToBlame,
    /// The condition had held before the deployment, and is not much worse.
    Older,
    /// What the service depends on is itself unwell, and was not deployed.
    Dependency,
    /// Services breach as well that were not deployed.
    Others,
    /// Too few triggers of its group breach.
    Group,
    /// `mode = "observe"`.
    Observing,
    /// Somebody has paused it.
    Paused,
    /// A deployment is under way; it is decided when that has settled.
    Deploying,
    /// The engine does not answer, or the project has not been looked at yet.
    Unseen,
    /// Too soon after the last rollback from the same image.
    Cooldown,
    /// Too many rollbacks from the same image in 24 hours.
    Budget,
    /// There is no revision to return to.
    NoTarget,
    /// There is one, but what it needs is gone.
    NotRestorable,
    /// Something brings a bad image back again and again.
    BroughtBack,
}

impl Guard {
    /// Every guard, in the order in which they are asked.
    pub const ALL: [Self; 16] = [
        Self::AlertOnly,
        Self::Running,
        Self::Unseen,
        Self::Deploying,
        Self::NobodyToBlame,
        Self::Older,
        Self::Dependency,
        Self::Others,
        Self::Group,
        Self::NoTarget,
        Self::Observing,
        Self::Paused,
        Self::Cooldown,
        Self::Budget,
        Self::NotRestorable,
        Self::BroughtBack,
    ];

    /// What is asked, in a word or two for people.
    #[must_use]
    pub const fn asks(self) -> &'static str {
        match self {
            Self::AlertOnly => "action",
            Self::Running => "running rollback",
            Self::Unseen => "engine",
            Self::Deploying => "settled",
            Self::NobodyToBlame => "deployment",
            Self::Older => "older",
            Self::Dependency => "dependencies",
            Self::Others => "others",
            Self::Group => "group",
            Self::NoTarget => "target",
            Self::Observing => "mode",
            Self::Paused => "pause",
            Self::Cooldown => "cooldown",
            Self::Budget => "budget",
            Self::NotRestorable => "restorable",
            Self::BroughtBack => "brought back",
        }
    }

    /// Nothing is told and nothing recorded: it lifts by itself shortly, and
    /// then the breach is decided.
    #[must_use]
    pub const fn only_waits(self) -> bool {
        matches!(self, Self::Running | Self::Deploying | Self::Unseen)
    }

    /// People are told as of an alert, not as of a refused rollback.
    #[must_use]
    pub const fn only_alerts(self) -> bool {
        matches!(
            self,
            Self::AlertOnly
                | Self::NobodyToBlame
                | Self::Older
                | Self::Dependency
                | Self::Others
                | Self::Group
        )
    }
}
