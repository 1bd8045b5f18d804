//! What is promised of a container's life: names, starts, stops, ends, events.

use std::time::Duration;

use rollbackd::docker::{
    error::DockerError,
    event::What,
    labels,
    model::Behaviour::{CannotExecute, Exits, IgnoresSigterm, Runs, Unhealthy},
};
use rollbackd_core::revision::{ContainerState, Health};
use serde_json::json;

use crate::bench::Bench;

pub(crate) async fn it_says_which_engine_it_is(bench: Bench) {
    let version = bench.docker.version().await.unwrap();
    assert!(version.engine.starts_with(|first: char| first.is_ascii_digit()), "{version:?}");
    assert!(version.api.starts_with("1."), "{version:?}");
}

pub(crate) async fn a_name_is_one_containers_alone(bench: Bench) {
    let (image, _) = bench.image("a", Runs);
    let first = bench.create("a", &image, json!({})).await;
    let second = bench.docker.create(&bench.named("a"), &bench.body(&image, json!({}))).await;
    assert!(matches!(second, Err(DockerError::Conflict { .. })), "{second:?}");
    let other = bench.create("b", &image, json!({})).await;
    let renamed = bench.docker.rename(&other, &bench.named("a")).await;
    assert!(matches!(renamed, Err(DockerError::Conflict { .. })), "{renamed:?}");
    assert_eq!(bench.look(&first).await.name, bench.named("a"));
    assert_eq!(bench.look(&other).await.name, bench.named("b"));
}

pub(crate) async fn what_is_not_there_is_none(bench: Bench) {
    let (image, _) = bench.image("a", Runs);
    let id = bench.create("a", &image, json!({})).await;
    bench.docker.remove(&id, false, false).await.unwrap();
    assert_eq!(bench.docker.container(id.as_str()).await.unwrap(), None);
    assert_eq!(bench.docker.container(&bench.named("a")).await.unwrap(), None);
    assert_eq!(bench.docker.image(&bench.named("a")).await.unwrap(), None);
    assert_eq!(bench.docker.network(&bench.named("a")).await.unwrap(), None);
    assert!(!bench.docker.volume(&bench.named("a")).await.unwrap());
    assert_eq!(bench.docker.stats(&id).await.unwrap(), None);
    let again = bench.docker.remove(&id, false, true).await;
    assert!(matches!(again, Err(DockerError::NotFound { .. })), "{again:?}");
    let started = bench.docker.start(&id).await;
    assert!(matches!(started, Err(DockerError::NotFound { .. })), "{started:?}");
}

pub(crate) async fn a_running_container_takes_another_name(bench: Bench) {
    let (image, _) = bench.image("a", Runs);
    let id = bench.run("a", &image, json!({})).await;
    let before = bench.look(&id).await;
    bench.docker.rename(&id, &bench.named("b")).await.unwrap();
    let after = bench.look(&id).await;
    assert_eq!(after.name, bench.named("b"));
    assert_eq!((after.state, after.started), (ContainerState::Running, before.started));
    assert_eq!(bench.docker.container(&bench.named("a")).await.unwrap(), None);
}

pub(crate) async fn names_can_be_swapped_while_both_are_there(bench: Bench) {
    let (image, _) = bench.image("a", Runs);
    let old = bench.run("web", &image, json!({})).await;
    let new = bench.create("web.new", &image, json!({})).await;
    bench.docker.rename(&old, &bench.named("web.old")).await.unwrap();
    bench.docker.rename(&new, &bench.named("web")).await.unwrap();
    let found = bench.docker.container(&bench.named("web")).await.unwrap().unwrap();
    assert_eq!((found.id, found.state), (new, ContainerState::Created));
    assert_eq!(bench.look(&old).await.state, ContainerState::Running);
}

pub(crate) async fn a_wrong_entrypoint_fails_the_start_and_leaves_it_created(bench: Bench) {
    let (image, _) = bench.image("a", CannotExecute);
    let policy = json!({ "HostConfig": { "RestartPolicy": { "Name": "always" } } });
    let id = bench.create("a", &image, policy).await;
    let mut ears = bench.listen().await;
    let refused = bench.docker.start(&id).await;
    assert!(matches!(refused, Err(DockerError::NotExecutable { .. })), "{refused:?}");
    let container = bench.look(&id).await;
    assert_eq!((container.state, container.exit_code), (ContainerState::Created, 127));
    assert_eq!((container.restarts, container.started), (0, None));
    bench.docker.remove(&id, false, false).await.unwrap();
    assert_eq!(ears.until(What::Destroy).await, [What::Destroy]);
}

pub(crate) async fn a_stop_ends_the_program_and_tells_it(bench: Bench) {
    let (image, _) = bench.image("a", Runs);
    let id = bench.create("a", &image, json!({})).await;
    let mut ears = bench.listen().await;
    bench.docker.start(&id).await.unwrap();
    bench.docker.stop(&id, None).await.unwrap();
    let container = bench.look(&id).await;
    assert_eq!(container.state, ContainerState::Exited(0));
    assert!(container.finished > container.started);
    bench.docker.remove(&id, false, false).await.unwrap();
    let mut told = ears.until(What::Destroy).await;
    // Engines differ in which of these two comes first.
    told[2..4].sort_by_key(|what| *what == What::Stop);
    assert_eq!(told, [What::Start, What::Kill, What::Die(0), What::Stop, What::Destroy]);
}

pub(crate) async fn a_program_that_ignores_the_stop_is_killed_after_its_grace(bench: Bench) {
    let (image, _) = bench.image("a", IgnoresSigterm);
    let id = bench.run("a", &image, json!({})).await;
    bench.docker.stop(&id, Some(Duration::from_millis(500))).await.unwrap();
    let container = bench.look(&id).await;
    assert_eq!(container.state, ContainerState::Exited(137));
    assert!(!container.oom_killed);
}

pub(crate) async fn starting_what_runs_and_stopping_what_does_not_change_nothing(bench: Bench) {
    let (image, _) = bench.image("a", Runs);
    let id = bench.create("a", &image, json!({})).await;
    bench.docker.stop(&id, None).await.unwrap();
    assert_eq!(bench.look(&id).await.state, ContainerState::Created);
    bench.docker.start(&id).await.unwrap();
    let before = bench.look(&id).await;
    bench.docker.start(&id).await.unwrap();
    assert_eq!(bench.look(&id).await.started, before.started);
}

pub(crate) async fn a_kill_ends_what_runs_and_is_refused_for_what_does_not(bench: Bench) {
    let (image, _) = bench.image("a", Runs);
    let id = bench.run("a", &image, json!({})).await;
    let mut ears = bench.listen().await;
    bench.docker.kill(&id).await.unwrap();
    assert_eq!(ears.until(What::Die(137)).await, [What::Kill, What::Die(137)]);
    bench.until(&id, |container| container.state == ContainerState::Exited(137)).await;
    let again = bench.docker.kill(&id).await;
    assert!(matches!(again, Err(DockerError::Conflict { .. })), "{again:?}");
}

pub(crate) async fn a_running_container_is_removed_only_by_force(bench: Bench) {
    let (image, _) = bench.image("a", Runs);
    let id = bench.run("a", &image, json!({})).await;
    let refused = bench.docker.remove(&id, false, false).await;
    assert!(matches!(refused, Err(DockerError::Conflict { .. })), "{refused:?}");
    assert_eq!(bench.look(&id).await.state, ContainerState::Running);
    bench.docker.remove(&id, false, true).await.unwrap();
    assert_eq!(bench.docker.container(id.as_str()).await.unwrap(), None);
}

pub(crate) async fn a_program_that_ends_leaves_its_code(bench: Bench) {
    let (image, _) = bench.image("a", Exits(3));
    let id = bench.run("a", &image, json!({})).await;
    let container = bench.until(&id, |one| one.state == ContainerState::Exited(3)).await;
    assert_eq!((container.exit_code, container.restarts), (3, 0));
    assert!(!container.restarts_always);
}

pub(crate) async fn a_restart_policy_restarts_and_a_stop_ends_that(bench: Bench) {
    let (image, _) = bench.image("a", Exits(3));
    let policy = json!({ "HostConfig": { "RestartPolicy": { "Name": "always" } } });
    let id = bench.run("a", &image, policy).await;
    let container =
        bench.until(&id, |one| one.state == ContainerState::Restarting && one.restarts >= 2).await;
    assert!(container.restarts_always);
    assert_eq!(container.exit_code, 3);
    let refused = bench.docker.remove(&id, false, false).await;
    assert!(matches!(refused, Err(DockerError::Conflict { .. })), "{refused:?}");
    bench.docker.stop(&id, None).await.unwrap();
    assert_eq!(bench.look(&id).await.state, ContainerState::Exited(3));
    bench.docker.remove(&id, false, false).await.unwrap();
}

pub(crate) async fn a_failing_check_makes_it_unhealthy_and_tells_it(bench: Bench) {
    let (image, _) = bench.image("a", Unhealthy);
    let id = bench.create("a", &image, json!({})).await;
    assert_eq!(bench.look(&id).await.health, Health::None);
    let mut ears = bench.listen().await;
    bench.docker.start(&id).await.unwrap();
    assert_eq!(ears.until(What::Health).await, [What::Start, What::Health]);
    let container = bench.until(&id, |one| one.health == Health::Unhealthy).await;
    assert!(container.failing_streak >= 2, "{}", container.failing_streak);
    assert_eq!(container.state, ContainerState::Running);
}

pub(crate) async fn a_restart_policy_can_be_changed(bench: Bench) {
    let (image, _) = bench.image("a", Runs);
    let policy = json!({ "HostConfig": { "RestartPolicy": { "Name": "unless-stopped" } } });
    let id = bench.run("a", &image, policy).await;
    assert!(bench.look(&id).await.restarts_always);
    let no = json!({ "RestartPolicy": { "Name": "no" } });
    bench.docker.update(&id, &no).await.unwrap();
    let container = bench.look(&id).await;
    assert!(!container.restarts_always);
    let written = &container.document["HostConfig"]["RestartPolicy"];
    assert_eq!(*written, json!({ "Name": "no", "MaximumRetryCount": 0 }));
}

pub(crate) async fn a_project_is_listed_whole_and_alone(bench: Bench) {
    let (image, _) = bench.image("a", Runs);
    let placed = |service: &str, number: &str| json!({ "Labels": { labels::SERVICE: service, labels::NUMBER: number } });
    bench.create("web-10", &image, placed("web", "10")).await;
    bench.run("web-2", &image, placed("web", "2")).await;
    bench.create("db-1", &image, placed("db", "1")).await;
    let mut once = placed("web", "3");
    once["Labels"][labels::ONE_OFF] = "True".into();
    bench.create("web-run", &image, once).await;
    let mut foreign = bench.body(&image, json!({}));
    foreign["Labels"][labels::PROJECT] = bench.named("other").into();
    bench.docker.create(&bench.named("foreign"), &foreign).await.unwrap();
    let listed = bench.docker.containers(&bench.project()).await.unwrap();
    let said: Vec<String> = listed
        .iter()
        .map(|one| {
            let name = one.name.strip_prefix(&bench.named("")).unwrap();
            format!("{name} {:?} {}", one.state, one.one_off)
        })
        .collect();
    assert_eq!(
        said,
        [
            "db-1 Created false",
            "web-2 Running false",
            "web-run Created true",
            "web-10 Created false"
        ]
    );
}

pub(crate) async fn events_carry_the_labels(bench: Bench) {
    let (image, _) = bench.image("a", Runs);
    let mut ears = bench.listen().await;
    let id = bench.create("a", &image, json!({ "Labels": { labels::ONE_OFF: "True" } })).await;
    let created = ears.next().await;
    assert_eq!((created.what, created.id), (What::Create, id.clone()));
    assert_eq!(created.name, bench.named("a"));
    assert_eq!(created.service, Some("web".into()));
    assert!(created.one_off);
    bench.docker.rename(&id, &bench.named("b")).await.unwrap();
    let renamed = ears.next().await;
    assert_eq!((renamed.what, renamed.name), (What::Rename, bench.named("b")));
    assert!(renamed.at >= created.at);
}

pub(crate) async fn what_runs_uses_memory_and_processor(bench: Bench) {
    let (image, _) = bench.image("a", Runs);
    let body = json!({ "HostConfig": { "Memory": 64 << 20 } });
    let id = bench.run("a", &image, body).await;
    let stats = bench.docker.stats(&id).await.unwrap().unwrap();
    assert_eq!(stats.memory_limit, Some(64 << 20));
    let share = stats.memory_share().unwrap();
    assert!(share > 0.0 && share < 1.0, "{share}");
    assert!(stats.cpu.is_some() && stats.cores > Some(0));
    bench.docker.stop(&id, None).await.unwrap();
    assert_eq!(bench.docker.stats(&id).await.unwrap(), None);
}
