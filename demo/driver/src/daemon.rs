//! The real daemon as a child process, and what its own commands say of it.

use std::{
    fs::{self, File},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use jiff::Timestamp;
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, de::DeserializeOwned};

/// A running daemon; dropped, it is stopped.
pub(crate) struct Daemon {
    program: PathBuf,
    socket: PathBuf,
    log: PathBuf,
    child: Child,
}

/// `rollbackd status`, as much of it as the demo shows.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Status {
    pub(crate) projects: Vec<Project>,
}

/// A project.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Project {
    pub(crate) revision: Option<u64>,
    pub(crate) standing: Option<String>,
    pub(crate) services: Vec<Service>,
}

/// A service.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Service {
    pub(crate) name: String,
    pub(crate) image_id: Option<String>,
    pub(crate) armed: bool,
    #[serde(default)]
    pub(crate) reasons: Vec<String>,
    pub(crate) triggers: Vec<Trigger>,
}

/// A trigger.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Trigger {
    pub(crate) signal: String,
    pub(crate) state: String,
    pub(crate) value: Option<f64>,
    pub(crate) threshold: f64,
    pub(crate) condition: String,
    #[serde(default)]
    pub(crate) recent: Vec<Option<f64>>,
}

/// An entry of `rollbackd history`.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Incident {
    pub(crate) id: u64,
    pub(crate) kind: String,
    pub(crate) from: Option<u64>,
    pub(crate) to: Option<u64>,
    pub(crate) trigger: Option<String>,
    pub(crate) value: Option<f64>,
    pub(crate) threshold: Option<f64>,
    pub(crate) condition: Option<String>,
    pub(crate) began_at: Timestamp,
    pub(crate) ended_at: Option<Timestamp>,
    pub(crate) outcome: Option<String>,
    pub(crate) reason: Option<String>,
    #[serde(default)]
    pub(crate) steps: Vec<Step>,
    #[serde(default)]
    pub(crate) phases: Phases,
}

/// A step as it went.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Step {
    pub(crate) name: String,
    pub(crate) began_at: Option<Timestamp>,
    pub(crate) ended_at: Option<Timestamp>,
    pub(crate) outcome: Option<String>,
    pub(crate) output: Option<String>,
}

/// How long each phase took, in seconds.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Phases {
    pub(crate) detect: Option<f64>,
    pub(crate) decide: Option<f64>,
    pub(crate) act: Option<f64>,
    pub(crate) verify: Option<f64>,
}

impl Daemon {
    /// Starts `rollbackd run` on a configuration in the stage's directory.
    pub(crate) fn start(program: &Path, directory: &Path, config: &Path) -> Result<Self> {
        let log = directory.join("rollbackd.log");
        let child = Command::new(program)
            .arg("--config")
            .arg(config)
            .arg("run")
            .current_dir(directory)
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log)?)
            .spawn()
            .with_context(|| format!("starting {}", program.display()))?;
        let socket = directory.join("rollbackd.sock");
        Ok(Self { program: program.to_owned(), socket, log, child })
    }

    /// `rollbackd status`; `None` while it does not answer.
    pub(crate) fn status(&mut self) -> Result<Option<Status>> {
        self.ask("status")
    }

    /// `rollbackd history`, oldest first; empty while it does not answer.
    pub(crate) fn history(&mut self) -> Result<Vec<Incident>> {
        let mut incidents: Vec<Incident> = self.ask("history")?.unwrap_or_default();
        incidents.sort_by_key(|incident| incident.id);
        Ok(incidents)
    }

    fn ask<T: DeserializeOwned>(&mut self, what: &str) -> Result<Option<T>> {
        if let Some(status) = self.child.try_wait()? {
            bail!("the daemon has ended ({status}); it said last:\n{}", self.last_words());
        }
        let answer = Command::new(&self.program)
            .arg("--socket")
            .arg(&self.socket)
            .args(["--json", what])
            .stdin(Stdio::null())
            .output()?;
        match answer.status.code() {
            Some(0) => serde_json::from_slice(&answer.stdout)
                .map(Some)
                .with_context(|| format!("reading what `rollbackd {what}` printed")),
            Some(3) => Ok(None),
            _ => bail!(
                "`rollbackd {what}` failed: {}{}",
                String::from_utf8_lossy(&answer.stdout),
                String::from_utf8_lossy(&answer.stderr)
            ),
        }
    }

    /// The last lines of its log.
    pub(crate) fn last_words(&self) -> String {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    }

    /// Its resident memory in MiB.
    pub(crate) fn resident(&self) -> Option<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        Some(line.trim().strip_suffix(" kB")?.parse::<f64>().ok()? / 1024.0)
    }

    /// Asks it to stop, and kills it when it has not after five seconds.
    fn stop(&mut self) {
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            // It may have ended by itself.
            let _ = kill_process(pid, Signal::TERM);
        }
        let deadline = Instant::now() + Duration::from_secs(5);
        while Instant::now() < deadline {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.stop();
    }
}
