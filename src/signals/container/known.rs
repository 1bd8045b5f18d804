//! One container, as it is known from events and looks together.

use rollbackd_core::{
    moment::Moment,
    revision::{ContainerState, Health},
    words::ServiceName,
};

/// One container.
pub(super) struct Known {
    pub(super) service: ServiceName,
    pub(super) name: String,
    pub(super) state: ContainerState,
    pub(super) health: Health,
    pub(super) streak: u32,
    /// Since when it is in its state.
    pub(super) since: Moment,
    /// When somebody last asked the engine to send it a signal.
    pub(super) asked: Option<Moment>,
    /// It ended because somebody asked for it.
    pub(super) by_request: bool,
    pub(super) restarts_always: bool,
    pub(super) oom_killed: bool,
    /// The last exit that is accounted for.
    pub(super) died: Option<Moment>,
    pub(super) restarts: Option<u64>,
}

impl Known {
    pub(super) fn new(service: ServiceName, since: Moment) -> Self {
        Self {
            service,
            name: String::new(),
            state: ContainerState::Other,
            health: Health::None,
            streak: 0,
            since,
            asked: None,
            by_request: false,
            restarts_always: false,
            oom_killed: false,
            died: None,
            restarts: None,
        }
    }

    pub(super) fn turn(&mut self, state: ContainerState, since: Moment) {
        (self.state, self.since) = (state, since);
    }

    /// It is meant to be at its end: somebody asked for it, or its work is
    /// done. A policy that always restarts leaves a container at its end only
    /// when a person stopped it, or when it cannot be started again (125 to
    /// 128).
    pub(super) fn ended_well(&self, code: i64) -> bool {
        let done = code == 0 && !self.oom_killed;
        let stopped = self.restarts_always && !(125..=128).contains(&code) && !self.oom_killed;
        self.by_request || done || stopped
    }

    pub(super) fn describe(&self) -> String {
        let name = &self.name;
        let state = match self.state {
            ContainerState::Created => "was created and not started".to_owned(),
            ContainerState::Running => "runs".to_owned(),
            ContainerState::Restarting => "restarts".to_owned(),
            ContainerState::Exited(code) => format!("ended with code {code}"),
            ContainerState::Other => "is in a state of its own".to_owned(),
        };
        match self.health {
            Health::None => format!("{name} {state}"),
            Health::Starting => format!("{name} {state}, health not yet known"),
            Health::Healthy => format!("{name} {state}, healthy"),
            Health::Unhealthy => format!("{name} {state}, unhealthy {} times", self.streak),
            Health::Unknown => format!("{name} {state}, its health in an unknown word"),
        }
    }
}

/// The exit codes of SIGKILL, SIGTERM and SIGINT.
pub(super) fn by_signal(code: i64) -> bool {
    matches!(code, 137 | 143 | 130)
}
