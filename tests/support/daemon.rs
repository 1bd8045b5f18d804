//! The real daemon as a child process, asked by its own commands.

use std::{
    fs::{File, OpenOptions},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::{config::Config, project::Project, wait::until};

/// The daemon of a test; dropped, it is stopped, and when the test fails its
/// log is printed.
pub struct Daemon {
    directory: PathBuf,
    child: Option<Child>,
}

/// What a command printed and how it ended.
#[derive(Debug)]
pub struct Ran {
    /// Its exit code.
    pub code: i32,
    /// Its standard output.
    pub out: String,
    /// Its standard error.
    pub err: String,
}

impl Ran {
    /// Its standard output as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|why| panic!("no JSON ({why}): {self:?}"))
    }
}

/// Runs `rollbackd` to its end in a directory; killed when it does not end.
pub fn rollbackd(directory: &Path, arguments: &[&str]) -> Ran {
    let out = tempfile::tempfile().unwrap();
    let err = tempfile::tempfile().unwrap();
    let mut child = Command::new(program())
        .args(arguments)
        .current_dir(directory)
        .env_remove("ROLLBACKD_CONFIG")
        .stdin(Stdio::null())
        .stdout(out.try_clone().unwrap())
        .stderr(err.try_clone().unwrap())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + super::wait::LIMIT;
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if Instant::now() > deadline {
            drop(child.kill());
            drop(child.wait());
            panic!("`rollbackd {}` did not end: {}", arguments.join(" "), whole(err));
        }
        thread::sleep(Duration::from_millis(5));
    };
    Ran { code: status.code().unwrap_or(-1), out: whole(out), err: whole(err) }
}

/// `$ROLLBACKD_TEST_PROGRAM`, else the one that was built with the tests.
fn program() -> PathBuf {
    let built = || env!("CARGO_BIN_EXE_rollbackd").into();
    std::env::var_os("ROLLBACKD_TEST_PROGRAM").map_or_else(built, PathBuf::from)
}

fn whole(mut file: File) -> String {
    use std::io::{Read, Seek};
    let mut text = String::new();
    file.rewind().unwrap();
    file.read_to_string(&mut text).unwrap();
    text
}

impl Daemon {
    /// Writes the configuration and starts the daemon; returns when it answers.
    pub fn start(project: &Project, config: &Config) -> Self {
        project.write("rollbackd.toml", &config.text());
        let mut daemon = Self { directory: project.directory.path().to_owned(), child: None };
        daemon.start_again(&[]);
        daemon
    }

    /// Starts it on the state that is there, with variables of its own.
    pub fn start_again(&mut self, environment: &[(&str, &str)]) {
        assert!(self.child.is_none(), "it runs already");
        let log = OpenOptions::new().create(true).append(true).open(self.log_file()).unwrap();
        let child = Command::new(program())
            .args(["--config", "rollbackd.toml", "run"])
            .current_dir(&self.directory)
            .env_remove("ROLLBACKD_CONFIG")
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        self.child = Some(child);
        until("the daemon answers", || {
            let ended = self.child.as_mut().and_then(|child| child.try_wait().unwrap());
            assert!(ended.is_none(), "the daemon ended ({ended:?}):\n{}", self.log());
            (self.run(&["--json", "status"]).code == 0).then_some(())
        });
    }

    /// Its process.
    #[allow(dead_code, reason = "a bench uses it")]
    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("it runs").id()
    }

    /// SIGKILL, and waited for.
    pub fn kill(&mut self) {
        let mut child = self.child.take().expect("it runs");
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Waits until it has ended by itself, or else its first rollback has.
    #[cfg(feature = "testing")]
    pub fn ends_before_its_rollback(&mut self) -> bool {
        let mut child = self.child.take().expect("it runs");
        let dies = until("the daemon ends, or its rollback", || {
            if child.try_wait().unwrap().is_some() {
                return Some(true);
            }
            let ran = self.run(&["--json", "history"]);
            let ended = |ran: &Ran| !ran.json()[0]["ended_at"].is_null();
            (ran.code == 0 && ended(&ran)).then_some(false)
        });
        if !dies {
            self.child = Some(child);
        }
        dies
    }

    /// SIGTERM; its exit code.
    pub fn stop(&mut self) -> Option<i32> {
        let mut child = self.child.take().expect("it runs");
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).expect("a child's ID");
        // It may have ended by itself.
        let _ = kill_process(pid, Signal::TERM);
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            if let Some(status) = child.try_wait().unwrap() {
                return status.code();
            }
            if Instant::now() > deadline {
                drop(child.kill());
                drop(child.wait());
                return None;
            }
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Sends it a signal.
    #[allow(dead_code, reason = "each binary uses what it needs")]
    pub fn signal(&self, signal: Signal) {
        kill_process(self.process(), signal).unwrap();
    }

    /// Its process.
    #[allow(dead_code, reason = "each binary uses what it needs")]
    pub fn process(&self) -> Pid {
        let child = self.child.as_ref().expect("it runs");
        i32::try_from(child.id()).ok().and_then(Pid::from_raw).expect("a child's ID")
    }

    /// How much memory it has, in MiB.
    #[allow(dead_code, reason = "each binary uses what it needs")]
    pub fn resident_mib(&self) -> u64 {
        let path = format!("/proc/{}/status", self.process().as_raw_nonzero());
        let status = std::fs::read_to_string(path).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("it has memory");
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
    }

    /// Runs a command against it.
    pub fn run(&self, arguments: &[&str]) -> Ran {
        let socket = self.directory.join("rollbackd.sock");
        let socket = socket.to_str().expect("temporary directories have plain names");
        rollbackd(&self.directory, &[&["--socket", socket], arguments].concat())
    }

    /// `status`: the first project.
    pub fn project(&self) -> Value {
        let ran = self.run(&["--json", "status"]);
        assert_eq!(ran.code, 0, "{ran:?}\n{}", self.log());
        ran.json()["projects"][0].clone()
    }

    /// `status`: a service of the first project.
    pub fn service(&self, name: &str) -> Value {
        let project = self.project();
        let services = project["services"].as_array().expect("services is a list");
        let named = services.iter().find(|service| service["name"] == name);
        named.unwrap_or_else(|| panic!("no service {name} in {project:#}")).clone()
    }

    /// `history`, oldest first.
    pub fn history(&self) -> Vec<Value> {
        let ran = self.run(&["--json", "history"]);
        assert_eq!(ran.code, 0, "{ran:?}\n{}", self.log());
        let Value::Array(mut incidents) = ran.json() else { panic!("no list: {ran:?}") };
        incidents.sort_by_key(|incident| incident["id"].as_u64());
        incidents
    }

    /// `revisions`, oldest first.
    pub fn revisions(&self) -> Vec<Value> {
        let ran = self.run(&["--json", "revisions"]);
        assert_eq!(ran.code, 0, "{ran:?}\n{}", self.log());
        let Value::Array(mut revisions) = ran.json() else { panic!("no list: {ran:?}") };
        revisions.sort_by_key(|revision| revision["revision"].as_u64());
        revisions
    }

    /// Waits until every service that is watched is armed: now a deployment can
    /// be undone.
    pub fn wait_armed(&self) {
        self.wait("armed", |daemon| {
            let project = daemon.project();
            let services = project["services"].as_array()?;
            let watched = |s: &&Value| s["triggers"].as_array().is_some_and(|t| !t.is_empty());
            let mut watched = services.iter().filter(watched).peekable();
            (watched.peek().is_some() && watched.all(|service| service["armed"] == true))
                .then_some(())
        });
    }

    /// Waits until the `n`th rollback (the first is 1) has ended, and gives it.
    pub fn wait_ended(&self, n: usize) -> Value {
        self.wait("the rollback has ended", |daemon| {
            let history = daemon.history();
            let mut rollbacks = history.iter().filter(|incident| incident["kind"] == "rollback");
            rollbacks.nth(n - 1).filter(|incident| !incident["ended_at"].is_null()).cloned()
        })
    }

    /// Waits for a fact; when it does not come, tells what the daemon thinks.
    pub fn wait<T>(&self, what: &str, fact: impl Fn(&Self) -> Option<T>) -> T {
        let deadline = Instant::now() + super::wait::LIMIT;
        loop {
            if let Some(answer) = fact(self) {
                return answer;
            }
            if Instant::now() >= deadline {
                panic!("{what}: it did not come.\n{:#}\n{:#?}", self.project(), self.history());
            }
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// What it has logged, over all its starts.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    fn log_file(&self) -> PathBuf {
        self.directory.join("rollbackd.log")
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if self.child.is_some() {
            let _ = self.stop();
        }
        if thread::panicking() {
            eprintln!("--- the daemon's log\n{}", self.log());
        }
    }
}
