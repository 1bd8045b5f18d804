use proptest::prelude::*;
use rollbackd_core::{
    revision::{ContainerState, Health},
    words::Fingerprint,
};
use serde_json::{Value, json};

use super::*;

const IMAGE: &str = "sha256:1111111111111111111111111111111111111111111111111111111111111111";
const OTHER: &str = "sha256:2222222222222222222222222222222222222222222222222222222222222222";
const VOLUME: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

fn document(service: &str, number: u32) -> Value {
    json!({
        "Id": format!("{service}{number}"), "Name": format!("/shop-{service}-{number}"),
        "Image": IMAGE, "Created": "2026-01-02T03:04:05Z",
        "State": { "Status": "running", "StartedAt": "2026-01-02T03:04:06Z" },
        "Config": { "Image": format!("shop-{service}:latest"), "Labels": {
            "com.docker.compose.project": "shop", "com.docker.compose.service": service,
            "com.docker.compose.container-number": number.to_string(),
            "com.docker.compose.oneoff": "False", "com.docker.compose.config-hash": "h",
        }},
        "HostConfig": { "NetworkMode": "shop_default", "RestartPolicy": { "Name": "always" } },
        "Mounts": [],
    })
}

/// A document that was changed at some places.
fn changed(mut document: Value, changes: &[(&str, Value)]) -> Value {
    for (pointer, value) in changes {
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        document.pointer_mut(parent).unwrap()[name] = value.clone();
    }
    document
}

fn named(service: &str, number: u32, name: &str) -> Value {
    let id = format!("{name}-id");
    changed(document(service, number), &[("/Name", json!(format!("/{name}"))), ("/Id", json!(id))])
}

fn seen(documents: &[Value]) -> Vec<ServiceSeen> {
    seen_with(documents, &[])
}

fn seen_with(documents: &[Value], former: &[(&str, &str)]) -> Vec<ServiceSeen> {
    let containers: Vec<Container> =
        documents.iter().map(|document| Container::read(document.clone()).unwrap()).collect();
    let former =
        former.iter().map(|(id, name)| (ContainerId::new(*id), ServiceName::from(*name))).collect();
    let origins = Origins::default();
    observation(&"shop".into(), &containers, &former, &origins, &Clock::resume(None), None).services
}

fn fingerprint(documents: &[Value]) -> Fingerprint {
    seen(documents)[0].record.fingerprint.clone()
}

#[test]
fn a_project_is_its_services_and_a_service_its_containers_by_number() {
    let services = seen(&[document("web", 10), document("db", 1), document("web", 2)]);
    let told: Vec<_> = services
        .iter()
        .map(|one| {
            let ids: Vec<_> = one.record.containers.iter().map(ContainerId::as_str).collect();
            format!("{} {} {}", one.record.name, one.record.image, ids.join(" "))
        })
        .collect();
    assert_eq!(told, ["db shop-db:latest db1", "web shop-web:latest web2 web10"]);
    let web = &services[1].containers[0];
    assert_eq!((web.state, web.health), (ContainerState::Running, Health::None));
    assert!(web.started_at.is_some());
}

#[test]
fn what_is_no_service_is_not_part_of_it() {
    let one_off = ("/Config/Labels/com.docker.compose.oneoff", json!("True"));
    let anchor = ("/Config/Labels/rollbackd.keep", json!(IMAGE));
    let by_hand = ("/Config/Labels/com.docker.compose.container-number", Value::Null);
    for change in [one_off, anchor, by_hand] {
        assert_eq!(seen(&[changed(document("web", 1), &[change])]), []);
    }
}

#[test]
fn in_the_middle_of_a_rollback_exactly_one_of_each_number_counts() {
    let ids = |documents: &[Value]| -> Vec<String> {
        let services = seen(documents);
        let containers = services.iter().flat_map(|one| &one.record.containers);
        containers.map(ToString::to_string).collect()
    };
    let (own, new, old) =
        ("shop-web-1", "shop-web-1.rollbackd-7.new", "shop-web-1.rollbackd-7.old");
    let web = |name| named("web", 1, name);
    assert_eq!(ids(&[web(own)]), ["shop-web-1-id"]);
    assert_eq!(ids(&[web(own), web(new)]), ["shop-web-1-id"]);
    assert_eq!(ids(&[web(old), web(new)]), ["shop-web-1.rollbackd-7.old-id"]);
    assert_eq!(ids(&[web(old), web(own)]), ["shop-web-1-id"]);
    assert_eq!(ids(&[web(old)]), Vec::<String>::new(), "put aside for good");
}

#[test]
fn joins_are_named_also_when_the_joined_container_is_gone() {
    let side =
        changed(document("side", 1), &[("/HostConfig/NetworkMode", json!("container:web1"))]);
    let joins = |services: &[ServiceSeen]| services[0].record.joins.clone();
    assert_eq!(joins(&seen(&[side.clone(), document("web", 1)])), ["web".into()]);
    assert_eq!(joins(&seen_with(std::slice::from_ref(&side), &[("web1", "web")])), ["web".into()]);
    assert_eq!(joins(&seen(&[side])), []);
}

#[test]
fn state_ports_and_jobs_are_told() {
    let told = |changes: &[(&str, Value)]| {
        let record = seen(&[changed(document("web", 1), changes)])[0].record.clone();
        (record.stateful, record.publishes, record.one_shot)
    };
    assert_eq!(told(&[]), (false, false, false));
    let mount = |name: &str| ("/Mounts", json!([{ "Type": "volume", "Name": name }]));
    assert!(told(&[mount("shop_data")]).0);
    assert!(!told(&[mount(VOLUME)]).0, "an anonymous volume");
    let ports = json!({ "80/tcp": [{ "HostPort": "8080" }] });
    assert!(told(&[("/HostConfig/PortBindings", ports)]).1);
    let exited = ("/State", json!({ "Status": "exited", "ExitCode": 0 }));
    let never = ("/HostConfig/RestartPolicy/Name", json!("no"));
    assert!(told(&[exited.clone(), never.clone()]).2);
    assert!(!told(&[exited]).2, "it will be started again");
    assert!(!told(&[("/State", json!({ "Status": "exited", "ExitCode": 1 })), never]).2);
}

#[test]
fn dependencies_are_those_of_the_label() {
    let label = json!("db:service_healthy:false,cache:service_started:true");
    let web =
        changed(document("web", 1), &[("/Config/Labels/com.docker.compose.depends_on", label)]);
    assert_eq!(seen(&[web])[0].record.depends_on, ["cache".into(), "db".into()]);
}

#[test]
fn the_first_change_is_the_first_creation_that_nobody_saw() {
    let created = |number, at: &str| changed(document("web", number), &[("/Created", json!(at))]);
    let documents = [
        created(1, "2026-01-01T00:00:00Z"),
        created(2, "2026-01-03T00:00:00Z"),
        created(3, "2026-01-02T00:00:00Z"),
    ];
    let containers: Vec<_> =
        documents.into_iter().map(|document| Container::read(document).unwrap()).collect();
    let clock = Clock::resume(None);
    let first = first_created(&containers, |id| id.as_str() == "web1", &clock).unwrap();
    let expected = clock.moment_of("2026-01-02T00:00:00Z".parse().unwrap());
    // The wall clock and the axis are read one after the other.
    assert!(first.since(expected).max(expected.since(first)).as_secs() < 1);
    assert_eq!(first_created(&containers, |_| true, &clock), None);
}

#[test]
fn a_fingerprint_changes_with_image_configuration_and_number() {
    let web = document("web", 1);
    let first = fingerprint(std::slice::from_ref(&web));
    assert_ne!(fingerprint(&[changed(web.clone(), &[("/Image", json!(OTHER))])]), first);
    let hash = ("/Config/Labels/com.docker.compose.config-hash", json!("other"));
    assert_ne!(fingerprint(&[changed(web.clone(), &[hash])]), first);
    assert_ne!(fingerprint(&[web, document("web", 2)]), first);
}

#[test]
fn without_composes_hash_the_configuration_itself_counts() {
    let no_hash = ("/Config/Labels/com.docker.compose.config-hash", Value::Null);
    let bare = |changes: &[(&str, Value)]| {
        let document = changed(document("web", 1), std::slice::from_ref(&no_hash));
        fingerprint(&[changed(document, changes)])
    };
    let first = bare(&[]);
    assert_ne!(bare(&[("/Config/Env", json!(["A=1"]))]), first);
    assert_ne!(bare(&[("/HostConfig/Memory", json!(1024))]), first);
    assert_eq!(bare(&[("/Config/Image", json!(IMAGE))]), first, "only its name is another");
    assert_eq!(bare(&[("/HostConfig/Binds", json!([format!("{VOLUME}:/data:rw")]))]), first);
    assert_ne!(bare(&[("/HostConfig/Binds", json!(["shop_data:/data:rw"]))]), first);
}

proptest! {
    #[test]
    fn a_fingerprint_does_not_change_with_what_containers_live_through(
        status in "created|running|restarting|exited|paused|levitating",
        health in proptest::option::of("starting|healthy|unhealthy"),
        code in 0..256i64,
        restarts in 0..100u64,
        id in "[0-9a-f]{64}",
        name in "[a-z]{1,8}",
        address in "10\\.0\\.0\\.[1-9]",
        order in any::<bool>(),
    ) {
        let state = json!({ "Status": status, "ExitCode": code, "Health": { "Status": health } });
        let networks = json!({ "shop_default": { "IPAddress": address } });
        let lived = changed(document("web", 1), &[
            ("/State", state), ("/RestartCount", json!(restarts)), ("/Id", json!(id)),
            ("/Name", json!(format!("/{name}"))), ("/Created", json!("2026-02-03T00:00:00Z")),
            ("/Config/Hostname", json!(&id[..12])),
            ("/NetworkSettings", json!({ "Networks": networks })),
        ]);
        let mut documents = vec![lived, document("web", 2)];
        if order {
            documents.reverse();
        }
        let before = fingerprint(&[document("web", 1), document("web", 2)]);
        prop_assert_eq!(fingerprint(&documents), before);
    }
}
