//! Why the daemon cannot start, or stopped: one line each, with its remedy and
//! the exit code of the contract.

use std::path::PathBuf;

use crate::{api::ApiError, config::problem::Rejected, docker::DockerError, store::StoreError};

/// Why the daemon cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum Fatal {
    /// The configuration is unusable.
    #[error("{} is unusable: {} problem(s); `rollbackd check` shows each with its place", .path.display(), .rejected.problems.len())]
    Config {
        /// The file.
        path: PathBuf,
        /// Every problem.
        rejected: Rejected,
    },
    /// What lasts cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It cannot be asked.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// The engine's address makes no sense.
    #[error(transparent)]
    Docker(#[from] DockerError),
    /// The system refused something basic.
    #[error("{what}: {why}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What the system said.
        why: std::io::Error,
    },
}

impl Fatal {
    /// The exit code: 78 for what the configuration makes impossible, else 1.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Config { .. } => 78,
            Self::Store(_) | Self::Api(_) | Self::Docker(_) | Self::System { .. } => 1,
        }
    }
}
