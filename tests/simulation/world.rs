//! What outlives every death of the daemon: the engine, the disk, time, the
//! sources, and what people do to the services.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use rollbackd::{
    docker::{
        Docker,
        error::DockerError,
        model::{Behaviour, Model, Service},
    },
    host::clock::Clock,
};
use rollbackd_core::{
    incident::Incident,
    moment::Moment,
    settings::Settings,
    status::Checkpoint,
    words::{ContainerId, ImageId, TriggerId},
};
use serde_json::json;
use tempfile::TempDir;

use crate::{
    life::{Comes, Fails, Image, Rules, Says, Svc},
    rules::{secs, settings},
    timeline::Timeline,
};

/// When a life begins: far from the beginning of the axis.
pub const BEGINNING: Moment = Moment::from_nanos(1_800_000_000_000_000_000);
/// How many answers are remembered for each trigger.
const REMEMBERED: usize = 200;

/// One answer that the daemon was given, for the promises.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Heard {
    /// When the source was asked.
    pub asked: Moment,
    /// When the daemon was told.
    pub told: Moment,
    pub value: Option<f64>,
}

/// One container of a service.
#[derive(Clone, Debug, PartialEq)]
pub struct Runs {
    pub name: String,
    pub image: Option<Image>,
    pub image_id: ImageId,
    pub running: bool,
    pub healthy: bool,
    /// Kept aside or being prepared by a rollback.
    pub marked: bool,
}

pub struct World {
    pub clock: Clock,
    pub model: Model,
    pub docker: Docker,
    pub disk: TempDir,
    pub rules: Rules,
    pub settings: Settings,
    pub sources: BTreeMap<Svc, (Says, Comes)>,
    pub heard: BTreeMap<TriggerId, VecDeque<Heard>>,
    pub checkpoint: Option<(Moment, Checkpoint)>,
    pub engine_away: bool,
    pub full: bool,
    /// A person changed something of the engine then, and nobody looked since.
    pub touched: Option<Moment>,
    /// When a person last meddled with a service.
    pub meddled: BTreeMap<Svc, Moment>,
    /// Events that the core was given.
    pub events: u64,
    pub timeline: Timeline,
    /// When the daemon was started, and last read its configuration again.
    pub daemon_began: Moment,
    pub reloaded: Option<Moment>,
    /// The disk has been full in this life.
    pub was_full: bool,
    /// How often a puller comes by itself.
    pub puller: Option<u64>,
    /// What the registry has, by name.
    published: BTreeMap<String, Image>,
    built: BTreeMap<(Svc, Image), ImageId>,
    kinds: BTreeMap<ImageId, Image>,
    up: BTreeMap<Svc, (Image, u32)>,
    /// What runs, as of so many happenings.
    runs: (u64, BTreeMap<Svc, Vec<Runs>>),
    /// When each start of a container was first seen.
    starts: BTreeMap<(Svc, String), Moment>,
}

impl World {
    pub fn new(rules: Rules, traced: bool) -> Self {
        let clock = Clock::manual(BEGINNING);
        let model = Model::new(clock.clone());
        // Durability is what `tests/deaths.rs` tests: here a disk in memory will do.
        let memory = std::path::Path::new("/dev/shm");
        let disk = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        Self {
            docker: Docker::model(model.clone()),
            clock,
            model,
            disk: disk.unwrap(),
            settings: settings(&rules),
            rules,
            sources: BTreeMap::new(),
            heard: BTreeMap::new(),
            checkpoint: None,
            engine_away: false,
            full: false,
            touched: None,
            meddled: BTreeMap::new(),
            events: 0,
            timeline: Timeline::new(traced),
            daemon_began: BEGINNING,
            reloaded: None,
            was_full: false,
            puller: None,
            published: BTreeMap::new(),
            built: BTreeMap::new(),
            kinds: BTreeMap::new(),
            up: BTreeMap::new(),
            runs: (0, BTreeMap::new()),
            starts: BTreeMap::new(),
        }
    }

    pub fn now(&self) -> Moment {
        self.clock.now()
    }

    /// A person has done something to a service.
    fn meddle(&mut self, svc: Svc) {
        let now = self.now();
        self.meddled.insert(svc, now);
        self.touched.get_or_insert(now);
    }

    fn reference(&self, svc: Svc, image: Image) -> String {
        let tag = if self.rules.moving_tags {
            "latest".to_owned()
        } else {
            let word: String =
                format!("{image:?}").chars().filter(char::is_ascii_alphanumeric).collect();
            word.to_lowercase()
        };
        format!("{}:{tag}", svc.name())
    }

    /// An image gets this name; one that is not there is built anew.
    async fn name(&mut self, svc: Svc, image: Image, reference: &str) {
        let (repository, tag) = reference.split_once(':').unwrap();
        if let Some(id) = self.built.get(&(svc, image)).copied()
            && self.has_image(id).await
        {
            let _ = self.docker.tag(&id, repository, tag).await;
            return;
        }
        let id = self.model.import(reference, behaviour(image));
        self.built.insert((svc, image), id);
        self.kinds.insert(id, image);
    }

    fn service(&self, svc: Svc, image: Image, replicas: u32) -> Service {
        let reference = self.reference(svc, image);
        let service = Service::new(svc.project(), svc.name(), &reference)
            .replicas(replicas)
            .depends_on(svc.depends_on());
        if svc == Svc::Db { service.host("Binds", json!(["shop_data:/data"])) } else { service }
    }

    /// `docker compose up -d` of one service. A refusal is the person's own
    /// affair, and leaves the service as it stood.
    pub async fn deploy(&mut self, svc: Svc, image: Image, replicas: u32) {
        if self.engine_away {
            return;
        }
        self.meddle(svc);
        self.name(svc, image, &self.reference(svc, image)).await;
        self.up.insert(svc, (image, replicas));
        let _ = self.model.up(&self.service(svc, image, replicas));
    }

    /// `docker compose up -d` of the whole shop.
    pub async fn up(&mut self) {
        for (svc, (image, replicas)) in self.up.clone() {
            if svc.project() == "shop" {
                self.deploy(svc, image, replicas).await;
            }
        }
    }

    pub fn down(&mut self) {
        if !self.engine_away {
            [Svc::Web, Svc::Auth, Svc::Db].into_iter().for_each(|svc| self.meddle(svc));
            self.model.down("shop");
        }
    }

    /// A new image is in the registry, under the name that a service runs by,
    /// and an unattended puller brings it.
    pub fn pulled(&mut self, svc: Svc, image: Image) {
        let Some(reference) = self.named_by(svc) else { return };
        if self.published.insert(reference.clone(), image) != Some(image) {
            let id = self.model.publish(&reference, behaviour(image));
            self.kinds.insert(id, image);
        }
        self.puller_comes(svc);
    }

    /// The name that a service's containers have for their image.
    fn named_by(&mut self, svc: Svc) -> Option<String> {
        let name = self.runs_of(svc).iter().find(|one| !one.marked)?.name.clone();
        let reference = self.model.inspect(&name)?["Config"]["Image"].as_str()?.to_owned();
        (!self.engine_away && reference.contains(':')).then_some(reference)
    }

    /// An unattended puller looks after a service: where the registry has
    /// something else, the containers are made again with all their labels.
    pub fn puller_comes(&mut self, svc: Svc) {
        let Some(reference) = self.named_by(svc) else { return };
        if !self.published.contains_key(&reference) {
            return;
        }
        let ours = |one: &&Runs| !one.marked;
        let names: Vec<String> =
            self.runs_of(svc).iter().filter(ours).map(|one| one.name.clone()).collect();
        for name in names {
            if self.model.puller_recreates(&name).is_ok_and(|new| new.is_some()) {
                self.meddle(svc);
            }
        }
    }

    pub fn crash(&mut self, svc: Svc, code: i64) {
        let running = self.runs_of(svc).iter().find(|one| one.running).map(|one| one.name.clone());
        if let Some(name) = running.filter(|_| !self.engine_away) {
            self.meddled.insert(svc, self.clock.now());
            self.model.exit(&name, code, code == 137);
        }
    }

    pub async fn killed_by_hand(&mut self, svc: Svc) {
        let running = self.runs_of(svc).iter().find(|one| one.running).map(|one| one.name.clone());
        if let Some(id) = running.and_then(|name| self.model.id(&name))
            && !self.engine_away
        {
            self.meddle(svc);
            let _ = self.docker.kill(&id).await;
        }
    }

    /// An act on the whole engine: whoever runs there is meddled with.
    pub fn meddle_with_all(&mut self) {
        Svc::ALL.into_iter().for_each(|svc| self.meddle(svc));
    }

    pub fn fail(&self, call: &'static str, fails: Fails) {
        let message = "the simulation wants it so".to_owned();
        self.model.fail_once(
            call,
            match fails {
                Fails::NoSpace => DockerError::NoSpace { message },
                Fails::PortTaken => DockerError::PortTaken { message },
                Fails::Refused => DockerError::Refused { call, status: 500, message },
                Fails::NotExecutable => DockerError::NotExecutable { message },
            },
        );
    }

    /// No call of the engine's fails any more: a fault that waits strikes here.
    pub async fn mend(&self) {
        let nobody = ContainerId::new("nobody");
        for _ in 0..20 {
            let _ = self.docker.start(&nobody).await;
            let _ = self.docker.stop(&nobody, None).await;
            let _ = self.docker.rename(&nobody, "nobody").await;
            let _ = self.docker.create("nobody", &json!({ "Image": "nobody" })).await;
        }
    }

    /// The containers of a service as they are.
    pub fn runs_of(&mut self, svc: Svc) -> &[Runs] {
        let happened = self.model.happened();
        if self.runs.0 != happened || self.runs.1.is_empty() {
            self.runs = (happened, self.all_runs());
        }
        self.runs.1.get(&svc).map_or(&[], Vec::as_slice)
    }

    fn all_runs(&mut self) -> BTreeMap<Svc, Vec<Runs>> {
        let now = self.now();
        let mut all: BTreeMap<Svc, Vec<Runs>> = BTreeMap::new();
        for name in self.model.names() {
            let Some(document) = self.model.inspect(&name) else { continue };
            let labels = &document["Config"]["Labels"];
            let Some(svc) = Svc::ALL.into_iter().find(|svc| {
                labels["com.docker.compose.service"] == svc.name()
                    && labels["com.docker.compose.project"] == svc.project()
            }) else {
                continue;
            };
            let state = &document["State"];
            let start = format!("{} {}", document["Id"], state["StartedAt"]);
            if state["StartedAt"] != "0001-01-01T00:00:00Z" {
                self.starts.entry((svc, start)).or_insert(now);
            }
            let image_id: ImageId = document["Image"].as_str().unwrap().parse().unwrap();
            all.entry(svc).or_default().push(Runs {
                image: self.kinds.get(&image_id).copied(),
                image_id,
                running: state["Running"] == true,
                healthy: state["Health"]["Status"] != "unhealthy",
                marked: name.contains(".rollbackd-"),
                name,
            });
        }
        all
    }

    /// When the youngest start was of a service, or of what it depends on.
    pub fn started(&mut self, svc: Svc) -> Option<Moment> {
        self.runs_of(svc);
        let of = |wanted: &&Svc| **wanted == svc || svc.depends_on().contains(&wanted.name());
        let all: Vec<Svc> = Svc::ALL.iter().filter(of).copied().collect();
        self.starts.iter().filter(|((svc, _), _)| all.contains(svc)).map(|(_, at)| *at).max()
    }

    /// Does a service run, and is none of it unhealthy?
    pub fn serves(&mut self, svc: Svc) -> bool {
        let runs = self.runs_of(svc);
        runs.iter().any(|one| one.running) && runs.iter().all(|one| one.healthy)
    }

    /// The services of a rollback that run just now.
    pub fn serving(&mut self, incident: &Incident) -> BTreeSet<Svc> {
        let all = incident.services.iter().map(|change| Svc::of(&change.name));
        all.filter(|svc| self.runs_of(*svc).iter().any(|one| one.running && !one.marked)).collect()
    }

    /// Do the containers that a service has now run an image that cannot serve?
    /// Then it is their own doing that they fell.
    pub fn target_fell(&mut self, svc: Svc) -> bool {
        let cannot = |one: &Runs| matches!(one.image, Some(Image::Exits(_) | Image::Broken(_)));
        let mut own = self.runs_of(svc).iter().filter(|one| !one.marked).peekable();
        own.peek().is_some() && own.all(cannot)
    }

    /// Is this image on the engine?
    pub async fn has_image(&self, id: ImageId) -> bool {
        self.docker.image(&id.to_string()).await.is_ok_and(|found| found.is_some())
    }

    /// Remembers what the daemon was told.
    pub fn hear(&mut self, trigger: &TriggerId, heard: Heard) {
        if !self.heard.contains_key(trigger) {
            self.heard.insert(trigger.clone(), VecDeque::new());
        }
        let all = self.heard.get_mut(trigger).unwrap();
        // What is not newer is nobody's news.
        if all.back().is_none_or(|last| last.asked < heard.asked) {
            all.push_back(heard);
            if all.len() > REMEMBERED {
                all.pop_front();
            }
        }
    }

    /// The daemon died: what it heard since its checkpoint is lost.
    pub fn forget(&mut self) {
        let kept = self.checkpoint.as_ref().map(|(at, _)| *at);
        for heard in self.heard.values_mut() {
            heard.retain(|one| kept.is_some_and(|kept| one.told <= kept));
        }
    }

    /// Time goes on; what waits for its restart policy is tried every 20 s.
    pub fn elapse(&mut self, seconds: u64) {
        self.clock.set(self.now() + secs(seconds));
        if self.second().is_multiple_of(20) && !self.engine_away {
            self.model.restart_round();
        }
        if self.puller.is_some_and(|every| self.second().is_multiple_of(every)) {
            [Svc::Web, Svc::Auth].into_iter().for_each(|svc| self.puller_comes(svc));
        }
        if self.timeline.on() {
            let (now, story) = (self.now(), self.model.story());
            self.timeline.engine(now, &story);
        }
    }

    pub fn second(&self) -> u64 {
        self.now().as_nanos() / 1_000_000_000
    }
}

const fn behaviour(image: Image) -> Behaviour {
    match image {
        Image::Good(_) | Image::Bad(_) => Behaviour::Runs,
        Image::Exits(_) => Behaviour::Exits(1),
        Image::Broken(_) => Behaviour::CannotExecute,
        Image::Sick(_) => Behaviour::Unhealthy,
        Image::Stubborn(_) => Behaviour::IgnoresSigterm,
    }
}
