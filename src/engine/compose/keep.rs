//! Keeping images: a tag of our own, which survives `docker image prune`, and
//! an anchor, a tiny container that runs and so survives `docker system prune
//! --all`. Both carry the state directory's mark, so that two daemons on one
//! engine leave each other's alone.

use std::collections::{BTreeMap, BTreeSet};

use rollbackd_core::{
    revision::{ContainerState, Revision},
    words::ImageId,
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{Compose, anchor, fingerprint::hex, observe::KEEP_LABEL};
use crate::{
    config::settings::KeepBy,
    docker::{container::Container, error::DockerError, image::Image},
    engine::error::EngineError,
};

/// The repository of our tags: a name that nobody can register.
const REPOSITORY: &str = "rollbackd.invalid/keep";
/// The label of an anchor that says whose it is.
const STATE_LABEL: &str = "rollbackd.state";
/// What the labels of Compose begin with.
const COMPOSE_LABELS: &str = "com.docker.compose.";

impl Compose {
    /// Sees to it that these images are kept, each in its way, and lets go of
    /// those that are not wanted any more. An image that is gone already is
    /// left out: [`Compose::restorable`] tells of it. What stands in the way of
    /// one does not keep the others from being kept.
    ///
    /// # Errors
    ///
    /// The first that stood in the way.
    pub async fn keep(&self, wanted: &BTreeMap<ImageId, KeepBy>) -> Result<(), EngineError> {
        let mut first = Ok(());
        let mut note = |result: Result<(), EngineError>| {
            if let (Err(error), Ok(())) = (result, &first) {
                first = Err(error);
            }
        };
        let anchors = self.docker.labelled(STATE_LABEL, &self.state_label()).await?;
        for (image, by) in wanted {
            note(self.keep_one(*image, *by, &anchors).await);
        }
        for container in &anchors {
            let image = container.label(KEEP_LABEL).and_then(|id| id.parse().ok());
            let kept = image.is_some_and(|image| wanted.get(&image) == Some(&KeepBy::Anchor));
            if !kept {
                note(self.let_go(container).await);
            }
        }
        let ours = format!("-{}", self.mark());
        for (reference, image) in self.docker.tagged(REPOSITORY).await? {
            if reference.ends_with(&ours) && !wanted.contains_key(&image) {
                note(self.untag(&reference).await);
            }
        }
        first
    }

    async fn keep_one(
        &self,
        image: ImageId,
        by: KeepBy,
        anchors: &[Container],
    ) -> Result<(), EngineError> {
        let Some(found) = self.docker.image(&image.to_string()).await? else { return Ok(()) };
        let tag = format!("{}-{}", image.short(), self.mark());
        if !found.tags.contains(&format!("{REPOSITORY}:{tag}")) {
            self.docker.tag(&image, REPOSITORY, &tag).await?;
        }
        if by == KeepBy::Tag {
            return Ok(());
        }
        let name = image.to_string();
        let its = |one: &&Container| one.label(KEEP_LABEL) == Some(name.as_str());
        for anchor in anchors.iter().filter(its) {
            if anchor.state == ContainerState::Running {
                return Ok(());
            }
            // Somebody stopped it, or it was created and never started.
            self.let_go(anchor).await?;
        }
        let program = anchor::install(&self.state_dir).map_err(|source| EngineError::File {
            path: self.state_dir.join("anchor").display().to_string(),
            source,
        })?;
        let body = self.anchor_body(&found, &program.display().to_string());
        let name = format!("rollbackd-keep-{tag}");
        let id = self.docker.create(&name, &body).await?;
        Ok(self.docker.start(&id).await?)
    }

    fn anchor_body(&self, image: &Image, program: &str) -> Value {
        let id = image.id.to_string();
        let mut own = json!({ KEEP_LABEL: id, STATE_LABEL: self.state_label() });
        // An image that Compose built would make the anchor a container of its
        // project: an orphan for `up --remove-orphans`.
        for label in image.labels.keys().filter(|label| label.starts_with(COMPOSE_LABELS)) {
            own[label] = Value::String(String::new());
        }
        json!({
            "Image": id,
            "Entrypoint": [anchor::INSIDE],
            "Cmd": [],
            // Numbers, because the image need not know any name.
            "User": "65534:65534",
            "WorkingDir": "/",
            "Healthcheck": { "Test": ["NONE"] },
            // The first process of a container hears nothing else: an engine
            // that shuts down need not wait for it.
            "StopSignal": "SIGKILL",
            "Labels": own,
            "HostConfig": {
                "Binds": [format!("{program}:{}:ro", anchor::INSIDE)],
                "NetworkMode": "none",
                "ReadonlyRootfs": true,
                "CapDrop": ["ALL"],
                "SecurityOpt": ["no-new-privileges"],
                "RestartPolicy": { "Name": "unless-stopped" },
                "LogConfig": { "Type": "none" },
            },
        })
    }

    /// Removes an anchor with the anonymous volumes that its image gave it.
    async fn let_go(&self, anchor: &Container) -> Result<(), EngineError> {
        match self.docker.remove(&anchor.id, true, true).await {
            Err(DockerError::NotFound { .. }) => Ok(()),
            result => Ok(result?),
        }
    }

    async fn untag(&self, reference: &str) -> Result<(), EngineError> {
        match self.docker.untag(reference).await {
            // A container uses the image; the tag goes when it is gone.
            Err(DockerError::NotFound { .. } | DockerError::Conflict { .. }) => Ok(()),
            result => Ok(result?),
        }
    }

    /// What is missing to return to a revision: an image, a record, a network.
    /// `None` when nothing is.
    ///
    /// # Errors
    ///
    /// When the engine or the store does not answer.
    pub async fn restorable(&self, revision: &Revision) -> Result<Option<String>, EngineError> {
        let mut networks = BTreeSet::new();
        for service in &revision.services {
            if self.docker.image(&service.image_id.to_string()).await?.is_none() {
                let image = service.image_id.short();
                return Ok(Some(format!("image {} ({image}) was removed", service.image)));
            }
            for id in &service.containers {
                let Some(record) = self.records.get(id).await? else {
                    return Ok(Some(format!("the record of how {} ran is gone", service.name)));
                };
                let joined = record.document["NetworkSettings"]["Networks"].as_object();
                networks.extend(joined.into_iter().flatten().map(|(name, _)| name.clone()));
            }
        }
        for network in networks {
            if self.docker.network(&network).await?.is_none() {
                return Ok(Some(format!("network {network} was removed")));
            }
        }
        Ok(None)
    }

    fn state_label(&self) -> String {
        self.state_dir.display().to_string()
    }

    /// What tells this daemon's tags and names from another's.
    fn mark(&self) -> String {
        hex(&Sha256::digest(self.state_label()))[..8].to_owned()
    }
}
