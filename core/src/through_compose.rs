//! The plan for an image that never ran here: Compose makes the containers, and
//! what ran is put back from its record where that fails.

use alloc::{collections::BTreeSet, format, vec::Vec};

use crate::{
    event::Refusal,
    incident::ServiceChange,
    plan::{Does, Plan, Replaced, Step},
    planner::{self, Planned},
    project::Project,
    revision::ServiceRecord,
    settings::{Order, ProjectSettings},
    words::{ImageId, RevisionNo, ServiceName},
};

/// The newest revision in which a service ran this image and that can be
/// returned to: then its record is put back, which needs no Compose and no file.
pub(crate) fn ran_here(
    project: &Project,
    service: &ServiceName,
    image: ImageId,
) -> Option<RevisionNo> {
    let ran = |number: &RevisionNo| {
        let known = project.durable.revisions.get(number);
        let record = known.and_then(|known| known.revision.service(service));
        record.is_some_and(|record| record.image_id == image)
    };
    let gone = |number: &RevisionNo| matches!(project.restorable.get(number), Some(Some(_)));
    project.durable.revisions.keys().rev().copied().find(|number| ran(number) && !gone(number))
}

/// What of a service has to be known before Compose is asked for anything.
pub(crate) fn runs<'a>(
    project: &'a Project,
    service: &ServiceName,
    image: ImageId,
) -> Result<&'a ServiceRecord, Refusal> {
    let name = &project.name;
    let Some(running) = project.running(service) else {
        return Err(Refusal {
            message: format!("{name}/{service} has no container that could be replaced"),
            hint: "deploy it with Compose first".into(),
        });
    };
    if running.image_id == image {
        return Err(Refusal {
            message: format!("{name}/{service} already runs the image {}", image.short()),
            hint: format!("`rollbackd revisions {name}` lists what ran before"),
        });
    }
    Ok(running)
}

/// The plan that gives one service an image through Compose.
pub(crate) fn plan(
    project: &Project,
    settings: &ProjectSettings,
    now: &ServiceRecord,
    reference: &str,
    image: ImageId,
) -> Planned {
    let only: BTreeSet<ServiceName> = [now.name.clone()].into();
    let followers = planner::followers(project, &only);
    let follow = |record: &&ServiceRecord| planner::recreate(record, record, settings);
    let moved: Vec<ServiceName> = followers.iter().map(|record| record.name.clone()).collect();
    let all: Vec<ServiceName> = core::iter::once(&now.name).chain(&moved).cloned().collect();

    let mut steps = alloc::vec![planner::tell("tell people that it begins")];
    steps.push(compose(now, reference, image, settings));
    steps.extend(followers.iter().map(follow));
    steps.push(Step {
        name: "wait until healthy".into(),
        does: Does::WaitHealthy { services: all.clone() },
        limit: settings.start_timeout,
    });
    if !moved.is_empty() {
        steps.push(discard(moved));
    }
    steps.push(Step { name: "verify".into(), does: Does::Verify, limit: settings.recover_within });
    steps.push(planner::tell("tell people how it ended"));

    // Compose removes what it replaces, so it is made again from its record,
    // and after it those that live in its namespaces.
    let mut undo = alloc::vec![retag(now), again(now, image, settings)];
    undo.extend(followers.iter().map(follow));
    undo.push(discard(all));
    undo.push(planner::tell("tell people how it ended"));

    let change = ServiceChange {
        name: now.name.clone(),
        from_image: now.image.clone(),
        from_id: now.image_id,
        to_image: reference.into(),
        to_id: image,
    };
    Planned { services: alloc::vec![change], plan: Plan { steps, undo } }
}

fn compose(
    now: &ServiceRecord,
    reference: &str,
    image: ImageId,
    settings: &ProjectSettings,
) -> Step {
    Step {
        name: format!("deploy {} with {reference}", now.name),
        does: Does::Compose {
            service: now.name.clone(),
            reference: reference.into(),
            image,
            scale: u32::try_from(now.containers.len()).unwrap_or(1),
            replaces: Replaced { image: now.image_id, containers: now.containers.clone() },
        },
        limit: settings.start_timeout + planner::REPLACE,
    }
}

/// The tag names again what ran: what is made again is then called as it was.
fn retag(now: &ServiceRecord) -> Step {
    Step {
        name: format!("retag {} as {}", now.image_id.short(), now.image),
        does: Does::Retag {
            service: now.name.clone(),
            along: Vec::new(),
            reference: now.image.clone(),
            image: now.image_id,
        },
        limit: planner::RETAG,
    }
}

/// What ran is made again, whatever Compose has left of it.
fn again(now: &ServiceRecord, image: ImageId, settings: &ProjectSettings) -> Step {
    let was = planner::recreate(now, now, settings);
    let does = Does::Recreate {
        service: now.name.clone(),
        records: now.containers.clone(),
        image: now.image_id,
        replaces: Some(Replaced { image, containers: now.containers.clone() }),
        order: Order::StopFirst,
        drain: settings.drain,
        start_timeout: settings.start_timeout,
    };
    Step { name: format!("make {} again as it ran", now.name), does, ..was }
}

fn discard(services: Vec<ServiceName>) -> Step {
    Step {
        name: "remove what was replaced".into(),
        does: Does::Discard { services },
        limit: planner::DISCARD,
    }
}
