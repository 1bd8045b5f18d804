//! The places of a service's containers in the middle of a rollback: for each
//! number what has the service's own name, what is being prepared and what is
//! kept aside. Pure; how far a step came is read from here alone.

use std::{cmp::Reverse, collections::BTreeMap};

use rollbackd_core::{
    revision::ContainerState,
    words::{ContainerId, IncidentId, ServiceName},
};

use super::{
    names::{self, Part},
    observe::is_service,
};
use crate::{docker::container::Container, store::Touch};

/// One number of a service.
#[derive(Debug, Default)]
pub(super) struct Slot<'a> {
    /// What has a name of its own: what runs, or what shall run.
    pub(super) plain: Option<&'a Container>,
    /// Further containers of the same number that somebody left behind.
    pub(super) extra: Vec<&'a Container>,
    /// Replacements in preparation. They were never started.
    pub(super) new: Vec<&'a Container>,
    /// What this rollback has put aside.
    pub(super) old: Vec<&'a Container>,
}

impl<'a> Slot<'a> {
    /// What has a name of its own, what runs first.
    pub(super) fn named(&self) -> impl Iterator<Item = &'a Container> {
        self.plain.into_iter().chain(self.extra.iter().copied())
    }
}

/// The numbers of a service, as one rollback sees them.
pub(super) fn slots<'a>(
    containers: &'a [Container],
    service: &ServiceName,
    incident: IncidentId,
) -> BTreeMap<u32, Slot<'a>> {
    let mut slots: BTreeMap<u32, Slot<'a>> = BTreeMap::new();
    let of_service = |one: &&Container| one.service.as_ref() == Some(service) && is_service(one);
    for container in containers.iter().filter(of_service) {
        let marked = names::parse(&container.name);
        if marked.as_ref().is_some_and(|marked| marked.incident != incident) {
            continue;
        }
        let slot = slots.entry(container.number).or_default();
        match marked.map(|marked| marked.part) {
            None => slot.extra.push(container),
            Some(Part::New) => slot.new.push(container),
            Some(Part::Old) => slot.old.push(container),
        }
    }
    for slot in slots.values_mut() {
        // What runs is what counts, then what was made last.
        slot.extra.sort_by_key(|one| (one.state != ContainerState::Running, Reverse(one.created)));
        if !slot.extra.is_empty() {
            slot.plain = Some(slot.extra.remove(0));
        }
    }
    slots
}

/// What a put back must remove: what the rollback made, given what it did to
/// each container. `None` when nothing was put aside, so that nothing has to be
/// put back.
///
/// # Errors
///
/// The container that somebody else has put in the place of what was put aside.
pub(super) fn replacements<'a>(
    slots: &BTreeMap<u32, Slot<'a>>,
    touched: &BTreeMap<ContainerId, Touch>,
) -> Result<Option<Vec<&'a Container>>, &'a Container> {
    if slots.values().all(|slot| slot.old.is_empty()) {
        return Ok(None);
    }
    let mut remove: Vec<&Container> = Vec::new();
    for slot in slots.values() {
        remove.extend(&slot.new);
        for container in slot.named() {
            match touched.get(&container.id) {
                Some(Touch::Made) => remove.push(container),
                // It was about to be put aside, and runs as it did.
                Some(Touch::Replaced) => {}
                None if slot.old.is_empty() => {}
                None => return Err(container),
            }
        }
    }
    Ok(Some(remove))
}
