//! A real registry on a port of its own, so that a deployment is what a person
//! types: push, pull, up.

use std::{
    net::TcpStream,
    process::{Command, Stdio},
};

use tempfile::TempDir;

use super::{Running, docker::docker, free_port, wait::until};

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
        let latest = format!("{repository}:latest");
        let before = docker(&["image", "inspect", "--format", "{{.Id}}", &latest]).ok();
        docker(&["tag", &format!("{repository}:{tag}"), &latest]).unwrap();
        docker(&["push", "-q", &latest]).unwrap();
        match before {
            Some(id) => docker(&["tag", id.trim(), &latest]).unwrap(),
            None => docker(&["rmi", &latest]).unwrap(),
        };
    }
}
