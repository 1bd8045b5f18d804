//! What is on the model: containers, images, networks, volumes, ports.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use rollbackd_core::words::ImageId;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::sync::watch;

use super::{
    super::error::DockerError,
    image::Built,
    network::{Bound, Endpoint, Net},
};
use crate::host::clock::Clock;

/// A wall clock that is behind the last date by more nanoseconds than this was
/// set back.
const SET_BACK: i128 = 1_000_000_000;

/// Status and message of a refusal, as the engine gives them.
pub(super) type Refusal = (u16, String);

/// Everything.
pub(super) struct World {
    pub(super) clock: Clock,
    /// In the order of their creation.
    pub(super) containers: Vec<Made>,
    pub(super) images: BTreeMap<ImageId, Built>,
    /// Reference with a tag or a digest → what a pull of it brings.
    pub(super) registry: BTreeMap<String, Built>,
    pub(super) networks: BTreeMap<String, Net>,
    pub(super) volumes: BTreeSet<String>,
    /// Ports of the host that no container holds.
    pub(super) foreign_ports: BTreeSet<u16>,
    pub(super) faults: Vec<(&'static str, DockerError)>,
    /// All events since the engine started, as the API gives them.
    pub(super) log: Vec<Value>,
    /// Told whenever the log grows or the streams end.
    pub(super) grew: watch::Sender<()>,
    /// How often the streams were cut.
    pub(super) cuts: u64,
    away: bool,
    made: u64,
    /// The date of what happened last, and how much has happened.
    dated: i128,
    pub(super) happened: u64,
}

/// One container.
pub(super) struct Made {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) created: Timestamp,
    pub(super) image: ImageId,
    pub(super) config: Value,
    pub(super) host: Value,
    pub(super) endpoints: BTreeMap<String, Endpoint>,
    pub(super) mounts: Vec<Value>,
    pub(super) bound: Vec<Bound>,
    pub(super) status: Status,
    pub(super) exit_code: i64,
    pub(super) error: String,
    pub(super) oom: bool,
    pub(super) started: Option<Timestamp>,
    pub(super) finished: Option<Timestamp>,
    pub(super) restarts: u64,
    /// Stopped by hand: its restart policy lets it be.
    pub(super) stopped_by_hand: bool,
    /// Whether its health check passes, and how often in a row it has not.
    pub(super) health: Option<(bool, u64)>,
    /// Nanoseconds of processor time, bytes of memory.
    pub(super) used: (u64, u64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    Created,
    Running,
    Restarting,
    Exited,
}

impl Made {
    /// Running, or between two runs: what `remove` refuses.
    pub(super) fn is_up(&self) -> bool {
        matches!(self.status, Status::Running | Status::Restarting)
    }

    pub(super) fn short(&self) -> &str {
        &self.id[..12]
    }
}

impl World {
    pub(super) fn new(clock: Clock) -> Self {
        let mut world = Self {
            clock,
            containers: Vec::new(),
            images: BTreeMap::new(),
            registry: BTreeMap::new(),
            networks: BTreeMap::new(),
            volumes: BTreeSet::new(),
            foreign_ports: BTreeSet::new(),
            faults: Vec::new(),
            log: Vec::new(),
            grew: watch::Sender::new(()),
            cuts: 0,
            away: false,
            made: 0,
            dated: 0,
            happened: 0,
        };
        for name in ["bridge", "host", "none"] {
            world.add_network(name, None);
        }
        world
    }

    /// A new identity: 64 hexadecimal digits, the same in every run.
    pub(super) fn identity(&mut self) -> String {
        self.made += 1;
        let digest = Sha256::digest(format!("rollbackd model {}", self.made));
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The time of what happens next: no two happen at once, and only a clock
    /// that is set back makes a later one look earlier.
    pub(super) fn date(&mut self) -> Timestamp {
        let wall = self.clock.wall().as_nanosecond();
        let set_back = wall + SET_BACK < self.dated;
        self.dated = if set_back { wall } else { wall.max(self.dated + 1) };
        self.happened += 1;
        Timestamp::from_nanosecond(self.dated).unwrap_or(Timestamp::MAX)
    }

    /// A container by ID, name, or the first digits of its ID.
    pub(super) fn find(&self, id_or_name: &str) -> Option<&Made> {
        self.index(id_or_name).ok().map(|at| &self.containers[at])
    }

    /// Its place in the list.
    pub(super) fn index(&self, id_or_name: &str) -> Result<usize, Refusal> {
        let bare = id_or_name.trim_start_matches('/');
        let place = |is: &dyn Fn(&Made) -> bool| self.containers.iter().position(is);
        place(&|made| made.id == bare)
            .or_else(|| place(&|made| made.name == bare))
            .or_else(|| place(&|made| bare.len() >= 4 && made.id.starts_with(bare)))
            .ok_or_else(|| (404, format!("No such container: {id_or_name}")))
    }

    /// The refusal of a name that is taken by another.
    pub(super) fn name_is_free(&self, name: &str) -> Result<(), Refusal> {
        match self.containers.iter().find(|made| made.name == name) {
            None => Ok(()),
            Some(made) => Err((
                409,
                format!(
                    "Conflict. The container name \"/{name}\" is already in use by container \"{}\". You have to remove (or rename) that container to be able to reuse that name.",
                    made.id
                ),
            )),
        }
    }

    pub(super) fn set_away(&mut self, away: bool) {
        self.away = away;
        if away {
            self.cut();
        }
    }

    /// Ends all streams of events.
    pub(super) fn cut(&mut self) {
        self.cuts += 1;
        self.grew.send_replace(());
    }

    pub(super) fn reachable(&self) -> Result<(), DockerError> {
        if self.away {
            let why = "nothing listens there; is Docker running?".to_owned();
            return Err(DockerError::Unreachable { host: "model".to_owned(), why });
        }
        Ok(())
    }
}
