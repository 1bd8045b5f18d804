//! The model's images: tags that move, what dangles, what a prune takes.

use std::collections::BTreeSet;

use jiff::Timestamp;
use rollbackd_core::words::ImageId;
use serde_json::{Value, json};

use super::{
    super::image::Reference,
    Behaviour,
    world::{Refusal, World},
};

/// An image.
#[derive(Clone)]
pub(super) struct Built {
    pub(super) id: ImageId,
    pub(super) created: Timestamp,
    /// As `shop:latest`.
    pub(super) tags: BTreeSet<String>,
    /// As `shop@sha256:...`.
    pub(super) digests: BTreeSet<String>,
    pub(super) config: Value,
    pub(super) behaviour: Behaviour,
}

/// The short form of a tag: `shop` is `shop:latest`.
pub(super) fn spelled(reference: &str) -> Option<String> {
    let read = Reference::read(reference)?;
    Some(match (read.tag, read.digest) {
        (_, Some(digest)) => format!("{}@{digest}", read.repository),
        (Some(tag), None) => format!("{}:{tag}", read.repository),
        (None, None) => read.repository,
    })
}

impl World {
    pub(super) fn import(
        &mut self,
        reference: &str,
        behaviour: Behaviour,
        further: &Value,
    ) -> ImageId {
        let image = self.built(behaviour, further);
        let id = image.id;
        self.images.insert(id, image);
        self.put_tag(id, &spelled(reference).unwrap_or_default());
        self.image_event("import", id);
        id
    }

    /// A new image, which nobody has yet.
    pub(super) fn built(&mut self, behaviour: Behaviour, further: &Value) -> Built {
        // 64 digits by construction.
        let id: ImageId = format!("sha256:{}", self.identity()).parse().expect("an ID is hex");
        let (program, words): (&str, Value) = match behaviour {
            Behaviour::Runs | Behaviour::Unhealthy => ("/app", json!(["run"])),
            Behaviour::Exits(code) => ("/app", json!(["exit", code.to_string()])),
            Behaviour::CannotExecute => ("/nope", Value::Null),
            Behaviour::IgnoresSigterm => ("/app", json!(["stubborn"])),
        };
        let mut config = json!({ "Entrypoint": [program], "Cmd": words, "Env": null,
            "ExposedPorts": null, "Healthcheck": null, "Labels": null, "User": "",
            "Volumes": null, "WorkingDir": "" });
        if behaviour == Behaviour::Unhealthy {
            let test = ["CMD", "/app", "exit", "1"];
            config["Healthcheck"] =
                json!({ "Test": test, "Interval": 1_000_000_000, "Retries": 2 });
        }
        for (name, value) in further.as_object().into_iter().flatten() {
            config[name] = value.clone();
        }
        let created = self.date();
        let (tags, digests) = (BTreeSet::new(), BTreeSet::new());
        Built { id, created, tags, digests, config, behaviour }
    }

    /// The images with a tag in this repository, as the engine lists them.
    pub(super) fn list_images(&self, repository: &str) -> Value {
        let ours =
            |tag: &&String| tag.strip_prefix(repository).is_some_and(|rest| rest.starts_with(':'));
        let images = self.images.values().filter(|image| image.tags.iter().any(|tag| ours(&tag)));
        images.map(|image| json!({ "Id": image.id, "RepoTags": image.tags })).collect()
    }

    pub(super) fn push(&mut self, id: ImageId, reference: &str) {
        let Some(reference) = spelled(reference) else { return };
        if let Some(image) = self.images.get_mut(&id) {
            image.digests.insert(reference.clone());
            let image = Built { tags: BTreeSet::new(), ..image.clone() };
            self.registry.insert(reference, image);
        }
    }

    /// An image by tag, digest or ID (also its first digits).
    pub(super) fn find_image(&self, reference: &str) -> Result<&Built, Refusal> {
        let named = spelled(reference);
        let named = named.as_ref();
        let digits = reference.strip_prefix("sha256:").unwrap_or(reference);
        let by_id = |image: &&Built| {
            digits.len() >= 4 && image.id.to_string()["sha256:".len()..].starts_with(digits)
        };
        let by_name = |image: &&Built| {
            named.is_some_and(|name| image.tags.contains(name) || image.digests.contains(name))
        };
        self.images.values().find(by_name).or_else(|| self.images.values().find(by_id)).ok_or_else(
            || {
                let name = named.map_or(reference, String::as_str);
                (404, format!("No such image: {name}"))
            },
        )
    }

    pub(super) fn tag(&mut self, image: &str, repository: &str, tag: &str) -> Result<(), Refusal> {
        let id = self.find_image(image)?.id;
        let name = spelled(&format!("{repository}:{tag}"))
            .ok_or_else(|| (400, "invalid reference format".to_owned()))?;
        self.put_tag(id, &name);
        Ok(())
    }

    fn put_tag(&mut self, id: ImageId, name: &str) {
        self.move_tag(id, name);
        self.image_event("tag", id);
    }

    fn move_tag(&mut self, id: ImageId, name: &str) {
        for image in self.images.values_mut() {
            image.tags.remove(name);
        }
        if let Some(image) = self.images.get_mut(&id) {
            image.tags.insert(name.to_owned());
        }
    }

    pub(super) fn untag(&mut self, reference: &str) -> Result<(), Refusal> {
        let image = self.find_image(reference)?;
        let (id, names) = (image.id, image.tags.len());
        let name = spelled(reference).unwrap_or_default();
        let user = self.containers.iter().find(|made| made.image == id);
        if names <= 1
            && let Some(user) = user
        {
            let (user, image) = (user.short(), id.short());
            return Err((
                409,
                format!(
                    "conflict: unable to remove repository reference \"{reference}\" (must force) - container {user} is using its referenced image {image}"
                ),
            ));
        }
        if let Some(image) = self.images.get_mut(&id) {
            image.tags.remove(&name);
            image.digests.remove(&name);
        }
        self.image_event("untag", id);
        if self.images.get(&id).is_some_and(|image| image.tags.is_empty()) {
            self.delete_image(id);
        }
        Ok(())
    }

    pub(super) fn pull(&mut self, reference: &str) -> Result<(), Refusal> {
        let missing = || (404, format!("manifest for {reference} not found: manifest unknown"));
        let name = spelled(reference).ok_or_else(missing)?;
        let image = self.registry.get(&name).ok_or_else(missing)?.clone();
        let id = image.id;
        let digests = image.digests.clone();
        self.images.entry(id).or_insert(image).digests.extend(digests);
        if !name.contains('@') {
            self.move_tag(id, &name);
        }
        self.image_event("pull", id);
        Ok(())
    }

    /// `docker image prune`: what no container uses, running or not, and what
    /// has no name; with `all` what has one too.
    pub(super) fn prune_images(&mut self, all: bool) {
        let used: BTreeSet<ImageId> = self.containers.iter().map(|made| made.image).collect();
        let gone: Vec<(ImageId, usize)> = self
            .images
            .values()
            .filter(|image| !used.contains(&image.id) && (all || image.tags.is_empty()))
            .map(|image| (image.id, image.tags.len()))
            .collect();
        for (id, names) in gone {
            for _ in 0..names {
                self.image_event("untag", id);
            }
            self.delete_image(id);
        }
    }

    fn delete_image(&mut self, id: ImageId) {
        self.image_event("delete", id);
        self.images.remove(&id);
    }

    fn image_event(&mut self, action: &str, id: ImageId) {
        let id = id.to_string();
        self.record("image", action, &id, &json!({ "name": id }));
    }
}
