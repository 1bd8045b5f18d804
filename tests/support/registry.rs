//! A real registry on a port of its own, so that a deployment is what a person
//! types: push, pull, up.

use std::{
    net::TcpStream,
    process::{Command, Stdio},
};

use tempfile::TempDir;

use super::{
    engine::{docker, lines},
    process::{Running, free_port},
    wait::until,
};

/// A registry; dropped, it is gone with all it holds.
pub struct Registry {
    /// `127.0.0.1:PORT`
    pub address: String,
    _process: Running,
    _directory: TempDir,
}

impl Registry {
    /// Starts one (the package `docker-registry`); returns when it listens.
    pub fn start() -> Self {
        let directory = TempDir::with_prefix("rbtest-registry-").unwrap();
        let address = format!("127.0.0.1:{}", free_port());
        let file = directory.path().join("config.yml");
        let data = directory.path().join("data");
        let config = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage:\n  filesystem: {{rootdirectory: {}}}\n  \
             delete: {{enabled: true}}\nhttp: {{addr: {address}}}\n",
            data.display()
        );
        std::fs::write(&file, config).unwrap();
        let process = Command::new("docker-registry")
            .arg("serve")
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("docker-registry is there: sh tests/bring-tools.sh");
        let registry = Self { address, _process: Running(process), _directory: directory };
        until("the registry listens", || TcpStream::connect(&registry.address).ok());
        registry
    }

    /// Pushes `REPOSITORY:TAG` as `REPOSITORY:latest`, as a build server does;
    /// afterwards this machine does not have that `latest` by its own doing.
    pub fn publish(&self, repository: &str, tag: &str) {
        self.push(&format!("{repository}:latest"), |latest| {
            docker(&["tag", &format!("{repository}:{tag}"), latest]);
        });
    }

    /// Pushes what `make` gives this reference, as another machine does it:
    /// afterwards this one has under it what it had before.
    pub fn push<T>(&self, reference: &str, make: impl FnOnce(&str) -> T) -> T {
        let before = lines(&["image", "inspect", "--format", "{{.Id}}", reference]);
        let made = make(reference);
        docker(&["push", "-q", reference]);
        match before.first() {
            Some(id) => docker(&["tag", id, reference]),
            None => docker(&["rmi", reference]),
        };
        made
    }
}
