//! May Compose deploy a service here? Only if its files and variables, as this
//! program sees them, give exactly what the containers were made from: Compose's
//! own hash of the configuration says so. Else a deployer's variables would
//! become blank, and edits that nobody deployed would go live.

use std::collections::{BTreeMap, BTreeSet};

use rollbackd_core::{
    revision::ContainerState,
    words::{ImageId, ProjectName, ServiceName},
};

use super::{Compose, document, drift::Drift, observe, setup::Setup, tool::Tool};
use crate::{docker::container::Container, engine::error::EngineError};

/// What may be done, and how.
pub(super) struct Cleared {
    pub(super) tool: Tool,
    pub(super) setup: Setup,
    /// The services on which it depends and which a plain `up` would change.
    pub(super) leaves: BTreeSet<ServiceName>,
}

impl Compose {
    /// Checks a service by the record of one of its containers. `moved_to` is the
    /// image that its tag may name already: what shall run was tagged first.
    pub(super) async fn guard(
        &self,
        project: &ProjectName,
        service: &ServiceName,
        record: &Container,
        moved_to: Option<ImageId>,
    ) -> Result<Cleared, EngineError> {
        let unchecked = |why: String| EngineError::Unchecked { service: service.clone(), why };
        let Some(made_from) = record.config_hash() else {
            return Err(unchecked("Compose did not make its containers; deploy it by hand".into()));
        };
        if !document::joins(&record.document).is_empty() {
            let why = "it lives in the namespaces of another container, which is part of its hash; deploy it by hand";
            return Err(unchecked(why.into()));
        }
        let (tool, setup) = (self.tool(record).await?, self.setup(project, service, record)?);
        if tool.is_v1()
            && let Some(why) = self.hides_behind_the_image(record, moved_to).await?
        {
            return Err(unchecked(why));
        }
        let said = self.question(&tool, &setup, &["config", "--hash", "*"], record).await?;
        let mut hashes = hashes(&said);
        if !hashes.contains_key(service.as_str()) {
            // One whose profile is off is only told by its name.
            let ask = ["config", "--hash", service.as_str()];
            hashes.extend(self::hashes(&self.question(&tool, &setup, &ask, record).await?));
        }
        // The step moves such a tag back before it asks.
        let named = self.docker.image(&record.image).await?.map(|named| named.id);
        let comparable = !tool.is_v1() || named == record.image_id;
        if comparable && hashes.get(service.as_str()).map(String::as_str) != Some(made_from) {
            let why = self.drift(&tool, &setup, record).await.words();
            return Err(EngineError::Drifted { service: service.clone(), why });
        }
        let leaves = self.would_change(project, record, &hashes).await?;
        Ok(Cleared { tool, setup, leaves })
    }

    /// Compose v1's hash contains the ID of the image that the reference names:
    /// it can be compared only while that is the one that runs. Why not.
    async fn hides_behind_the_image(
        &self,
        record: &Container,
        moved_to: Option<ImageId>,
    ) -> Result<Option<String>, EngineError> {
        let named = self.docker.image(&record.image).await?.map(|named| named.id);
        if named == record.image_id || (moved_to.is_some() && named == moved_to) {
            return Ok(None);
        }
        let runs = record.image_id.map_or_else(|| "IMAGE".to_owned(), |id| id.short().to_string());
        Ok(Some(format!(
            "Compose v1 counts the image in, and {reference} names another one than the one that runs; `docker tag {runs} {reference}` first, or use Compose v2",
            reference = record.image
        )))
    }

    async fn drift(&self, tool: &Tool, setup: &Setup, record: &Container) -> Drift {
        let used = if tool.configs("--variables") {
            let said = self.question(tool, setup, &["config", "--variables"], record).await;
            said.ok().map(|said| variables(&said))
        } else {
            None
        };
        let made_by = record.compose_version().unwrap_or_default();
        Drift::find(setup, record.created, used, (made_by, &tool.version))
    }

    /// The services that a service depends on, however far, and that Compose
    /// would change or start too.
    async fn would_change(
        &self,
        project: &ProjectName,
        record: &Container,
        hashes: &BTreeMap<String, String>,
    ) -> Result<BTreeSet<ServiceName>, EngineError> {
        let containers = self.docker.containers(project).await?;
        let present = observe::present(&containers);
        let needs = |one: &Container| one.depends_on().into_iter().map(|on| on.service);
        let mut open: Vec<ServiceName> = needs(record).collect();
        let (mut met, mut changing) = (BTreeSet::new(), BTreeSet::new());
        while let Some(name) = open.pop() {
            if !met.insert(name.clone()) {
                continue;
            }
            let own: Vec<&&Container> =
                present.iter().filter(|one| one.service.as_ref() == Some(&name)).collect();
            let hash = hashes.get(name.as_str()).map(String::as_str);
            let mut stays = !own.is_empty();
            for container in own {
                let named = self.docker.image(&container.image).await?.map(|image| image.id);
                stays &= container.state == ContainerState::Running
                    && container.config_hash() == hash
                    && named == container.image_id
                    && container.compose_image().is_none_or(|made| Some(made) == named);
                open.extend(needs(container));
            }
            if !stays {
                changing.insert(name);
            }
        }
        Ok(changing)
    }
}

/// `web 3f2a...`, a line each.
fn hashes(said: &str) -> BTreeMap<String, String> {
    let pair = |line: &str| {
        let (name, hash) = line.trim().split_once(' ')?;
        Some((name.to_owned(), hash.trim().to_owned()))
    };
    said.lines().filter_map(pair).collect()
}

/// The first column of a table with a head.
fn variables(said: &str) -> BTreeSet<String> {
    let first = |line: &str| line.split_whitespace().next().map(str::to_owned);
    said.lines().skip(1).filter_map(first).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_compose_prints_is_read() {
        let read = hashes("db 9d07\nweb 22dc\n\n");
        assert_eq!((read["db"].as_str(), read["web"].as_str()), ("9d07", "22dc"));
        let said = "NAME                REQUIRED            DEFAULT VALUE       ALTERNATE VALUE\nBAR                 false\nREPO                false               shop\n";
        assert_eq!(variables(said), ["BAR", "REPO"].map(str::to_owned).into());
    }
}
