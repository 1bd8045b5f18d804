//! When it does not act, and what it leaves when acting fails.

use std::fs;

use serde_json::Value;

use crate::support::{
    config::Config, daemon::Daemon, docker::docker, project::Project, traffic::Traffic,
};

#[test]
fn a_paused_project_is_never_rolled_back_and_is_decided_anew_when_resumed() {
    let project = Project::new();
    let v1 = project.image("v1", "");
    let v2 = project.image("v2", "SHOP_ERRORS=50%");
    project.deploy("v1");
    let _traffic = Traffic::start(project.port).unwrap();
    let daemon = Daemon::start(&project, &Config::new(&project).errors(&project));
    daemon.wait_armed();
    let name = project.name.as_str();
    let paused = daemon.run(&["pause", name, "--for", "1h", "--reason", "the promise test"]);
    assert_eq!(paused.code, 0, "{paused:?}");
    assert!(!daemon.project()["paused_until"].is_null());
    project.deploy("v2");

    let refused = daemon.wait("the refusal", |daemon| {
        daemon.history().into_iter().find(|incident| incident["kind"] == "refused")
    });
    assert!(refused["reason"].as_str().unwrap().contains("pause"), "{refused:#}");
    assert_eq!(project.running_image("web"), v2);

    assert_eq!(daemon.run(&["resume", name]).code, 0);
    let rollback = daemon.wait_ended(1);
    assert_eq!(rollback["outcome"], "recovered", "{rollback:#}");
    assert_eq!(project.running_image("web"), v1);
}

#[test]
fn why_it_did_not_act_is_told_long_after_as_it_was() {
    let project = Project::new();
    project.image("v1", "");
    project.image("v2", "SHOP_ERRORS=50%");
    project.deploy("v1");
    let _traffic = Traffic::start(project.port).unwrap();
    let mut daemon = Daemon::start(&project, &Config::new(&project).errors(&project));
    daemon.wait_armed();
    let name = project.name.as_str();
    let service = format!("{name}/web");
    assert_eq!(daemon.run(&["pause", name, "--reason", "the promise test"]).code, 0);
    project.deploy("v2");
    daemon.wait("the refusal", |daemon| {
        daemon.history().into_iter().find(|incident| incident["kind"] == "refused")
    });
    let live = daemon.run(&["--json", "why", &service]).json();
    assert_eq!(live["recorded"], false);
    assert!(live["says"].as_str().unwrap().contains("pause holds"), "{live:#}");
    assert_eq!(standing_in_the_way(&live), ["paused"], "{live:#}");

    assert_eq!(daemon.run(&["resume", name]).code, 0);
    assert_eq!(daemon.wait_ended(1)["outcome"], "recovered");
    let now = daemon.run(&["--json", "why", &service]).json();
    assert!(!standing_in_the_way(&now).contains(&"paused".to_owned()), "{now:#}");
    let at = live["at"].as_str().unwrap();
    let then = daemon.run(&["--json", "why", &service, "--at", at]).json();
    assert_eq!(then["recorded"], true);
    assert_eq!(without_times(&then), without_times(&live), "the same, told later");

    assert_eq!(daemon.stop(), Some(0));
    let stopped = jiff::Timestamp::now().to_string();
    daemon.start_again(&[]);
    let again = daemon.run(&["--json", "why", &service, "--at", at]).json();
    assert_eq!(without_times(&again), without_times(&live), "also after a restart");
    let shown = daemon.run(&["why", &service, "--at", at]);
    assert_eq!(shown.code, 0, "{shown:?}");
    assert!(shown.out.contains("the promise test"), "{shown:?}");
    let away = daemon.run(&["why", &service, "--at", &stopped]);
    assert_eq!(away.code, 1, "{away:?}");
    assert!(away.err.contains("rollbackd did not run from"), "{away:?}");
    let long_ago = daemon.run(&["why", &service, "--at", "3h"]);
    assert_eq!(long_ago.code, 1, "{long_ago:?}");
    assert!(long_ago.err.contains("before what is kept"), "{long_ago:?}");
}

/// The guards that a trigger that breaches does not pass.
fn standing_in_the_way(why: &Value) -> Vec<String> {
    let triggers = why["triggers"].as_array().unwrap();
    let breached = triggers.iter().filter(|trigger| trigger["state"] == "breached");
    let guards = breached.flat_map(|trigger| trigger["guards"].as_array().unwrap());
    let failed = guards.filter(|guard| guard["passed"] == false);
    failed.map(|guard| guard["name"].as_str().unwrap().to_owned()).collect()
}

/// What does not depend on the half millisecond by which the asked moment was
/// rounded.
fn without_times(why: &Value) -> Value {
    let mut why = why.clone();
    for key in ["at", "recorded"] {
        why.as_object_mut().unwrap().remove(key);
    }
    for trigger in why["triggers"].as_array_mut().unwrap() {
        trigger.as_object_mut().unwrap().remove("says");
        for guard in trigger["guards"].as_array_mut().unwrap() {
            let paused = guard["name"] == "paused";
            guard.as_object_mut().unwrap().retain(|key, _| paused || key != "says");
        }
    }
    why
}

#[test]
fn an_observer_touches_nothing() {
    let project = Project::new();
    project.image("v1", "");
    let v2 = project.image("v2", "SHOP_ERRORS=50%");
    project.deploy("v1");
    let _traffic = Traffic::start(project.port).unwrap();
    let config = Config::new(&project).key("mode = \"observe\"").errors(&project);
    let daemon = Daemon::start(&project, &config);
    daemon.wait_armed();
    project.deploy("v2");

    daemon.wait("the refusal", |daemon| {
        daemon.history().into_iter().find(|incident| incident["kind"] == "refused")
    });
    assert_eq!(project.running_image("web"), v2);
}

/// The program is mounted, so that the recorded version can be broken after it
/// was recorded.
const MOUNTED: &str = r#"
services:
  web:
    image: ${REPOSITORY}:latest
    entrypoint: ["/mounted/shop"]
    environment: {SHOP_ERRORS: "${ERRORS}", SHOP_VERSION: "${VERSION}"}
    volumes: ["./${VERSION}:/mounted:ro"]
    ports: ["127.0.0.1:${PORT}:8080"]
    stop_grace_period: 2s
"#;

#[test]
fn when_the_target_does_not_start_what_ran_is_put_back() {
    let project = Project::with(MOUNTED);
    project.image("v1", "");
    project.tag("v1");
    for version in ["v1", "v2"] {
        fs::create_dir(project.path(version)).unwrap();
        let program = project.path(version).join("shop");
        fs::copy(crate::support::project::shop(), program).unwrap();
    }
    project.variables("VERSION=v1\nERRORS=0%");
    project.up();
    project.wait_for("v1");
    let _traffic = Traffic::start(project.port).unwrap();
    let config = Config::new(&project).key("start_timeout = \"5s\"").errors(&project);
    let daemon = Daemon::start(&project, &config);
    daemon.wait_armed();
    project.variables("VERSION=v2\nERRORS=50%");
    project.up();
    fs::remove_file(project.path("v1/shop")).unwrap();

    let rollback = daemon.wait_ended(1);
    assert_eq!(rollback["outcome"], "failed", "{rollback:#}");
    project.wait_for("v2");
    let container = project.container("web");
    assert_eq!(container["State"]["Running"], true, "12 % errors must not become 100 %");
    let standings: Vec<_> = daemon.revisions().iter().map(|r| r["standing"].clone()).collect();
    assert_eq!(standings[0], "bad", "its own container failed: {standings:?}");
}

#[test]
fn without_anything_to_return_to_it_refuses_and_says_so() {
    let project = Project::new();
    let v1 = project.image("v1", "");
    project.deploy("v1");
    let daemon = Daemon::start(&project, &Config::new(&project).health(&project));
    daemon.wait("revision 1", |daemon| (daemon.project()["revision"] == 1).then_some(()));
    let refused = daemon.run(&["rollback", &project.name, "--yes"]);
    assert_eq!(refused.code, 4, "{refused:?}");
    assert_eq!(refused.err.trim().lines().count(), 1, "one line: {refused:?}");
    assert_eq!(project.running_image("web"), v1);
}

#[test]
fn what_it_keeps_survives_the_usual_cleaning_up() {
    let project = Project::new();
    let v1 = project.image("v1", "");
    project.image("v2", "SHOP_ERRORS=50%");
    project.deploy("v1");
    let _traffic = Traffic::start(project.port).unwrap();
    let daemon = Daemon::start(&project, &Config::new(&project).errors(&project));
    daemon.wait_armed();
    // What a deploy script does after `up`, but to this project's image alone:
    // the engine is shared with other tests.
    project.deploy("v2");
    docker(&["rmi", &format!("{}:v1", project.repository)]).unwrap();

    assert_eq!(daemon.wait_ended(1)["outcome"], "recovered");
    assert_eq!(project.running_image("web"), v1);
}
