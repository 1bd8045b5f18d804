//! What is wrong is said in one line that tells what to do, with the contract's
//! exit code.

use std::{fs, os::unix::net::UnixListener};

use tempfile::TempDir;

use crate::support::daemon::{Ran, rollbackd};

const HEAD: &str = "state_dir = \"state\"\n[api]\nsocket = \"rollbackd.sock\"\n";
/// A file that is right, on an engine that is not there.
const NO_ENGINE: &str = "state_dir = \"state\"\n[api]\nsocket = \"rollbackd.sock\"\n\
    [docker]\nhost = \"unix:///nowhere/docker.sock\"\n[project.shop]\n\
    [[project.shop.trigger]]\nservice = \"web\"\nsignal = \"health\"\n";

fn directory(config: &str) -> TempDir {
    let directory = TempDir::with_prefix("rbtest-").unwrap();
    fs::write(directory.path().join("rollbackd.toml"), config).unwrap();
    directory
}

fn run(directory: &TempDir) -> Ran {
    rollbackd(directory.path(), &["--config", "rollbackd.toml", "run"])
}

/// One line for a person, and neither a panic nor a backtrace.
fn assert_plain(ran: &Ran, words: &[&str]) {
    for word in words {
        assert!(ran.err.contains(word), "`{word}` is not in {ran:?}");
    }
    assert!(!ran.err.contains("panicked") && !ran.err.contains("backtrace"), "{ran:?}");
}

#[test]
fn a_broken_configuration_ends_with_78_and_tells_the_place() {
    let broken = directory(&format!("{HEAD}[project.shop]\nbaek = \"30m\"\n"));
    let ran = run(&broken);
    assert_eq!(ran.code, 78, "{ran:?}");
    assert_plain(&ran, &["rollbackd.toml", "baek", "bake"]);

    let ran = rollbackd(broken.path(), &["--config", "rollbackd.toml", "--json", "check"]);
    assert_eq!(ran.code, 78, "{ran:?}");
    let json = ran.json();
    let mut problems = json["problems"].as_array().unwrap().iter();
    let error = problems.find(|problem| problem["severity"] == "error").unwrap();
    assert_eq!(error["line"], 5, "{error:#}");
}

#[test]
fn a_file_that_is_not_there_ends_with_78() {
    let empty = TempDir::with_prefix("rbtest-").unwrap();
    let ran = run(&empty);
    assert_eq!(ran.code, 78, "{ran:?}");
    assert_plain(&ran, &["rollbackd.toml"]);
}

#[test]
fn a_configuration_that_is_a_pipe_or_a_directory_ends_with_78_and_nobody_waits() {
    let there = directory(HEAD);
    let (kind, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR);
    rustix::fs::mknodat(rustix::fs::CWD, there.path().join("pipe"), kind, mode, 0).unwrap();
    for (file, word) in [("pipe", "pipe"), (".", "directory")] {
        for command in ["run", "check", "status", "revisions", "history", "test-notify"] {
            let ran = rollbackd(there.path(), &["--config", file, command]);
            assert_eq!(ran.code, 78, "{command}: {ran:?}");
            assert_plain(&ran, &[file, ":1:1", word]);
        }
    }
}

#[test]
fn a_mistyped_configuration_is_told_and_no_other_daemon_is_asked() {
    let there = directory(NO_ENGINE);
    for command in
        [&["status"][..], &["status", "--check"], &["history", "1"], &["rollback", "shop", "--yes"]]
    {
        let ran = rollbackd(there.path(), &[&["--config", "rolbackd.toml"], command].concat());
        assert_eq!(ran.code, 78, "{ran:?}");
        assert_plain(&ran, &["rolbackd.toml:1:1", "no such file", "--socket"]);
        assert_eq!(ran.err.trim().lines().count(), 1, "{ran:?}");
    }
    let ran = rollbackd(there.path(), &["--config", "rolbackd.toml", "--json", "status"]);
    let error = &ran.json()["error"];
    assert_eq!(
        (ran.code, &error["code"], &error["line"]),
        (78, &"configuration".into(), &1.into())
    );

    // The socket was named: the configuration does not matter.
    let words = ["--config", "rolbackd.toml", "--socket", "other.sock", "status"];
    let ran = rollbackd(there.path(), &words);
    assert_eq!(ran.code, 3, "{ran:?}");
    assert_plain(&ran, &["other.sock"]);
}

#[test]
fn a_file_that_is_being_edited_still_tells_whom_to_ask() {
    let there = directory(&format!("{HEAD}[project.shop\nbake = "));
    let ran = rollbackd(there.path(), &["--config", "rollbackd.toml", "status"]);
    assert_eq!(ran.code, 3, "{ran:?}");
    assert_plain(&ran, &["rollbackd.sock"]);
}

#[test]
fn a_state_directory_that_cannot_be_written_ends_with_1() {
    // Below a file nobody can make a directory, not even root.
    let config = NO_ENGINE.replace("\"state\"", "\"rollbackd.toml/state\"");
    let ran = run(&directory(&config));
    assert_eq!(ran.code, 1, "{ran:?}");
    assert_plain(&ran, &["rollbackd.toml/state"]);
}

#[test]
fn anothers_socket_ends_with_1_and_is_left_alone() {
    let there = directory(NO_ENGINE);
    let socket = there.path().join("rollbackd.sock");
    let other = UnixListener::bind(&socket).unwrap();
    let ran = run(&there);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert_plain(&ran, &["rollbackd.sock"]);
    assert!(socket.exists(), "the other's socket is still there");
    drop(other);
}

#[test]
fn without_a_daemon_commands_end_with_3() {
    let there = directory(NO_ENGINE);
    let ran = rollbackd(there.path(), &["--config", "rollbackd.toml", "status"]);
    assert_eq!(ran.code, 3, "{ran:?}");
    assert_plain(&ran, &["rollbackd.sock"]);
    assert_eq!(ran.err.trim().lines().count(), 1, "{ran:?}");

    let ran = rollbackd(there.path(), &["--config", "rollbackd.toml", "--json", "status"]);
    assert_eq!(ran.code, 3, "{ran:?}");
    assert!(ran.json()["error"]["message"].is_string(), "{ran:?}");
}

#[test]
fn wrong_usage_ends_with_2() {
    let there = directory(NO_ENGINE);
    for arguments in [&["fly"][..], &["rollback"], &["--colour", "status"]] {
        assert_eq!(rollbackd(there.path(), arguments).code, 2, "{arguments:?}");
    }
}

mod with_a_daemon {
    use super::*;
    use crate::support::{config::Config, daemon::Daemon, project::Project};

    fn without_an_engine(project: &Project) -> Config {
        Config::new(project)
            .table("[docker]\nhost = \"unix:///nowhere/docker.sock\"")
            .health(project)
    }

    #[test]
    fn an_engine_that_is_not_there_is_waited_for_and_told() {
        let project = Project::new();
        let daemon = Daemon::start(&project, &without_an_engine(&project));
        let service = daemon.service("web");
        assert_eq!(service["armed"], false);
        daemon.wait("the reason", |daemon| {
            let reasons = daemon.service("web")["reasons"].to_string();
            reasons.contains("engine").then_some(())
        });
        assert_eq!(daemon.run(&["status", "--check"]).code, 4);
    }

    #[test]
    fn a_second_daemon_on_the_same_state_ends_with_1() {
        let project = Project::new();
        let daemon = Daemon::start(&project, &without_an_engine(&project));
        // Its socket is another, so that it is the state that it stumbles over.
        let second = without_an_engine(&project).text().replace("rollbackd.sock", "second.sock");
        project.write("second.toml", &second);
        let ran = rollbackd(project.directory.path(), &["--config", "second.toml", "run"]);
        assert_eq!(ran.code, 1, "{ran:?}");
        assert_plain(&ran, &["state"]);
        assert_eq!(daemon.run(&["status"]).code, 0, "the first one goes on");
    }

    #[test]
    fn a_project_that_does_not_run_is_unarmed_and_told() {
        let project = Project::new();
        let daemon = Daemon::start(&project, &Config::new(&project).health(&project));
        let service = daemon.service("web");
        assert_eq!(service["armed"], false);
        assert!(!service["reasons"].as_array().unwrap().is_empty(), "{service:#}");
    }
}
