//! Which socket is asked: what the person says, else what the configuration
//! says, else the usual one.

use std::path::{Path, PathBuf};

use crate::{
    cli::{args::Global, exit::Failure},
    config,
};

/// Where the daemon listens when nobody says otherwise.
const USUAL: &str = "/run/rollbackd/rollbackd.sock";

/// The socket to ask.
///
/// The configuration is read leniently, for this one key: a running daemon
/// must be reachable also while somebody is in the middle of editing it. One
/// that was named must be there all the same: who mistypes it would otherwise
/// ask, and order about, another daemon. The usual one need not be, so that who
/// may open the socket but not read the file can look.
///
/// # Errors
/// The configuration was named, and cannot be read.
pub(super) fn of(global: &Global) -> Result<PathBuf, Failure> {
    if let Some(socket) = &global.socket {
        return Ok(socket.clone());
    }
    let text = match config::read(global.config()) {
        Ok(text) => text,
        Err(rejected) if global.config.is_some() => return Err(unreadable(&rejected)),
        Err(_) => String::new(),
    };
    Ok(written(&text, global.config()).unwrap_or_else(|| USUAL.into()))
}

fn unreadable(rejected: &config::Rejected) -> Failure {
    let mut failure = Failure::unusable(rejected);
    failure.error.hint += "; or name the daemon's socket with --socket";
    failure
}

fn written(text: &str, config: &Path) -> Option<PathBuf> {
    let (document, _) = toml::de::DeTable::parse_recoverable(text);
    let socket = document.get_ref().get("api")?.get_ref().get("socket")?.get_ref().as_str()?;
    let directory = config.parent().unwrap_or(Path::new("."));
    Some(directory.join(socket))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn socket(text: &str) -> Option<PathBuf> {
        written(text, Path::new("/etc/rollbackd/rollbackd.toml"))
    }

    #[test]
    fn a_relative_path_is_relative_to_the_configuration() {
        assert_eq!(socket("[api]\nsocket = \"/s\""), Some("/s".into()));
        assert_eq!(socket("[api]\nsocket = \"s\""), Some("/etc/rollbackd/s".into()));
        assert_eq!(socket("mode = \"act\""), None);
    }

    #[test]
    fn a_file_that_is_being_edited_still_tells_the_socket() {
        assert_eq!(socket("[api]\nsocket = \"/s\"\n\n[project.shop\nbake = "), Some("/s".into()));
    }
}
