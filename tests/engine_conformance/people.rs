//! What people and tools do to a project, each as it is done on the engine at
//! hand: Compose, a registry, and a tool that pulls and recreates by itself.

use rollbackd::{
    docker::{labels, model::Behaviour, model::Service},
    rollback,
};
use rollbackd_core::{
    plan::{Does, Step, StepOutcome},
    revision::ServiceRecord,
    settings::Order,
    words::{ImageId, IncidentId},
};
use serde_json::json;

use crate::{
    bench::{Bench, Kind, PATIENCE},
    support::engine::{
        self,
        compose::{self, Tool},
        puller,
    },
};

impl Bench {
    /// The reference of the bench's image in a registry.
    pub(crate) fn published(&self) -> String {
        match &self.kind {
            Kind::Model(_) => format!("registry.example/{}/app:live", self.name),
            Kind::Real(real) => format!("{}/{}/app:live", real.registry().address, self.name),
        }
    }

    /// Another machine pushes a new image to the registry: this engine does not
    /// have it.
    pub(crate) fn publish(&self) -> ImageId {
        let reference = self.published();
        match &self.kind {
            Kind::Model(model) => model.publish(&reference, Behaviour::Runs),
            Kind::Real(real) => real
                .registry()
                .push(&reference, |reference| real.import(reference, Behaviour::Runs, &json!({}))),
        }
    }

    /// A person pulls.
    pub(crate) fn pull(&self) {
        match &self.kind {
            Kind::Model(model) => model.pull(&self.published()).expect("it is there"),
            Kind::Real(_) => drop(engine::docker(&["pull", "-q", &self.published()])),
        }
    }

    /// A person deploys the service `web` of this image with Compose.
    pub(crate) fn deploy(&self, reference: &str) {
        match &self.kind {
            Kind::Model(model) => {
                model.up(&Service::new(&self.name, "web", reference)).expect("it starts");
            }
            Kind::Real(_) => {
                let service = format!("services: {{ web: {{ image: '{reference}' }} }}");
                compose::write(self.folder.path(), &service);
                let said = Tool::V2.up(&self.name, self.folder.path(), &[]);
                said.expect("Compose deploys it");
            }
        }
    }

    /// A tool brings the container of `web` up to date by itself.
    pub(crate) async fn pulled_by_a_tool(&self) {
        let name = self.named("web-1");
        let made = match &self.kind {
            Kind::Model(model) => model.puller_recreates(&name).expect("it starts"),
            Kind::Real(_) => puller::update(&self.docker, &name).await,
        };
        assert!(made.is_some(), "the registry has a newer one");
    }

    /// Somebody creates and starts a container in the place of `web`'s.
    pub(crate) async fn replaced_by_hand(&self, reference: &str) {
        let name = self.named("web-1");
        let there = self.docker.container(&name).await.expect("it answers").expect("it is there");
        self.docker.stop(&there.id, there.stop_grace()).await.expect("it stops");
        self.docker.remove(&there.id, false, true).await.expect("it is removed");
        let number = json!({ labels::NUMBER: "1" });
        self.run("web-1", reference, json!({ "Labels": number })).await;
    }

    /// What is seen of `web`.
    pub(crate) async fn seen(&self) -> ServiceRecord {
        let seen = self.engine.observe(&self.project()).await.expect("it can be observed");
        let web = seen.services.into_iter().find(|one| one.record.name == "web".into());
        web.expect("it has a container").record
    }

    /// A step of the one rollback.
    pub(crate) async fn step(&self, does: Does) -> StepOutcome {
        let step = Step { name: does.kind().to_owned(), does, limit: PATIENCE };
        rollback::run(&step, &self.project(), IncidentId(7), &self.engine).await
    }

    /// `web` goes back to a record; what ran is kept aside.
    pub(crate) async fn back(&self, record: &ServiceRecord) {
        let does = Does::Recreate {
            service: record.name.clone(),
            records: record.containers.clone(),
            image: record.image_id,
            replaces: None,
            order: Order::StopFirst,
            drain: std::time::Duration::ZERO,
            start_timeout: PATIENCE,
        };
        let outcome = self.step(does).await;
        assert!(matches!(outcome, StepOutcome::Done(_)), "{outcome:?}");
    }
}
