//! Starting everything, and the one loop.

use std::path::{Path, PathBuf};

/// Why the daemon ended without being asked to. Each is a sentence with its
/// remedy.
#[derive(Debug, thiserror::Error)]
pub enum Fatal {
    /// The configuration itself makes it impossible.
    #[error("{0}")]
    Configuration(String),
    /// Anything else: a second daemon, another's socket, a state directory
    /// that cannot be written.
    #[error("{0}")]
    Failed(String),
}

/// Runs until it is asked to stop. `socket` is used instead of the
/// configuration's, also after a reload.
pub async fn run(config: &Path, socket: Option<PathBuf>) -> Result<(), Fatal> {
    let at = socket.unwrap_or_default();
    Err(Fatal::Failed(format!("{} {}", config.display(), at.display())))
}
