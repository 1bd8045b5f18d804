//! Why the daemon cannot start: one line each, with its remedy.

use crate::{api::ApiError, config::Rejected, docker::error::DockerError, store::StoreError};

/// Why the daemon cannot start.
#[derive(Debug, thiserror::Error)]
pub enum Fatal {
    /// The configuration is unusable.
    #[error("the configuration is unusable: {0}")]
    Configuration(Rejected),
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
