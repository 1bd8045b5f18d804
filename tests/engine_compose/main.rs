//! Compose projects on the real engine: what a person deploys with the real
//! Compose is seen, kept and put back exactly as it ran, so that Compose itself
//! finds nothing to do afterwards.

#![cfg(feature = "testing")]
#![allow(clippy::unwrap_used, reason = "in a test, a broken promise is a panic")]
#![allow(clippy::panic, reason = "likewise")]

mod puller;
mod seen;
mod stage;
#[path = "../support/room.rs"]
#[allow(
    clippy::disallowed_methods,
    clippy::new_without_default,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    dead_code,
    missing_docs,
    unreachable_pub,
    reason = "the support of all tests, and nobody's library"
)]
mod support;
mod through;

use std::{collections::BTreeSet, fs, net::TcpListener};

use rollbackd::{config::settings::KeepBy, host::death};
use rollbackd_core::{
    plan::{Does, Fault, StepOutcome},
    revision::Revision,
    settings::Order,
    words::{RevisionNo, ServiceName},
};
use stage::{Stage, assert_same, recreate};
use support::engine::compose::Tool;

const PLAIN: &str = "
services:
  web:
    image: $PROJECT/web:latest
    command: [run]
    restart: always
";

/// Everything that a container can have and a rollback could lose.
const RICH: &str = r#"
services:
  web:
    image: $PROJECT/web:latest
    command: [run]
    restart: unless-stopped
    hostname: shopfront
    environment: { COLOUR: blue, EMPTY: "" }
    labels: { team: shop }
    networks:
      front: { aliases: [www, shop.example], ipv4_address: $SUBNET.77 }
      back: { aliases: [internal] }
    volumes:
      - named:/named
      - /anonymous
      - ./bound:/bound:ro
    tmpfs: [/scratch]
    sysctls: { net.core.somaxconn: "511" }
    ulimits: { nofile: { soft: 1024, hard: 2048 } }
    cap_add: [NET_ADMIN]
    cap_drop: [MKNOD]
    mem_limit: 64m
    cpus: 0.5
    dns: [192.0.2.53]
    extra_hosts: ["db.example:192.0.2.1"]
    logging: { driver: json-file, options: { max-size: "1m" } }
    healthcheck: { test: ["CMD", "/app", "check"], interval: 1s, timeout: 2s, retries: 3 }
    stop_grace_period: 3s
    user: "1000:1000"
    working_dir: /bound
    init: false
    read_only: true
    security_opt: ["no-new-privileges:true"]
    ports: ["127.0.0.1:$PORT:8080"]
networks:
  front: { ipam: { config: [{ subnet: $SUBNET.0/24 }] } }
  back: {}
volumes:
  named: {}
"#;

/// A port that nobody holds just now.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn rich(stage: &Stage) -> String {
    fs::create_dir_all(stage.folder.path().join("bound")).unwrap();
    // Others on this machine choose too: one by the process, one by the tool.
    let subnet = format!("10.{}.{}", 180 + std::process::id() % 10, free_port() % 250);
    let file = RICH.replace("$SUBNET", &subnet);
    let file = file.replace("$PORT", &free_port().to_string());
    // Compose v1 reads no file without its version.
    format!("version: '2.4'\n{file}")
}

#[tokio::test]
async fn what_is_put_back_is_exactly_what_ran_and_compose_finds_nothing_to_do() {
    for tool in Tool::all() {
        let stage = Stage::new(tool);
        let v1 = stage.build("web", &["ENV VERSION=1"]);
        let file = rich(&stage);
        stage.write(&file);
        stage.up(&[]);
        let record = stage.record("web").await;
        assert_eq!(record.image_id, v1);
        assert!(record.stateful && record.publishes && !record.one_shot);
        let ran = stage.container("web", 1).await;

        stage.build(
            "web",
            &["ENV VERSION=2 NEW=1", "EXPOSE 9999", "HEALTHCHECK CMD [\"/app\", \"exit\", \"1\"]"],
        );
        stage.write(
            &file
                .replace("COLOUR: blue", "COLOUR: red")
                .replace("mem_limit: 64m", "mem_limit: 32m"),
        );
        stage.up(&[]);
        assert_ne!(stage.record("web").await.fingerprint, record.fingerprint);

        stage.back(&record).await;
        let back = stage.container("web", 1).await;
        assert_ne!(back.id, ran.id);
        assert_same(&back, &ran);
        assert_eq!(stage.record("web").await.fingerprint, record.fingerprint, "{tool:?}");

        // The person's next deployment of what ran then.
        stage.write(&file);
        let said = stage.up(&[]);
        assert_eq!(stage.container("web", 1).await.id, back.id, "{tool:?}: {said}");
        let words = if tool == Tool::V2 { "Running" } else { "up-to-date" };
        assert!(said.contains(words), "{tool:?}: {said}");
    }
}

#[tokio::test]
async fn data_in_anonymous_volumes_is_todays() {
    for tool in Tool::all() {
        let stage = Stage::new(tool);
        stage.build("web", &["VOLUME /data"]);
        stage.write(&format!("version: '2.4'\n{PLAIN}"));
        stage.up(&[]);
        let record = stage.record("web").await;
        stage.build("web", &["VOLUME /data"]);
        stage.up(&[]);
        let name = stage.container("web", 1).await.name;
        let written = stage.folder.path().join("order");
        fs::write(&written, "order 4711").unwrap();
        stage.docker(&["cp", written.to_str().unwrap(), &format!("{name}:/data/order")]);

        stage.back(&record).await;
        let read = stage.folder.path().join("read");
        stage.docker(&["cp", &format!("{name}:/data/order"), read.to_str().unwrap()]);
        assert_eq!(fs::read_to_string(read).unwrap(), "order 4711");
        stage.up(&[]);
        stage.docker(&["cp", &format!("{name}:/data/order"), "-"]);
    }
}

#[tokio::test]
async fn what_joins_its_network_follows_it() {
    for tool in Tool::all() {
        let stage = Stage::new(tool);
        stage.build("web", &[]);
        stage.build("side", &["EXPOSE 9000"]);
        stage.write(&format!(
            "version: '2.4'\n{PLAIN}
  side:
    image: $PROJECT/side:latest
    command: [run]
    network_mode: service:web
    depends_on: [web]
"
        ));
        stage.up(&[]);
        let web = stage.record("web").await;
        stage.build("web", &[]);
        stage.up(&[]);
        let side = stage.record("side").await;
        assert_eq!(side.joins, [ServiceName::from("web")], "{tool:?}");

        stage.back(&web).await;
        stage.back(&side).await;
        let mut namespaces = BTreeSet::new();
        for service in ["web", "side"] {
            let container = stage.container(service, 1).await;
            let pid = &container.document["State"]["Pid"];
            namespaces.insert(fs::read_link(format!("/proc/{pid}/ns/net")).unwrap());
        }
        assert_eq!(namespaces.len(), 1, "{tool:?}: both live in one network");
        assert_eq!(stage.record("side").await.fingerprint, side.fingerprint, "{tool:?}");
    }
}

#[tokio::test]
async fn what_ran_runs_again_when_it_is_put_back() {
    let stage = Stage::new(Tool::all()[0]);
    stage.build("web", &[]);
    stage.write(PLAIN);
    stage.up(&["--scale", "web=2"]);
    let record = stage.record("web").await;
    stage.build("web", &[]);
    stage.up(&["--scale", "web=2"]);
    let before = stage.record("web").await;
    let ran = stage.container("web", 1).await;
    stage.done(recreate(&record, Order::StopFirst)).await;
    assert_eq!(stage.record("web").await.fingerprint, record.fingerprint);
    stage.done(Does::PutBack { service: "web".into() }).await;
    assert_eq!(stage.record("web").await, before, "the very same containers");
    assert_same(&stage.container("web", 1).await, &ran);
    let all = stage.all().await;
    assert_eq!(all.len(), 2, "{all:?}");
    assert!(all.values().all(|state| state == "running"), "{all:?}");
}

#[tokio::test]
async fn start_first_keeps_the_old_one_until_the_new_one_is_ready() {
    let stage = Stage::new(Tool::all()[0]);
    stage.build("web", &["HEALTHCHECK --interval=1s CMD [\"/app\", \"check\"]"]);
    stage.write(PLAIN);
    stage.up(&[]);
    let record = stage.record("web").await;
    stage.build("web", &[]);
    stage.up(&[]);
    let old = stage.container("web", 1).await;
    stage.observe().await;
    stage.done(recreate(&record, Order::StartFirst)).await;
    let old = stage.docker.container(old.id.as_str()).await.unwrap().unwrap();
    let new = stage.container("web", 1).await;
    assert!(old.finished.unwrap() > new.started.unwrap());
    stage.done(Does::Discard { services: vec!["web".into()] }).await;
    assert_eq!(stage.all().await.len(), 1);
}

#[tokio::test]
async fn a_port_that_another_process_has_is_told_before_anything_stops() {
    let stage = Stage::new(Tool::all()[0]);
    stage.build("web", &[]);
    let port = free_port();
    stage.write(&format!("{PLAIN}    ports: [\"127.0.0.1:{port}:80\"]\n"));
    stage.up(&[]);
    let record = stage.record("web").await;
    stage.write(PLAIN);
    stage.up(&[]);
    let before = stage.record("web").await;
    let held = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let failed = stage.run(recreate(&record, Order::StopFirst)).await;
    let StepOutcome::Failed { why, fault: Fault::World } = failed else { panic!("{failed:?}") };
    assert!(why.starts_with(&format!("port {port}/tcp of this host")), "{why}");
    assert_eq!(stage.record("web").await, before);
    assert_eq!(stage.all().await.len(), 1);
    drop(held);
    stage.done(recreate(&record, Order::StopFirst)).await;
}

#[tokio::test]
async fn a_program_that_cannot_be_executed_is_the_targets_fault_and_is_put_back() {
    let stage = Stage::new(Tool::all()[0]);
    stage.build("web", &["ENTRYPOINT [\"/nope\"]"]);
    stage.write(PLAIN);
    // Compose itself fails to start it, and leaves it created.
    stage.try_up(&[]).unwrap_err();
    let broken = stage.record("web").await;
    stage.build("web", &[]);
    stage.up(&[]);
    stage.observe().await;
    let failed = stage.run(recreate(&broken, Order::StopFirst)).await;
    assert!(matches!(failed, StepOutcome::Failed { fault: Fault::Target, .. }), "{failed:?}");
    let waited = stage.run(Does::WaitHealthy { services: vec!["web".into()] }).await;
    assert!(matches!(waited, StepOutcome::Failed { fault: Fault::Target, .. }), "{waited:?}");
    stage.done(Does::PutBack { service: "web".into() }).await;
    stage.done(Does::WaitHealthy { services: vec!["web".into()] }).await;
    assert_eq!(stage.all().await.len(), 1);
}

/// The model is killed at every boundary; here a few of each kind show that the
/// engine agrees.
#[test]
fn killed_between_any_two_changes_it_is_finished_by_running_it_again() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let stage = Stage::new(Tool::all()[0]);
    stage.build("web", &[]);
    stage.write(PLAIN);
    stage.up(&[]);
    let record = runtime.block_on(stage.record("web"));
    for boundary in [2, 3, 5, 7, 9, 11] {
        stage.build("web", &[]);
        stage.up(&[]);
        runtime.block_on(stage.observe());
        let armed = death::arm(boundary);
        let died = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            runtime.block_on(stage.run(recreate(&record, Order::StopFirst)))
        }));
        assert!(died.is_err(), "boundary {boundary}");
        drop(armed);
        runtime.block_on(async {
            stage.done(recreate(&record, Order::StopFirst)).await;
            assert_eq!(stage.record("web").await.fingerprint, record.fingerprint);
            stage.done(Does::Discard { services: vec!["web".into()] }).await;
            assert_eq!(stage.all().await.len(), 1, "boundary {boundary}");
        });
    }
}

#[tokio::test]
async fn an_anchor_keeps_its_image_and_is_no_part_of_the_project() {
    let stage = Stage::new(Tool::all()[0]);
    // As an image that Compose built.
    let label = format!(
        "LABEL com.docker.compose.project={} com.docker.compose.service=web",
        stage.project
    );
    let v1 = stage.build("web", &[&label, "VOLUME /data", "USER nobody", "WORKDIR /nowhere"]);
    stage.write("services:\n  web: { image: $PROJECT/web:latest, command: [run], user: '0', working_dir: / }\n");
    stage.up(&[]);
    let record = stage.record("web").await;
    let kept = [(v1, KeepBy::Anchor)].into();
    stage.engine.keep(&kept).await.unwrap();
    stage.engine.keep(&kept).await.unwrap();
    stage.build("web", &[]);
    stage.up(&["--remove-orphans"]);
    let filter = format!("label=rollbackd.bench={}", stage.project);
    stage.docker(&["container", "prune", "-f", "--filter", &filter]);
    stage.docker(&["image", "prune", "-af", "--filter", &filter]);
    assert!(stage.docker.image(&v1.to_string()).await.unwrap().is_some(), "it is kept");
    assert_eq!(stage.all().await.len(), 1, "it is no container of the project");
    let anchors = stage.docker.labelled("rollbackd.keep", &v1.to_string()).await.unwrap();
    assert_eq!(anchors.len(), 1);
    let pid = &anchors[0].document["State"]["Pid"];
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    assert!(status.contains("Name:\trollbackd-ancho"), "our program runs: {status}");
    assert!(status.contains("State:\tS"), "and sleeps: {status}");

    let revision = |services| Revision {
        number: RevisionNo(1),
        began_at: stage.clock.now(),
        deployed_at: stage.clock.now(),
        services,
        changed: Vec::new(),
    };
    let before = revision(vec![record]);
    assert_eq!(stage.engine.restorable(&before).await.unwrap(), None);
    let volume = anchors[0].document["Mounts"].as_array().unwrap().iter().find_map(|mount| {
        (mount["Type"] == "volume").then(|| mount["Name"].as_str().unwrap().to_owned())
    });
    let volume = volume.expect("its image declares one");
    stage.engine.keep(&[].into()).await.unwrap();
    assert!(!stage.docker.volume(&volume).await.unwrap(), "it goes with the anchor");
    stage.docker(&["image", "prune", "-f", "--filter", &filter]);
    let problem = stage.engine.restorable(&before).await.unwrap().unwrap();
    assert_eq!(problem, format!("image {} ({}) was removed", stage.reference("web"), v1.short()));
}
