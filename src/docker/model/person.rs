//! What people do to the model with their tools: deploy as Compose v2 does,
//! take a project down, prune.

use rollbackd_core::words::ContainerId;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{
    super::{error::DockerError, labels},
    Model,
    world::{Refusal, World},
};

/// A service as a Compose file would describe it.
#[derive(Clone, Debug)]
pub struct Service {
    project: String,
    name: String,
    image: String,
    replicas: u32,
    depends_on: Vec<String>,
    body: Value,
}

impl Service {
    /// A service of one container.
    #[must_use]
    pub fn new(project: &str, name: &str, image: &str) -> Self {
        let (project, name, image) = (project.into(), name.into(), image.into());
        let body = json!({ "HostConfig": {} });
        Self { project, name, image, replicas: 1, depends_on: Vec::new(), body }
    }

    /// So many containers.
    #[must_use]
    pub fn replicas(mut self, replicas: u32) -> Self {
        self.replicas = replicas;
        self
    }

    /// Started after these services.
    #[must_use]
    pub fn depends_on(mut self, services: &[&str]) -> Self {
        self.depends_on = services.iter().map(|service| (*service).to_owned()).collect();
        self
    }

    /// Fields of a create's body; those of its `HostConfig` go with `host`.
    #[must_use]
    pub fn with(mut self, field: &str, value: Value) -> Self {
        self.body[field] = value;
        self
    }

    /// Fields of the `HostConfig`.
    #[must_use]
    pub fn host(mut self, field: &str, value: Value) -> Self {
        self.body["HostConfig"][field] = value;
        self
    }

    /// What Compose writes as `config-hash`: of everything but the image's ID.
    fn hash(&self) -> String {
        let text = format!("{} {} {}", self.image, self.depends_on.join(","), self.body);
        Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl Model {
    /// A person deploys a service of one container: `docker compose up -d`.
    ///
    /// # Errors
    /// What the engine refused; the service is then left as it stood.
    pub fn deploy(
        &self,
        project: &str,
        service: &str,
        image: &str,
    ) -> Result<Vec<ContainerId>, DockerError> {
        self.up(&Service::new(project, service, image))
    }

    /// A person deploys a service: each container whose image or configuration,
    /// as its labels tell it, is another is recreated, as Compose v2 does it; others are started.
    /// Gives the containers' IDs by number.
    ///
    /// # Errors
    /// What the engine refused; the service is then left as it stood.
    pub fn up(&self, service: &Service) -> Result<Vec<ContainerId>, DockerError> {
        let mut world = self.world();
        world
            .up(service)
            .map_err(|(status, message)| DockerError::refused("docker.start", status, &message))
    }

    /// A person takes a project down: `docker compose down`.
    pub fn down(&self, project: &str) {
        let mut world = self.world();
        for id in world.of_project(project) {
            // None of these can be refused: they are there, and forced.
            let _ = world.stop(&id);
            let _ = world.remove(&id, false, true);
        }
    }

    /// A person prunes images; with `all` also those that have a name.
    pub fn prune_images(&self, all: bool) {
        self.world().prune_images(all);
    }

    /// A person prunes containers: what does not run goes.
    pub fn prune_containers(&self) {
        let mut world = self.world();
        let idle: Vec<String> = world
            .containers
            .iter()
            .filter(|made| !made.is_up())
            .map(|made| made.id.clone())
            .collect();
        for id in idle {
            // It is there and does not run.
            let _ = world.remove(&id, false, false);
        }
    }
}

impl World {
    fn of_project(&self, project: &str) -> Vec<String> {
        let mine = self.containers.iter();
        mine.filter(|made| made.config["Labels"][labels::PROJECT] == project)
            .map(|made| made.id.clone())
            .collect()
    }

    fn up(&mut self, service: &Service) -> Result<Vec<ContainerId>, Refusal> {
        self.add_network(&format!("{}_default", service.project), None);
        let mut surplus = service.replicas + 1;
        while self.numbered(service, surplus).is_some() {
            surplus += 1;
        }
        for number in service.replicas + 1..surplus {
            if let Some(id) = self.numbered(service, number) {
                self.stop(&id)?;
                self.remove(&id, false, true)?;
            }
        }
        (1..=service.replicas).map(|number| self.up_one(service, number)).collect()
    }

    /// The container of a service with this number.
    fn numbered(&self, service: &Service, number: u32) -> Option<String> {
        let (mut all, written) = (self.containers.iter(), number.to_string());
        let made = all.find(|made| {
            let labels = &made.config["Labels"];
            labels[labels::PROJECT] == *service.project
                && labels[labels::SERVICE] == *service.name
                && labels[labels::NUMBER] == *written
        })?;
        Some(made.id.clone())
    }

    fn up_one(&mut self, service: &Service, number: u32) -> Result<ContainerId, Refusal> {
        let image = self.find_image(&service.image)?.id;
        let name = format!("{}-{}-{number}", service.project, service.name);
        let body = self.body(service, number)?;
        let Some(old) = self.numbered(service, number) else {
            let id = self.create(&name, &body)?;
            self.start(&id)?;
            return Ok(ContainerId::new(id));
        };
        let present = &self.containers[self.index(&old)?];
        // Compose goes by what it wrote, not by what runs.
        let wrote = |label: &str| present.config["Labels"][label].as_str().unwrap_or_default();
        let same_image = wrote(labels::IMAGE) == image.to_string();
        if same_image && wrote(labels::CONFIG_HASH) == service.hash() {
            self.start(&old)?;
            return Ok(ContainerId::new(old));
        }
        let mut body = body;
        body["HostConfig"]["Binds"] = keep_anonymous(&body["HostConfig"]["Binds"], &present.mounts);
        let id = self.create(&format!("{}_{name}", &old[..12]), &body)?;
        self.stop(&old)?;
        self.remove(&old, false, true)?;
        self.rename(&id, &name)?;
        self.start(&id)?;
        Ok(ContainerId::new(id))
    }

    fn body(&self, service: &Service, number: u32) -> Result<Value, Refusal> {
        let depends_on: Vec<String> = service
            .depends_on
            .iter()
            .map(|service| format!("{service}:service_started:false"))
            .collect();
        let mut body = service.body.clone();
        body["Image"] = service.image.clone().into();
        let own = body["Labels"].as_object().cloned().unwrap_or_default();
        body["Labels"] = json!({
            labels::PROJECT: service.project, labels::SERVICE: service.name,
            labels::NUMBER: number.to_string(), labels::ONE_OFF: "False",
            labels::CONFIG_HASH: service.hash(), labels::DEPENDS_ON: depends_on.join(","),
            labels::IMAGE: self.find_image(&service.image)?.id.to_string(),
            labels::WORKING_DIR: format!("/srv/{}", service.project),
            labels::CONFIG_FILES: format!("/srv/{}/compose.yml", service.project),
        });
        for (name, value) in own {
            body["Labels"][name] = value;
        }
        let host = &mut body["HostConfig"];
        if host["RestartPolicy"].is_null() {
            host["RestartPolicy"] = json!({ "Name": "unless-stopped" });
        }
        if host["NetworkMode"].is_null() {
            let network = format!("{}_default", service.project);
            host["NetworkMode"] = network.clone().into();
            let aliases = json!({ "Aliases": [service.name] });
            body["NetworkingConfig"] = json!({ "EndpointsConfig": { network: aliases } });
        }
        Ok(body)
    }
}

/// Compose gives a new container the anonymous volumes of the old one.
fn keep_anonymous(binds: &Value, mounts: &[Value]) -> Value {
    let mut binds = binds.as_array().cloned().unwrap_or_default();
    let volumes = mounts.iter().filter(|mount| mount["Type"] == "volume");
    for (name, target) in
        volumes.filter_map(|m| Some((m["Name"].as_str()?, m["Destination"].as_str()?)))
    {
        if name.len() == 64 {
            binds.push(format!("{name}:{target}").into());
        }
    }
    binds.into()
}
