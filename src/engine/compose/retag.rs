//! Setting a service's moving tag to the image that runs again, so that the
//! next plain `up` does not bring the other one back.

use std::collections::BTreeSet;

use rollbackd_core::words::{ImageId, ServiceName};

use super::{Compose, Errand, observe::KEEP_LABEL};
use crate::{
    docker::{container::Container, image::Reference},
    engine::error::EngineError,
};

impl Compose {
    /// Makes `reference` name `image`, unless it is no tag or something else on
    /// this host than these services was started by it too. Says what it did.
    ///
    /// # Errors
    ///
    /// When the image is gone or the engine refuses.
    pub async fn retag(
        &self,
        errand: Errand<'_>,
        services: &[&ServiceName],
        reference: &str,
        image: ImageId,
    ) -> Result<String, EngineError> {
        let (repository, tag) = match Reference::read(reference) {
            None => return Ok(format!("left {reference}: an image ID is no tag")),
            Some(Reference { digest: Some(_), .. }) => {
                return Ok(format!("left {reference}: a digest cannot be moved"));
            }
            Some(Reference { repository, tag, .. }) => {
                (repository, tag.unwrap_or_else(|| "latest".to_owned()))
            }
        };
        if self.docker.image(&image.to_string()).await?.is_none() {
            return Err(EngineError::ImageGone { reference: reference.to_owned(), image });
        }
        if self.docker.image(reference).await?.is_some_and(|now| now.id == image) {
            return Ok(format!("{reference} already names {}", image.short()));
        }
        let others = self.others_using(errand, services, reference).await?;
        if !others.is_empty() {
            let others = others.into_iter().collect::<Vec<_>>().join(", ");
            return Ok(format!("left {reference}: {others} was started by it too"));
        }
        self.docker.tag(&image, &repository, &tag).await?;
        Ok(format!("{reference} names {} again", image.short()))
    }

    /// Who else on this host was started by a reference.
    pub(super) async fn others_using(
        &self,
        errand: Errand<'_>,
        services: &[&ServiceName],
        reference: &str,
    ) -> Result<BTreeSet<String>, EngineError> {
        let users = self.docker.all_using(reference).await?;
        Ok(users.iter().filter_map(|one| other_user(one, errand, services)).collect())
    }
}

/// Who a container is to people, if it is not one of the services themselves.
fn other_user(
    container: &Container,
    errand: Errand<'_>,
    services: &[&ServiceName],
) -> Option<String> {
    if container.label(KEEP_LABEL).is_some() {
        return None;
    }
    let same_project = container.project.as_ref() == Some(errand.project);
    match (&container.project, &container.service) {
        (_, Some(other)) if same_project && services.contains(&other) => None,
        (_, Some(other)) if same_project => Some(other.to_string()),
        (Some(project), Some(other)) => Some(format!("{project}/{other}")),
        _ => Some(container.name.clone()),
    }
}
