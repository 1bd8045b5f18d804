//! A machine with systemd as its first process, in a container that is removed
//! when it is dropped. The engine is the host's: its socket comes to
//! `/run/docker.sock` only when [`Machine::connect_engine`] says so, and is gone
//! from there after a reboot.

use std::{
    fs::File,
    io::Write,
    path::Path,
    process::{Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
};

use serde_json::Value;

use crate::{
    made,
    support::{daemon::Ran, docker::docker, project::Project, wait::until},
};

/// One service that takes its whole grace period to stop: so a step of a
/// rollback takes long enough to be met.
const SLOW_TO_STOP: &str = r#"
services:
  web:
    image: ${REPOSITORY}:latest
    ports: ["127.0.0.1:${PORT}:8080"]
    restart: unless-stopped
    stop_signal: SIGUSR1
    stop_grace_period: 5s
"#;

pub struct Machine {
    name: String,
}

impl Machine {
    /// Boots one; `None`, and said so, where none can be made.
    pub fn boot() -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let Some(archive) = made::file_system() else {
            eprintln!("SKIPPED: debootstrap is not there, so no machine with systemd can be made");
            return None;
        };
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let machine = Self { name: format!("rbtest-systemd-{}-{count}", std::process::id()) };
        let name = machine.name.as_str();
        let import = Command::new("docker")
            .args(["import", "-", name])
            .stdin(File::open(archive).unwrap())
            .output()
            .unwrap();
        assert!(import.status.success(), "{}", String::from_utf8_lossy(&import.stderr));
        let before = ["run", "-d", "--name", name, "--hostname", "machine"];
        // SYS_PTRACE: with ProtectProc= systemd looks at its own children by it,
        // as it may on a machine of its own.
        let capabilities = ["--cap-add", "SYS_ADMIN", "--cap-add", "SYS_PTRACE"];
        let free = ["--security-opt", "seccomp=unconfined", "-e", "container=docker"];
        let mounts = [
            "-v",
            "/sys/fs/cgroup:/sys/fs/cgroup:ro",
            "-v",
            "/var/run/docker.sock:/host/docker.sock",
        ];
        let memory = ["--tmpfs", "/run", "--tmpfs", "/run/lock", "--tmpfs", "/tmp"];
        let program = ["--stop-signal", "SIGRTMIN+3", name, "/sbin/init"];
        let all = [&before[..], &capabilities, &free, &mounts, &memory, &program].concat();
        docker(&all).unwrap();
        machine.wait_booted();
        // The socket's group has the host's number.
        let group = machine.ok("stat -c %g /host/docker.sock");
        machine.ok(&format!("groupadd --system --non-unique --gid {} docker", group.trim()));
        Some(machine)
    }

    /// Boots one and installs the package, with a configuration and an engine.
    pub fn with_rollbackd(configuration: &str) -> Option<Self> {
        let machine = Self::boot()?;
        machine.connect_engine();
        machine.write("/etc/rollbackd/rollbackd.toml", configuration);
        machine.install(&made::debian_packages()[0]);
        Some(machine)
    }

    fn wait_booted(&self) {
        until("the machine is up", || {
            let state = self.sh("systemctl is-system-running").out;
            ["running", "degraded"].contains(&state.trim()).then_some(())
        });
        // On a machine of its own systemd does this by itself; credentials reach
        // their service by it.
        self.ok("mount --make-rshared /");
    }

    /// From now on, and until it is rebooted.
    pub fn connect_engine(&self) {
        self.ok("ln -sfn /host/docker.sock /run/docker.sock");
    }

    /// Shuts it down in good order and boots it again.
    pub fn reboot(&self) {
        docker(&["restart", "-t", "60", &self.name]).unwrap();
        self.wait_booted();
    }

    pub fn install(&self, package: &Path) -> Ran {
        docker(&["cp", &package.to_string_lossy(), &format!("{}:/var/tmp/it.deb", self.name)])
            .unwrap();
        let ran = self.sh("dpkg -i /var/tmp/it.deb");
        assert_eq!(ran.code, 0, "{ran:?}");
        ran
    }

    /// The host's address, as seen from it.
    pub fn gateway(&self) -> String {
        let address = "{{.NetworkSettings.Gateway}}";
        docker(&["inspect", "--format", address, &self.name]).unwrap().trim().to_owned()
    }

    /// Runs words for its shell.
    pub fn sh(&self, words: &str) -> Ran {
        let done = Command::new("docker")
            .args(["exec", &self.name, "sh", "-c", words])
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ran {
            code: done.status.code().unwrap_or(-1),
            out: text(&done.stdout),
            err: text(&done.stderr),
        }
    }

    /// The same, which must go well; what it printed.
    pub fn ok(&self, words: &str) -> String {
        let ran = self.sh(words);
        assert_eq!(ran.code, 0, "{words}: {ran:?}\n{}", self.journal());
        ran.out
    }

    /// Writes a file, and the directories on its way.
    pub fn write(&self, path: &str, text: &str) {
        let mut child = Command::new("docker")
            .args(["exec", "-i", &self.name, "sh", "-c"])
            .arg(format!("mkdir -p $(dirname {path}) && cat > {path}"))
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        assert!(child.wait().unwrap().success(), "{path} cannot be written");
    }

    /// A change to the unit, as `systemctl edit` makes it.
    pub fn drop_in(&self, text: &str) {
        self.write("/etc/systemd/system/rollbackd.service.d/test.conf", text);
        self.ok("systemctl daemon-reload");
    }

    /// A property of the service, as systemd knows it.
    pub fn property(&self, name: &str) -> String {
        self.ok(&format!("systemctl show rollbackd --value -p {name}")).trim().to_owned()
    }

    pub fn journal(&self) -> String {
        self.sh("journalctl -u rollbackd --no-pager -o short-precise").out
    }

    /// `rollbackd --json ...`
    pub fn ask(&self, command: &str) -> Option<Value> {
        let ran = self.sh(&format!("rollbackd --json {command}"));
        (ran.code == 0).then(|| ran.json())
    }

    pub fn wait<T>(&self, what: &str, mut fact: impl FnMut(&Self) -> Option<T>) -> T {
        until(what, || fact(self))
    }

    pub fn wait_armed(&self) {
        self.wait("armed", |machine| {
            (machine.ask("status")?["projects"][0]["services"][0]["armed"] == true).then_some(())
        });
    }

    pub fn history(&self) -> Vec<Value> {
        let history = self.ask("history");
        history.and_then(|history| history.as_array().cloned()).unwrap_or_default()
    }

    /// Waits until the only rollback there is has ended.
    pub fn wait_ended(&self) -> Value {
        let ended = self.wait("the rollback has ended", |machine| {
            machine.history().into_iter().find(|incident| !incident["ended_at"].is_null())
        });
        assert_eq!(self.history().len(), 1, "one rollback, not two: {:#?}", self.history());
        ended
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- the machine's journal\n{}", self.journal());
        }
        drop(docker(&["rm", "-f", "-v", &self.name]));
        drop(docker(&["rmi", "-f", &self.name]));
    }
}

/// A project with a good version that runs, and a bad one that can be deployed.
pub fn project() -> (Project, String) {
    let project = Project::with(SLOW_TO_STOP);
    let good = project.image("v1", "");
    project.image("v2", "SHOP_HEALTH=fail");
    project.deploy("v1");
    (project, good)
}

/// Watches its health. Images are kept by tags: the program of an anchor would
/// have to be at the same path on the engine's machine.
pub fn watching(project: &Project) -> String {
    let name = &project.name;
    format!(
        "[docker]\nhost = \"unix:///run/docker.sock\"\n[project.{name}]\nkeep_by = \"tag\"\n\
         bake = \"60s\"\nsettle = \"1s\"\ngrace = \"1s\"\nrecover_within = \"30s\"\n\
         start_timeout = \"10s\"\n[[project.{name}.trigger]]\nservice = \"web\"\n\
         signal = \"health\"\nfailures = 2\nfor = \"20s\"\nevery = \"1s\"\n"
    )
}

/// A configuration of a project that does not exist.
pub const OF_NOTHING: &str = "[docker]\nhost = \"unix:///run/docker.sock\"\n\
    [project.nothing]\nkeep_by = \"tag\"\n[[project.nothing.trigger]]\nservice = \"web\"\n\
    signal = \"health\"\n";
