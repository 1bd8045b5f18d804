//! What the model does that a real engine cannot be made to do in a test: what
//! people do with Compose, faults, restarts of the engine, deaths.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use rollbackd_core::moment::Moment;
use serde_json::json;
use tokio::sync::broadcast;

use super::{
    super::{Docker, container::Container, event::Happening},
    *,
};
use crate::host::death::{self, Died};

fn model() -> (Model, Docker) {
    let model = Model::new(Clock::manual(Moment::from_nanos(1_700_000_000_000_000_000)));
    (model.clone(), Docker::model(model))
}

async fn only(docker: &Docker, project: &str) -> Container {
    let mut all = docker.containers(&project.into()).await.unwrap();
    assert_eq!(all.len(), 1);
    all.remove(0)
}

#[tokio::test]
async fn a_deployment_tells_what_compose_v2_tells() {
    let (model, docker) = model();
    model.import("shop:latest", Behaviour::Runs);
    model.deploy("shop", "web", "shop:latest").unwrap();
    let old = only(&docker, "shop").await.id.as_str()[..12].to_owned();
    model.import("shop:latest", Behaviour::Runs);
    model.deploy("shop", "web", "shop:latest").unwrap();
    let story = model.story().join("\n").replace(&old, "<old>");
    let containers: Vec<&str> =
        story.lines().filter(|line| line.starts_with("container")).collect();
    insta::assert_snapshot!(containers.join("\n"), @"
    container create shop-web-1
    container start shop-web-1
    container create <old>_shop-web-1
    container kill shop-web-1
    container die shop-web-1
    container stop shop-web-1
    container destroy shop-web-1
    container rename shop-web-1
    container start shop-web-1
    ");
    let container = only(&docker, "shop").await;
    assert_eq!(container.compose_image(), container.image_id);
    assert!(container.restarts_always);
}

#[tokio::test]
async fn a_deployment_of_what_runs_changes_nothing() {
    let (model, docker) = model();
    model.import("shop:latest", Behaviour::Runs);
    let service = Service::new("shop", "web", "shop:latest").replicas(2).depends_on(&["db"]);
    let first = model.up(&service).unwrap();
    assert_eq!(model.up(&service).unwrap(), first);
    let other = service.clone().host("Memory", json!(64 << 20));
    assert_ne!(model.up(&other).unwrap(), first);
    assert_eq!(model.up(&other.replicas(1)).unwrap().len(), 1);
    let container = only(&docker, "shop").await;
    assert_eq!(container.memory_limit(), Some(64 << 20));
    assert_eq!(container.depends_on()[0].service, "db".into());
    model.down("shop");
    assert!(model.names().is_empty());
}

#[tokio::test]
async fn a_deployment_that_cannot_start_leaves_it_created() {
    let (model, docker) = model();
    model.import("shop:latest", Behaviour::Runs);
    model.deploy("shop", "web", "shop:latest").unwrap();
    model.import("shop:latest", Behaviour::CannotExecute);
    let refused = model.deploy("shop", "web", "shop:latest").unwrap_err();
    assert!(matches!(refused, DockerError::NotExecutable { .. }), "{refused}");
    let container = only(&docker, "shop").await;
    assert_eq!((container.name.as_str(), container.exit_code), ("shop-web-1", 127));
}

#[tokio::test]
async fn a_new_container_keeps_the_anonymous_volumes_of_the_old_one() {
    let (model, docker) = model();
    let volume = json!({ "Volumes": { "/data": {} } });
    model.import_with("shop:latest", Behaviour::Runs, &volume);
    model.deploy("shop", "web", "shop:latest").unwrap();
    let before = only(&docker, "shop").await.document["Mounts"][0]["Name"].clone();
    model.import_with("shop:latest", Behaviour::Runs, &volume);
    model.deploy("shop", "web", "shop:latest").unwrap();
    let mounts = only(&docker, "shop").await.document["Mounts"].clone();
    assert_eq!(mounts.as_array().unwrap().len(), 1);
    assert_eq!(mounts[0]["Name"], before);
}

#[tokio::test]
async fn a_fault_happens_once_and_nothing_else_does() {
    let (model, docker) = model();
    model.import("shop:latest", Behaviour::Runs);
    model.deploy("shop", "web", "shop:latest").unwrap();
    let id = model.id("shop-web-1").unwrap();
    let full = DockerError::NoSpace { message: "full".to_owned() };
    model.fail_once("docker.stop", full.clone());
    let before = model.story();
    assert_eq!(docker.stop(&id, None).await, Err(full));
    assert_eq!(model.story(), before);
    docker.stop(&id, None).await.unwrap();
}

#[tokio::test]
async fn an_engine_that_goes_away_is_down_and_then_up() {
    let (model, docker) = model();
    let (sender, mut heard) = broadcast::channel(16);
    let (follower, clock) = (docker.clone(), Clock::resume(None));
    let task = tokio::spawn(async move { follower.follow(clock, sender).await });
    assert_eq!(heard.recv().await, Ok(Happening::Up));
    model.unreachable(true);
    let Ok(Happening::Down(why)) = heard.recv().await else { panic!("it is down") };
    assert_eq!(
        why,
        "the engine at model does not answer: nothing listens there; is Docker running?"
    );
    assert!(docker.version().await.is_err());
    model.unreachable(false);
    assert_eq!(heard.recv().await, Ok(Happening::Up));
    task.abort();
}

#[tokio::test]
async fn after_an_engines_restart_runs_what_its_policy_says() {
    let (model, docker) = model();
    let image = model.import("app", Behaviour::Runs).to_string();
    let made = async |name: &str, policy: &str| {
        let policy = json!({ "RestartPolicy": { "Name": policy } });
        let body = json!({ "Image": image, "HostConfig": policy });
        let id = docker.create(name, &body).await.unwrap();
        docker.start(&id).await.unwrap();
        id
    };
    made("stays", "unless-stopped").await;
    made("none", "no").await;
    let stopped = made("stopped", "unless-stopped").await;
    docker.stop(&stopped, None).await.unwrap();
    let always = made("always", "always").await;
    docker.stop(&always, None).await.unwrap();
    let aside = made("aside", "always").await;
    docker.update(&aside, &json!({ "RestartPolicy": { "Name": "no" } })).await.unwrap();
    model.restart();
    let runs = |name: &&str| model.inspect(name).unwrap()["State"]["Running"] == true;
    let running: Vec<&str> =
        ["stays", "none", "stopped", "always", "aside"].into_iter().filter(runs).collect();
    assert_eq!(running, ["stays", "always"]);
}

#[tokio::test]
async fn a_kill_for_memory_is_told_and_counted() {
    let (model, docker) = model();
    model.import("shop:latest", Behaviour::Runs);
    model.deploy("shop", "web", "shop:latest").unwrap();
    model.exit("shop-web-1", 137, true);
    let container = only(&docker, "shop").await;
    assert!(container.oom_killed);
    let story = model.story();
    assert!(
        story.ends_with(&["container oom shop-web-1".into(), "container die shop-web-1".into()])
    );
    model.restart_round();
    assert_eq!(only(&docker, "shop").await.restarts, 1);
    model.health("shop-web-1", false, 4);
    assert_eq!(only(&docker, "shop").await.failing_streak, 4);
}

#[tokio::test]
async fn an_image_of_a_registry_can_be_pulled_again() {
    let (model, docker) = model();
    let digest = format!("shop@sha256:{}", "0".repeat(64));
    let image = model.import("shop:latest", Behaviour::Runs);
    model.push(image, &digest);
    model.prune_images(true);
    assert_eq!(docker.image(&image.to_string()).await.unwrap(), None);
    docker.pull(&digest).await.unwrap();
    assert_eq!(docker.image(&digest).await.unwrap().unwrap().id, image);
    let other = docker.pull(&format!("shop@sha256:{}", "1".repeat(64))).await;
    assert!(matches!(other, Err(DockerError::NotFound { .. })), "{other:?}");
}

#[tokio::test]
async fn a_death_leaves_the_engine_as_it_was_at_that_boundary() {
    let mut seen = Vec::new();
    for n in 1..=6 {
        let (model, docker) = model();
        let image = model.import("app", Behaviour::Runs).to_string();
        let armed = death::arm(n);
        let work = async {
            let id = docker.create("a", &json!({ "Image": image })).await.unwrap();
            docker.start(&id).await.unwrap();
            docker.rename(&id, "b").await.unwrap();
        };
        let died = AssertUnwindSafe(work).catch_unwind().await.unwrap_err();
        drop(armed);
        let Died(at) = died.downcast_ref().unwrap();
        let state = |name: &String| model.inspect(name).unwrap()["State"]["Status"].clone();
        let left: Vec<String> =
            model.names().iter().map(|name| format!("{name} {}", state(name))).collect();
        seen.push(format!("{at}: {}", left.join(", ")));
    }
    insta::assert_snapshot!(seen.join("\n"), @r#"
    docker.create before: 
    docker.create after: a "created"
    docker.start before: a "created"
    docker.start after: a "running"
    docker.rename before: a "running"
    docker.rename after: b "running"
    "#);
}
