//! Giving a service an image that never ran here, by `up` of Compose itself.
//! What runs is recorded first, the guard is asked, and afterwards it is looked
//! at what runs: Compose's word alone is not enough.

use std::{path::PathBuf, time::Duration};

use rollbackd_core::{
    plan::Replaced,
    revision::ContainerState,
    words::{ImageId, ServiceName},
};

use super::{Compose, Errand, guard::Cleared, names, observe, overlay};
use crate::{
    docker::{container::Container, image::Reference},
    engine::error::EngineError,
};

/// What a service shall run.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// The service.
    pub service: &'a ServiceName,
    /// The image, as it was asked for.
    pub reference: &'a str,
    /// What that named when it was decided.
    pub image: ImageId,
    /// How many containers ran.
    pub scale: u32,
    /// What they take the place of.
    pub replaces: &'a Replaced,
}

/// How Compose is told of the image.
enum Way {
    /// The tag that the service is deployed by is moved: to read, and what is
    /// set.
    Tag { reference: String, repository: String, tag: String },
    /// A file of ours beside theirs; why the tag was left.
    Overlay { file: PathBuf, why: String },
}

impl Compose {
    /// Lets Compose deploy an image, within `limit`. Says how.
    ///
    /// # Errors
    ///
    /// When the guard does not allow it or somebody deployed meanwhile, before
    /// anything was changed; when Compose fails.
    pub async fn deploy_image(
        &self,
        errand: Errand<'_>,
        wanted: Wanted<'_>,
        limit: Duration,
    ) -> Result<String, EngineError> {
        self.leave_to_people(errand, wanted).await?;
        self.tidy_half_done(errand, wanted.service, wanted.replaces).await?;
        if self.is_deployed(errand, wanted).await? {
            return Ok(format!("{} already runs it", wanted.service));
        }
        if self.docker.image(&wanted.image.to_string()).await?.is_none() {
            let reference = wanted.reference.to_owned();
            return Err(EngineError::ImageGone { reference, image: wanted.image });
        }
        let record = self.was(errand, wanted).await?;
        self.comparable_again(errand, wanted, &record).await?;
        let cleared = self.guard(errand.project, wanted.service, &record, None).await?;
        let way = self.way(errand, wanted, &record, &cleared).await?;
        self.keep_records(errand, wanted).await?;
        if let Way::Tag { repository, tag, .. } = &way {
            self.docker.tag(&wanted.image, repository, tag).await?;
        }
        let by_another = record.compose_image().is_some_and(|made| Some(made) != record.image_id);
        self.up(wanted, &record, (&cleared, &way), by_another, limit).await?;
        if !self.is_deployed(errand, wanted).await? && !by_another {
            self.up(wanted, &record, (&cleared, &way), true, limit).await?;
        }
        if !self.is_deployed(errand, wanted).await? {
            let (service, reference) = (wanted.service.clone(), wanted.reference.to_owned());
            return Err(EngineError::NotDeployed { service, reference });
        }
        let containers = self.docker.containers(errand.project).await?;
        overlay::tidy(&self.state_dir, errand, wanted.service, &containers);
        Ok(told(&way, wanted, &cleared))
    }

    /// What somebody has deployed since it was decided is left to them.
    async fn leave_to_people(
        &self,
        errand: Errand<'_>,
        wanted: Wanted<'_>,
    ) -> Result<(), EngineError> {
        let known = |one: &&&Container| {
            let image = one.image_id;
            wanted.replaces.containers.contains(&one.id)
                || image == Some(wanted.image)
                || image == Some(wanted.replaces.image)
        };
        let containers = self.docker.containers(errand.project).await?;
        let present = observe::present(&containers);
        let mut own = present.iter().filter(|one| one.service.as_ref() == Some(wanted.service));
        match own.find(|one| !known(one)) {
            Some(theirs) => Err(EngineError::Overtaken { name: theirs.name.clone() }),
            None => Ok(()),
        }
    }

    /// Does as much of it run the image as ran before?
    async fn is_deployed(
        &self,
        errand: Errand<'_>,
        wanted: Wanted<'_>,
    ) -> Result<bool, EngineError> {
        let containers = self.docker.containers(errand.project).await?;
        let present = observe::present(&containers);
        let own: Vec<&&Container> =
            present.iter().filter(|one| one.service.as_ref() == Some(wanted.service)).collect();
        let runs = |one: &&Container| one.image_id == Some(wanted.image) && was_started(one);
        Ok(own.len() == wanted.scale as usize && own.iter().all(|one| runs(one)))
    }

    /// How a container of it ran when it was decided: by its record, for Compose
    /// may have removed it already.
    async fn was(&self, errand: Errand<'_>, wanted: Wanted<'_>) -> Result<Container, EngineError> {
        for id in &wanted.replaces.containers {
            if let Some(record) = self.records.get(id).await? {
                return Ok(record);
            }
        }
        let containers = self.docker.containers(errand.project).await?;
        let present = observe::present(&containers);
        let own = present.into_iter().find(|one| one.service.as_ref() == Some(wanted.service));
        own.cloned().ok_or_else(|| EngineError::Absent { service: wanted.service.clone() })
    }

    /// Compose v1 counts the image in: a tag of the service alone that names what
    /// is wanted already (a step of ours was cut off, or a person moved it) is
    /// moved back until the guard has compared.
    async fn comparable_again(
        &self,
        errand: Errand<'_>,
        wanted: Wanted<'_>,
        record: &Container,
    ) -> Result<(), EngineError> {
        let is_v1 = record.compose_version().is_some_and(|version| version.starts_with("1."));
        let (true, Some(ran)) = (is_v1, record.image_id) else { return Ok(()) };
        let Some(Reference { repository, tag: Some(tag), digest: None }) =
            Reference::read(&record.image)
        else {
            return Ok(());
        };
        let named = self.docker.image(&record.image).await?.map(|image| image.id);
        let moved = named == Some(wanted.image) && wanted.image != ran;
        let others = self.others_using(errand, &[wanted.service], &record.image).await?;
        if moved && others.is_empty() {
            self.docker.tag(&ran, &repository, &tag).await?;
        }
        Ok(())
    }

    /// What is put back is what was here last, as it was.
    async fn keep_records(
        &self,
        errand: Errand<'_>,
        wanted: Wanted<'_>,
    ) -> Result<(), EngineError> {
        for container in self.docker.containers(errand.project).await? {
            let replaced = wanted.replaces.containers.contains(&container.id);
            if replaced && container.state == ContainerState::Running {
                self.records.put(&container).await?;
            }
        }
        Ok(())
    }

    /// By the tag where that is the service's own and moves anyway, else by a
    /// file.
    async fn way(
        &self,
        errand: Errand<'_>,
        wanted: Wanted<'_>,
        record: &Container,
        cleared: &Cleared,
    ) -> Result<Way, EngineError> {
        let why = match Reference::read(&record.image) {
            _ if cleared.setup.ours.is_some() => {
                "it was deployed by a file of rollbackd before".to_owned()
            }
            None => "an image ID is no tag".to_owned(),
            Some(Reference { digest: Some(_), .. }) => "a digest cannot be moved".to_owned(),
            Some(read) if read.is_version() => {
                format!("{} is a version, which does not move", record.image)
            }
            Some(Reference { repository, tag, .. }) => {
                let services = [wanted.service];
                let others = self.others_using(errand, &services, &record.image).await?;
                if others.is_empty() {
                    let (reference, tag) =
                        (record.image.clone(), tag.unwrap_or_else(|| "latest".to_owned()));
                    return Ok(Way::Tag { reference, repository, tag });
                }
                let others = others.into_iter().collect::<Vec<_>>().join(", ");
                format!("{others} was started by {} too", record.image)
            }
        };
        let named = self.docker.image(wanted.reference).await?.map(|image| image.id);
        let by_id = wanted.image.to_string();
        let image = if named == Some(wanted.image) { wanted.reference } else { by_id.as_str() };
        let version = if cleared.tool.is_v1() { overlay::version(&cleared.setup) } else { None };
        let (service, version) = (wanted.service, version.as_deref());
        let file = overlay::write(&self.state_dir, errand, service, image, version)?;
        Ok(Way::Overlay { file, why })
    }

    async fn up(
        &self,
        wanted: Wanted<'_>,
        record: &Container,
        (cleared, way): (&Cleared, &Way),
        force: bool,
        limit: Duration,
    ) -> Result<(), EngineError> {
        let Cleared { tool, setup, leaves } = cleared;
        let scale = format!("{}={}", wanted.service, wanted.scale);
        let mut words = vec!["up", "-d"];
        let mut flag = |known: bool, flags: &[&'static str]| {
            if known && tool.ups(flags[0]) {
                words.extend(flags);
            }
        };
        flag(true, &["--no-build"]);
        flag(true, &["--pull", "never"]);
        // v1 would recreate what it depends on as well.
        flag(tool.is_v1() || !leaves.is_empty(), &["--no-deps"]);
        flag(force, &["--force-recreate"]);
        if tool.ups("--scale") {
            words.extend(["--scale", &scale]);
        }
        words.push(wanted.service.as_str());
        let overlay = match way {
            Way::Overlay { file, .. } => Some(file.as_path()),
            Way::Tag { .. } => None,
        };
        self.change((tool, setup, overlay), &words, record, limit).await
    }
}

/// It runs, or did and ended; only created, it never got that far.
fn was_started(container: &Container) -> bool {
    names::parse(&container.name).is_none() && container.state != ContainerState::Created
}

/// What a person would want to know.
fn told(way: &Way, wanted: Wanted<'_>, cleared: &Cleared) -> String {
    let mut said = match way {
        Way::Tag { reference, .. } => format!("{reference} names {} now", wanted.image.short()),
        Way::Overlay { file, why } => format!("by {}, for {why}", file.display()),
    };
    if !cleared.leaves.is_empty() {
        let names: Vec<&str> = cleared.leaves.iter().map(ServiceName::as_str).collect();
        said += &format!(
            "; {} would have changed too and was left, so the next `up` may make {} anew",
            names.join(", "),
            wanted.service
        );
    }
    said
}
