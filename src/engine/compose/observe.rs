//! From a project's containers to what it runs: services, their fingerprints
//! and what a revision records of them. Pure; asking the engine is `look`'s.

use std::collections::{BTreeMap, BTreeSet};

use rollbackd_core::{
    moment::Moment,
    revision::{ContainerSeen, Observation, ServiceRecord, ServiceSeen},
    words::{ContainerId, ProjectName, ServiceName},
};

use super::{
    document,
    fingerprint::of_service,
    names::{self, Marked, Part},
    origin::Origins,
};
use crate::{
    docker::{container::Container, labels},
    host::clock::Clock,
};

/// The label of an anchor: the image that it keeps.
pub(super) const KEEP_LABEL: &str = "rollbackd.keep";

/// The containers that are the project's services now: no one-off containers,
/// no anchors, and of those that a rollback made or moved only one that was
/// moved aside a moment ago and whose successor does not have its name yet.
pub(super) fn present(containers: &[Container]) -> Vec<&Container> {
    let services = || containers.iter().filter(|one| is_service(one));
    let place = |one: &Container| (one.service.clone(), one.number);
    let mut named = BTreeSet::new();
    let mut coming = BTreeSet::new();
    for container in services() {
        match names::parse(&container.name) {
            None => named.insert(place(container)),
            Some(Marked { part: Part::New, .. }) => coming.insert(place(container)),
            Some(Marked { part: Part::Old, .. }) => false,
        };
    }
    let stands = |container: &&Container| match names::parse(&container.name) {
        None => true,
        Some(Marked { part: Part::New, .. }) => false,
        Some(Marked { part: Part::Old, .. }) => {
            let place = place(container);
            coming.contains(&place) && !named.contains(&place)
        }
    };
    services().filter(stands).collect()
}

/// Does it belong to a service at all? An image that Compose built hands its
/// project and service labels down to whatever is run from it by hand; only
/// what Compose itself made has a number.
pub(super) fn is_service(container: &Container) -> bool {
    let anchor = container.label(KEEP_LABEL).is_some();
    let numbered = container.label(labels::NUMBER).is_some();
    container.service.is_some() && numbered && !container.one_off && !anchor
}

/// What the project runs. `former` names the services of containers that are
/// gone but still named by others (`container:<id>`).
pub(super) fn observation(
    project: &ProjectName,
    containers: &[Container],
    former: &BTreeMap<ContainerId, ServiceName>,
    origins: &Origins,
    clock: &Clock,
    changed_at: Option<Moment>,
) -> Observation {
    let mut services = former.clone();
    services.extend(service_of_each(containers));
    let mut grouped: BTreeMap<&ServiceName, Vec<&Container>> = BTreeMap::new();
    for container in present(containers) {
        if let Some(service) = &container.service {
            grouped.entry(service).or_default().push(container);
        }
    }
    let seen = |(name, mut containers): (&ServiceName, Vec<&Container>)| {
        containers.sort_by(|a, b| (a.number, &a.name).cmp(&(b.number, &b.name)));
        service_seen(name, &containers, &services, origins, clock)
    };
    Observation {
        project: project.clone(),
        at: clock.now(),
        changed_at,
        services: grouped.into_iter().filter_map(seen).collect(),
        pullers: origins.pullers.clone(),
    }
}

/// The service of every container, of whatever part.
pub(super) fn service_of_each(containers: &[Container]) -> BTreeMap<ContainerId, ServiceName> {
    let service = |one: &Container| Some((one.id.clone(), one.service.clone()?));
    containers.iter().filter_map(service).collect()
}

/// One service; `None` where the engine tells the image of none of its
/// containers.
fn service_seen(
    name: &ServiceName,
    containers: &[&Container],
    services: &BTreeMap<ContainerId, ServiceName>,
    origins: &Origins,
    clock: &Clock,
) -> Option<ServiceSeen> {
    let first = containers.iter().find(|container| container.image_id.is_some())?;
    let any = |holds: fn(&Container) -> bool| containers.iter().any(|one| holds(one));
    let depends_on: BTreeSet<_> = first.depends_on().into_iter().map(|on| on.service).collect();
    let joined = containers.iter().flat_map(|one| document::joins(&one.document));
    let joins: BTreeSet<ServiceName> =
        joined.filter_map(|id| services.get(&id).cloned()).filter(|other| other != name).collect();
    let image_id = first.image_id?;
    let record = ServiceRecord {
        name: name.clone(),
        image: first.image.clone(),
        image_id,
        fingerprint: of_service(containers, services),
        containers: containers.iter().map(|one| one.id.clone()).collect(),
        depends_on: depends_on.into_iter().collect(),
        joins: joins.into_iter().collect(),
        stateful: any(|one| document::has_named_volume(&one.document)),
        publishes: any(|one| document::publishes(&one.document)),
        one_shot: containers.iter().all(|one| document::is_one_shot(one)),
        digests: origins.digests.get(&image_id).cloned().unwrap_or_default(),
        unattended: containers.iter().any(|one| origins.unattended.contains(&one.id)),
    };
    let containers = containers.iter().map(|one| container_seen(one, clock)).collect();
    Some(ServiceSeen { record, containers })
}

fn container_seen(container: &Container, clock: &Clock) -> ContainerSeen {
    ContainerSeen {
        id: container.id.clone(),
        state: container.state,
        health: container.health,
        started_at: container.started.map(|started| clock.first_moment_of(started)),
    }
}

/// When the first of these containers that nobody has seen yet was created.
pub(super) fn first_created(
    containers: &[Container],
    seen: impl Fn(&ContainerId) -> bool,
    clock: &Clock,
) -> Option<Moment> {
    let unseen = present(containers).into_iter().filter(|one| !seen(&one.id));
    unseen.filter_map(|one| one.created).min().map(|created| clock.moment_of(created))
}

#[cfg(test)]
#[path = "observe_tests.rs"]
mod tests;
