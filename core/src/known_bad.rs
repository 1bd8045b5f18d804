//! Images that were rolled back from. Deployed again by a person, people are told
//! at once and the triggers are quicker; brought back by something that no
//! person ran, they are put back at once.

use alloc::{borrow::ToOwned, boxed::Box, collections::BTreeSet, format, string::String, vec::Vec};
use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    decide::{self, words},
    effect::News,
    fact::Fact,
    guard::Guard,
    incident::{Cause, Incident, Outcome},
    moment::Moment,
    project::{Durable, Project},
    reducer::{Core, Turn},
    revision::{Revision, ServiceRecord},
    settings::{Mode, ProjectSettings},
    words::{ImageId, IncidentId, ProjectName, RevisionNo, ServiceName},
};

/// An image that comes back so soon after its rollback was not brought by a
/// person who thought about it.
const SOON: Duration = Duration::from_secs(5 * 60);
/// How long a recreation without Compose has to be quiet before it is undone.
const QUIET: Duration = Duration::from_secs(5);
/// So many times within [`HOUR`] it is put back; then somebody must stop what
/// brings it.
const PUT_BACK_MOST: usize = 3;
const HOUR: Duration = Duration::from_secs(3600);

/// An image that was rolled back from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KnownBad {
    /// The rollback.
    pub(crate) by: IncidentId,
    /// When that ended.
    pub(crate) since: Moment,
    /// The image's registry digests.
    pub(crate) digests: Vec<String>,
}

impl Durable {
    /// A rollback has ended at its target: what it says of the images.
    pub(crate) fn went_back(&mut self, incident: &Incident, outcome: Outcome, at: Moment) {
        if incident.goes_forward() || matches!(incident.cause, Cause::Person { .. }) {
            // The person wins.
            for change in &incident.services {
                self.known_bad.remove(&change.to_id);
            }
        }
        if incident.goes_forward() || !matches!(outcome, Outcome::Recovered | Outcome::Unverified) {
            return;
        }
        let from = self.revisions.get(&incident.from).map(|known| &known.revision);
        for change in incident.services.iter().filter(|change| change.from_id != change.to_id) {
            let record = from.and_then(|from| from.service(&change.name));
            let digests = record.filter(|record| record.image_id == change.from_id);
            let digests = digests.map(|record| record.digests.clone()).unwrap_or_default();
            self.known_bad.insert(change.from_id, KnownBad { by: incident.id, since: at, digests });
        }
    }

    /// A revision's bake was observed: its images are not bad.
    pub(crate) fn proved_good(&mut self, revision: RevisionNo) {
        let Some(known) = self.revisions.get(&revision) else { return };
        let images: Vec<ImageId> = known.revision.services.iter().map(|s| s.image_id).collect();
        self.known_bad.retain(|image, _| !images.contains(image));
    }

    /// What is known against a service's image, by its ID or a digest.
    pub(crate) fn known_bad(&self, record: &ServiceRecord) -> Option<&KnownBad> {
        let by_digest = || {
            let same = |bad: &&KnownBad| bad.digests.iter().any(|d| record.digests.contains(d));
            self.known_bad.values().find(same)
        };
        self.known_bad.get(&record.image_id).or_else(by_digest)
    }
}

impl Project {
    /// What is known against the image that a service runs.
    pub(crate) fn runs_known_bad(&self, service: &ServiceName) -> Option<&KnownBad> {
        self.durable.known_bad(self.running(service)?)
    }

    /// How long nothing must change before the deployment under way has ended.
    pub(crate) fn settles_after(&self, settings: &ProjectSettings) -> Duration {
        let Some(deploying) = &self.durable.deploying else { return settings.settle };
        let returned = |service: &ServiceName| {
            self.running(service).is_some_and(|record| record.unattended)
                && self.runs_known_bad(service).is_some()
        };
        // No Compose is at work that would go on.
        let unattended = deploying.services.iter().all(returned);
        if unattended { settings.settle.min(QUIET) } else { settings.settle }
    }

    /// Was a known bad image brought without a person, by a deployment that began
    /// then? No Compose run made the containers, or it came too soon. Whoever
    /// announces a deployment is a person.
    fn came_by_itself(&self, record: &ServiceRecord, bad: &KnownBad, began: Moment) -> bool {
        self.durable.announced.is_none() && (record.unattended || began < bad.since + SOON)
    }

    /// The services in which a deployment brought back a known bad image
    /// without a person.
    fn returned<'a>(&'a self, deployed: &'a Revision) -> Vec<(&'a ServiceName, &'a KnownBad)> {
        let unattended = |service: &ServiceName| {
            let record = deployed.service(service)?;
            let bad = self.durable.known_bad(record)?;
            self.came_by_itself(record, bad, deployed.began_at).then_some(bad)
        };
        deployed.changed.iter().filter_map(|s| Some((s, unattended(s)?))).collect()
    }
}

impl Core {
    /// Tells people of known bad images that are being deployed, once each.
    pub(crate) fn announce(&self, now: Moment, name: &ProjectName, turn: &mut Turn) {
        let Some(project) = self.projects.get(name).filter(|p| p.settings.is_some()) else {
            return;
        };
        let announced = project.durable.deploying.as_ref().map(|deploying| &deploying.announced);
        let differing = project.differing();
        let new = differing.iter().filter(|s| announced.is_none_or(|known| !known.contains(*s)));
        let bad: Vec<(&ServiceName, &KnownBad)> =
            new.filter_map(|service| Some((service, project.runs_known_bad(service)?))).collect();
        let Some((_, first)) = bad.first() else { return };
        // It may have begun in this very turn.
        let begins = turn.facts.iter().find_map(|fact| match fact {
            Fact::DeploymentBegan { project, at, .. } if project == name => Some(*at),
            _ => None,
        });
        let under_way = project.durable.deploying.as_ref().map(|deploying| deploying.began);
        let began = begins.or(under_way).unwrap_or(now);
        let unattended = bad.iter().any(|(service, bad)| {
            let record = project.running(service);
            record.is_some_and(|record| project.came_by_itself(record, bad, began))
        });
        let (by, services) = (first.by, bad.iter().map(|(service, _)| (*service).clone()));
        let services: Vec<ServiceName> = services.collect();
        turn.tell(now, name, News::KnownBad { services: services.clone(), by, unattended });
        turn.facts.push(Fact::KnownBad { project: name.clone(), services, by, at: now });
    }

    /// A deployment has ended: what it brought back without a person is put
    /// back at once.
    pub(crate) fn put_back(
        &self,
        now: Moment,
        name: &ProjectName,
        deployed: &Revision,
        turn: &mut Turn,
    ) {
        let Some(known) = self.projects.get(name) else { return };
        let mut project = known.clone();
        turn.facts.iter().for_each(|fact| project.apply(fact, None));
        let Some(settings) = &project.settings else { return };
        let returned = project.returned(deployed);
        let Some((_, first)) = returned.first() else { return };
        let cause = Cause::KnownBad { incident: first.by };
        let services: BTreeSet<ServiceName> = returned.iter().map(|(s, _)| (*s).clone()).collect();
        let target = project.durable.target_before(&[deployed.number], &BTreeSet::new());
        let incident = target
            .and_then(|to| decide::incident(&project, settings, to, &services, cause.clone(), now));
        let Some(mut incident) = incident else {
            // Its triggers, which are quicker now, will say so when it matters.
            return;
        };
        let Some((guard, reason)) = held(&project, settings, &incident, now) else {
            self.begin(now, incident, turn);
            return;
        };
        incident.id = self.next_incident(turn);
        let refused = Box::new(incident.refuse(reason));
        turn.tell(now, name, News::Refused(refused.clone()));
        turn.facts.push(Fact::Refused { incident: refused, guard });
    }
}

/// What keeps a known bad image from being put back at once: all guards but
/// cooldown and budget, and that it came back too often.
fn held(
    project: &Project,
    settings: &ProjectSettings,
    incident: &Incident,
    now: Moment,
) -> Option<(Guard, String)> {
    if settings.mode == Mode::Observe {
        return Some((
            Guard::Observing,
            "mode = \"observe\": decided and told, not done".to_owned(),
        ));
    }
    if project.durable.pause.is_some() {
        return Some((Guard::Paused, format!("{} is paused", project.name)));
    }
    let recent = |at: Moment| at >= now - HOUR;
    let past = project.durable.past.iter().filter(|past| past.unattended && recent(past.at));
    let times = past.count();
    if times >= PUT_BACK_MOST {
        let pullers = project.seen.as_ref().map(|seen| seen.pullers.join(", "));
        let stop = match pullers.filter(|pullers| !pullers.is_empty()) {
            Some(names) => format!("stop the container that does it: {names}"),
            None => {
                "find what does it (a container with the engine's socket, a cron job) and stop it"
                    .into()
            }
        };
        let why = format!(
            "the bad image of {} was brought back again and has been put back {times} times within {}: {stop}",
            incident.service_names(),
            words(HOUR),
        );
        return Some((Guard::BroughtBack, why));
    }
    let missing = incident.to.and_then(|to| project.restorable.get(&to)?.as_ref())?;
    Some((Guard::NotRestorable, missing.clone()))
}
