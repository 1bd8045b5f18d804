//! What is seen of a person's deployments: when they began, and whether
//! anything changed at all.

use std::time::Duration;

use rollbackd_core::event::Event;
use tokio::{
    sync::{mpsc, watch},
    time::timeout,
};

use crate::{PLAIN, stage::Stage, support::engine::compose::Tool};

/// How long anything may take that a test waits for.
const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_deployment_is_told_with_the_time_at_which_it_began() {
    let stage = Stage::new(Tool::all()[0]);
    stage.build("web", &[]);
    stage.write(PLAIN);
    stage.up(&[]);
    let before = stage.record("web").await;
    let (events, mut heard) = mpsc::channel(64);
    let (_projects, projects) = watch::channel([stage.project.clone()].into());
    let watching = tokio::spawn(stage.engine.clone().watch(projects, events));
    let follow = {
        let (docker, clock) = (stage.docker.clone(), stage.clock.clone());
        let happenings = stage.happenings.clone();
        tokio::spawn(async move { docker.follow(clock, happenings).await })
    };
    let mut next = async || timeout(PATIENCE, heard.recv()).await.unwrap().unwrap();
    let (mut up, mut seen) = (false, None);
    while !up || seen.is_none() {
        match next().await {
            Event::Engine(None) => up = true,
            Event::Observed(observation) => seen = Some(observation),
            other => panic!("{other:?}"),
        }
    }
    let first = seen.unwrap();
    assert_eq!(first.changed_at, None, "nothing is new");
    assert_eq!(first.services[0].record, before);

    stage.build("web", &[]);
    let began = stage.clock.now();
    stage.up(&[]);
    let ended = stage.clock.now();
    let changed = loop {
        if let Event::Observed(seen) = next().await
            && seen.services.len() == 1
            && seen.services[0].record.fingerprint != before.fingerprint
        {
            break seen;
        }
    };
    let at = changed.changed_at.unwrap();
    assert!(began <= at && at <= ended, "{began} {at} {ended}");
    watching.abort();
    follow.abort();
}

#[tokio::test]
async fn what_was_deployed_while_nobody_looked_is_dated_by_its_containers() {
    let stage = Stage::new(Tool::all()[0]);
    stage.build("web", &[]);
    stage.write(PLAIN);
    stage.up(&[]);
    stage.observe().await;
    assert_eq!(stage.observe().await.changed_at, None);
    stage.build("web", &[]);
    let began = stage.clock.now();
    stage.up(&[]);
    let ended = stage.clock.now();
    let at = stage.observe().await.changed_at.unwrap();
    assert!(began <= at && at <= ended, "{began} {at} {ended}");
}

#[tokio::test]
async fn a_fingerprint_changes_only_with_what_runs() {
    for tool in Tool::all() {
        let stage = Stage::new(tool);
        stage.build("web", &[]);
        let file = format!("version: '2.4'\n{PLAIN}");
        stage.write(&file);
        stage.up(&[]);
        let first = stage.record("web").await.fingerprint;
        stage.docker(&["restart", "-t", "1", &stage.container("web", 1).await.name]);
        assert_eq!(stage.record("web").await.fingerprint, first, "a restart");
        stage.up(&["--force-recreate"]);
        assert_eq!(stage.record("web").await.fingerprint, first, "a recreation");
        stage.up(&["--scale", "web=2"]);
        let scaled = stage.record("web").await.fingerprint;
        assert_ne!(scaled, first, "its number");
        stage.up(&["--scale", "web=1"]);
        assert_eq!(stage.record("web").await.fingerprint, first, "back again");
        stage.write(&format!("{file}    environment: [COLOUR=red]\n"));
        stage.up(&[]);
        let configured = stage.record("web").await.fingerprint;
        assert_ne!(configured, first, "its configuration");
        stage.build("web", &[]);
        stage.up(&[]);
        assert_ne!(stage.record("web").await.fingerprint, configured, "its image");
    }
}
