//! What is promised of who made a container, and of the names by which its
//! image is known elsewhere.

use rollbackd::docker::model::Behaviour::Runs;
use rollbackd_core::{
    plan::{Does, Fault, StepOutcome},
    revision::ContainerState,
};

use crate::bench::Bench;

pub(crate) async fn the_digests_of_a_pulled_image_are_known(bench: Bench) {
    let id = bench.publish();
    let image = bench.docker.image(&id.to_string()).await.unwrap();
    assert_eq!(image, None, "it is not here before it was pulled");
    bench.pull();
    bench.deploy(&bench.published());
    let seen = bench.seen().await;
    assert_eq!(seen.image_id, id);
    let [digest] = &seen.digests[..] else { panic!("{:?}", seen.digests) };
    let published = bench.published();
    let (repository, _) = published.rsplit_once(':').unwrap();
    let named = bench.docker.image(&format!("{repository}@{digest}")).await.unwrap().unwrap();
    assert_eq!(named.id, id);
}

pub(crate) async fn an_image_of_no_registry_has_no_digests(bench: Bench) {
    let (reference, _) = bench.image("a", Runs);
    bench.deploy(&reference);
    assert!(bench.seen().await.digests.is_empty());
}

pub(crate) async fn a_container_that_a_puller_recreated_is_seen_as_unattended(bench: Bench) {
    bench.publish();
    bench.pull();
    bench.deploy(&bench.published());
    let before = bench.seen().await;
    assert!(!before.unattended);
    let newer = bench.publish();
    bench.pulled_by_a_tool().await;
    let seen = bench.seen().await;
    assert!(seen.unattended);
    assert_eq!(seen.image_id, newer);
    assert_ne!(seen.fingerprint, before.fingerprint, "it is a deployment");
    assert_ne!(seen.digests, before.digests);
    // Once more, and what was first is gone.
    let newest = bench.publish();
    bench.pulled_by_a_tool().await;
    bench.prune_images(true);
    assert_eq!(bench.docker.image(&before.image_id.to_string()).await.unwrap(), None);
    let seen = bench.seen().await;
    assert!(seen.unattended);
    assert_eq!(seen.image_id, newest);
}

pub(crate) async fn what_a_puller_recreated_before_anybody_looked_is_seen_as_unattended(
    bench: Bench,
) {
    bench.publish();
    bench.pull();
    bench.deploy(&bench.published());
    bench.publish();
    bench.pulled_by_a_tool().await;
    assert!(bench.seen().await.unattended);
}

pub(crate) async fn what_compose_recreated_is_not(bench: Bench) {
    bench.publish();
    bench.pull();
    bench.deploy(&bench.published());
    assert!(!bench.seen().await.unattended);
    // A person pulls and deploys.
    let newer = bench.publish();
    bench.pull();
    bench.deploy(&bench.published());
    let seen = bench.seen().await;
    assert_eq!((seen.image_id, seen.unattended), (newer, false));
    // A person deploys what the tool had brought.
    bench.publish();
    bench.pulled_by_a_tool().await;
    assert!(bench.seen().await.unattended);
    bench.deploy(&bench.published());
    assert!(!bench.seen().await.unattended);
}

pub(crate) async fn what_was_built_here_and_deployed_is_not(bench: Bench) {
    for _ in 0..2 {
        let (reference, id) = bench.image("live", Runs);
        bench.deploy(&reference);
        let seen = bench.seen().await;
        assert_eq!((seen.image_id, seen.unattended), (id, false));
    }
}

pub(crate) async fn what_rollbackd_put_back_is_not(bench: Bench) {
    bench.publish();
    bench.pull();
    bench.deploy(&bench.published());
    let first = bench.seen().await;
    bench.publish();
    bench.pulled_by_a_tool().await;
    let second = bench.seen().await;
    bench.back(&first).await;
    let back = bench.seen().await;
    assert_eq!((back.image_id, back.unattended), (first.image_id, false));
    assert_eq!(back.fingerprint, first.fingerprint);
    bench.step(Does::Discard { services: vec!["web".into()] }).await;
    // Also where a tool had made what is put back.
    bench.back(&second).await;
    let forward = bench.seen().await;
    assert_eq!((forward.image_id, forward.unattended), (second.image_id, false));
    assert_eq!(forward.fingerprint, second.fingerprint);
}

pub(crate) async fn a_put_back_leaves_what_somebody_deployed_in_its_place(bench: Bench) {
    let (reference, _) = bench.image("live", Runs);
    bench.deploy(&reference);
    let first = bench.seen().await;
    let (reference, _) = bench.image("live", Runs);
    bench.deploy(&reference);
    bench.seen().await;
    bench.back(&first).await;
    let (reference, theirs) = bench.image("live", Runs);
    bench.replaced_by_hand(&reference).await;
    let name = bench.named("web-1");
    let before = bench.docker.container(&name).await.unwrap().unwrap();
    let outcome = bench.step(Does::PutBack { service: "web".into() }).await;
    let StepOutcome::Failed { why, fault: Fault::World } = outcome else { panic!("{outcome:?}") };
    assert!(why.starts_with(&format!("somebody deployed {name} meanwhile")), "{why}");
    let after = bench.docker.container(&name).await.unwrap().unwrap();
    assert_eq!((&after.id, after.image_id), (&before.id, Some(theirs)));
    let all = bench.docker.containers(&bench.project()).await.unwrap();
    let running: Vec<_> =
        all.iter().filter(|one| one.state == ContainerState::Running).map(|one| &one.id).collect();
    assert_eq!(running, [&before.id]);
}
