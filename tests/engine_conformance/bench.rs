//! Where a promise is tried: on the model, or on the real engine, with names
//! of its own that are removed afterwards, also when the promise was broken.

use std::{
    cell::OnceCell,
    collections::BTreeSet,
    net::{Ipv4Addr, TcpListener},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use rollbackd::{
    docker::{
        Docker,
        container::Container,
        event::{ContainerEvent, Happening, What},
        labels,
        model::{Behaviour, Model},
    },
    engine::{Engine, compose::Compose, records::Records},
    host::clock::Clock,
    store,
};
use rollbackd_core::words::{ContainerId, ImageId, ProjectName};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::broadcast;

use crate::support::{engine, registry::Registry};

/// How long the real engine may take for anything a promise waits for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// One engine to try one promise on.
pub(crate) struct Bench {
    /// The connection under test.
    pub(crate) docker: Docker,
    /// The room on it.
    pub(crate) engine: Engine,
    /// Begins the name of everything that this bench makes; also a project.
    pub(crate) name: String,
    clock: Clock,
    pub(crate) kind: Kind,
    /// The Compose file and the state directory.
    pub(crate) folder: TempDir,
}

pub(crate) enum Kind {
    Model(Model),
    Real(Real),
}

/// The real engine, spoken to by the `docker` command where a person would.
pub(crate) struct Real {
    name: String,
    registry: OnceCell<Registry>,
}

impl Bench {
    /// On the model.
    pub(crate) fn model() -> Self {
        let clock = Clock::resume(None);
        let model = Model::new(clock.clone());
        let docker = Docker::model(model.clone());
        Self::on(docker, "bench".to_owned(), clock, Kind::Model(model))
    }

    /// On the real engine: `$DOCKER_HOST`, else the usual socket.
    pub(crate) fn real() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let host = engine::host();
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("rbdconf-{}-{number}", std::process::id());
        let docker = Docker::connect(&host).expect("the host is an address");
        let kind = Kind::Real(Real { name: name.clone(), registry: OnceCell::new() });
        Self::on(docker, name, Clock::resume(None), kind)
    }

    fn on(docker: Docker, name: String, clock: Clock, kind: Kind) -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let state = folder.path().join("state");
        let records = Records::new(store::open(&state).expect("the store opens").handle);
        let (happenings, _) = broadcast::channel(64);
        let (own, dates) = (docker.clone(), clock.clone());
        let compose = Compose::new(own, records, dates, happenings, &state, false);
        Self { docker, engine: Engine::Compose(compose), name, clock, kind, folder }
    }

    /// The name of something of this bench.
    pub(crate) fn named(&self, what: &str) -> String {
        format!("{}-{what}", self.name)
    }

    /// The project of this bench.
    pub(crate) fn project(&self) -> ProjectName {
        ProjectName::new(self.name.clone())
    }

    /// Imports an image under a tag of this bench: a new one each time.
    pub(crate) fn image(&self, tag: &str, behaviour: Behaviour) -> (String, ImageId) {
        self.image_with(tag, behaviour, &json!({}))
    }

    /// Likewise, with `Env` and `Volumes` of the image's own configuration.
    pub(crate) fn image_with(
        &self,
        tag: &str,
        behaviour: Behaviour,
        config: &Value,
    ) -> (String, ImageId) {
        let reference = format!("{}/app:{tag}", self.name);
        let id = match &self.kind {
            Kind::Model(model) => model.import_with(&reference, behaviour, config),
            Kind::Real(real) => real.import(&reference, behaviour, config),
        };
        (reference, id)
    }

    /// A network of this bench.
    pub(crate) fn network(&self, what: &str) -> String {
        let name = self.named(what);
        match &self.kind {
            Kind::Model(model) => model.network(&name),
            Kind::Real(_) => drop(engine::docker(&["network", "create", &name])),
        }
        name
    }

    /// Likewise, with a subnet of its own choice, in which addresses can be
    /// fixed.
    pub(crate) fn network_with_subnet(&self, what: &str) -> String {
        let name = self.named(what);
        match &self.kind {
            Kind::Model(model) => model.network_with_subnet(&name, Ipv4Addr::new(10, 199, 0, 0)),
            Kind::Real(_) => {
                // Others may have chosen the same: the first that is free.
                let made = (0..=255).any(|third| {
                    let subnet = format!("10.199.{third}.0/24");
                    let words = ["network", "create", "--subnet", &subnet, &name];
                    engine::try_docker(&words).status.success()
                });
                assert!(made, "no subnet is free");
            }
        }
        name
    }

    /// The program of all images as a file of this machine.
    pub(crate) fn program(&self) -> String {
        engine::program::file().display().to_string()
    }

    /// A person prunes images; on the real engine only those of this bench.
    pub(crate) fn prune_images(&self, all: bool) {
        match &self.kind {
            Kind::Model(model) => model.prune_images(all),
            Kind::Real(real) => {
                let filter = format!("label=rollbackd.bench={}", real.name);
                let how = if all { "-af" } else { "-f" };
                engine::docker(&["image", "prune", how, "--filter", &filter]);
            }
        }
    }

    /// A port that is free, and one that a process of this machine holds for
    /// as long as the listener lives.
    pub(crate) fn taken_port(&self) -> (u16, TcpListener) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port is free");
        let port = listener.local_addr().expect("it is bound").port();
        if let Kind::Model(model) = &self.kind {
            model.take_port(port, true);
        }
        (port, listener)
    }

    /// A port that nobody holds just now.
    pub(crate) fn free_port(&self) -> u16 {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port is free");
        listener.local_addr().expect("it is bound").port()
    }

    /// Creates a container of this bench; what is not said in `body` is: no
    /// network, the bench's project, the service `web`.
    pub(crate) async fn create(&self, what: &str, image: &str, body: Value) -> ContainerId {
        let body = self.body(image, body);
        self.docker.create(&self.named(what), &body).await.expect("it can be created")
    }

    /// The body of such a container.
    pub(crate) fn body(&self, image: &str, mut body: Value) -> Value {
        body["Image"] = image.into();
        if body["HostConfig"]["NetworkMode"].is_null() {
            body["HostConfig"]["NetworkMode"] = "none".into();
        }
        body["Labels"][labels::PROJECT] = self.name.clone().into();
        if body["Labels"][labels::SERVICE].is_null() {
            body["Labels"][labels::SERVICE] = "web".into();
        }
        body
    }

    /// Creates and starts one.
    pub(crate) async fn run(&self, what: &str, image: &str, body: Value) -> ContainerId {
        let id = self.create(what, image, body).await;
        self.docker.start(&id).await.expect("it starts");
        id
    }

    /// The container as it is now.
    pub(crate) async fn look(&self, id: &ContainerId) -> Container {
        self.docker.container(id.as_str()).await.expect("it answers").expect("it is there")
    }

    /// Waits until a container is as wanted; a restart that is due happens.
    pub(crate) async fn until(
        &self,
        id: &ContainerId,
        is: impl Fn(&Container) -> bool,
    ) -> Container {
        let wait = async {
            loop {
                let container = self.look(id).await;
                if is(&container) {
                    return container;
                }
                match &self.kind {
                    Kind::Model(model) => model.restart_round(),
                    Kind::Real(_) => tokio::time::sleep(Duration::from_millis(20)).await,
                }
            }
        };
        tokio::time::timeout(PATIENCE, wait).await.expect("it becomes so in time")
    }

    /// Hears the events of this bench's containers from now on.
    pub(crate) async fn listen(&self) -> Ears {
        let (sender, mut heard) = broadcast::channel(1024);
        let (docker, clock) = (self.docker.clone(), self.clock.clone());
        let task = tokio::spawn(async move { docker.follow(clock, sender).await });
        let first = tokio::time::timeout(PATIENCE, heard.recv()).await.expect("it answers in time");
        assert_eq!(first, Ok(Happening::Up));
        Ears { heard, task, project: self.project() }
    }
}

/// The events of one bench.
pub(crate) struct Ears {
    heard: broadcast::Receiver<Happening>,
    task: tokio::task::JoinHandle<()>,
    project: ProjectName,
}

impl Ears {
    /// The next event of a container of the bench.
    pub(crate) async fn next(&mut self) -> ContainerEvent {
        let wait = async {
            loop {
                match self.heard.recv().await.expect("the stream goes on") {
                    Happening::Container(event)
                        if event.project.as_ref() == Some(&self.project) =>
                    {
                        return event;
                    }
                    _ => {}
                }
            }
        };
        tokio::time::timeout(PATIENCE, wait).await.expect("it happens in time")
    }

    /// Everything that happens up to and with this.
    pub(crate) async fn until(&mut self, last: What) -> Vec<What> {
        let mut all = Vec::new();
        while all.last() != Some(&last) {
            all.push(self.next().await.what);
        }
        all
    }
}

impl Drop for Ears {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Real {
    /// Its registry, which starts when it is first asked for.
    pub(crate) fn registry(&self) -> &Registry {
        self.registry.get_or_init(Registry::start)
    }

    pub(crate) fn import(&self, reference: &str, behaviour: Behaviour, config: &Value) -> ImageId {
        let mut changes = vec![format!("LABEL rollbackd.bench={}", self.name)];
        changes.push(match behaviour {
            Behaviour::CannotExecute => r#"ENTRYPOINT ["/nope"]"#.to_owned(),
            _ => r#"ENTRYPOINT ["/app"]"#.to_owned(),
        });
        match behaviour {
            Behaviour::Runs => changes.push(r#"CMD ["run"]"#.to_owned()),
            Behaviour::Unhealthy => {
                changes.push(r#"CMD ["run"]"#.to_owned());
                let check = r#"--interval=1s --retries=2 CMD ["/app", "exit", "1"]"#;
                changes.push(format!("HEALTHCHECK {check}"));
            }
            Behaviour::Exits(code) => changes.push(format!(r#"CMD ["exit", "{code}"]"#)),
            Behaviour::IgnoresSigterm => changes.push(r#"CMD ["stubborn"]"#.to_owned()),
            Behaviour::CannotExecute => {}
        }
        for variable in config["Env"].as_array().into_iter().flatten() {
            changes.push(format!("ENV {}", variable.as_str().expect("a variable is text")));
        }
        for (path, _) in config["Volumes"].as_object().into_iter().flatten() {
            changes.push(format!("VOLUME {path}"));
        }
        let changes: Vec<&str> = changes.iter().map(String::as_str).collect();
        engine::import(reference, &changes)
    }
}

impl Drop for Real {
    fn drop(&mut self) {
        let (own, begun) = (format!("name=^{}-", self.name), format!("name=^/?{}-", self.name));
        let project = format!("label={}={}", labels::PROJECT, self.name);
        let volumes: BTreeSet<String> = engine::volumes_of(&begun).into_iter().collect();
        engine::remove_containers(&begun);
        for volume in volumes {
            engine::try_docker(&["volume", "rm", "-f", &volume]);
        }
        engine::remove_volumes(&own);
        engine::remove_networks(&own);
        engine::remove_networks(&project);
        engine::remove_images(&format!("label=rollbackd.bench={}", self.name));
    }
}
