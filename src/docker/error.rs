//! Why the engine did not do what it was asked, by cause: so that a caller can
//! tell what a container did wrong from what the world did.

use std::time::Duration;

/// Longest text of the engine's that goes into an error, in characters.
const LONGEST: usize = 500;

/// Why a call to the engine failed. Each reads as a whole sentence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DockerError {
    /// The host is not written as one.
    #[error("`{0}` is no engine's address: write `unix:///path/to/socket` or `tcp://host:port`")]
    BadHost(String),
    /// Nothing answers there, or it stopped in the middle of an answer.
    #[error("the engine at {host} does not answer: {why}")]
    Unreachable {
        /// The address that was tried.
        host: String,
        /// What went wrong, with its remedy where there is one.
        why: String,
    },
    /// The whole call took longer than it may.
    #[error("the engine did not finish {call} within {}", humantime::format_duration(*.limit))]
    Timeout {
        /// What it was asked, as `docker.start`.
        call: &'static str,
        /// The limit.
        limit: Duration,
    },
    /// What the call names is not there.
    #[error("the engine does not have what {call} needs: {message}")]
    NotFound {
        /// What it was asked.
        call: &'static str,
        /// The engine's words.
        message: String,
    },
    /// The name is taken, or the thing is in use or in a state that forbids it.
    #[error("the engine refused {call}, because it conflicts with what is there: {message}")]
    Conflict {
        /// What it was asked.
        call: &'static str,
        /// The engine's words.
        message: String,
    },
    /// A port of the host belongs to somebody else.
    #[error("a port of this host is taken by another process; free it and try again: {message}")]
    PortTaken {
        /// The engine's words, which name the port.
        message: String,
    },
    /// The container's own program cannot be started: a missing or wrong
    /// entrypoint, user or working directory. The container's own fault.
    #[error("the container's program cannot be executed; its image or command is wrong: {message}")]
    NotExecutable {
        /// The engine's words.
        message: String,
    },
    /// The disk is full.
    #[error("the engine has no space left on its disk; free some and try again: {message}")]
    NoSpace {
        /// The engine's words.
        message: String,
    },
    /// Refused for another reason.
    #[error("the engine refused {call} with status {status}: {message}")]
    Refused {
        /// What it was asked.
        call: &'static str,
        /// The HTTP status.
        status: u16,
        /// The engine's words.
        message: String,
    },
    /// It answered what this version cannot read.
    #[error("the engine's answer to {call} cannot be read: {why}")]
    Unreadable {
        /// What it was asked.
        call: &'static str,
        /// What is wrong with it.
        why: String,
    },
}

impl DockerError {
    /// What the engine said to somebody else who started a container, where the
    /// cause can be told from it.
    #[must_use]
    pub fn told(message: &str) -> Option<Self> {
        match Self::refused("docker.start", 500, message) {
            Self::Refused { .. } => None,
            known => Some(known),
        }
    }

    /// The cause of a refusal, from its status and the engine's own words.
    pub(super) fn refused(call: &'static str, status: u16, message: &str) -> Self {
        let words = message.to_ascii_lowercase();
        let message = bounded(message);
        let says = |parts: &[&str]| parts.iter().any(|part| words.contains(part));
        if says(&["no space left on device", "disk quota exceeded"]) {
            return Self::NoSpace { message };
        }
        if call == "docker.start" {
            if says(&["port is already allocated", "address already in use"])
                && says(&["bind", "listen", "port"])
            {
                return Self::PortTaken { message };
            }
            if says(OWN_FAULTS) {
                return Self::NotExecutable { message };
            }
        }
        match status {
            404 => Self::NotFound { call, message },
            409 => Self::Conflict { call, message },
            _ => Self::Refused { call, status, message },
        }
    }
}

/// What runc and the engine say when the container's own program, user or
/// working directory is wrong. Not here: a mount whose source is missing, which
/// is the host's.
const OWN_FAULTS: &[&str] = &[
    "exec: \"",
    "exec format error",
    "executable file not found",
    "no command specified",
    "unable to find user",
    "unable to find group",
    "chdir to cwd",
];

fn bounded(text: &str) -> String {
    let text = text.trim();
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Messages as engines 20.10, 26.1 and 28.5 wrote them.
    #[test]
    fn a_start_that_failed_is_told_apart_by_its_cause() {
        let cause = |status, message| DockerError::refused("docker.start", status, message);
        for message in [
            "OCI runtime create failed: container_linux.go:380: starting container process caused: exec: \"/nope\": stat /nope: no such file or directory: unknown",
            "failed to create task for container: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: error during container init: exec: \"/nope\": stat /nope: no such file or directory: unknown",
            "failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: exec: \"/app\": permission denied: unknown",
            "unable to find user nobody2: no matching entries in passwd file",
        ] {
            assert!(matches!(cause(400, message), DockerError::NotExecutable { .. }), "{message}");
        }
        for message in [
            "driver failed programming external connectivity on endpoint a (b): Bind for 0.0.0.0:8080 failed: port is already allocated",
            "driver failed programming external connectivity on endpoint a (b): Error starting userland proxy: listen tcp4 0.0.0.0:8080: bind: address already in use",
            "failed to set up container networking: driver failed programming external connectivity on endpoint a (b): failed to bind host port for 0.0.0.0:8080:172.17.0.2:80/tcp: address already in use",
        ] {
            assert!(matches!(cause(500, message), DockerError::PortTaken { .. }), "{message}");
        }
        let mount =
            "error while creating mount source path '/a': mkdir /a: no such file or directory";
        assert!(matches!(cause(400, mount), DockerError::Refused { status: 400, .. }));
        let full = "write /var/lib/docker/x: no space left on device";
        assert!(matches!(cause(500, full), DockerError::NoSpace { .. }));
    }

    #[test]
    fn an_endless_message_is_cut() {
        let error = DockerError::refused("docker.create", 409, &"ä".repeat(100_000));
        assert!(error.to_string().chars().count() < 700);
    }

    #[test]
    fn errors_read_as_sentences() {
        let timeout =
            DockerError::Timeout { call: "docker.stop", limit: Duration::from_millis(40_500) };
        insta::assert_snapshot!(timeout, @"the engine did not finish docker.stop within 40s 500ms");
        let conflict = DockerError::refused("docker.create", 409, "The name is in use. ");
        insta::assert_snapshot!(conflict, @"the engine refused docker.create, because it conflicts with what is there: The name is in use.");
    }
}
