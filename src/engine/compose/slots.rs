//! The places of a service's containers in the middle of a rollback: for each
//! number what has the service's own name, what is being prepared and what is
//! kept aside. Pure; how far a step came is read from here alone.

use std::{cmp::Reverse, collections::BTreeMap};

use rollbackd_core::{
    revision::ContainerState,
    words::{IncidentId, ServiceName},
};

use super::{
    names::{self, Part},
    observe::is_service,
};
use crate::docker::container::Container;

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

/// What a put back must remove: the replacements of a rollback. `None` when
/// nothing was put aside, so that nothing has to be put back.
pub(super) fn replacements<'a>(slots: &BTreeMap<u32, Slot<'a>>) -> Option<Vec<&'a Container>> {
    slots.values().any(|slot| !slot.old.is_empty()).then_some(())?;
    let mut remove: Vec<&Container> = Vec::new();
    for slot in slots.values() {
        remove.extend(&slot.new);
        if !slot.old.is_empty() {
            remove.extend(slot.plain);
        }
    }
    // Replacements are all made before the first is put in its place. So what
    // has a number that nothing was put aside for, and is not older than a
    // replacement, was made where there was none.
    let made = slots.values().filter(|slot| !slot.old.is_empty()).filter_map(|slot| slot.plain);
    if let Some(earliest) = made.filter_map(|one| one.created).min() {
        let untouched = slots.values().filter(|slot| slot.old.is_empty() && slot.new.is_empty());
        let later = |one: &&Container| one.created.is_some_and(|created| created >= earliest);
        remove.extend(untouched.filter_map(|slot| slot.plain).filter(later));
    }
    Some(remove)
}
