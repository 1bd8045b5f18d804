//! A project of a test's own on the real engine, deployed by the real Compose
//! and removed afterwards, also when the test failed.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use rollbackd::{
    docker::{Docker, container::Container, event::Happening},
    engine::{
        Engine,
        compose::{Calls, Compose},
        records::Records,
    },
    host::clock::Clock,
    rollback, store,
};
use rollbackd_core::{
    plan::{Does, Step, StepOutcome},
    revision::{Observation, ServiceRecord},
    settings::Order,
    words::{ImageId, IncidentId, ProjectName},
};
use serde_json::Value;
use tokio::sync::broadcast;

use crate::support::engine::{
    self,
    compose::{self, Tool},
};

/// The one rollback of a test.
pub(crate) const INCIDENT: IncidentId = IncidentId(7);

/// The stage.
pub(crate) struct Stage {
    pub(crate) project: ProjectName,
    pub(crate) store: store::Handle,
    pub(crate) docker: Docker,
    pub(crate) engine: Engine,
    pub(crate) happenings: broadcast::Sender<Happening>,
    pub(crate) clock: Clock,
    pub(crate) tool: Tool,
    /// The Compose file's folder; the state directory is in it.
    pub(crate) folder: tempfile::TempDir,
    volumes: RefCell<BTreeSet<String>>,
}

impl Stage {
    pub(crate) fn new(tool: Tool) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let host = engine::host();
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let project = ProjectName::new(format!("rbdeng{}x{number}", std::process::id()));
        let folder = tempfile::tempdir().expect("a folder can be made");
        let state = folder.path().join("state");
        let docker = Docker::connect(&host).expect("the host is an address");
        let clock = Clock::resume(None);
        let store = store::open(&state).expect("the store opens").handle;
        let records = Records::new(store.clone());
        let (happenings, _) = broadcast::channel(1024);
        let compose = Compose::new(
            docker.clone(),
            records,
            clock.clone(),
            happenings.clone(),
            &state,
            host.starts_with("unix:"),
        );
        let compose = compose.calling(Calls { host, ..Calls::default() });
        let engine = Engine::Compose(compose);
        Self {
            project,
            store,
            docker,
            engine,
            happenings,
            clock,
            tool,
            folder,
            volumes: RefCell::default(),
        }
    }

    /// The reference of an image of this project.
    pub(crate) fn reference(&self, name: &str) -> String {
        format!("{}/{name}:latest", self.project)
    }

    /// Builds an image: the test program with these changes of its
    /// configuration. A new one each time, and the tag moves to it.
    pub(crate) fn build(&self, name: &str, changes: &[&str]) -> ImageId {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let label = format!("LABEL rollbackd.bench={} rollbackd.build={number}", self.project);
        let own = [label.as_str(), r#"ENTRYPOINT ["/app"]"#];
        engine::import(&self.reference(name), &[&own, changes].concat())
    }

    /// Writes the Compose file. `$PROJECT` in it is the project's name.
    pub(crate) fn write(&self, file: &str) {
        let file = file.replace("$PROJECT", self.project.as_str());
        compose::write(self.folder.path(), &file);
    }

    /// `up -d`; gives what Compose said.
    pub(crate) fn up(&self, words: &[&str]) -> String {
        self.try_up(words).unwrap_or_else(|said| panic!("{said}"))
    }

    /// Likewise; what Compose said is an error when it failed.
    pub(crate) fn try_up(&self, words: &[&str]) -> Result<String, String> {
        let said = self.tool.up(self.project.as_str(), self.folder.path(), words);
        self.note_volumes();
        said
    }

    /// Runs `docker`, which must succeed.
    pub(crate) fn docker(&self, words: &[&str]) -> String {
        engine::docker(words)
    }

    /// Remembers the volumes of the project's containers: Compose leaves
    /// anonymous ones behind, and what was bound by name does not go with `-v`.
    fn note_volumes(&self) {
        self.volumes.borrow_mut().extend(engine::volumes_of(&self.filter()));
    }

    /// What finds everything of the project.
    fn filter(&self) -> String {
        format!("label=com.docker.compose.project={}", self.project)
    }

    /// The container of a service with a number, under its own name.
    pub(crate) async fn container(&self, service: &str, number: u32) -> Container {
        let all = self.docker.containers(&self.project).await.expect("the engine answers");
        let found = all.into_iter().find(|one| {
            let own = !one.name.contains(".rollbackd-");
            own && one.service == Some(service.into()) && one.number == number
        });
        found.expect("it is there")
    }

    /// Every container of the project by name, and whether it runs.
    pub(crate) async fn all(&self) -> BTreeMap<String, String> {
        let all = self.docker.containers(&self.project).await.expect("the engine answers");
        let status = |one: &Container| {
            one.document["State"]["Status"].as_str().unwrap_or_default().to_owned()
        };
        all.iter().map(|one| (one.name.clone(), status(one))).collect()
    }

    pub(crate) async fn observe(&self) -> Observation {
        self.engine.observe(&self.project).await.expect("it can be observed")
    }

    pub(crate) async fn record(&self, service: &str) -> ServiceRecord {
        let seen = self.observe().await.services;
        let found = seen.into_iter().find(|one| one.record.name == service.into());
        found.expect("the service has a container").record
    }

    pub(crate) async fn run(&self, does: Does) -> StepOutcome {
        let limit = Duration::from_secs(60);
        let step = Step { name: does.kind().to_owned(), does, limit };
        rollback::run(&step, &self.project, INCIDENT, &self.engine).await
    }

    pub(crate) async fn done(&self, does: Does) -> String {
        match self.run(does).await {
            StepOutcome::Done(said) => said,
            failed @ StepOutcome::Failed { .. } => panic!("{failed:?}"),
        }
    }

    /// The whole way back of one service, as the standard plan goes it.
    pub(crate) async fn back(&self, record: &ServiceRecord) {
        let service = record.name.clone();
        let reference = record.image.clone();
        let (along, image) = (Vec::new(), record.image_id);
        self.done(Does::Retag { service, along, reference, image }).await;
        self.done(recreate(record, Order::StopFirst)).await;
        let services = vec![record.name.clone()];
        self.done(Does::WaitHealthy { services: services.clone() }).await;
        self.done(Does::Discard { services }).await;
    }
}

/// The step that recreates a service from its record.
pub(crate) fn recreate(record: &ServiceRecord, order: Order) -> Does {
    Does::Recreate {
        service: record.name.clone(),
        records: record.containers.clone(),
        image: record.image_id,
        replaces: None,
        order,
        drain: Duration::from_millis(100),
        start_timeout: Duration::from_secs(30),
    }
}

/// What of an inspect document must be equal after a rollback: everything that
/// is not an identity, a time or an address of this one run.
fn essence(document: &Value) -> Value {
    let mut document = document.clone();
    let id = document["Id"].as_str().unwrap_or_default().to_owned();
    for volatile in [
        "Id",
        "Created",
        "State",
        "ResolvConfPath",
        "HostnamePath",
        "HostsPath",
        "LogPath",
        "GraphDriver",
        "Storage",
        "Path",
        "Args",
        "ExecIDs",
        "RestartCount",
    ] {
        document.as_object_mut().expect("it is an object").remove(volatile);
    }
    let networks = document["NetworkSettings"]["Networks"].clone();
    let mut kept = serde_json::Map::new();
    for (name, network) in networks.as_object().into_iter().flatten() {
        let mut aliases = network["Aliases"].as_array().cloned().unwrap_or_default();
        aliases.retain(|alias| !id.starts_with(alias.as_str().unwrap_or("-")));
        aliases.sort_by_key(ToString::to_string);
        let asked = network["IPAMConfig"].as_object().filter(|asked| !asked.is_empty()).cloned();
        kept.insert(
            name.clone(),
            serde_json::json!({ "aliases": aliases, "asked": asked, "links": network["Links"] }),
        );
    }
    document["NetworkSettings"] = Value::Object(kept);
    if document["Config"]["Hostname"].as_str().is_some_and(|name| id.starts_with(name)) {
        document["Config"]["Hostname"] = "own".into();
    }
    // Anonymous volumes are bound by name, as Compose itself does.
    let anonymous =
        |text: &str| text.len() >= 64 && text.as_bytes()[..64].iter().all(u8::is_ascii_hexdigit);
    if let Some(binds) = document["HostConfig"]["Binds"].as_array_mut() {
        binds.retain(|bind| !anonymous(bind.as_str().unwrap_or_default()));
    }
    if document["HostConfig"]["Binds"].as_array().is_some_and(Vec::is_empty) {
        document["HostConfig"]["Binds"] = Value::Null;
    }
    for mount in document["HostConfig"]["Mounts"].as_array_mut().into_iter().flatten() {
        if anonymous(mount["Source"].as_str().unwrap_or_default()) {
            mount.as_object_mut().expect("a mount is an object").remove("Source");
        }
    }
    if let Some(mounts) = document["Mounts"].as_array_mut() {
        for mount in mounts.iter_mut() {
            // How a volume came to be mounted reads differently: `z` or `rw`.
            mount.as_object_mut().expect("a mount is an object").remove("Mode");
        }
        mounts.sort_by_key(|mount| mount["Destination"].to_string());
    }
    document
}

/// The places at which two documents differ, with both values.
pub(crate) fn differences(place: &str, left: &Value, right: &Value) -> Vec<String> {
    match (left, right) {
        _ if left == right => Vec::new(),
        (Value::Object(one), Value::Object(other)) => {
            let names: BTreeSet<&String> = one.keys().chain(other.keys()).collect();
            let inner = |name: &&String| {
                differences(&format!("{place}/{name}"), &left[*name], &right[*name])
            };
            names.iter().flat_map(inner).collect()
        }
        _ => vec![format!("{place}: {left} != {right}")],
    }
}

/// Both documents describe the same container, as far as people care.
pub(crate) fn assert_same(now: &Container, ran: &Container) {
    let differ = differences("", &essence(&now.document), &essence(&ran.document));
    assert!(differ.is_empty(), "{differ:#?}");
}

impl Drop for Stage {
    fn drop(&mut self) {
        let state = self.folder.path().join("state");
        self.note_volumes();
        engine::remove_containers(&self.filter());
        engine::remove_containers(&format!("label=rollbackd.state={}", state.display()));
        engine::remove_networks(&self.filter());
        for volume in self.volumes.take() {
            engine::try_docker(&["volume", "rm", &volume]);
        }
        engine::remove_volumes(&self.filter());
        engine::remove_images(&format!("label=rollbackd.bench={}", self.project));
    }
}
