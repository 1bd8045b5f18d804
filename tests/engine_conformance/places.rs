//! What is promised of where a container is: networks, ports, volumes, and a
//! record that makes it again.

use rollbackd::docker::{container::Container, error::DockerError, model::Behaviour::Runs};
use rollbackd_core::revision::ContainerState;
use serde_json::{Value, json};

use crate::bench::Bench;

pub(crate) async fn a_port_of_another_container_fails_the_start(bench: Bench) {
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

pub(crate) async fn a_port_of_another_process_fails_the_start(bench: Bench) {
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

pub(crate) async fn a_fixed_address_that_is_taken_fails_the_start(bench: Bench) {
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

pub(crate) async fn a_fixed_address_needs_a_subnet_that_was_chosen(bench: Bench) {
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

pub(crate) async fn networks_give_addresses_and_aliases(bench: Bench) {
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

pub(crate) async fn a_network_that_is_not_there_fails_the_start(bench: Bench) {
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

pub(crate) async fn a_namespace_of_what_does_not_run_cannot_be_joined(bench: Bench) {
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

pub(crate) async fn a_record_makes_an_equal_container(bench: Bench) {
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

pub(crate) async fn anonymous_volumes_go_only_when_asked(bench: Bench) {
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
