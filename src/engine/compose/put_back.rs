//! The two ends of what was kept aside: it is removed once the replacement has
//! proven itself, or it runs again in the replacement's place.

use std::collections::BTreeMap;

use rollbackd_core::{
    revision::ContainerState,
    words::{ContainerId, IncidentId, ServiceName},
};

use super::{
    Compose, Errand, document, names,
    slots::{Slot, replacements, slots},
};
use crate::{docker::container::Container, engine::error::EngineError};

impl Compose {
    /// Removes what was kept aside of these services. Anonymous volumes stay:
    /// the replacements use them.
    ///
    /// # Errors
    ///
    /// When the engine refuses.
    pub async fn discard(
        &self,
        errand: Errand<'_>,
        services: &[ServiceName],
    ) -> Result<String, EngineError> {
        let containers = self.docker.containers(errand.project).await?;
        for service in services {
            for slot in slots(&containers, service, errand.incident).into_values() {
                for container in slot.old.iter().chain(&slot.new) {
                    self.remove(container).await?;
                }
            }
        }
        Ok(String::new())
    }

    /// Lets what was kept aside of a service run again and removes what the
    /// rollback put in its place, and nothing else. Its name comes last: while
    /// it is still marked, this can be run again.
    ///
    /// # Errors
    ///
    /// When somebody has deployed in its place meanwhile; when the engine
    /// refuses, or what was kept aside does not start although it ran before.
    pub async fn put_back(
        &self,
        errand: Errand<'_>,
        service: &ServiceName,
    ) -> Result<String, EngineError> {
        let containers = self.docker.containers(errand.project).await?;
        let places = slots(&containers, service, errand.incident);
        let mut touched = BTreeMap::new();
        let named: Vec<&Container> = places.values().flat_map(Slot::named).collect();
        for container in named {
            if let Some(touch) = self.records.touched(container, errand.incident).await? {
                touched.insert(container.id.clone(), touch);
            }
        }
        let replacements = match replacements(&places, &touched) {
            Ok(replacements) => replacements,
            Err(theirs) => {
                // What was killed while it put back may have left both running.
                for container in places.values().flat_map(|slot| &slot.old) {
                    self.stop_for_good(container).await?;
                }
                return Err(EngineError::Overtaken { name: theirs.name.clone() });
            }
        };
        let Some(replacements) = replacements else {
            for container in places.values().flat_map(|slot| &slot.new) {
                self.remove(container).await?;
            }
            return Ok("nothing was changed".to_owned());
        };
        for container in replacements {
            self.remove(container).await?;
        }
        let mut notes = Vec::new();
        for container in places.values().flat_map(|slot| &slot.old) {
            notes.extend(self.revive(container, &containers, errand.incident).await?);
        }
        Ok(notes.join("; "))
    }

    /// Restores, starts and names one that was kept aside; a note where it
    /// cannot be as it was.
    async fn revive(
        &self,
        container: &Container,
        project: &[Container],
        incident: IncidentId,
    ) -> Result<Option<String>, EngineError> {
        let name = names::parse(&container.name)
            .filter(|marked| marked.incident == incident)
            .map_or(container.name.as_str(), |marked| marked.base);
        let recorded = self.records.get(&container.id).await?;
        let mut note = None;
        match recorded.as_ref().map(|was| &was.document["HostConfig"]["RestartPolicy"]) {
            Some(policy) if *policy != container.document["HostConfig"]["RestartPolicy"] => {
                let policy = serde_json::json!({ "RestartPolicy": policy });
                self.docker.update(&container.id, &policy).await?;
            }
            Some(_) => {}
            None => note = Some(format!("the restart policy of {name} is not known any more")),
        }
        let ended =
            |was: &Container| document::is_one_shot(was) || was.state == ContainerState::Created;
        if recorded.as_ref().is_none_or(|was| !ended(was)) {
            let started = self.docker.start(&container.id).await;
            let ran = recorded.is_none_or(|was| was.state == ContainerState::Running);
            match started {
                Err(error) if ran => return Err(error.into()),
                Err(error) => {
                    note = Some(format!("{name} did not run before and does not start: {error}"));
                }
                Ok(()) => {}
            }
        }
        self.rejoin(container, project).await?;
        self.name_again(&container.id, name).await?;
        Ok(note)
    }

    /// Gives what runs again its own name, unless somebody else has deployed
    /// under it: then theirs alone runs.
    async fn name_again(&self, id: &ContainerId, name: &str) -> Result<(), EngineError> {
        let Err(refused) = self.docker.rename(id, name).await else { return Ok(()) };
        let holder = self.docker.container(name).await?;
        if holder.is_none_or(|holder| holder.id == *id) {
            return Err(refused.into());
        }
        if let Some(revived) = self.docker.container(id.as_str()).await? {
            self.stop_for_good(&revived).await?;
        }
        Err(EngineError::Overtaken { name: name.to_owned() })
    }

    /// Starts those again that live in the namespaces of a container and were
    /// left running when it was stopped: its namespaces are new ones now.
    async fn rejoin(&self, revived: &Container, project: &[Container]) -> Result<(), EngineError> {
        let started = match self.docker.container(revived.id.as_str()).await? {
            Some(now) if now.state == ContainerState::Running => now.started,
            _ => return Ok(()),
        };
        for joiner in project.iter().filter(|one| names::parse(&one.name).is_none()) {
            let joins = document::joins(&joiner.document).contains(&revived.id);
            let left = joiner.state == ContainerState::Running && joiner.started < started;
            // Stopped after that: by us, a moment ago, before we were killed.
            let halfway =
                matches!(joiner.state, ContainerState::Exited(_)) && joiner.finished >= started;
            if joins && (left || halfway) {
                self.docker.stop(&joiner.id, joiner.stop_grace()).await?;
                self.docker.start(&joiner.id).await?;
            }
        }
        Ok(())
    }

    /// Stops a container as it asks to be stopped, and removes it without its
    /// volumes.
    async fn remove(&self, container: &Container) -> Result<(), EngineError> {
        if container.state != ContainerState::Created {
            self.docker.stop(&container.id, container.stop_grace()).await?;
        }
        Ok(self.docker.remove(&container.id, false, true).await?)
    }
}
