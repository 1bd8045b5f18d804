//! Steps on the engine model: what they leave, and that each can be run again
//! after a death at any of its boundaries.
#![cfg(feature = "testing")]

use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
};

use rollbackd_core::{
    plan::{Does, Fault, Replaced, Step, StepOutcome},
    revision::{ContainerState, Observation, ServiceRecord},
    settings::Order,
    words::{ImageId, IncidentId, ProjectName, ServiceName},
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{runtime, sync::broadcast};

mod people;

use super::*;
use crate::{
    config::settings::KeepBy,
    docker::{
        Docker,
        error::DockerError,
        model::{Behaviour, Model, Service},
    },
    engine::{Engine, compose::Compose, records::Records},
    host::{clock::Clock, death},
    store,
};

const INCIDENT: IncidentId = IncidentId(7);
const SECOND: Duration = Duration::from_secs(1);

/// An engine model with the rooms on it.
struct House {
    model: Model,
    engine: Engine,
    runtime: runtime::Runtime,
    project: ProjectName,
    _state: TempDir,
}

impl House {
    fn new() -> Self {
        let runtime = runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let state = tempfile::tempdir().unwrap();
        let clock = Clock::resume(None);
        let model = Model::new(clock.clone());
        let records = Records::new(store::open(state.path()).unwrap().handle);
        let (happenings, _) = broadcast::channel(64);
        let docker = Docker::model(model.clone());
        let compose = Compose::new(docker, records, clock, happenings, state.path(), false);
        let engine = Engine::Compose(compose);
        Self { model, engine, runtime, project: "shop".into(), _state: state }
    }

    fn observe(&self) -> Observation {
        self.runtime.block_on(self.engine.observe(&self.project)).unwrap()
    }

    fn record(&self, service: &str) -> ServiceRecord {
        let seen = self.observe().services;
        seen.into_iter().find(|one| one.record.name == service.into()).unwrap().record
    }

    fn run(&self, does: Does) -> StepOutcome {
        let step = Step { name: does.kind().to_owned(), does, limit: 20 * SECOND };
        self.runtime.block_on(run(&step, &self.project, INCIDENT, &self.engine))
    }

    /// Runs a step that dies at its `n`-th boundary; `None` when it did.
    fn run_dying(&self, does: &Does, n: u64) -> Option<StepOutcome> {
        let _armed = death::arm(n);
        catch_unwind(AssertUnwindSafe(|| self.run(does.clone()))).ok()
    }

    fn done(&self, does: Does) -> String {
        match self.run(does) {
            StepOutcome::Done(said) => said,
            failed => panic!("{failed:?}"),
        }
    }

    fn failed(&self, does: Does) -> (String, Fault) {
        match self.run(does) {
            StepOutcome::Failed { why, fault } => (why, fault),
            done => panic!("{done:?}"),
        }
    }

    /// A person puts another image in a container's place, beside whatever was
    /// kept aside.
    fn replace(&self, name: &str, image: ImageId) {
        let docker = Docker::model(self.model.clone());
        let any = self.model.names().into_iter().next().unwrap();
        let like = self.model.inspect(name).or_else(|| self.model.inspect(&any)).unwrap();
        let mut body = like["Config"].clone();
        body["Image"] = json!(image.to_string());
        self.runtime.block_on(async {
            if let Some(there) = docker.container(name).await.unwrap() {
                docker.stop(&there.id, Some(SECOND)).await.unwrap();
                docker.remove(&there.id, false, true).await.unwrap();
            }
            let id = docker.create(name, &body).await.unwrap();
            docker.start(&id).await.unwrap();
        });
    }

    fn state(&self, name: &str) -> String {
        self.field(name, "/State/Status")
    }

    fn policy(&self, name: &str) -> String {
        self.field(name, "/HostConfig/RestartPolicy/Name")
    }

    fn field(&self, name: &str, pointer: &str) -> String {
        let document = self.model.inspect(name).unwrap_or(Value::Null);
        document.pointer(pointer).and_then(Value::as_str).unwrap_or("absent").to_owned()
    }

    /// Every container, as `shop-web-1 v1 running`.
    fn all(&self, images: &[(&str, ImageId)]) -> Vec<String> {
        let image = |name: &str| {
            let id = self.field(name, "/Image");
            images.iter().find(|(_, image)| image.to_string() == id).map_or("?", |(name, _)| name)
        };
        let names = self.model.names();
        names.iter().map(|name| format!("{name} {} {}", image(name), self.state(name))).collect()
    }
}

/// `web` with a health check, which passes at once: nothing waits for it.
fn checked() -> Service {
    web().with("Healthcheck", json!({ "Test": ["CMD", "/app", "check"] }))
}

/// A service that nothing restarts.
fn once(service: &str, image: &str) -> Service {
    Service::new("shop", service, image).host("RestartPolicy", json!({ "Name": "no" }))
}

/// The shop with one service, deployed as v1 and then as v2.
struct Shop {
    house: House,
    v1: ServiceRecord,
    images: Vec<(&'static str, ImageId)>,
}

fn web() -> Service {
    Service::new("shop", "web", "shop-web:latest")
        .host("RestartPolicy", json!({ "Name": "unless-stopped", "MaximumRetryCount": 0 }))
}

fn shop(target: Behaviour, service: impl Fn(u32) -> Service) -> Shop {
    let house = House::new();
    let v1 = house.model.import("shop-web:latest", Behaviour::Runs);
    house.model.up(&service(1)).unwrap();
    let record = house.record("web");
    // What it recorded ran well; what comes back may not.
    let (v1, record) = if target == Behaviour::Runs {
        (v1, record)
    } else {
        let broken = house.model.import("shop-web:latest", target);
        // A broken one that was deployed is recorded as well.
        let _ = house.model.up(&service(1));
        (broken, house.record("web"))
    };
    let v2 = house.model.import("shop-web:latest", Behaviour::Runs);
    house.model.up(&service(2)).unwrap();
    house.observe();
    Shop { house, v1: record, images: vec![("v1", v1), ("v2", v2)] }
}

impl Shop {
    fn all(&self) -> Vec<String> {
        self.house.all(&self.images)
    }

    fn back(&self, order: Order) -> Does {
        recreate(&self.v1, order)
    }
}

fn recreate(record: &ServiceRecord, order: Order) -> Does {
    Does::Recreate {
        service: record.name.clone(),
        records: record.containers.clone(),
        image: record.image_id,
        replaces: None,
        order,
        drain: Duration::ZERO,
        start_timeout: 10 * SECOND,
    }
}

fn put_back() -> Does {
    Does::PutBack { service: "web".into() }
}

fn discard() -> Does {
    Does::Discard { services: vec!["web".into()] }
}

#[test]
fn what_ran_before_runs_again_and_what_ran_is_kept_aside() {
    let shop = shop(Behaviour::Runs, |_| web());
    assert_eq!(shop.house.done(shop.back(Order::StopFirst)), "");
    assert_eq!(shop.all(), ["shop-web-1 v1 running", "shop-web-1.rollbackd-7.old v2 exited"]);
    assert_eq!(shop.house.policy("shop-web-1"), "unless-stopped");
    assert_eq!(shop.house.policy("shop-web-1.rollbackd-7.old"), "no", "nothing brings it back");
    shop.house.done(discard());
    assert_eq!(shop.all(), ["shop-web-1 v1 running"]);
    assert_eq!(shop.house.record("web").fingerprint, shop.v1.fingerprint);
}

#[test]
fn the_old_one_serves_until_the_new_one_is_ready_to_start() {
    let shop = shop(Behaviour::Runs, |_| web());
    let before = shop.house.model.story().len();
    shop.house.done(shop.back(Order::StopFirst));
    let story = &shop.house.model.story()[before..];
    let verbs = story.iter().filter_map(|line| line.strip_prefix("container "));
    let verbs: Vec<&str> = verbs.map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(verbs, ["create", "rename", "rename", "update", "kill", "die", "stop", "start"]);
}

#[test]
fn start_first_stops_the_old_one_only_when_the_new_one_is_ready() {
    let shop = shop(Behaviour::Runs, |_| web());
    let before = shop.house.model.story().len();
    shop.house.done(shop.back(Order::StartFirst));
    let story = shop.house.model.story()[before..].join(" ");
    let place = |word: &str| story.find(word).unwrap_or_else(|| panic!("{word}: {story}"));
    assert!(place("container start") < place("container kill"), "{story}");
    assert_eq!(shop.all(), ["shop-web-1 v1 running", "shop-web-1.rollbackd-7.old v2 exited"]);
}

#[test]
fn start_first_is_refused_where_both_want_one_port() {
    let published =
        || web().host("PortBindings", json!({ "80/tcp": [{ "HostIp": "", "HostPort": "18080" }] }));
    let shop = shop(Behaviour::Runs, |_| published());
    let (why, fault) = shop.house.failed(shop.back(Order::StartFirst));
    assert_eq!(fault, Fault::World);
    insta::assert_snapshot!(why, @r#"web cannot be started before the old one stops: it publishes port 18080 of this host; use `order = "stop-first"`"#);
    assert_eq!(shop.all(), ["shop-web-1 v2 running"]);
}

#[test]
fn a_step_that_is_done_does_nothing_when_run_again() {
    let shop = shop(Behaviour::Runs, |_| web());
    shop.house.done(shop.back(Order::StopFirst));
    let before = shop.house.model.story().len();
    assert_eq!(shop.house.done(shop.back(Order::StopFirst)), "web already runs it");
    assert_eq!(shop.house.model.story().len(), before);
}

#[test]
fn put_back_restores_everything() {
    let shop = shop(Behaviour::Runs, |_| web());
    let before = shop.house.observe();
    shop.house.done(shop.back(Order::StopFirst));
    assert_eq!(shop.house.done(put_back()), "");
    assert_eq!(shop.all(), ["shop-web-1 v2 running"]);
    assert_eq!(shop.house.policy("shop-web-1"), "unless-stopped");
    let after = shop.house.observe();
    assert_eq!(after.services[0].record, before.services[0].record);
    assert_eq!(shop.house.done(put_back()), "nothing was changed");
}

/// How many boundaries a step passes.
fn boundaries(make: impl Fn() -> (House, Does)) -> u64 {
    let (house, does) = make();
    let _armed = death::arm(0);
    house.done(does);
    death::passed().len() as u64
}

#[test]
fn killed_at_any_boundary_a_recreation_is_finished_by_running_it_again() {
    for order in [Order::StopFirst, Order::StartFirst] {
        for replicas in [1, 2] {
            let make = || shop(Behaviour::Runs, |_| checked().replicas(replicas));
            let total = boundaries(|| {
                let shop = make();
                let back = shop.back(order);
                (shop.house, back)
            });
            assert!(total >= 10, "{total}");
            let whole = make();
            whole.house.done(whole.back(order));
            for n in 1..=total {
                let shop = make();
                assert_eq!(shop.house.run_dying(&shop.back(order), n), None, "boundary {n}");
                shop.house.done(shop.back(order));
                assert_eq!(shop.all(), whole.all(), "{order:?}, boundary {n}");
                assert_eq!(shop.house.policy("shop-web-1.rollbackd-7.old"), "no", "boundary {n}");
                let now = shop.house.record("web");
                assert_eq!(now.fingerprint, shop.v1.fingerprint, "boundary {n}");
            }
        }
    }
}

#[test]
fn killed_at_any_boundary_a_recreation_can_be_put_back() {
    for order in [Order::StopFirst, Order::StartFirst] {
        let make = || shop(Behaviour::Runs, |_| checked().replicas(2));
        let total = boundaries(|| {
            let shop = make();
            let back = shop.back(order);
            (shop.house, back)
        });
        for n in 1..=total {
            let shop = make();
            let ran = shop.house.observe().services[0].record.clone();
            assert_eq!(shop.house.run_dying(&shop.back(order), n), None);
            shop.house.observe();
            shop.house.done(put_back());
            assert_eq!(
                shop.all(),
                ["shop-web-1 v2 running", "shop-web-2 v2 running"],
                "{order:?}, boundary {n}"
            );
            assert_eq!(shop.house.policy("shop-web-1"), "unless-stopped", "boundary {n}");
            assert_eq!(shop.house.record("web"), ran, "boundary {n}");
        }
    }
}

#[test]
fn killed_at_any_boundary_a_put_back_is_finished_by_running_it_again() {
    let make = || {
        let shop = shop(Behaviour::Runs, |_| checked().replicas(2));
        shop.house.done(shop.back(Order::StopFirst));
        shop
    };
    let total = boundaries(|| (make().house, put_back()));
    assert!(total >= 10, "{total}");
    for n in 1..=total {
        let shop = make();
        assert_eq!(shop.house.run_dying(&put_back(), n), None, "boundary {n}");
        shop.house.done(put_back());
        assert_eq!(shop.all(), ["shop-web-1 v2 running", "shop-web-2 v2 running"], "boundary {n}");
        assert_eq!(shop.house.policy("shop-web-2"), "unless-stopped", "boundary {n}");
    }
}

#[test]
fn killed_at_any_boundary_a_discard_is_finished_by_running_it_again() {
    let make = || {
        let shop = shop(Behaviour::Runs, |_| checked().replicas(2));
        shop.house.done(shop.back(Order::StopFirst));
        shop
    };
    for n in 1..=boundaries(|| (make().house, discard())) {
        let shop = make();
        assert_eq!(shop.house.run_dying(&discard(), n), None);
        shop.house.done(discard());
        assert_eq!(shop.all(), ["shop-web-1 v1 running", "shop-web-2 v1 running"], "boundary {n}");
    }
}

#[test]
fn a_service_has_a_running_container_or_one_about_to_start_at_every_boundary() {
    let total = boundaries(|| {
        let shop = shop(Behaviour::Runs, |_| web());
        let back = shop.back(Order::StopFirst);
        (shop.house, back)
    });
    for n in 1..=total {
        let shop = shop(Behaviour::Runs, |_| web());
        shop.house.run_dying(&shop.back(Order::StopFirst), n);
        let seen = shop.house.observe().services;
        assert_eq!(seen.len(), 1, "boundary {n}");
        assert_eq!(seen[0].containers.len(), 1, "one of them counts at boundary {n}");
    }
}

#[test]
fn a_program_that_cannot_be_executed_is_the_targets_fault_and_can_be_put_back() {
    let shop = shop(Behaviour::CannotExecute, |_| web());
    let (why, fault) = shop.house.failed(shop.back(Order::StopFirst));
    assert_eq!(fault, Fault::Target, "{why}");
    shop.house.done(put_back());
    assert_eq!(shop.all(), ["shop-web-1 v2 running"]);
}

#[test]
fn a_program_that_ends_at_once_is_the_targets_fault() {
    let shop = shop(Behaviour::Exits(3), |_| once("web", "shop-web:latest"));
    let (why, fault) = shop.house.failed(shop.back(Order::StopFirst));
    assert_eq!(fault, Fault::Target);
    insta::assert_snapshot!(why, @"shop-web-1 exited with code 3 as soon as it was started; see `docker logs shop-web-1`");
}

#[test]
fn an_engine_that_fails_is_the_worlds_fault_and_the_step_can_be_tried_again() {
    for call in ["docker.create", "docker.rename", "docker.update", "docker.stop", "docker.start"] {
        let shop = shop(Behaviour::Runs, |_| web());
        let error = DockerError::NoSpace { message: "no space left on device".into() };
        shop.house.model.fail_once(call, error);
        assert_eq!(shop.house.failed(shop.back(Order::StopFirst)).1, Fault::World, "{call}");
        shop.house.done(shop.back(Order::StopFirst));
        assert_eq!(shop.all(), ["shop-web-1 v1 running", "shop-web-1.rollbackd-7.old v2 exited"]);
    }
}

#[test]
fn an_image_that_was_removed_is_said_before_anything_changes() {
    let shop = shop(Behaviour::Runs, |_| web());
    shop.house.model.prune_images(false);
    let (why, fault) = shop.house.failed(shop.back(Order::StopFirst));
    assert_eq!(fault, Fault::World);
    assert!(why.starts_with("the image shop-web:latest ("), "{why}");
    assert_eq!(shop.all(), ["shop-web-1 v2 running"]);
}

#[test]
fn the_scale_follows_the_record_and_is_put_back() {
    for (then, now) in [(3, 1), (1, 3)] {
        let shop =
            shop(Behaviour::Runs, |version| web().replicas(if version == 1 { then } else { now }));
        let running = |count: u32, image: &str| -> Vec<String> {
            (1..=count).map(|number| format!("shop-web-{number} {image} running")).collect()
        };
        shop.house.done(shop.back(Order::StopFirst));
        let mut left = shop.all();
        left.retain(|line| !line.contains(".old "));
        assert_eq!(left, running(then, "v1"));
        shop.house.done(put_back());
        assert_eq!(shop.all(), running(now, "v2"));
    }
}

#[test]
fn a_service_that_was_removed_is_created_from_its_records() {
    let shop = shop(Behaviour::Runs, |_| web());
    shop.house.model.down("shop");
    shop.house.done(shop.back(Order::StopFirst));
    assert_eq!(shop.all(), ["shop-web-1 v1 running"]);
}

#[test]
fn another_target_replaces_one_that_failed_within_the_same_rollback() {
    let house = House::new();
    let v1 = house.model.import("shop-web:latest", Behaviour::Runs);
    house.model.up(&web()).unwrap();
    let first = house.record("web");
    let v2 = house.model.import("shop-web:latest", Behaviour::CannotExecute);
    assert!(house.model.up(&web()).is_err());
    let second = house.record("web");
    let v3 = house.model.import("shop-web:latest", Behaviour::Runs);
    house.model.up(&web()).unwrap();
    house.observe();
    assert_eq!(house.failed(recreate(&second, Order::StopFirst)).1, Fault::Target);
    house.done(recreate(&first, Order::StopFirst));
    let images = [("v1", v1), ("v2", v2), ("v3", v3)];
    assert_eq!(
        house.all(&images),
        ["shop-web-1 v1 running", "shop-web-1.rollbackd-7.old v3 exited"]
    );
    house.done(put_back());
    assert_eq!(house.all(&images), ["shop-web-1 v3 running"]);
}

#[test]
fn what_lives_in_its_namespaces_is_recreated_after_it_with_the_new_id() {
    let shop = shop(Behaviour::Runs, |_| web());
    let house = &shop.house;
    let web_id = house.model.id("shop-web-1").unwrap();
    house.model.import("sidecar", Behaviour::Runs);
    let mode = json!(format!("container:{web_id}"));
    house.model.up(&Service::new("shop", "side", "sidecar").host("NetworkMode", mode)).unwrap();
    let side = house.record("side");
    assert_eq!(side.joins, [ServiceName::from("web")]);
    house.done(shop.back(Order::StopFirst));
    house.done(recreate(&side, Order::StopFirst));
    let new_id = house.model.id("shop-web-1").unwrap();
    assert_eq!(
        house.field("shop-side-1", "/HostConfig/NetworkMode"),
        format!("container:{new_id}")
    );
    assert_eq!(house.state("shop-side-1"), "running");
    assert_eq!(house.record("side").fingerprint, side.fingerprint, "it is the same to people");
    assert_eq!(house.done(recreate(&side, Order::StopFirst)), "side already runs it");
}

#[test]
fn a_joiner_that_was_left_running_is_started_again_when_what_it_joins_is_put_back() {
    let shop = shop(Behaviour::Runs, |_| web());
    let house = &shop.house;
    let mode = json!(format!("container:{}", house.model.id("shop-web-1").unwrap()));
    house.model.import("sidecar", Behaviour::Runs);
    house.model.up(&Service::new("shop", "side", "sidecar").host("NetworkMode", mode)).unwrap();
    house.done(shop.back(Order::StopFirst));
    let before = house.model.story().len();
    house.done(put_back());
    let story = house.model.story();
    assert!(story[before..].contains(&"container start shop-side-1".to_owned()), "{story:?}");
    assert_eq!(house.state("shop-side-1"), "running");
}

#[test]
fn anonymous_volumes_outlive_every_container_that_used_them() {
    let house = House::new();
    let volumes = json!({ "Volumes": { "/data": {} } });
    house.model.import_with("shop-web:latest", Behaviour::Runs, &volumes);
    house.model.up(&web()).unwrap();
    let v1 = house.record("web");
    house.model.import_with("shop-web:latest", Behaviour::Runs, &volumes);
    house.model.up(&web()).unwrap();
    house.observe();
    let volume = house.field("shop-web-1", "/Mounts/0/Name");
    assert_eq!(volume.len(), 64);
    house.done(recreate(&v1, Order::StopFirst));
    house.done(discard());
    assert_eq!(house.field("shop-web-1", "/Mounts/0/Name"), volume, "today's data");
}

#[test]
fn waiting_ends_when_a_container_is_stable() {
    let shop = shop(Behaviour::Runs, |_| web());
    shop.house.done(shop.back(Order::StopFirst));
    shop.house.done(Does::WaitHealthy { services: vec!["web".into()] });
}

#[test]
fn waiting_ends_with_the_targets_fault_when_it_is_unhealthy() {
    let shop = shop(Behaviour::Unhealthy, |_| web());
    shop.house.done(shop.back(Order::StopFirst));
    let (why, fault) = shop.house.failed(Does::WaitHealthy { services: vec!["web".into()] });
    assert_eq!(fault, Fault::Target);
    assert!(why.starts_with("shop-web-1 is unhealthy"), "{why}");
}

#[test]
fn a_server_that_ends_with_0_is_not_taken_for_a_job_that_is_done() {
    let shop = shop(Behaviour::Exits(0), |_| once("web", "shop-web:latest"));
    shop.house.done(shop.back(Order::StopFirst));
    let (why, fault) = shop.house.failed(Does::WaitHealthy { services: vec!["web".into()] });
    assert_eq!(
        (why.as_str(), fault),
        ("shop-web-1 exited with code 0; see `docker logs shop-web-1`", Fault::Target)
    );
}

#[test]
fn a_job_that_is_done_is_ready() {
    let house = House::new();
    house.model.import("migrate", Behaviour::Exits(0));
    house.model.up(&once("migrate", "migrate")).unwrap();
    let seen = house.observe();
    assert!(seen.services[0].record.one_shot);
    assert_eq!(seen.services[0].containers[0].state, ContainerState::Exited(0));
    house.done(Does::WaitHealthy { services: vec!["migrate".into()] });
}

#[test]
fn a_service_without_a_container_is_not_the_targets_fault() {
    let house = House::new();
    let does = Does::WaitHealthy { services: vec!["web".into()] };
    let step = Step { name: "wait".into(), does, limit: SECOND };
    let ended = house.runtime.block_on(run(&step, &house.project, INCIDENT, &house.engine));
    let StepOutcome::Failed { fault: Fault::World, why } = ended else { panic!("{ended:?}") };
    assert_eq!(why, "web has no container; somebody removed it, deploy it again");
}

fn retag(shop: &Shop) -> Does {
    let (service, image) = ("web".into(), shop.v1.image_id);
    Does::Retag { service, along: Vec::new(), reference: "shop-web:latest".into(), image }
}

#[test]
fn a_tag_that_the_service_alone_uses_is_moved_back() {
    let shop = shop(Behaviour::Runs, |_| web());
    let said = shop.house.done(retag(&shop));
    assert_eq!(said, format!("shop-web:latest names {} again", shop.v1.image_id.short()));
    let said = shop.house.done(retag(&shop));
    assert_eq!(said, format!("shop-web:latest already names {}", shop.v1.image_id.short()));
}

#[test]
fn a_tag_that_others_use_too_is_left() {
    let shop = shop(Behaviour::Runs, |_| web());
    shop.house.model.deploy("shop", "worker", "docker.io/library/shop-web").unwrap();
    shop.house.model.deploy("blog", "web", "shop-web").unwrap();
    let said = shop.house.done(retag(&shop));
    assert_eq!(said, "left shop-web:latest: blog/web, worker was started by it too");
}

#[test]
fn a_tag_that_all_its_users_leave_together_is_moved_back() {
    let shop = shop(Behaviour::Runs, |_| web());
    shop.house.model.deploy("shop", "worker", "shop-web").unwrap();
    let mut does = retag(&shop);
    let Does::Retag { along, .. } = &mut does else { panic!("{does:?}") };
    along.push("worker".into());
    let said = shop.house.done(does);
    assert_eq!(said, format!("shop-web:latest names {} again", shop.v1.image_id.short()));
}

#[test]
fn what_is_no_tag_is_left() {
    let shop = shop(Behaviour::Runs, |_| web());
    let image = shop.v1.image_id;
    for reference in [image.to_string(), format!("shop-web@{image}")] {
        let left = format!("left {reference}: ");
        let does = Does::Retag { service: "web".into(), along: Vec::new(), reference, image };
        assert!(shop.house.done(does).starts_with(&left));
    }
}

fn keep(house: &House, wanted: &[(ImageId, KeepBy)]) {
    let wanted: BTreeMap<_, _> = wanted.iter().copied().collect();
    house.runtime.block_on(house.engine.keep(&wanted)).unwrap();
}

#[test]
fn a_kept_image_survives_every_prune_until_it_is_let_go() {
    let shop = shop(Behaviour::Runs, |_| web());
    let (house, v1) = (&shop.house, shop.v1.image_id);
    let gone = |house: &House| {
        let docker = Docker::model(house.model.clone());
        house.runtime.block_on(docker.image(&v1.to_string())).unwrap().is_none()
    };
    keep(house, &[(v1, KeepBy::Anchor)]);
    keep(house, &[(v1, KeepBy::Anchor)]);
    let anchors =
        house.model.names().into_iter().filter(|name| name.starts_with("rollbackd-keep-"));
    assert_eq!(anchors.count(), 1);
    house.model.prune_containers();
    house.model.prune_images(true);
    assert!(!gone(house));
    assert_eq!(house.observe().services.len(), 1, "an anchor is no service");
    keep(house, &[(v1, KeepBy::Tag)]);
    assert_eq!(house.model.names(), ["shop-web-1"]);
    house.model.prune_images(false);
    assert!(!gone(house));
    keep(house, &[]);
    house.model.prune_images(false);
    assert!(gone(house));
}

#[test]
fn an_anchor_that_somebody_stopped_is_made_anew() {
    let shop = shop(Behaviour::Runs, |_| web());
    let wanted = [(shop.v1.image_id, KeepBy::Anchor)];
    keep(&shop.house, &wanted);
    let name =
        shop.house.model.names().into_iter().find(|name| name.starts_with("rollbackd-keep-"));
    let name = name.unwrap();
    shop.house.model.exit(&name, 137, false);
    let docker = Docker::model(shop.house.model.clone());
    let id = shop.house.model.id(&name).unwrap();
    shop.house.runtime.block_on(docker.stop(&id, None)).unwrap();
    keep(&shop.house, &wanted);
    assert_eq!(shop.house.state(&name), "running");
}

#[test]
fn an_anchor_of_an_image_that_compose_built_is_no_container_of_its_project() {
    let house = House::new();
    let labels = json!({ "Labels": { "com.docker.compose.project": "shop", "com.docker.compose.service": "web" } });
    let image = house.model.import_with("shop-web", Behaviour::Runs, &labels);
    keep(&house, &[(image, KeepBy::Anchor)]);
    assert_eq!(house.observe().services, []);
    house.model.down("shop");
    assert_eq!(house.model.names().len(), 1);
}

#[test]
fn another_daemons_anchors_are_left_alone() {
    let shop = shop(Behaviour::Runs, |_| web());
    keep(&shop.house, &[(shop.v1.image_id, KeepBy::Anchor)]);
    let before = shop.house.model.names();
    let mut other = House::new();
    let state = tempfile::tempdir().unwrap();
    let records = Records::new(store::open(state.path()).unwrap().handle);
    let (happenings, _) = broadcast::channel(64);
    let docker = Docker::model(shop.house.model.clone());
    let clock = Clock::resume(None);
    let compose = Compose::new(docker, records, clock, happenings, state.path(), false);
    other.engine = Engine::Compose(compose);
    keep(&other, &[]);
    assert_eq!(shop.house.model.names(), before);
    keep(&other, &[(shop.v1.image_id, KeepBy::Anchor)]);
    assert_eq!(shop.house.model.names().len(), before.len() + 1);
}

#[test]
fn leftovers_of_rollbacks_that_do_not_run_are_told_and_not_touched() {
    let shop = shop(Behaviour::Runs, |_| web());
    shop.house.done(shop.back(Order::StopFirst));
    let left = |running| {
        let left = shop.house.engine.leftovers(&shop.house.project, running);
        shop.house.runtime.block_on(left).unwrap()
    };
    assert_eq!(left(Some(INCIDENT)), []);
    let found = left(None);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].name, "shop-web-1.rollbackd-7.old");
    assert!(found[0].ran_before);
    assert_eq!(found[0].incident, INCIDENT);
}
