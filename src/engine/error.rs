//! Why the engine room did not do what it was asked, and whose fault it was:
//! only what a target's own containers did is held against a revision.

use std::time::Duration;

use rollbackd_core::{
    plan::Fault,
    words::{ContainerId, ImageId, ServiceName},
};

use crate::{docker::error::DockerError, host::command::CommandError, store::StoreError};

/// Why it did not. Each reads as a whole sentence.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The engine refused, or does not answer.
    #[error(transparent)]
    Docker(#[from] DockerError),
    /// The records cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file of ours cannot be written.
    #[error(
        "{path} cannot be written: {source}; let `state_dir` name a directory that rollbackd may write"
    )]
    File {
        /// The file.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// How a container ran was never recorded, or the record is gone.
    #[error(
        "how {service} ran is not known: the record of container {} is gone from the state directory; deploy it by hand",
        short(id)
    )]
    RecordGone {
        /// The service.
        service: ServiceName,
        /// The container.
        id: ContainerId,
    },
    /// The image was removed.
    #[error("the image {reference} ({}) was removed; build or pull it again", .image.short())]
    ImageGone {
        /// As it was called.
        reference: String,
        /// The image.
        image: ImageId,
    },
    /// What a container lives in is gone.
    #[error(
        "{service} lives in the namespaces of container {}, which is gone; deploy both by hand",
        short(id)
    )]
    JoinedGone {
        /// The service that joins.
        service: ServiceName,
        /// What it joined.
        id: ContainerId,
    },
    /// Somebody changes the same containers.
    #[error(
        "somebody else made or renamed {name} while it was being replaced; nothing more was changed, look at `docker ps -a`"
    )]
    Meddled {
        /// The container.
        name: String,
    },
    /// Somebody deployed meanwhile.
    #[error("somebody deployed {name} meanwhile; what they deployed was not touched")]
    Overtaken {
        /// The container.
        name: String,
    },
    /// Another process has a port that the container needs.
    #[error(
        "port {port} of this host, which {service} needs, is taken by another process; nothing was stopped, free the port and try again"
    )]
    PortTaken {
        /// The service.
        service: ServiceName,
        /// As `8080/tcp`.
        port: String,
    },
    /// Both cannot run at once.
    #[error(
        "{service} cannot be started before the old one stops: {why}; use `order = \"stop-first\"`"
    )]
    NotStartFirst {
        /// The service.
        service: ServiceName,
        /// Why not.
        why: String,
    },
    /// There is no Compose that could do it.
    #[error("{why}; install it, or set docker.compose")]
    NoCompose {
        /// Which was looked for, and what came of it.
        why: String,
    },
    /// A command could not be run to its end.
    #[error("{0}; look at `docker ps -a`")]
    Command(#[from] CommandError),
    /// Compose failed.
    #[error("`{command}` failed ({how}): {said}")]
    Compose {
        /// What was run, in short.
        command: String,
        /// As `exit code 1`.
        how: String,
        /// Its last words.
        said: String,
    },
    /// It cannot be told whether Compose would deploy what is deployed.
    #[error("whether Compose would deploy {service} as it was deployed cannot be checked: {why}")]
    Unchecked {
        /// The service.
        service: ServiceName,
        /// Why not, and what to do.
        why: String,
    },
    /// Compose would deploy something else than what is deployed.
    #[error(
        "Compose would not deploy {service} here as it was deployed: {why}; nothing was changed, deploy it by hand"
    )]
    Drifted {
        /// The service.
        service: ServiceName,
        /// The files and variables that may be the reason.
        why: String,
    },
    /// The image that was asked for is not here and cannot be brought.
    #[error("the image {reference} is not on this host and {why}")]
    NotHere {
        /// As it was asked for.
        reference: String,
        /// Why it was not pulled, and what to do.
        why: String,
    },
    /// Compose says that it did, and did not.
    #[error(
        "Compose ended well, and yet {service} does not run {reference} as often as before; look at `docker ps -a`"
    )]
    NotDeployed {
        /// The service.
        service: ServiceName,
        /// The image that was asked for.
        reference: String,
    },
    /// The service has no container.
    #[error("{service} has no container; somebody removed it, deploy it again")]
    Absent {
        /// The service.
        service: ServiceName,
    },
    /// A container ended.
    #[error("{name} {how}; see `docker logs {name}`")]
    Ended {
        /// The container.
        name: String,
        /// As `exited with code 1`.
        how: String,
    },
    /// A container's health check says no.
    #[error("{name} is unhealthy{}", said(output))]
    Unhealthy {
        /// The container.
        name: String,
        /// What the last check printed, bounded.
        output: String,
    },
    /// It took too long.
    #[error("{name} {how} after {}", humantime::format_duration(*.limit))]
    NotYet {
        /// The container.
        name: String,
        /// As `is still starting`.
        how: String,
        /// How long was waited.
        limit: Duration,
    },
}

impl EngineError {
    /// Whose fault it was.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        match self {
            Self::Docker(DockerError::NotExecutable { .. })
            | Self::Ended { .. }
            | Self::Unhealthy { .. }
            | Self::NotYet { .. } => Fault::Target,
            Self::Docker(_)
            | Self::Store(_)
            | Self::File { .. }
            | Self::RecordGone { .. }
            | Self::ImageGone { .. }
            | Self::JoinedGone { .. }
            | Self::Meddled { .. }
            | Self::Overtaken { .. }
            | Self::PortTaken { .. }
            | Self::NotStartFirst { .. }
            | Self::NoCompose { .. }
            | Self::Command(_)
            | Self::Compose { .. }
            | Self::Unchecked { .. }
            | Self::Drifted { .. }
            | Self::NotHere { .. }
            | Self::NotDeployed { .. }
            | Self::Absent { .. } => Fault::World,
        }
    }
}

fn short(id: &ContainerId) -> &str {
    id.as_str().get(..12).unwrap_or(id.as_str())
}

fn said(output: &str) -> String {
    if output.is_empty() { String::new() } else { format!("; its last check said: {output}") }
}
