//! What others do to the same containers and ports at the same time: they win,
//! something runs, and ours says so.

use std::{net::TcpListener, thread};

use crate::{
    stage::{Broken, wait_swapped},
    support::{daemon::Daemon, docker::docker, wait::until},
};

#[test]
fn a_persons_up_in_the_middle_of_a_rollback_wins_and_ours_ends_refused() {
    let broken = Broken::slow();
    let project = &broken.project;
    let v3 = project.image("v3", "");
    let daemon = Daemon::start(project, &broken.config());
    daemon.wait_armed();
    project.deploy("v2");
    wait_swapped(&broken, &daemon);
    // A person who does not see at once that it went wrong tries again.
    project.tag("v3");
    let first = project.compose(&["up", "-d"]);
    eprintln!("their first `up` ended with {:?}", first.status.code());
    let rollback = daemon.wait_ended(1);
    if !first.status.success() {
        project.up();
    }

    assert_eq!(rollback["outcome"], "refused", "{rollback:#}");
    let reason = rollback["reason"].as_str().unwrap();
    assert!(
        reason.contains("somebody deployed web meanwhile: what they deployed stays"),
        "{reason}"
    );
    project.wait_for("v3");
    until("nothing but v3 is there", || {
        let all = project.containers("web");
        (all.len() == 1 && all[0]["Image"] == v3 && all[0]["State"]["Running"] == true)
            .then_some(())
    });
    let standings = daemon.revisions().into_iter().map(|one| one["standing"].clone());
    assert!(
        standings.clone().all(|standing| standing != "bad"),
        "{:?}",
        standings.collect::<Vec<_>>()
    );
}

#[test]
fn a_port_that_another_process_takes_in_the_middle_is_named_and_nothing_is_held_against_the_target()
{
    let broken = Broken::slow();
    let project = &broken.project;
    let daemon = Daemon::start(project, &broken.config());
    daemon.wait_armed();
    project.deploy("v2");
    wait_swapped(&broken, &daemon);
    let port = project.port;
    let thief = thread::spawn(move || {
        // As soon as the old one has gone.
        until("the port is free", || TcpListener::bind(("127.0.0.1", port)).ok())
    });
    let taken = thief.join().unwrap();
    // It is tried again: another process may let go of it.
    let said = daemon.wait("the word", |daemon| {
        let steps = daemon.history().first()?["steps"].clone();
        let outputs = steps.as_array()?.iter().filter_map(|step| step["output"].as_str());
        outputs.map(str::to_owned).find(|output| output.contains("taken by another process"))
    });
    assert!(said.contains("free it and try again"), "{said}");
    assert!(said.contains(&port.to_string()), "{said}");
    drop(taken);
    broken.assert_recovered(&daemon);
    let standings: Vec<_> = daemon.revisions().iter().map(|r| r["standing"].clone()).collect();
    assert_ne!(standings[0], "bad", "the target did nothing: {standings:?}");
    let left = docker(&["ps", "-a", "--format", "{{.Names}}"]).unwrap();
    assert!(!left.lines().any(|name| name.contains(&format!("{}-web-1.", project.name))), "{left}");
}
