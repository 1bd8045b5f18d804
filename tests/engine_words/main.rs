//! The words between the daemon and the real engine: by which number of its API
//! it is asked, and what becomes of words that nobody here knows.

#![expect(clippy::disallowed_methods, reason = "tests have deadlines of their own")]
#![allow(
    clippy::new_without_default,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    dead_code,
    missing_docs,
    unreachable_pub,
    reason = "tests fail by panicking, and their support is nobody's library"
)]

mod proxy;
#[path = "../support/mod.rs"]
mod support;

use proxy::Proxy;
use rollbackd::docker::Docker;
use serde_json::{Value, json};
use support::{config::Config, daemon::Daemon, engine, project::Project, traffic::Traffic};

/// The newest API that the daemon knows (see `docker/real.rs`).
const KNOWN: u32 = 53;

/// The engine's own newest API, the minor number of version 1.
fn offered() -> u32 {
    let version = engine::docker(&["version", "--format", "{{.Server.APIVersion}}"]);
    version.trim().strip_prefix("1.").and_then(|minor| minor.parse().ok()).expect("a version 1")
}

#[tokio::test]
async fn every_request_names_the_newest_api_that_both_know() {
    let proxy = Proxy::open();
    let docker = Docker::connect(&proxy.host()).unwrap();
    let all = docker.labelled("rollbackd.nobody", "has-this").await.unwrap();
    assert!(all.is_empty());
    // One of those that bollard sends.
    assert!(docker.start(&"rollbackd-nobody".into()).await.is_err());

    let asked = proxy.asked();
    let (agreed, requests) = asked.split_first().unwrap();
    assert_eq!(agreed, "/version", "{asked:?}");
    let newest = format!("/v1.{}/", offered().min(KNOWN));
    assert_eq!(requests.len(), 2, "{asked:?}");
    assert!(requests.iter().all(|path| path.starts_with(&newest)), "{newest}: {asked:?}");
}

fn through(proxy: &Proxy, project: &Project) -> Config {
    Config::new(project).table(&format!("[docker]\nhost = \"{}\"", proxy.host()))
}

fn unknown_words(path: &str, document: &mut Value) {
    if path.contains("/containers/") && document["State"].is_object() {
        document["State"]["Status"] = "frozen".into();
        if document["State"]["Health"].is_object() {
            document["State"]["Health"]["Status"] = "odd".into();
        }
    }
}

#[test]
fn a_state_and_a_health_in_unknown_words_are_missing_readings_and_never_a_breach() {
    let project = Project::new();
    project.image("v1", "");
    project.deploy("v1");
    project.wait_for("v1");
    let proxy = Proxy::open();
    let daemon = Daemon::start(&project, &through(&proxy, &project).health(&project));
    daemon.wait_armed();

    proxy.change(Some(unknown_words));
    let trigger = daemon.wait("it is blind", |daemon| {
        let service = daemon.service("web");
        let blind = |trigger: &&Value| trigger["signal"] == "health" && trigger["state"] == "blind";
        let trigger = service["triggers"].as_array()?.iter().find(blind).cloned();
        trigger.filter(|_| service["armed"] == false)
    });
    let reason = trigger["reason"].as_str().unwrap_or_default();
    assert!(reason.contains("does not know"), "{trigger:#}");
    assert_eq!(daemon.history(), Vec::<Value>::new(), "what is not known is no breach");

    proxy.change(None);
    daemon.wait_armed();
}

/// An engine may write `null` for a list that is empty, and adds fields.
fn nulls(_: &str, document: &mut Value) {
    let lists = [
        "/Mounts",
        "/ExecIDs",
        "/HostConfig/Binds",
        "/HostConfig/Mounts",
        "/HostConfig/ExtraHosts",
        "/HostConfig/Dns",
        "/HostConfig/CapAdd",
        "/HostConfig/GroupAdd",
        "/RepoDigests",
        "/Config/Volumes",
    ];
    for place in lists {
        if let Some(list) = document.pointer_mut(place) {
            *list = Value::Null;
        }
    }
    let networks = document.pointer_mut("/NetworkSettings/Networks").and_then(Value::as_object_mut);
    for network in networks.into_iter().flat_map(serde_json::Map::values_mut) {
        for list in ["Links", "DNSNames", "DriverOpts"] {
            network[list] = Value::Null;
        }
    }
    if document.is_object() {
        document["FieldOfTheFuture"] = json!([{ "a": null }]);
    }
}

#[test]
fn nulls_where_lists_were_and_unknown_events_do_not_keep_it_from_its_work() {
    let project = Project::new();
    let v1 = project.image("v1", "");
    let v2 = project.image("v2", "SHOP_ERRORS=50%");
    project.deploy("v1");
    let _traffic = Traffic::start(project.port).unwrap();
    let proxy = Proxy::open();
    proxy.change(Some(nulls));
    let label = json!({ "com.docker.compose.project": project.name,
        "com.docker.compose.service": "web" });
    let lines = [
        json!({ "Type": "wormhole", "Action": "open", "Actor": null }),
        json!({ "Type": "container", "Action": "levitate", "timeNano": "soon",
            "Actor": { "ID": "a", "Attributes": label } }),
        json!({ "Type": "container", "Action": null, "Actor": [] }),
        json!({ "Type": "image", "Action": "dream" }),
        json!([1, 2]),
    ];
    proxy.events(&lines.map(|line| format!("{line}\n")).concat());
    let config = through(&proxy, &project).errors(&project).health(&project);
    let daemon = Daemon::start(&project, &config);
    daemon.wait_armed();
    project.deploy("v2");
    assert_eq!(project.running_image("web"), v2);

    let rollback = daemon.wait_ended(1);
    assert_eq!(rollback["outcome"], "recovered", "{rollback:#}");
    assert_eq!(project.running_image("web"), v1);
}
