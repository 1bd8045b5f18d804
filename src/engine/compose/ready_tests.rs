use serde_json::json;

use super::*;

/// What is thought of a container, on one line.
fn thought(serves: bool, document: &serde_json::Value) -> String {
    let mut whole = json!({ "Id": "a", "Name": "/shop-web-1" });
    for (name, value) in document.as_object().unwrap() {
        whole[name] = value.clone();
    }
    let container = Container::read(whole).unwrap();
    match verdict(&container, serves, "2026-01-01T00:01:00Z".parse().unwrap()) {
        Verdict::Ready => "ready".to_owned(),
        Verdict::Wait(how) => format!("wait: it {how}"),
        Verdict::Failed(error) => error.to_string(),
    }
}

fn running(started: &str, health: Option<&str>) -> serde_json::Value {
    let health = health.map(|status| {
        json!({ "Status": status, "Log": [
            { "Output": "connection\n  refused \n" }
        ]})
    });
    json!({ "State": { "Status": "running", "StartedAt": started, "Health": health } })
}

#[test]
fn a_container_with_a_check_is_what_the_check_says() {
    let with = |health| thought(true, &running("2026-01-01T00:00:59Z", Some(health)));
    assert_eq!(with("healthy"), "ready");
    insta::assert_snapshot!(with("starting"), @"wait: it is running, but its health check has not passed yet,");
    insta::assert_snapshot!(with("unhealthy"), @"shop-web-1 is unhealthy; its last check said: connection refused");
}

#[test]
fn a_container_without_a_check_must_have_run_for_a_while() {
    assert_eq!(thought(true, &running("2026-01-01T00:00:58Z", None)), "ready");
    insta::assert_snapshot!(thought(true, &running("2026-01-01T00:00:59Z", None)), @"wait: it has only just started");
    let mut again = running("2026-01-01T00:00:10Z", None);
    again["RestartCount"] = json!(2);
    insta::assert_snapshot!(thought(true, &again), @"shop-web-1 did not stay up: it was restarted 2 times; see `docker logs shop-web-1`");
}

#[test]
fn what_ended_has_failed_unless_it_was_a_job() {
    let ended = |serves, state: serde_json::Value| thought(serves, &json!({ "State": state }));
    let exited = |code| json!({ "Status": "exited", "ExitCode": code });
    assert_eq!(ended(false, exited(0)), "ready");
    insta::assert_snapshot!(ended(true, exited(0)), @"shop-web-1 exited with code 0; see `docker logs shop-web-1`");
    insta::assert_snapshot!(ended(false, exited(2)), @"shop-web-1 exited with code 2; see `docker logs shop-web-1`");
    let restarting = json!({ "Status": "restarting", "ExitCode": 1 });
    insta::assert_snapshot!(ended(true, restarting), @"shop-web-1 ended with code 1 and is restarted; see `docker logs shop-web-1`");
    let killed = json!({ "Status": "exited", "ExitCode": 137, "OOMKilled": true });
    insta::assert_snapshot!(ended(true, killed), @"shop-web-1 was killed because it ran out of memory; see `docker logs shop-web-1`");
    let always =
        json!({ "State": exited(0), "HostConfig": { "RestartPolicy": { "Name": "always" } } });
    assert!(thought(false, &always).contains("exited with code 0"));
}

#[test]
fn what_was_never_started_is_waited_for_unless_it_could_not_be() {
    let created =
        |code| thought(true, &json!({ "State": { "Status": "created", "ExitCode": code } }));
    insta::assert_snapshot!(created(0), @"wait: it was created, but not started,");
    insta::assert_snapshot!(created(127), @"shop-web-1 could not be started (code 127); see `docker logs shop-web-1`");
}

#[test]
fn a_long_output_of_a_check_is_cut() {
    let log = json!([{ "Output": "ä".repeat(5000) }]);
    let state = json!({ "Status": "running", "Health": { "Status": "unhealthy", "Log": log } });
    assert!(thought(true, &json!({ "State": state })).chars().count() < 400);
}
