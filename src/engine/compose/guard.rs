//! May Compose deploy a service here? Only if its files and variables, as this
//! program sees them, give exactly what the containers were made from: Compose's
//! own hash of the configuration says so. Else a deployer's variables would
//! become blank, and edits that nobody deployed would go live.

use std::collections::{BTreeMap, BTreeSet};

use rollbackd_core::{
    revision::ContainerState,
    words::{ImageId, ProjectName, ServiceName},
};

use super::{Compose, document, drift::Drift, observe, overlay, setup::Setup, tool::Tool};
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
        let hashes = self.hashes(&tool, &setup, whole_file(project, service), record).await?;
        let Some(own) = hashes.get(service.as_str()) else {
            let why = "its Compose files have no such service, or not without a profile; write `files` or `profiles` for the project";
            return Err(unchecked(why.into()));
        };
        // The step moves such a tag back before it asks.
        let named = self.docker.image(&record.image).await?.map(|named| named.id);
        let comparable = !tool.is_v1() || named == record.image_id;
        if comparable && !own.contains(made_from) {
            let why = self.drift(&tool, &setup, record).await.words();
            return Err(EngineError::Drifted { service: service.clone(), why });
        }
        let leaves = self.would_change(project, record, &hashes).await?;
        Ok(Cleared { tool, setup, leaves })
    }

    /// Compose's hashes of the services. `config --hash` of some versions leaves
    /// out what `env_file` names, while `up` counts that in (2.26.1 does): so the
    /// resolved configuration, which has it all, is hashed too.
    async fn hashes(
        &self,
        tool: &Tool,
        setup: &Setup,
        name: String,
        record: &Container,
    ) -> Result<Hashes, EngineError> {
        let all = ["config", "--hash", "*"];
        let mut hashes = Hashes::new();
        add(&mut hashes, &self.question(tool, setup, &all, record).await?);
        if tool.is_v1() || !tool.configs("--format") {
            return Ok(hashes);
        }
        let whole = self.whole(tool, setup, record).await?;
        let file = overlay::write_whole(&self.state_dir, &name, &whole)?;
        let said = self.question(tool, &setup.of_one_file(&file), &all, record).await;
        // It has secrets in it, and the next one takes its name.
        let _ = std::fs::remove_file(&file);
        add(&mut hashes, &said?);
        Ok(hashes)
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
        hashes: &Hashes,
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
            let as_now = |one: &Container| {
                let hash = one.config_hash();
                hash.is_some_and(|hash| {
                    hashes.get(name.as_str()).is_some_and(|known| known.contains(hash))
                })
            };
            let mut stays = !own.is_empty();
            for container in own {
                let named = self.docker.image(&container.image).await?.map(|image| image.id);
                stays &= container.state == ContainerState::Running
                    && as_now(container)
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

/// The hashes that a service may have been deployed with, by its name.
type Hashes = BTreeMap<String, BTreeSet<String>>;

fn whole_file(project: &ProjectName, service: &ServiceName) -> String {
    format!("{project}.{service}.whole")
}

/// `web 3f2a...`, a line each.
fn add(hashes: &mut Hashes, said: &str) {
    let pairs = said.lines().filter_map(|line| line.trim().split_once(' '));
    for (name, hash) in pairs {
        hashes.entry(name.to_owned()).or_default().insert(hash.trim().to_owned());
    }
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
        let mut read = Hashes::new();
        add(&mut read, "db 9d07\nweb 22dc\n\n");
        add(&mut read, "web 33ed\n");
        assert!(read["db"].contains("9d07"));
        assert_eq!(read["web"], ["22dc", "33ed"].map(str::to_owned).into());
        let said = "NAME                REQUIRED            DEFAULT VALUE       ALTERNATE VALUE\nBAR                 false\nREPO                false               shop\n";
        assert_eq!(variables(said), ["BAR", "REPO"].map(str::to_owned).into());
    }
}
