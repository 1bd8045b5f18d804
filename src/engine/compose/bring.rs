//! Finding out which image a person means, before anything is decided: what is
//! here, else what its registry has; and whether it could be deployed at all.

use rollbackd_core::words::{ImageId, ProjectName, ServiceName};

use super::{Compose, observe};
use crate::{
    docker::{container::Container, error::DockerError, image::Reference},
    engine::error::EngineError,
};

impl Compose {
    /// The image that a reference names, pulled where it is not here and comes
    /// from a registry. `known` is what it named when the person was asked.
    ///
    /// # Errors
    ///
    /// When it is nowhere to be had.
    pub async fn bring(
        &self,
        project: &ProjectName,
        service: &ServiceName,
        reference: &str,
        known: Option<ImageId>,
    ) -> Result<ImageId, EngineError> {
        let asked = known.map_or_else(|| reference.to_owned(), |image| image.to_string());
        if let Some(image) = self.docker.image(&asked).await? {
            return Ok(image.id);
        }
        let not_here = |why: String| EngineError::NotHere { reference: reference.to_owned(), why };
        let Some(read) = Reference::read(reference) else {
            return Err(not_here(
                "only what has a name can be pulled; name it as its registry does".into(),
            ));
        };
        if !read.names_a_registry() && !self.comes_from_a_registry(project, service, &read).await? {
            return Err(not_here(
                "names no registry to pull it from; build or pull it yourself".into(),
            ));
        }
        // Without a tag the engine would pull every one.
        let tag = read.tag.as_ref().map_or_else(String::new, |tag| format!(":{tag}"));
        let digest = read.digest.as_ref().map_or_else(String::new, |digest| format!("@{digest}"));
        let tag = if digest.is_empty() { tag } else { String::new() };
        let whole = format!("{}{tag}{digest}", read.repository);
        self.docker.pull(&whole).await.map_err(|error| match error {
            DockerError::Unreachable { .. } => EngineError::Docker(error),
            error => not_here(format!(
                "cannot be pulled: {error}; `docker pull {whole}` by hand where it needs a login"
            )),
        })?;
        match self.docker.image(reference).await? {
            Some(image) => Ok(image.id),
            None => Err(not_here("is not there after a pull either".into())),
        }
    }

    /// Does what runs of a service come from this repository of a registry? A
    /// plain name alone could be anybody's at the public one.
    async fn comes_from_a_registry(
        &self,
        project: &ProjectName,
        service: &ServiceName,
        wanted: &Reference,
    ) -> Result<bool, EngineError> {
        let Some(container) = self.one_of(project, service).await? else { return Ok(false) };
        let Some(image) = container.image_id else { return Ok(false) };
        let image = self.docker.image(&image.to_string()).await?;
        let digests = image.map(|image| image.digests).unwrap_or_default();
        let same = |name: &String| {
            Reference::read(name).is_some_and(|read| read.repository == wanted.repository)
        };
        Ok(digests.iter().any(same))
    }

    /// Could Compose give a service this image? Changes nothing.
    ///
    /// # Errors
    ///
    /// What stands in the way.
    pub async fn may_deploy(
        &self,
        project: &ProjectName,
        service: &ServiceName,
        image: ImageId,
    ) -> Result<(), EngineError> {
        let Some(container) = self.one_of(project, service).await? else {
            return Err(EngineError::Absent { service: service.clone() });
        };
        self.guard(project, service, &container, Some(image)).await.map(drop)
    }

    async fn one_of(
        &self,
        project: &ProjectName,
        service: &ServiceName,
    ) -> Result<Option<Container>, EngineError> {
        let containers = self.docker.containers(project).await?;
        let present = observe::present(&containers);
        Ok(present.into_iter().find(|one| one.service.as_ref() == Some(service)).cloned())
    }
}
