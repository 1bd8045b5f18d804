//! What the tests of one room on the real engine stand on: the engine as a
//! person speaks to it, the one program of all their images, Compose, and a
//! tool that recreates containers by itself.

pub mod compose;
pub mod program;
pub mod puller;

use std::process::{Command, Output, Stdio};

use rollbackd_core::words::ImageId;

/// The engine's address: `$DOCKER_HOST`, else the usual socket.
pub fn host() -> String {
    let chosen = std::env::var("DOCKER_HOST").ok().filter(|host| !host.is_empty());
    chosen.unwrap_or_else(|| "unix:///var/run/docker.sock".into())
}

/// Runs `docker`, which may fail.
pub fn try_docker(words: &[&str]) -> Output {
    let mut command = Command::new("docker");
    let command = command.args(["-H", &host()]).args(words).stdin(Stdio::null());
    command.output().expect("the `docker` command is installed")
}

/// Runs `docker`, which must succeed; gives what it printed.
pub fn docker(words: &[&str]) -> String {
    let output = try_docker(words);
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "docker {words:?}: {complaint}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// What `docker` lists, a line each; nothing where it fails.
pub fn lines(words: &[&str]) -> Vec<String> {
    let output = try_docker(words).stdout;
    let lines = String::from_utf8_lossy(&output);
    lines.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

/// Makes an image of the program with these changes of its configuration.
pub fn import(reference: &str, changes: &[&str]) -> ImageId {
    let tar = program::tar();
    let mut words = vec!["import"];
    for change in changes {
        words.extend(["-c", change]);
    }
    words.extend([tar.to_str().expect("the path is text"), reference]);
    docker(&words);
    // Podman prints more than the ID when it imports.
    let id = docker(&["image", "inspect", "-f", "{{.Id}}", reference]);
    id.trim().parse().expect("an image has an ID")
}

/// The volumes of the containers that a filter finds: what was bound by name
/// does not go with its container.
pub fn volumes_of(filter: &str) -> Vec<String> {
    let format = r#"{{range .Mounts}}{{if eq .Type "volume"}}{{println .Name}}{{end}}{{end}}"#;
    let containers = lines(&["ps", "-aq", "--no-trunc", "--filter", filter]);
    containers.iter().flat_map(|id| lines(&["inspect", "-f", format, id])).collect()
}

/// Removes everything of one kind that a filter finds. One thing after the
/// other: engines hang when containers of one network are removed at the same
/// time.
pub fn remove(list: &[&str], filter: &str, how: &[&str]) {
    for id in lines(&[list, &["--filter", filter]].concat()) {
        try_docker(&[how, &[&id]].concat());
    }
}

/// Removes the containers that a filter finds.
pub fn remove_containers(filter: &str) {
    remove(&["ps", "-aq", "--no-trunc"], filter, &["rm", "-f", "-v"]);
}

/// Removes the networks that a filter finds.
pub fn remove_networks(filter: &str) {
    remove(&["network", "ls", "-q"], filter, &["network", "rm"]);
}

/// Removes the volumes that a filter finds.
pub fn remove_volumes(filter: &str) {
    remove(&["volume", "ls", "-q"], filter, &["volume", "rm", "-f"]);
}

/// Removes the images that a filter finds.
pub fn remove_images(filter: &str) {
    remove(&["images", "-aq", "--no-trunc"], filter, &["rmi", "-f"]);
}
