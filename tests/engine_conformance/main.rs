//! What the rooms above may rely on of an engine: one list of promises, each
//! kept by the engine model and by the real engine. What is not promised here
//! must not be relied on.

#![cfg(feature = "testing")]
#![allow(clippy::unwrap_used, reason = "in a test, a broken promise is a panic")]

mod bench;

use std::time::Duration;

use bench::Bench;
use rollbackd::docker::{
    container::Container,
    error::DockerError,
    event::What,
    labels,
    model::Behaviour::{CannotExecute, Exits, IgnoresSigterm, Runs, Unhealthy},
};
use rollbackd_core::{
    revision::{ContainerState, Health},
    words::ContainerId,
};
use serde_json::{Value, json};

/// Each promise, as a test on the model and as one on the real engine.
macro_rules! promises {
    ($($promise:ident)*) => {
        mod model {
            $(#[tokio::test] async fn $promise() {
                super::$promise(super::Bench::model()).await;
            })*
        }
        mod real {
            $(#[tokio::test] async fn $promise() {
                super::$promise(super::Bench::real()).await;
            })*
        }
    };
}

promises! {
    it_says_which_engine_it_is
    a_create_needs_an_image
    a_name_is_one_containers_alone
    what_is_not_there_is_none
    a_running_container_takes_another_name
    names_can_be_swapped_while_both_are_there
    a_wrong_entrypoint_fails_the_start_and_leaves_it_created
    a_stop_ends_the_program_and_tells_it
    a_program_that_ignores_the_stop_is_killed_after_its_grace
    starting_what_runs_and_stopping_what_does_not_change_nothing
    a_kill_ends_what_runs_and_is_refused_for_what_does_not
    a_running_container_is_removed_only_by_force
    a_program_that_ends_leaves_its_code
    a_restart_policy_restarts_and_a_stop_ends_that
    a_failing_check_makes_it_unhealthy_and_tells_it
    a_restart_policy_can_be_changed
    a_tag_moves_and_leaves_the_old_image_dangling
    the_last_tag_of_an_image_in_use_stays
    an_unused_image_goes_with_its_last_tag
    a_prune_takes_what_dangles_and_is_unused
    a_full_prune_leaves_what_a_container_uses
    a_port_of_another_container_fails_the_start
    a_port_of_another_process_fails_the_start
    a_fixed_address_that_is_taken_fails_the_start
    a_fixed_address_needs_a_subnet_that_was_chosen
    networks_give_addresses_and_aliases
    a_network_that_is_not_there_fails_the_start
    a_namespace_of_what_does_not_run_cannot_be_joined
    an_image_adds_what_the_container_does_not_say
    a_record_makes_an_equal_container
    anonymous_volumes_go_only_when_asked
    a_project_is_listed_whole_and_alone
    containers_are_found_by_their_reference
    events_carry_the_labels
    what_runs_uses_memory_and_processor
}

async fn it_says_which_engine_it_is(bench: Bench) {
    let version = bench.docker.version().await.unwrap();
    assert!(version.engine.starts_with(|first: char| first.is_ascii_digit()), "{version:?}");
    assert!(version.api.starts_with("1."), "{version:?}");
}

async fn a_create_needs_an_image(bench: Bench) {
    let body = bench.body(&format!("{}/nothing:here", bench.name), json!({}));
    let refused = bench.docker.create(&bench.named("a"), &body).await;
    assert!(matches!(refused, Err(DockerError::NotFound { .. })), "{refused:?}");
}

async fn a_name_is_one_containers_alone(bench: Bench) {
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

async fn what_is_not_there_is_none(bench: Bench) {
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

async fn a_running_container_takes_another_name(bench: Bench) {
    let (image, _) = bench.image("a", Runs);
    let id = bench.run("a", &image, json!({})).await;
    let before = bench.look(&id).await;
    bench.docker.rename(&id, &bench.named("b")).await.unwrap();
    let after = bench.look(&id).await;
    assert_eq!(after.name, bench.named("b"));
    assert_eq!((after.state, after.started), (ContainerState::Running, before.started));
    assert_eq!(bench.docker.container(&bench.named("a")).await.unwrap(), None);
}

async fn names_can_be_swapped_while_both_are_there(bench: Bench) {
    let (image, _) = bench.image("a", Runs);
    let old = bench.run("web", &image, json!({})).await;
    let new = bench.create("web.new", &image, json!({})).await;
    bench.docker.rename(&old, &bench.named("web.old")).await.unwrap();
    bench.docker.rename(&new, &bench.named("web")).await.unwrap();
    let found = bench.docker.container(&bench.named("web")).await.unwrap().unwrap();
    assert_eq!((found.id, found.state), (new, ContainerState::Created));
    assert_eq!(bench.look(&old).await.state, ContainerState::Running);
}

async fn a_wrong_entrypoint_fails_the_start_and_leaves_it_created(bench: Bench) {
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

async fn a_stop_ends_the_program_and_tells_it(bench: Bench) {
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

async fn a_program_that_ignores_the_stop_is_killed_after_its_grace(bench: Bench) {
    let (image, _) = bench.image("a", IgnoresSigterm);
    let id = bench.run("a", &image, json!({})).await;
    bench.docker.stop(&id, Some(Duration::from_millis(500))).await.unwrap();
    let container = bench.look(&id).await;
    assert_eq!(container.state, ContainerState::Exited(137));
    assert!(!container.oom_killed);
}

async fn starting_what_runs_and_stopping_what_does_not_change_nothing(bench: Bench) {
    let (image, _) = bench.image("a", Runs);
    let id = bench.create("a", &image, json!({})).await;
    bench.docker.stop(&id, None).await.unwrap();
    assert_eq!(bench.look(&id).await.state, ContainerState::Created);
    bench.docker.start(&id).await.unwrap();
    let before = bench.look(&id).await;
    bench.docker.start(&id).await.unwrap();
    assert_eq!(bench.look(&id).await.started, before.started);
}

async fn a_kill_ends_what_runs_and_is_refused_for_what_does_not(bench: Bench) {
    let (image, _) = bench.image("a", Runs);
    let id = bench.run("a", &image, json!({})).await;
    let mut ears = bench.listen().await;
    bench.docker.kill(&id).await.unwrap();
    assert_eq!(ears.until(What::Die(137)).await, [What::Kill, What::Die(137)]);
    bench.until(&id, |container| container.state == ContainerState::Exited(137)).await;
    let again = bench.docker.kill(&id).await;
    assert!(matches!(again, Err(DockerError::Conflict { .. })), "{again:?}");
}

async fn a_running_container_is_removed_only_by_force(bench: Bench) {
    let (image, _) = bench.image("a", Runs);
    let id = bench.run("a", &image, json!({})).await;
    let refused = bench.docker.remove(&id, false, false).await;
    assert!(matches!(refused, Err(DockerError::Conflict { .. })), "{refused:?}");
    assert_eq!(bench.look(&id).await.state, ContainerState::Running);
    bench.docker.remove(&id, false, true).await.unwrap();
    assert_eq!(bench.docker.container(id.as_str()).await.unwrap(), None);
}

async fn a_program_that_ends_leaves_its_code(bench: Bench) {
    let (image, _) = bench.image("a", Exits(3));
    let id = bench.run("a", &image, json!({})).await;
    let container = bench.until(&id, |one| one.state == ContainerState::Exited(3)).await;
    assert_eq!((container.exit_code, container.restarts), (3, 0));
    assert!(!container.restarts_always);
}

async fn a_restart_policy_restarts_and_a_stop_ends_that(bench: Bench) {
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

async fn a_failing_check_makes_it_unhealthy_and_tells_it(bench: Bench) {
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

async fn a_restart_policy_can_be_changed(bench: Bench) {
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

async fn a_tag_moves_and_leaves_the_old_image_dangling(bench: Bench) {
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

async fn the_last_tag_of_an_image_in_use_stays(bench: Bench) {
    let (reference, id) = bench.image("a", Runs);
    bench.run("a", &reference, json!({})).await;
    let repository = format!("{}/keep", bench.name);
    bench.docker.tag(&id, &repository, "a").await.unwrap();
    bench.docker.untag(&format!("{repository}:a")).await.unwrap();
    let refused = bench.docker.untag(&reference).await;
    assert!(matches!(refused, Err(DockerError::Conflict { .. })), "{refused:?}");
    assert_eq!(bench.docker.image(&reference).await.unwrap().unwrap().tags, [reference]);
}

async fn an_unused_image_goes_with_its_last_tag(bench: Bench) {
    let (reference, id) = bench.image("a", Runs);
    bench.docker.untag(&reference).await.unwrap();
    assert_eq!(bench.docker.image(&id.to_string()).await.unwrap(), None);
    let again = bench.docker.untag(&reference).await;
    assert!(matches!(again, Err(DockerError::NotFound { .. })), "{again:?}");
}

async fn a_prune_takes_what_dangles_and_is_unused(bench: Bench) {
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

async fn a_full_prune_leaves_what_a_container_uses(bench: Bench) {
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

async fn a_port_of_another_container_fails_the_start(bench: Bench) {
    let (image, _) = bench.image("a", Runs);
    let (network, port) = (bench.network("net"), bench.free_port());
    let body = publishing(&network, port);
    let holder = bench.run("a", &image, body.clone()).await;
    let second = bench.create("b", &image, body).await;
    let refused = bench.docker.start(&second).await;
    assert!(matches!(refused, Err(DockerError::PortTaken { .. })), "{refused:?}");
    let left = bench.look(&second).await;
    assert_eq!((left.state, left.exit_code), (ContainerState::Created, 128));
    assert_eq!(bench.look(&holder).await.state, ContainerState::Running);
    bench.docker.stop(&holder, None).await.unwrap();
    bench.docker.start(&second).await.unwrap();
    let bound = &bench.look(&second).await.document["NetworkSettings"]["Ports"]["80/tcp"][0];
    assert_eq!(bound["HostPort"], port.to_string());
}

async fn a_port_of_another_process_fails_the_start(bench: Bench) {
    let (image, _) = bench.image("a", Runs);
    let (network, (port, _holder)) = (bench.network("net"), bench.taken_port());
    let id = bench.create("a", &image, publishing(&network, port)).await;
    let refused = bench.docker.start(&id).await;
    assert!(matches!(refused, Err(DockerError::PortTaken { .. })), "{refused:?}");
}

fn publishing(network: &str, port: u16) -> Value {
    let place = json!([{ "HostIp": "127.0.0.1", "HostPort": port.to_string() }]);
    json!({ "ExposedPorts": { "80/tcp": {} },
        "HostConfig": { "NetworkMode": network, "PortBindings": { "80/tcp": place } } })
}

async fn a_fixed_address_that_is_taken_fails_the_start(bench: Bench) {
    let (image, _) = bench.image("a", Runs);
    let network = bench.network_with_subnet("net");
    let first = bench.run("a", &image, json!({ "HostConfig": { "NetworkMode": network } })).await;
    let address = bench.look(&first).await.addresses[0];
    let second =
        bench.create("b", &image, json!({ "HostConfig": { "NetworkMode": "none" } })).await;
    bench.docker.disconnect_network("none", &second).await.unwrap();
    let fixed = json!({ "IPAMConfig": { "IPv4Address": address } });
    bench.docker.connect_network(&network, &second, &fixed).await.unwrap();
    let refused = bench.docker.start(&second).await;
    assert!(matches!(refused, Err(DockerError::Refused { .. })), "{refused:?}");
    assert_eq!(bench.look(&second).await.state, ContainerState::Created);
}

async fn a_fixed_address_needs_a_subnet_that_was_chosen(bench: Bench) {
    let (image, _) = bench.image("a", Runs);
    let network = bench.network("net");
    let id = bench.run("a", &image, json!({ "HostConfig": { "NetworkMode": network } })).await;
    let address = bench.look(&id).await.addresses[0];
    let endpoint = json!({ "IPAMConfig": { "IPv4Address": address } });
    let endpoints = json!({ "EndpointsConfig": { &network: endpoint } });
    let body = json!({ "HostConfig": { "NetworkMode": network }, "NetworkingConfig": endpoints });
    // Some engines refuse the create already.
    let made = bench.docker.create(&bench.named("b"), &bench.body(&image, body)).await;
    let refused = match made {
        Ok(id) => bench.docker.start(&id).await,
        Err(error) => Err(error),
    };
    assert!(matches!(refused, Err(DockerError::Refused { .. })), "{refused:?}");
}

async fn networks_give_addresses_and_aliases(bench: Bench) {
    let (image, _) = bench.image("a", Runs);
    let (front, back) = (bench.network("front"), bench.network("back"));
    let endpoints = json!({ "EndpointsConfig": { &front: { "Aliases": ["web"] } } });
    let body = json!({ "HostConfig": { "NetworkMode": front }, "NetworkingConfig": endpoints });
    let id = bench.create("a", &image, body).await;
    assert!(bench.look(&id).await.addresses.is_empty());
    let endpoint = json!({ "Aliases": ["db-client"] });
    bench.docker.connect_network(&back, &id, &endpoint).await.unwrap();
    bench.docker.start(&id).await.unwrap();
    let running = bench.look(&id).await;
    assert_eq!(running.addresses.len(), 2, "{:?}", running.addresses);
    assert!(aliases(&running, &front).contains(&"web".to_owned()));
    assert!(aliases(&running, &back).contains(&"db-client".to_owned()));
    bench.docker.disconnect_network(&back, &id).await.unwrap();
    assert_eq!(bench.look(&id).await.addresses.len(), 1);
    bench.docker.connect_network(&back, &id, &Value::Null).await.unwrap();
    assert_eq!(bench.look(&id).await.addresses.len(), 2);
    bench.docker.stop(&id, None).await.unwrap();
    assert!(bench.look(&id).await.addresses.is_empty());
    let found = bench.docker.network(&front).await.unwrap().unwrap();
    assert_eq!(bench.docker.network(&found.id).await.unwrap(), Some(found));
}

fn aliases(container: &Container, network: &str) -> Vec<String> {
    let list = &container.document["NetworkSettings"]["Networks"][network]["Aliases"];
    serde_json::from_value(list.clone()).unwrap()
}

async fn a_network_that_is_not_there_fails_the_start(bench: Bench) {
    let (image, _) = bench.image("a", Runs);
    let body = json!({ "HostConfig": { "NetworkMode": bench.named("nowhere") } });
    // Some engines refuse the create already.
    let made = bench.docker.create(&bench.named("a"), &bench.body(&image, body)).await;
    let refused = match made {
        Ok(id) => bench.docker.start(&id).await,
        Err(error) => Err(error),
    };
    assert!(matches!(refused, Err(DockerError::NotFound { .. })), "{refused:?}");
}

async fn a_namespace_of_what_does_not_run_cannot_be_joined(bench: Bench) {
    let (image, _) = bench.image("a", Runs);
    let host = bench.create("host", &image, json!({})).await;
    let body = json!({ "HostConfig": { "NetworkMode": format!("container:{host}") } });
    let guest = bench.create("guest", &image, body).await;
    let refused = bench.docker.start(&guest).await;
    assert!(matches!(refused, Err(DockerError::Conflict { .. })), "{refused:?}");
    bench.docker.start(&host).await.unwrap();
    bench.docker.start(&guest).await.unwrap();
    assert_eq!(bench.look(&guest).await.state, ContainerState::Running);
}

async fn an_image_adds_what_the_container_does_not_say(bench: Bench) {
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

async fn a_record_makes_an_equal_container(bench: Bench) {
    let config = json!({ "Env": ["A=1"], "Volumes": { "/data": {} } });
    let (image, _) = bench.image_with("a", Runs, &config);
    let network = bench.network("net");
    let endpoints = json!({ "EndpointsConfig": { &network: { "Aliases": ["web"] } } });
    let body = json!({
        "Env": ["B=2"], "StopTimeout": 3, "Labels": { "x": "y" }, "ExposedPorts": { "80/tcp": {} },
        "NetworkingConfig": endpoints,
        "HostConfig": { "NetworkMode": network, "Memory": 64 << 20,
            "Binds": [format!("{}:/vol", bench.named("vol")), "/tmp:/host:ro"],
            "RestartPolicy": { "Name": "on-failure", "MaximumRetryCount": 3 },
            "PortBindings": { "80/tcp": [{ "HostIp": "127.0.0.1", "HostPort": "" }] } },
    });
    let first = bench.run("a", &image, body).await;
    let record = bench.look(&first).await;
    let mut again = record.document["Config"].clone();
    again["Hostname"] = "".into();
    again["HostConfig"] = record.document["HostConfig"].clone();
    let endpoint = json!({ "Aliases": ["web"] });
    again["NetworkingConfig"] = json!({ "EndpointsConfig": { &network: endpoint } });
    let second = bench.docker.create(&bench.named("b"), &again).await.unwrap();
    bench.docker.start(&second).await.unwrap();
    let copy = bench.look(&second).await;
    assert_eq!(configuration(&copy), configuration(&record));
    assert_eq!(copy.document["HostConfig"], record.document["HostConfig"]);
    assert_eq!(own_aliases(&copy, &network), own_aliases(&record, &network));
}

/// The configuration without the name that the engine made up.
fn configuration(container: &Container) -> Value {
    let mut config = container.document["Config"].clone();
    if container.id.as_str().starts_with(config["Hostname"].as_str().unwrap()) {
        config["Hostname"] = Value::Null;
    }
    config
}

/// The aliases without the ID that some engines add.
fn own_aliases(container: &Container, network: &str) -> Vec<String> {
    let mut all = aliases(container, network);
    all.retain(|alias| !container.id.as_str().starts_with(alias.as_str()));
    all
}

async fn anonymous_volumes_go_only_when_asked(bench: Bench) {
    let (image, _) = bench.image_with("a", Runs, &json!({ "Volumes": { "/data": {} } }));
    let named = bench.named("vol");
    let body = json!({ "HostConfig": { "Binds": [format!("{named}:/vol")] } });
    let first = bench.create("a", &image, body.clone()).await;
    let anonymous = volume_at(&bench.look(&first).await, "/data");
    bench.docker.remove(&first, false, false).await.unwrap();
    assert!(bench.docker.volume(&anonymous).await.unwrap());
    let binds = json!([format!("{anonymous}:/data")]);
    let heir = bench.create("b", &image, json!({ "HostConfig": { "Binds": binds } })).await;
    assert_eq!(volume_at(&bench.look(&heir).await, "/data"), anonymous);
    let second = bench.create("a", &image, body).await;
    let other = volume_at(&bench.look(&second).await, "/data");
    assert_ne!(other, anonymous);
    bench.docker.remove(&second, true, false).await.unwrap();
    assert!(!bench.docker.volume(&other).await.unwrap());
    assert!(bench.docker.volume(&named).await.unwrap());
}

fn volume_at(container: &Container, path: &str) -> String {
    let mounts = container.document["Mounts"].as_array().unwrap();
    let mount = mounts.iter().find(|mount| mount["Destination"] == path).unwrap();
    mount["Name"].as_str().unwrap().to_owned()
}

async fn a_project_is_listed_whole_and_alone(bench: Bench) {
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

async fn containers_are_found_by_their_reference(bench: Bench) {
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

async fn events_carry_the_labels(bench: Bench) {
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

async fn what_runs_uses_memory_and_processor(bench: Bench) {
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
