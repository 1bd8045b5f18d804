#![allow(clippy::unwrap_used, reason = "in a test, a broken promise is a panic")]
#![allow(clippy::panic, reason = "likewise")]

use tokio::sync::mpsc;

use super::*;
use crate::{
    docker::{
        Docker,
        model::{Behaviour, Model},
    },
    engine::records::Records,
    host::clock::Clock,
    store,
};

/// The next event, or a failed test.
async fn next(heard: &mut mpsc::Receiver<Event>) -> Event {
    tokio::time::timeout(Duration::from_secs(10), heard.recv()).await.unwrap().unwrap()
}

#[tokio::test]
async fn an_engine_that_goes_away_is_told_and_looked_at_when_it_is_back() {
    let state = tempfile::tempdir().unwrap();
    let clock = Clock::resume(None);
    let model = Model::new(clock.clone());
    model.import("shop-web", Behaviour::Runs);
    let (happenings, _) = broadcast::channel(64);
    let docker = Docker::model(model.clone());
    let records = Records::new(store::open(state.path()).unwrap().handle);
    let compose = Compose::new(
        docker.clone(),
        records,
        clock.clone(),
        happenings.clone(),
        state.path(),
        false,
    );
    let (events, mut heard) = mpsc::channel(64);
    let (_keep, projects) = watch::channel([ProjectName::from("shop")].into());
    tokio::spawn(compose.watch(projects, events));
    let following = tokio::spawn(async move { docker.follow(clock, happenings).await });

    let (mut up, mut looked) = (false, false);
    while !up || !looked {
        match next(&mut heard).await {
            Event::Engine(None) => up = true,
            Event::Observed(seen) => looked = seen.services.is_empty(),
            other => panic!("{other:?}"),
        }
    }
    model.unreachable(true);
    let told = loop {
        if let Event::Engine(Some(why)) = next(&mut heard).await {
            break why;
        }
    };
    assert!(!told.is_empty());
    model.unreachable(false);
    model.deploy("shop", "web", "shop-web").unwrap();
    let seen = loop {
        if let Event::Observed(seen) = next(&mut heard).await
            && !seen.services.is_empty()
        {
            break seen;
        }
    };
    assert_eq!(seen.services[0].record.name.as_str(), "web");
    assert!(seen.changed_at.is_some());
    following.abort();
}
