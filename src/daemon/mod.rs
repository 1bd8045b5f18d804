//! Starting everything, and the one loop.

use std::path::{Path, PathBuf};

use crate::config::{self, Rejected};

/// Why the daemon ended without being asked to. Each is a sentence with its
/// remedy.
#[derive(Debug, thiserror::Error)]
pub enum Fatal {
    /// The configuration itself makes it impossible.
    #[error("{rejected}")]
    Configuration {
        /// Every problem.
        rejected: Rejected,
    },
    /// Anything else: a second daemon, another's socket, a state directory
    /// that cannot be written.
    #[error("{0}")]
    Failed(String),
}

/// Runs until it is asked to stop. `socket` is used instead of the
/// configuration's, also after a reload.
pub async fn run(config: &Path, socket: Option<PathBuf>) -> Result<(), Fatal> {
    let loaded = config::load(config).map_err(|rejected| Fatal::Configuration { rejected })?;
    let at = socket.unwrap_or(loaded.config.api.socket);
    Err(Fatal::Failed(format!("{}: the loop is not there yet", at.display())))
}
