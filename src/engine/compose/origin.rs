//! Who made a container, and by which names its image is known elsewhere.
//!
//! Compose writes something on a container that belongs to one image alone
//! (see [`Container::image_mark`]). A tool that pulls images and recreates
//! containers by itself copies it to a container of another image. So what has
//! a mark that belongs to another image was made by neither Compose nor a
//! person with it. That the mark of v2 is not the image's ID says nothing yet:
//! on an engine that keeps images in containerd's store, newer versions of
//! Compose write the digest of the platform's own manifest there.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{StreamExt, stream};
use rollbackd_core::words::{ContainerId, ImageId};

use super::Compose;
use crate::{docker::container::Container, engine::error::EngineError};

/// How many images are asked for at once.
const AT_ONCE: usize = 4;

/// Tools that recreate containers when there is a newer image.
const PULLERS: [&str; 5] = ["watchtower", "ouroboros", "whats-up-docker", "wud", "shepherd"];

/// What is known of containers beyond their own documents.
#[derive(Debug, Default)]
pub(super) struct Origins {
    /// The registry digests of each image; none where the engine does not tell.
    pub(super) digests: BTreeMap<ImageId, Vec<String>>,
    /// The containers that neither Compose nor a rollback made.
    pub(super) unattended: BTreeSet<ContainerId>,
    /// The names of the containers that may have made those.
    pub(super) pullers: Vec<String>,
}

impl Compose {
    /// Where these containers come from. Asks for each image once, each time
    /// anew: an image gets further digests whenever it is pushed or pulled.
    pub(super) async fn origins(&self, containers: &[&Container]) -> Result<Origins, EngineError> {
        let images: BTreeSet<ImageId> = containers.iter().filter_map(|one| one.image_id).collect();
        let digests = stream::iter(images)
            .map(|image| async move { (image, self.registry_digests(image).await) })
            .buffered(AT_ONCE)
            .collect()
            .await;
        let mut origins = Origins { digests, ..Origins::default() };
        for container in containers {
            if self.is_unattended(container, &origins.digests).await? {
                origins.unattended.insert(container.id.clone());
            }
        }
        if !origins.unattended.is_empty() {
            origins.pullers = self.pullers().await;
        }
        Ok(origins)
    }

    /// The containers that may recreate others by themselves: those that are
    /// known to, else all that hold the engine's socket. Only for a person to
    /// read: that the engine does not tell is no reason to see nothing.
    async fn pullers(&self) -> Vec<String> {
        let holding = self.docker.holding_the_socket().await.unwrap_or_default();
        let named = |words: &[&str], one: &Container| {
            words.iter().any(|word| one.image.contains(word) || one.name.contains(word))
        };
        let (known, others): (Vec<&Container>, Vec<&Container>) = holding
            .iter()
            .filter(|one| !named(&["rollbackd"], one))
            .partition(|one| named(&PULLERS, one));
        let named = if known.is_empty() { others } else { known };
        named.into_iter().map(|one| one.name.clone()).collect()
    }

    /// An image that the engine does not tell of has no digests: that is no
    /// reason to see nothing at all.
    async fn registry_digests(&self, image: ImageId) -> Vec<String> {
        match self.docker.image(&image.to_string()).await {
            Ok(found) => found.map(|found| found.registry_digests()).unwrap_or_default(),
            Err(error) => {
                tracing::debug!(image = %image.short(), %error, "engine.digests.unknown");
                Vec::new()
            }
        }
    }

    /// Was it made by neither Compose nor a rollback?
    async fn is_unattended(
        &self,
        container: &Container,
        digests: &BTreeMap<ImageId, Vec<String>>,
    ) -> Result<bool, EngineError> {
        let (Some(mark), Some(image)) = (container.image_mark(), container.image_id) else {
            return Ok(false);
        };
        let named = container.compose_image();
        let by_digest = |named: ImageId| {
            digests.get(&image).is_some_and(|digests| digests.contains(&named.to_string()))
        };
        if named.is_some_and(|named| named == image || by_digest(named)) {
            return Ok(false);
        }
        // What a rollback puts back has the labels that it had, whoever made it.
        if self.records.made(container).await? {
            return Ok(false);
        }
        if self.records.marked(mark).await?.is_some_and(|first| first != image) {
            return Ok(true);
        }
        // Nobody saw what came before it; the engine may still have the image.
        let Some(named) = named else { return Ok(false) };
        let other = self.docker.image(&named.to_string()).await.ok().flatten();
        Ok(other.is_some_and(|other| other.id != image))
    }
}

#[cfg(all(test, feature = "testing"))]
#[path = "origin_tests.rs"]
mod on_the_model;
