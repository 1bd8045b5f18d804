//! Everything the engine is ever asked, as one closed list: what a call is
//! named, how long it may take, and whether it changes anything.

use std::time::Duration;

use serde_json::Value;

/// How long a call may take as a whole.
const LIMIT: Duration = Duration::from_secs(30);
/// How long a pull may take.
const PULL_LIMIT: Duration = Duration::from_secs(600);
/// How long the question whether the engine answers at all may take.
const VERSION_LIMIT: Duration = Duration::from_secs(10);

/// One question to the engine, or one change. `Debug` is left out on purpose:
/// bodies hold the environment of containers.
#[derive(Clone, Copy)]
pub(super) enum Call<'a> {
    Version,
    /// All containers, or those with this `label=value`.
    Containers(Option<&'a str>),
    Container(&'a str),
    Create {
        name: &'a str,
        body: &'a Value,
    },
    Start(&'a str),
    Stop {
        id: &'a str,
        grace: Duration,
    },
    Kill(&'a str),
    Rename {
        id: &'a str,
        name: &'a str,
    },
    Remove {
        id: &'a str,
        volumes: bool,
        force: bool,
    },
    Update {
        id: &'a str,
        body: &'a Value,
    },
    Connect {
        network: &'a str,
        body: &'a Value,
    },
    Disconnect {
        network: &'a str,
        body: &'a Value,
    },
    Image(&'a str),
    /// The images with a tag in this repository.
    Images(&'a str),
    Tag {
        image: &'a str,
        repository: &'a str,
        tag: &'a str,
    },
    Untag(&'a str),
    Pull(&'a str),
    Stats(&'a str),
    Network(&'a str),
    Volume(&'a str),
}

impl Call<'_> {
    /// Its name in messages, logs and the list of boundaries.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Version => "docker.version",
            Self::Containers(_) => "docker.containers",
            Self::Container(_) => "docker.container",
            Self::Create { .. } => "docker.create",
            Self::Start(_) => "docker.start",
            Self::Stop { .. } => "docker.stop",
            Self::Kill(_) => "docker.kill",
            Self::Rename { .. } => "docker.rename",
            Self::Remove { .. } => "docker.remove",
            Self::Update { .. } => "docker.update",
            Self::Connect { .. } => "docker.connect_network",
            Self::Disconnect { .. } => "docker.disconnect_network",
            Self::Image(_) => "docker.image",
            Self::Images(_) => "docker.images",
            Self::Tag { .. } => "docker.tag",
            Self::Untag(_) => "docker.untag",
            Self::Pull(_) => "docker.pull",
            Self::Stats(_) => "docker.stats",
            Self::Network(_) => "docker.network",
            Self::Volume(_) => "docker.volume",
        }
    }

    /// How long the whole call may take.
    pub(super) fn limit(&self) -> Duration {
        match self {
            Self::Version => VERSION_LIMIT,
            Self::Stop { grace, .. } => grace.saturating_add(LIMIT),
            Self::Pull(_) => PULL_LIMIT,
            _ => LIMIT,
        }
    }

    /// Something is different afterwards: a durable boundary on both sides.
    pub(super) fn changes(&self) -> bool {
        match self {
            Self::Version
            | Self::Containers(_)
            | Self::Container(_)
            | Self::Image(_)
            | Self::Images(_)
            | Self::Stats(_)
            | Self::Network(_)
            | Self::Volume(_) => false,
            Self::Create { .. }
            | Self::Start(_)
            | Self::Stop { .. }
            | Self::Kill(_)
            | Self::Rename { .. }
            | Self::Remove { .. }
            | Self::Update { .. }
            | Self::Connect { .. }
            | Self::Disconnect { .. }
            | Self::Tag { .. }
            | Self::Untag(_)
            | Self::Pull(_) => true,
        }
    }
}
