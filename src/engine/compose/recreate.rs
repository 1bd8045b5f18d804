//! Replacing a service's containers by recorded ones, the replacement created
//! before the old one stops, what ran kept aside.
//!
//! Every number of the service goes through the same stages, and which stage
//! it is at is read from names alone, so that a step that was killed anywhere
//! can be run again:
//!
//! ```text
//! NAME                           what runs
//! NAME  NAME.rollbackd-7.new     the replacement is created
//! NAME.old  NAME.new             between two renames
//! NAME.old  NAME                 swapped; what ran is stopped, NAME is started
//! ```
//!
//! A replacement in preparation never ran and holds nothing, so one that is
//! found is made anew.

use std::{collections::BTreeMap, time::Duration};

use rollbackd_core::{
    plan::Replaced,
    revision::ContainerState,
    settings::Order,
    words::{ContainerId, ImageId, ServiceName},
};
use serde_json::json;
use tokio::time::sleep;

use super::{
    Compose, Errand, document, names, ports,
    scene::{Exchange, Scene, done_for_good, may_run},
    slots::{Slot, slots},
};
use crate::{
    docker::{container::Container, error::DockerError},
    engine::error::EngineError,
    store::Touch,
};

/// What a service shall be again.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// The service.
    pub service: &'a ServiceName,
    /// The records to create from.
    pub records: &'a [ContainerId],
    /// The image they run.
    pub image: ImageId,
    /// What they take the place of, if that is known.
    pub replaces: Option<&'a Replaced>,
    /// Which runs first.
    pub order: Order,
    /// Start-first: how long both run once the new one is ready.
    pub drain: Duration,
    /// Start-first: how long the new one has to become ready.
    pub start_timeout: Duration,
}

impl Compose {
    /// Replaces a service's containers by recorded ones. Ends only when they
    /// have started; says what a person would want to know.
    ///
    /// # Errors
    ///
    /// When a record or image is gone, a port is taken or the order is not
    /// possible, before anything was changed; when the replacement cannot be
    /// created or started, with what ran kept aside.
    pub async fn recreate(
        &self,
        errand: Errand<'_>,
        target: Target<'_>,
    ) -> Result<String, EngineError> {
        let scene = self.scene(errand, target).await?;
        let places = slots(&scene.containers, target.service, errand.incident);
        leave_to_people(&scene, target, &places)?;
        let leftover: Vec<_> = places.values().flat_map(|slot| &slot.new).collect();
        let mut exchanges = self.exchanges(&scene, target, &places, errand.incident).await?;
        if leftover.is_empty() && exchanges.iter().all(Exchange::is_over) {
            return Ok(format!("{} already runs it", target.service));
        }
        refuse(&scene, target, &exchanges)?;
        self.try_ports(&scene, target, &places)?;
        for container in leftover {
            self.docker.remove(&container.id, false, true).await?;
        }
        for exchange in &mut exchanges {
            self.prepare(errand, exchange).await?;
        }
        // Names tell it until then.
        self.records.touch(errand.incident, touched(&exchanges)).await?;
        match target.order {
            Order::StopFirst => self.stop_first(errand, &exchanges).await?,
            Order::StartFirst => self.start_first(errand, target, &exchanges).await?,
        }
        Ok(String::new())
    }

    /// Are the host's ports free but for what is replaced?
    fn try_ports(
        &self,
        scene: &Scene,
        target: Target<'_>,
        places: &BTreeMap<u32, Slot<'_>>,
    ) -> Result<(), EngineError> {
        if !self.local {
            return Ok(());
        }
        let held =
            places.values().flat_map(|slot| slot.plain.iter().chain(&slot.extra).chain(&slot.old));
        let ours: Vec<_> = held.flat_map(|one| document::host_ports(&one.document)).collect();
        for record in scene.wanted.values() {
            let wanted = document::host_ports(&record.document);
            if let Some(taken) = ports::first_taken(&wanted, &ours) {
                let port = format!("{}/{}", taken.port, taken.protocol);
                return Err(EngineError::PortTaken { service: target.service.clone(), port });
            }
        }
        Ok(())
    }

    /// Creates a replacement, connected to all its networks.
    async fn prepare(
        &self,
        errand: Errand<'_>,
        exchange: &mut Exchange<'_>,
    ) -> Result<(), EngineError> {
        let Some(replica) = &exchange.replica else { return Ok(()) };
        let name = names::new(&replica.name, errand.incident);
        let id = self.docker.create(&name, &replica.body).await?;
        for (network, endpoint) in &replica.networks {
            self.docker.connect_network(network, &id, endpoint).await?;
        }
        exchange.created = Some(id);
        Ok(())
    }

    async fn stop_first(
        &self,
        errand: Errand<'_>,
        exchanges: &[Exchange<'_>],
    ) -> Result<(), EngineError> {
        for exchange in exchanges {
            self.swap(errand, exchange).await?;
            self.rest(exchange).await?;
            self.start(exchange).await?;
        }
        Ok(())
    }

    async fn start_first(
        &self,
        errand: Errand<'_>,
        target: Target<'_>,
        exchanges: &[Exchange<'_>],
    ) -> Result<(), EngineError> {
        let mut started = Vec::new();
        for exchange in exchanges {
            self.swap(errand, exchange).await?;
            self.start(exchange).await?;
            started.extend(exchange.runs().cloned());
        }
        self.wait_containers(errand, &started, target.start_timeout).await?;
        sleep(target.drain).await;
        for exchange in exchanges {
            self.rest(exchange).await?;
        }
        Ok(())
    }

    /// Gives the replacement the name, while what ran still runs.
    async fn swap(&self, errand: Errand<'_>, exchange: &Exchange<'_>) -> Result<(), EngineError> {
        if let Some(failed) = exchange.failed {
            self.docker.stop(&failed.id, failed.stop_grace()).await?;
            self.docker.remove(&failed.id, false, true).await?;
        }
        for container in &exchange.aside {
            // Put back is what was here last, as it was.
            self.records.put(container).await?;
            self.put_aside(container, &names::old(&container.name, errand.incident)).await?;
        }
        if let (Some(id), Some(replica)) = (&exchange.created, &exchange.replica) {
            self.rename(id, &replica.name, &replica.name).await?;
        }
        Ok(())
    }

    /// Takes the name from what ran. Between two runs of its restart policy a
    /// container's network is away and the engine cannot rename it; it serves
    /// nobody then, so it is stopped first.
    async fn put_aside(&self, container: &Container, name: &str) -> Result<(), EngineError> {
        let refused = match self.docker.rename(&container.id, name).await {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        let unclear =
            matches!(refused, DockerError::NotFound { .. } | DockerError::Conflict { .. });
        let now = self.docker.container(container.id.as_str()).await?;
        if !unclear || now.is_none_or(|now| now.name != container.name) {
            return Err(refused_rename(refused, &container.name));
        }
        self.stop_for_good(container).await?;
        self.rename(&container.id, name, &container.name).await
    }

    async fn rename(&self, id: &ContainerId, to: &str, whose: &str) -> Result<(), EngineError> {
        self.docker.rename(id, to).await.map_err(|error| refused_rename(error, whose))
    }

    /// Stops what was put aside, so that nothing but a put back starts it.
    async fn rest(&self, exchange: &Exchange<'_>) -> Result<(), EngineError> {
        for container in exchange.aside.iter().chain(&exchange.old) {
            self.stop_for_good(container).await?;
        }
        Ok(())
    }

    pub(super) async fn stop_for_good(&self, container: &Container) -> Result<(), EngineError> {
        if document::restart_policy(&container.document) != "no" {
            // An engine that restarts would bring it back beside the other.
            let never = json!({ "RestartPolicy": { "Name": "no" } });
            self.docker.update(&container.id, &never).await?;
        }
        if may_run(container) {
            self.docker.stop(&container.id, container.stop_grace()).await?;
        }
        Ok(())
    }

    /// Starts what has the name now.
    async fn start(&self, exchange: &Exchange<'_>) -> Result<(), EngineError> {
        let Some(id) = exchange.runs() else { return Ok(()) };
        if exchange.swapped.is_some_and(done_for_good) {
            return Ok(());
        }
        self.docker.start(id).await?;
        let Some(container) = self.docker.container(id.as_str()).await? else {
            let name =
                exchange.replica.as_ref().map_or_else(|| id.to_string(), |one| one.name.clone());
            return Err(EngineError::Meddled { name });
        };
        match container.state {
            ContainerState::Exited(code) if code != 0 => {
                let how = format!("exited with code {code} as soon as it was started");
                Err(EngineError::Ended { name: container.name, how })
            }
            _ => Ok(()),
        }
    }
}

/// What is made and what is replaced.
fn touched(exchanges: &[Exchange<'_>]) -> Vec<(ContainerId, Touch)> {
    let made = exchanges.iter().filter_map(|one| Some((one.created.clone()?, Touch::Made)));
    let replaced = exchanges.iter().flat_map(|one| &one.aside);
    made.chain(replaced.map(|one| (one.id.clone(), Touch::Replaced))).collect()
}

fn refused_rename(error: DockerError, whose: &str) -> EngineError {
    match error {
        DockerError::Conflict { .. } | DockerError::NotFound { .. } => {
            EngineError::Meddled { name: whose.to_owned() }
        }
        error => error.into(),
    }
}

/// What somebody has deployed since it was decided to go back is neither put
/// aside nor taken for a replacement of ours.
fn leave_to_people(
    scene: &Scene,
    target: Target<'_>,
    places: &BTreeMap<u32, Slot<'_>>,
) -> Result<(), EngineError> {
    let Some(replaced) = target.replaces else { return Ok(()) };
    let known = |one: &Container| {
        let goes_back = scene.wanted.values().any(|record| record.image_id == one.image_id);
        let went = one.image_id == Some(replaced.image) || replaced.containers.contains(&one.id);
        goes_back || went || one.image_id == Some(target.image)
    };
    let mut named = places.values().flat_map(Slot::named);
    match named.find(|one| !known(one)) {
        Some(theirs) => Err(EngineError::Overtaken { name: theirs.name.clone() }),
        None => Ok(()),
    }
}

/// Start-first where both cannot run at once is refused before anything is
/// changed.
fn refuse(
    scene: &Scene,
    target: Target<'_>,
    exchanges: &[Exchange<'_>],
) -> Result<(), EngineError> {
    let beside = exchanges.iter().any(|one| one.replica.is_some() && !one.aside.is_empty());
    if target.order == Order::StopFirst || !beside {
        return Ok(());
    }
    for record in scene.wanted.values() {
        let why = if let Some(port) = document::host_ports(&record.document).first() {
            format!("it publishes port {} of this host", port.port)
        } else if let Some(address) = document::fixed_addresses(&record.document).first() {
            format!("it has the fixed address {address}")
        } else {
            continue;
        };
        return Err(EngineError::NotStartFirst { service: target.service.clone(), why });
    }
    Ok(())
}
