#![allow(clippy::unwrap_used, reason = "in a test, a broken promise is a panic")]

use rollbackd_core::revision::ServiceRecord;
use serde_json::json;
use tempfile::TempDir;
use tokio::sync::broadcast;

use super::*;
use crate::{
    docker::{
        Docker,
        error::DockerError,
        labels,
        model::{Behaviour, Model, Service},
    },
    engine::records::Records,
    host::clock::Clock,
    store,
};

const REFERENCE: &str = "registry.example/shop:live";
/// The digest of a platform's own manifest, which is no image's ID.
const MANIFEST: &str = "sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

fn room() -> (Model, Compose, TempDir) {
    let state = tempfile::tempdir().unwrap();
    let clock = Clock::resume(None);
    let model = Model::new(clock.clone());
    let records = Records::new(store::open(state.path()).unwrap().handle);
    let (happenings, _) = broadcast::channel(64);
    let docker = Docker::model(model.clone());
    let compose = Compose::new(docker, records, clock, happenings, state.path(), false);
    (model, compose, state)
}

async fn web(compose: &Compose) -> ServiceRecord {
    compose.observe(&"shop".into()).await.unwrap().services.remove(0).record
}

#[tokio::test]
async fn an_image_that_the_engine_does_not_tell_of_has_no_digests_this_time() {
    let (model, compose, _state) = room();
    model.publish(REFERENCE, Behaviour::Runs);
    model.pull(REFERENCE).unwrap();
    model.deploy("shop", "web", REFERENCE).unwrap();
    let full = DockerError::NoSpace { message: "full".to_owned() };
    model.fail_once("docker.image", full);
    assert!(web(&compose).await.digests.is_empty());
    assert_eq!(web(&compose).await.digests.len(), 1);
}

#[tokio::test]
async fn a_digest_that_an_image_gets_later_is_known_at_the_next_look() {
    let (model, compose, _state) = room();
    let image = model.import("shop:live", Behaviour::Runs);
    model.deploy("shop", "web", "shop:live").unwrap();
    assert!(web(&compose).await.digests.is_empty());
    model.push(image, &format!("registry.example/shop@{MANIFEST}"));
    assert_eq!(web(&compose).await.digests, [MANIFEST]);
}

#[tokio::test]
async fn a_label_that_names_no_image_says_nothing_until_another_image_has_it() {
    let (model, compose, _state) = room();
    model.publish(REFERENCE, Behaviour::Runs);
    model.pull(REFERENCE).unwrap();
    let labelled = json!({ labels::IMAGE: MANIFEST });
    let ids = model.up(&Service::new("shop", "web", REFERENCE).with("Labels", labelled)).unwrap();
    assert!(!web(&compose).await.unattended, "as newer versions of Compose write it");
    model.publish(REFERENCE, Behaviour::Runs);
    let name = model.names().remove(0);
    let made = model.puller_recreates(&name).unwrap().unwrap();
    assert_ne!(made, ids[0]);
    assert!(web(&compose).await.unattended);
    assert_eq!(model.puller_recreates(&name).unwrap(), None, "it is up to date");
}

#[tokio::test]
async fn one_of_several_containers_is_enough() {
    let (model, compose, _state) = room();
    model.publish(REFERENCE, Behaviour::Runs);
    model.pull(REFERENCE).unwrap();
    model.up(&Service::new("shop", "web", REFERENCE).replicas(2)).unwrap();
    assert!(!web(&compose).await.unattended);
    model.publish(REFERENCE, Behaviour::Runs);
    model.puller_recreates("shop-web-2").unwrap();
    assert!(web(&compose).await.unattended);
}

#[tokio::test]
async fn the_containers_that_may_have_brought_it_are_named() {
    let (model, compose, _state) = room();
    model.publish(REFERENCE, Behaviour::Runs);
    model.pull(REFERENCE).unwrap();
    model.deploy("shop", "web", REFERENCE).unwrap();
    let socket = json!(["/var/run/docker.sock:/var/run/docker.sock:ro"]);
    for name in ["proxy", "watchtower"] {
        model.import(&format!("{name}:1"), Behaviour::Runs);
        let tool = Service::new("tools", name, &format!("{name}:1")).host("Binds", socket.clone());
        model.up(&tool).unwrap();
    }
    let seen = compose.observe(&"shop".into()).await.unwrap();
    assert_eq!(seen.pullers, [] as [&str; 0], "nothing was brought");
    model.publish(REFERENCE, Behaviour::Runs);
    let web = model.names().into_iter().find(|name| name.contains("web")).unwrap();
    model.puller_recreates(&web).unwrap().unwrap();
    let seen = compose.observe(&"shop".into()).await.unwrap();
    assert_eq!(seen.pullers, ["tools-watchtower-1"], "who is known for it, before all others");
}
