//! What is promised of images: tags that move, what a prune takes, what an image
//! adds to its containers.

use rollbackd::docker::{
    error::DockerError,
    model::Behaviour::{CannotExecute, Runs},
};
use rollbackd_core::{revision::ContainerState, words::ContainerId};
use serde_json::json;

use crate::bench::Bench;

pub(crate) async fn a_create_needs_an_image(bench: Bench) {
    let body = bench.body(&format!("{}/nothing:here", bench.name), json!({}));
    let refused = bench.docker.create(&bench.named("a"), &body).await;
    assert!(matches!(refused, Err(DockerError::NotFound { .. })), "{refused:?}");
}

pub(crate) async fn a_tag_moves_and_leaves_the_old_image_dangling(bench: Bench) {
    let (reference, old) = bench.image("live", Runs);
    let (again, new) = bench.image("live", Runs);
    assert_eq!(reference, again);
    assert_ne!(old, new);
    assert_eq!(bench.docker.image(&reference).await.unwrap().unwrap().id, new);
    let dangling = bench.docker.image(&old.to_string()).await.unwrap().unwrap();
    assert!(dangling.tags.is_empty(), "{:?}", dangling.tags);
    let repository = format!("{}/app", bench.name);
    bench.docker.tag(&old, &repository, "live").await.unwrap();
    let back = bench.docker.image(&reference).await.unwrap().unwrap();
    assert_eq!((back.id, back.tags), (old, vec![reference]));
    let moved = bench.docker.image(&new.to_string()).await.unwrap().unwrap();
    assert!(moved.tags.is_empty(), "{:?}", moved.tags);
}

pub(crate) async fn the_last_tag_of_an_image_in_use_stays(bench: Bench) {
    let (reference, id) = bench.image("a", Runs);
    bench.run("a", &reference, json!({})).await;
    let repository = format!("{}/keep", bench.name);
    bench.docker.tag(&id, &repository, "a").await.unwrap();
    bench.docker.untag(&format!("{repository}:a")).await.unwrap();
    let refused = bench.docker.untag(&reference).await;
    assert!(matches!(refused, Err(DockerError::Conflict { .. })), "{refused:?}");
    assert_eq!(bench.docker.image(&reference).await.unwrap().unwrap().tags, [reference]);
}

pub(crate) async fn an_unused_image_goes_with_its_last_tag(bench: Bench) {
    let (reference, id) = bench.image("a", Runs);
    bench.docker.untag(&reference).await.unwrap();
    assert_eq!(bench.docker.image(&id.to_string()).await.unwrap(), None);
    let again = bench.docker.untag(&reference).await;
    assert!(matches!(again, Err(DockerError::NotFound { .. })), "{again:?}");
}

pub(crate) async fn a_prune_takes_what_dangles_and_is_unused(bench: Bench) {
    let (_, unused) = bench.image("live", Runs);
    let (reference, used) = bench.image("live", Runs);
    bench.create("a", &reference, json!({})).await;
    let (_, kept) = bench.image("live", Runs);
    bench.docker.tag(&kept, &format!("{}/keep", bench.name), "x").await.unwrap();
    let (_, live) = bench.image("live", Runs);
    bench.prune_images(false);
    let there = async |id| bench.docker.image(&format!("{id}")).await.unwrap().is_some();
    assert!(!there(unused).await, "it dangled, and nobody used it");
    assert!(there(used).await, "a container uses it, if only a created one");
    assert!(there(kept).await, "it has a tag of its own");
    assert!(there(live).await, "it has the tag");
}

pub(crate) async fn a_full_prune_leaves_what_a_container_uses(bench: Bench) {
    let (reference, anchored) = bench.image("live", Runs);
    bench.run("anchor", &anchored.to_string(), json!({})).await;
    let (_, kept) = bench.image("live", Runs);
    bench.docker.tag(&kept, &format!("{}/keep", bench.name), "x").await.unwrap();
    bench.docker.untag(&reference).await.unwrap();
    bench.prune_images(true);
    let there = async |id| bench.docker.image(&format!("{id}")).await.unwrap().is_some();
    assert!(there(anchored).await, "a running container uses it");
    assert!(!there(kept).await, "a tag of its own is no use to it");
}

pub(crate) async fn an_image_adds_what_the_container_does_not_say(bench: Bench) {
    let config = json!({ "Env": ["FROM=image", "BOTH=image"], "Volumes": { "/data": {} } });
    let (image, id) = bench.image_with("a", Runs, &config);
    assert!(bench.docker.image(&image).await.unwrap().unwrap().volumes.contains("/data"));
    let own = json!({ "Env": ["BOTH=own"], "Labels": { "own": "yes" } });
    let container = bench.create("a", &image, own).await;
    let container = bench.look(&container).await;
    let mut variables: Vec<String> =
        serde_json::from_value(container.document["Config"]["Env"].clone()).unwrap();
    variables.sort();
    assert_eq!(variables, ["BOTH=own", "FROM=image"]);
    assert_eq!(container.document["Path"], "/app");
    assert_eq!(container.label("own"), Some("yes"));
    assert_eq!((container.image_id, container.image), (Some(id), image));
}

pub(crate) async fn containers_are_found_by_their_reference(bench: Bench) {
    let (image, old) = bench.image("live", Runs);
    let first = bench.create("a", &image, json!({})).await;
    // The tag moves away from under the first one.
    bench.image("live", Runs);
    let second = bench.create("b", &image, json!({})).await;
    bench.create("c", &old.to_string(), json!({})).await;
    let spelled = format!("docker.io/{image}");
    let found = bench.docker.all_using(&spelled).await.unwrap();
    let mut found: Vec<ContainerId> = found.into_iter().map(|one| one.id).collect();
    let mut expected = [first, second];
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
}

pub(crate) async fn the_tags_of_a_repository_are_listed(bench: Bench) {
    let (reference, old) = bench.image("live", Runs);
    let repository = format!("{}/app", bench.name);
    bench.docker.tag(&old, &repository, "old").await.unwrap();
    bench.docker.tag(&old, &format!("{repository}-other"), "x").await.unwrap();
    let (_, new) = bench.image("live", Runs);
    let tags = bench.docker.tagged(&repository).await.unwrap();
    assert_eq!(tags, [(reference, new), (format!("{repository}:old"), old)]);
    assert_eq!(bench.docker.tagged(&bench.named("none")).await.unwrap(), []);
}

pub(crate) async fn a_program_that_is_mounted_runs_in_an_image_without_one(bench: Bench) {
    let (image, _) = bench.image("a", CannotExecute);
    let bind = format!("{}:/rollbackd-anchor:ro", bench.program());
    let host = json!({ "Binds": [bind] });
    let body = json!({ "Entrypoint": ["/rollbackd-anchor"], "Cmd": [], "HostConfig": host });
    let id = bench.run("anchor", &image, body).await;
    assert_eq!(bench.look(&id).await.state, ContainerState::Running);
}
