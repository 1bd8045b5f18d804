//! The standard plan: which services go back to what, in which order, by which
//! steps.

use alloc::{collections::BTreeSet, format, vec::Vec};
use core::time::Duration;

use crate::{
    incident::ServiceChange,
    plan::{Does, Plan, Replaced, Step},
    project::Project,
    revision::{Revision, ServiceRecord},
    settings::{ProjectSettings, Scope},
    words::{ImageId, RevisionNo, ServiceName},
};

/// How long an engine may take over a tag.
pub(crate) const RETAG: Duration = Duration::from_secs(60);
/// How long a replacement may take, besides the time to start: a container may
/// use its whole `stop_grace_period` first.
pub(crate) const REPLACE: Duration = Duration::from_secs(300);
/// How long removing what was kept aside may take.
pub(crate) const DISCARD: Duration = Duration::from_secs(120);

/// What a rollback would do.
pub(crate) struct Planned {
    pub(crate) services: Vec<ServiceChange>,
    pub(crate) plan: Plan,
}

/// Which services go back to a revision because of a breach of `service`.
pub(crate) fn in_scope(
    project: &Project,
    settings: &ProjectSettings,
    to: RevisionNo,
    suspects: &[RevisionNo],
    service: &ServiceName,
) -> BTreeSet<ServiceName> {
    let durable = &project.durable;
    let Some(target) = durable.revisions.get(&to).map(|known| &known.revision) else {
        return BTreeSet::new();
    };
    let blamed = if suspects.is_empty() { durable.current.as_slice() } else { suspects };
    let chosen: BTreeSet<ServiceName> = match settings.scope {
        Scope::Service => [service.clone()].into(),
        Scope::Deployment => durable.changed(blamed),
        Scope::Project => whole(target, settings),
    };
    chosen.into_iter().filter(|name| goes_back(project, target, name)).collect()
}

/// Every service that differs from a revision, those with named volumes only
/// where the configuration says so.
pub(crate) fn all_that_differ(
    project: &Project,
    settings: &ProjectSettings,
    to: &Revision,
) -> BTreeSet<ServiceName> {
    whole(to, settings).into_iter().filter(|name| goes_back(project, to, name)).collect()
}

fn whole(to: &Revision, settings: &ProjectSettings) -> BTreeSet<ServiceName> {
    let goes = to.services.iter().filter(|service| settings.stateful || !service.stateful);
    goes.map(|service| service.name.clone()).collect()
}

/// It was there, it runs something else now, and it is not a job that has run.
fn goes_back(project: &Project, to: &Revision, name: &ServiceName) -> bool {
    let Some(target) = to.service(name) else { return false };
    match project.running(name) {
        None => !target.one_shot,
        Some(now) => now.fingerprint != target.fingerprint && !(now.one_shot && target.one_shot),
    }
}

/// The plan that puts these services back to a revision; `None` if there is
/// nothing to put back.
pub(crate) fn plan(
    project: &Project,
    settings: &ProjectSettings,
    from: &Revision,
    to: &Revision,
    services: &BTreeSet<ServiceName>,
) -> Option<Planned> {
    let order = in_order(to, services);
    let changes: Vec<Change<'_>> =
        order.iter().filter_map(|name| Change::of(project, from, to, name)).collect();
    if changes.is_empty() {
        return None;
    }
    let followers = followers(project, services);
    // Followers take their own place.
    let recreated: Vec<(&ServiceRecord, &ServiceRecord)> = changes
        .iter()
        .map(|change| (change.target, change.now))
        .chain(followers.into_iter().map(|record| (record, record)))
        .collect();
    let names: Vec<ServiceName> = recreated.iter().map(|(record, _)| record.name.clone()).collect();

    let mut steps = alloc::vec![tell("tell people that it begins")];
    let targets = changes.iter().map(|change| (change, change.target.image_id)).collect();
    steps.extend(retags(targets));
    steps.extend(recreated.iter().map(|(record, now)| recreate(record, now, settings)));
    steps.push(Step {
        name: "wait until healthy".into(),
        does: Does::WaitHealthy { services: names.clone() },
        limit: settings.start_timeout,
    });
    steps.push(Step {
        name: "remove what was replaced".into(),
        does: Does::Discard { services: names.clone() },
        limit: DISCARD,
    });
    steps.push(Step { name: "verify".into(), does: Does::Verify, limit: settings.recover_within });
    steps.push(tell("tell people how it ended"));

    let mut undo: Vec<Step> = names.iter().rev().map(put_back).collect();
    let moved = changes.iter().filter(|change| change.from_image == change.target.image);
    undo.extend(retags(moved.map(|change| (change, change.from_id)).collect()));
    undo.push(tell("tell people how it ended"));

    let services = changes.iter().map(Change::record).collect();
    Some(Planned { services, plan: Plan { steps, undo } })
}

/// One service's way back.
struct Change<'a> {
    target: &'a ServiceRecord,
    now: &'a ServiceRecord,
    from_image: &'a str,
    from_id: ImageId,
}

impl<'a> Change<'a> {
    fn of(
        project: &'a Project,
        from: &'a Revision,
        to: &'a Revision,
        name: &ServiceName,
    ) -> Option<Self> {
        let target = to.service(name)?;
        let now = project.running(name).or_else(|| from.service(name)).unwrap_or(target);
        Some(Self { target, now, from_image: &now.image, from_id: now.image_id })
    }

    fn record(&self) -> ServiceChange {
        ServiceChange {
            name: self.target.name.clone(),
            from_image: self.from_image.into(),
            from_id: self.from_id,
            to_image: self.target.image.clone(),
            to_id: self.target.image_id,
        }
    }
}

pub(crate) fn tell(name: &str) -> Step {
    Step { name: name.into(), does: Does::Tell, limit: Duration::ZERO }
}

/// A step for each tag and image: services that go to one image by one tag do
/// so together, so that none of them keeps the tag where it is for the others.
fn retags(changes: Vec<(&Change<'_>, ImageId)>) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for (change, image) in changes {
        let target = change.target;
        let alike = steps.iter_mut().find_map(|step| match &mut step.does {
            Does::Retag { along, reference, image: same, .. }
                if *reference == target.image && *same == image =>
            {
                Some(along)
            }
            _ => None,
        });
        if let Some(along) = alike {
            along.push(target.name.clone());
            continue;
        }
        let (service, reference) = (target.name.clone(), target.image.clone());
        steps.push(Step {
            name: format!("retag {} as {}", image.short(), target.image),
            does: Does::Retag { service, along: Vec::new(), reference, image },
            limit: RETAG,
        });
    }
    steps
}

pub(crate) fn recreate(
    record: &ServiceRecord,
    now: &ServiceRecord,
    settings: &ProjectSettings,
) -> Step {
    let replaces = Replaced { image: now.image_id, containers: now.containers.clone() };
    Step {
        name: format!("recreate {}", record.name),
        does: Does::Recreate {
            service: record.name.clone(),
            records: record.containers.clone(),
            image: record.image_id,
            replaces: Some(replaces),
            order: settings.order,
            drain: settings.drain,
            start_timeout: settings.start_timeout,
        },
        limit: settings.start_timeout + settings.drain + REPLACE,
    }
}

fn put_back(service: &ServiceName) -> Step {
    Step {
        name: format!("put back {service}"),
        does: Does::PutBack { service: service.clone() },
        limit: REPLACE,
    }
}

/// Services that live in the namespaces of those: they must be made again
/// after them, as they are.
pub(crate) fn followers<'a>(
    project: &'a Project,
    services: &BTreeSet<ServiceName>,
) -> Vec<&'a ServiceRecord> {
    let seen = project.seen.as_ref().map(|seen| seen.services.as_slice()).unwrap_or_default();
    seen.iter()
        .map(|service| &service.record)
        .filter(|record| !services.contains(&record.name))
        .filter(|record| record.joins.iter().any(|joined| services.contains(joined)))
        .collect()
}

/// What others depend on comes first; a circle is cut where it closes.
fn in_order(to: &Revision, services: &BTreeSet<ServiceName>) -> Vec<ServiceName> {
    fn visit(
        name: &ServiceName,
        to: &Revision,
        services: &BTreeSet<ServiceName>,
        visited: &mut BTreeSet<ServiceName>,
        order: &mut Vec<ServiceName>,
    ) {
        if !visited.insert(name.clone()) {
            return;
        }
        if let Some(record) = to.service(name) {
            for before in record.depends_on.iter().chain(&record.joins) {
                visit(before, to, services, visited, order);
            }
        }
        if services.contains(name) {
            order.push(name.clone());
        }
    }
    let (mut visited, mut order) = (BTreeSet::new(), Vec::new());
    for name in services {
        visit(name, to, services, &mut visited, &mut order);
    }
    order
}
