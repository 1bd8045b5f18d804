//! A registry that others push to, and a tool that keeps containers up to date
//! from it by itself, without Compose.

use std::collections::{BTreeMap, BTreeSet};

use rollbackd_core::words::{ContainerId, ImageId};
use serde_json::{Map, Value, json};

use super::{
    super::error::DockerError,
    Behaviour, Model,
    image::spelled,
    world::{Refusal, World},
};

impl Model {
    /// Another machine pushes a new image to a registry under this tag. This
    /// engine does not have it until somebody pulls.
    pub fn publish(&self, reference: &str, behaviour: Behaviour) -> ImageId {
        self.world().publish(reference, behaviour)
    }

    /// A person or a tool pulls: the tag moves to what the registry has, and
    /// the image is known by its digest there.
    ///
    /// # Errors
    /// Without such an image in the registry.
    pub fn pull(&self, reference: &str) -> Result<(), DockerError> {
        let pulled = self.world().pull(reference);
        pulled.map_err(|(status, message)| DockerError::refused("docker.pull", status, &message))
    }

    /// A tool that pulls by itself (Watchtower, say) brings a container up to
    /// date: with its own configuration and all its labels, but another image.
    /// `None` where the registry has none that is newer.
    ///
    /// # Errors
    /// What the engine refused; the container is then left as it stood.
    pub fn puller_recreates(&self, name: &str) -> Result<Option<ContainerId>, DockerError> {
        let done = self.world().puller_recreates(name);
        done.map(|id| id.map(ContainerId::new))
            .map_err(|(status, message)| DockerError::refused("docker.start", status, &message))
    }
}

impl World {
    fn publish(&mut self, reference: &str, behaviour: Behaviour) -> ImageId {
        let mut image = self.built(behaviour, &Value::Null);
        let tag = spelled(reference).unwrap_or_default();
        let repository = tag.rsplit_once(':').map_or(tag.as_str(), |(repository, _)| repository);
        let digest = format!("{repository}@sha256:{}", self.identity());
        image.digests = BTreeSet::from([digest.clone()]);
        let id = image.id;
        self.registry.insert(digest, image.clone());
        self.registry.insert(tag, image);
        id
    }

    fn puller_recreates(&mut self, name: &str) -> Result<Option<String>, Refusal> {
        let old = &self.containers[self.index(name)?];
        let (id, reference, image) = (old.id.clone(), old.config["Image"].clone(), old.image);
        let reference = reference.as_str().unwrap_or_default().to_owned();
        let from_image = self.images.get(&image).map_or(Value::Null, |image| image.config.clone());
        self.pull(&reference)?;
        if self.find_image(&reference)?.id == image {
            return Ok(None);
        }
        let old = &self.containers[self.index(&id)?];
        let name = old.name.clone();
        let mut body = own(&old.config, &from_image);
        body["HostConfig"] = old.host.clone();
        let settings: BTreeMap<&String, Value> =
            old.endpoints.iter().map(|(name, endpoint)| (name, endpoint.settings(&id))).collect();
        body["NetworkingConfig"] = json!({ "EndpointsConfig": settings });
        self.stop(&id)?;
        self.remove(&id, false, true)?;
        let new = self.create(&name, &body)?;
        self.start(&new)?;
        Ok(Some(new))
    }
}

/// A container's configuration without what its image added.
fn own(config: &Value, image: &Value) -> Value {
    let mut own: Map<String, Value> = config.as_object().cloned().unwrap_or_default();
    for field in ["Entrypoint", "Cmd", "User", "WorkingDir", "Healthcheck", "Volumes"] {
        if own.get(field) == image.get(field) {
            own.remove(field);
        }
    }
    let texts = |list: &Value| list.as_array().cloned().unwrap_or_default();
    if let Some(variables) = own.get_mut("Env").and_then(Value::as_array_mut) {
        variables.retain(|variable| !texts(&image["Env"]).contains(variable));
    }
    if let Some(labels) = own.get_mut("Labels").and_then(Value::as_object_mut) {
        labels.retain(|name, value| image["Labels"][name.as_str()] != *value);
    }
    Value::Object(own)
}
