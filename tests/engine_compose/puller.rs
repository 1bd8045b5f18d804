//! A tool that pulls and recreates by itself, beside Compose and rollbackd.

use crate::{
    stage::{Stage, assert_same},
    support::{
        engine::{self, compose::Tool, puller},
        registry::Registry,
    },
};

/// `web`, whose image is in a registry, with a little of what could be lost.
const FILE: &str = r#"
version: '2.4'
services:
  web:
    image: $IMAGE
    command: [run]
    restart: always
    environment: { COLOUR: blue }
    networks:
      front: { aliases: [www] }
      back: {}
    volumes: ["named:/named"]
    stop_grace_period: 3s
networks: { front: {}, back: {} }
volumes: { named: {} }
"#;

#[tokio::test]
async fn what_a_puller_brings_is_seen_put_back_exactly_and_seen_when_it_comes_again() {
    for tool in Tool::all() {
        let (stage, registry) = (Stage::new(tool), Registry::start());
        let reference = format!("{}/{}/web:latest", registry.address, stage.project);
        let label = format!("LABEL rollbackd.bench={}", stage.project);
        let publish = |change: &str| {
            let changes = [label.as_str(), r#"ENTRYPOINT ["/app"]"#, change];
            registry.push(&reference, |reference| engine::import(reference, &changes))
        };
        publish("ENV VERSION=1");
        engine::docker(&["pull", "-q", &reference]);
        stage.write(&FILE.replace("$IMAGE", &reference));
        stage.up(&[]);
        let record = stage.record("web").await;
        assert!(!record.unattended, "{tool:?}");
        assert_eq!(record.digests.len(), 1, "{tool:?}: {:?}", record.digests);
        let ran = stage.container("web", 1).await;

        let bad = publish("ENV VERSION=2 NEW=1");
        puller::update(&stage.docker, &ran.name).await.expect("there is a newer one");
        let brought = stage.record("web").await;
        assert!(brought.unattended, "{tool:?}");
        assert_eq!(brought.image_id, bad, "{tool:?}");
        assert_ne!(brought.fingerprint, record.fingerprint, "{tool:?}: it is a deployment");

        stage.back(&record).await;
        let back = stage.container("web", 1).await;
        assert_same(&back, &ran);
        let seen = stage.record("web").await;
        assert!(!seen.unattended, "{tool:?}");
        assert_eq!(seen.fingerprint, record.fingerprint, "{tool:?}");
        assert_eq!(seen.digests, record.digests, "{tool:?}");
        let said = stage.up(&[]);
        assert_eq!(stage.container("web", 1).await.id, back.id, "{tool:?}: {said}");
        let words = if tool == Tool::V2 { "Running" } else { "up-to-date" };
        assert!(said.contains(words), "{tool:?}: {said}");

        puller::update(&stage.docker, &back.name).await.expect("the registry has it still");
        let again = stage.record("web").await;
        assert!(again.unattended, "{tool:?}");
        assert_eq!((again.image_id, again.digests), (bad, brought.digests), "{tool:?}");
    }
}
