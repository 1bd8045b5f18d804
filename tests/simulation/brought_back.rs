//! What holds of images that were rolled back from and run again.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use rollbackd_core::{
    guard::Guard,
    incident::{Cause, Incident, Outcome},
    moment::Moment,
    revision::{Revision, ServiceRecord, Standing},
    words::{ImageId, RevisionNo, ServiceName},
};

use crate::{
    account::Account,
    promises::{Began, Verdict, check},
};

/// Whoever deploys a bad image so soon again has not thought about it.
const SOON: Duration = Duration::from_secs(300);
const HOUR: Duration = Duration::from_secs(3600);

/// What is known of bad images.
#[derive(Clone, Debug, Default)]
pub struct BadImages {
    /// When each was rolled back from.
    since: BTreeMap<ImageId, Moment>,
    /// Services that people were told of in the deployment under way.
    announced: BTreeSet<ServiceName>,
    /// A deployment that brought one back without a person, and nothing was
    /// decided of it yet.
    open: Option<RevisionNo>,
}

impl BadImages {
    pub fn rolled_back(&mut self, incident: &Incident, outcome: Outcome, now: Moment) {
        let by_hand = matches!(incident.cause, Cause::Person { .. });
        let went = !matches!(outcome, Outcome::Failed | Outcome::Refused);
        for change in incident.services.iter().filter(|_| went) {
            if by_hand || incident.goes_forward() {
                self.since.remove(&change.to_id);
            }
        }
        let helped = matches!(outcome, Outcome::Recovered | Outcome::Unverified);
        for change in incident.services.iter().filter(|_| helped && !incident.goes_forward()) {
            if change.from_id != change.to_id {
                self.since.insert(change.from_id, now);
            }
        }
    }

    pub fn proved_good(&mut self, revision: &Revision) {
        for service in &revision.services {
            self.since.remove(&service.image_id);
        }
    }

    /// Was this image's containers' start nobody's own doing?
    fn unattended(&self, record: &ServiceRecord, began: Moment) -> Option<bool> {
        let bad = self.since.get(&record.image_id)?;
        Some(record.unattended || began < *bad + SOON)
    }

    pub fn deploying(&mut self) {
        self.announced.clear();
    }

    pub fn announced(&mut self, services: &[ServiceName]) -> Verdict {
        let again = services.iter().find(|service| !self.announced.insert((*service).clone()));
        check(again.is_none(), || format!("{again:?} was announced before"))
    }

    /// A deployment has ended, with what in it is known to be bad.
    pub fn deployed(&mut self, revision: &Revision) {
        let bad = |name: &&ServiceName| {
            let record = revision.service(name);
            record.and_then(|record| self.unattended(record, revision.began_at)) == Some(true)
        };
        self.open = revision.changed.iter().any(|name| bad(&name)).then_some(revision.number);
    }

    /// Something was decided of a breach or of what was brought back.
    pub fn decided(&mut self, cause: &Cause) {
        if matches!(cause, Cause::KnownBad { .. }) {
            self.open = None;
        }
    }

    /// Do these revisions differ in what was brought back?
    fn would_help(&self, brought: &Revision, target: &Revision) -> bool {
        brought.changed.iter().any(|name| {
            let (bad, good) = (brought.service(name), target.service(name));
            let back =
                bad.and_then(|record| self.unattended(record, brought.began_at)) == Some(true);
            back && bad.zip(good).is_some_and(|(bad, good)| bad.image_id != good.image_id)
        })
    }
}

/// At the end of a second.
pub fn what_a_puller_brings_back_is_put_back_or_refused_at_once(account: &mut Account) -> Verdict {
    let Some(number) = account.bad.open.take() else { return Ok(()) };
    let brought = &account.revisions[&number].revision;
    let mut earlier = account.revisions.range(..number).rev().map(|(_, known)| known);
    let target = earlier.find(|known| known.returnable && known.standing != Standing::Bad);
    let target = target.filter(|known| account.bad.would_help(brought, &known.revision));
    check(target.is_none(), || format!("revision {number} stays as it is"))
}

pub fn only_what_nobody_deployed_is_put_back_without_a_breach(began: &Began<'_>) -> Verdict {
    let (Cause::KnownBad { .. }, account) = (&began.incident.cause, began.account) else {
        return Ok(());
    };
    let Some(known) = account.current.and_then(|number| account.revisions.get(&number)) else {
        return Err("nothing was deployed".into());
    };
    let returned = |name: &ServiceName| {
        let record = known.revision.service(name);
        record.and_then(|r| account.bad.unattended(r, known.revision.began_at)) == Some(true)
    };
    let person = began.incident.services.iter().find(|change| !returned(&change.name));
    check(person.is_none(), || {
        format!("{:?} is not known bad, or a person's", person.unwrap().name)
    })
}

pub fn put_back_at_most_three_times_an_hour(began: &Began<'_>) -> Verdict {
    let Cause::KnownBad { .. } = began.incident.cause else { return Ok(()) };
    let recent = |at: &&Moment| began.now.since(**at) < HOUR;
    let times = began.account.put_back.iter().filter(recent).count();
    check(times < 3, || format!("it was put back {times} times within an hour"))
}

pub fn a_refusal_after_that_says_what_to_stop(incident: &Incident, guard: Guard) -> Verdict {
    let says = incident.reason.contains("brought back again") && incident.reason.contains("stop ");
    check(guard != Guard::BroughtBack || says, || incident.reason.clone())
}

/// A deployment of a bad image was announced by its end.
pub fn a_bad_image_is_announced(account: &Account, revision: &Revision) -> Verdict {
    let bad = |name: &&ServiceName| {
        let record = revision.service(name);
        // What became bad while it was under way is announced by its rollback.
        let since = record.and_then(|record| account.bad.since.get(&record.image_id));
        since.is_some_and(|since| *since < revision.began_at)
    };
    let silent = revision.changed.iter().filter(bad).find(|s| !account.bad.announced.contains(*s));
    check(silent.is_none(), || format!("people were not told of {silent:?}"))
}
