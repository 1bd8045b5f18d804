//! Any fact at all: what the properties of the store are tried with.

use std::time::Duration;

use proptest::{collection::vec, option, prelude::*};
use rollbackd_core::{
    fact::Fact,
    guard::Guard,
    incident::{Breach, Cause, Incident, IncidentKind, Outcome, ServiceChange, StepRun},
    moment::Moment,
    plan::{Does, Fault, Plan, Replaced, Step, StepOutcome},
    revision::{Revision, ServiceRecord, Standing},
    settings::{Condition, Order},
    signal::Signal,
    words::{ContainerId, Fingerprint, ImageId, IncidentId, RevisionNo, ServiceName},
};

fn moment() -> impl Strategy<Value = Moment> {
    any::<u64>().prop_map(Moment::from_nanos)
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof!["\\PC{0,12}", Just("line\none \u{0} 'two' \"three\"".to_owned())]
}

fn service() -> impl Strategy<Value = ServiceName> {
    text().prop_map(ServiceName::new)
}

fn image() -> impl Strategy<Value = ImageId> {
    "[0-9a-f]{64}".prop_map(|digits| format!("sha256:{digits}").parse().unwrap())
}

pub(super) fn value() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<f64>().prop_filter("NaN is no value", |value| !value.is_nan()),
        Just(f64::INFINITY),
        Just(f64::NEG_INFINITY),
    ]
}

prop_compose! {
    fn breach()(
        name in text(), service in service(), value in option::of(value()),
        threshold in -1e9..1e9_f64, pending_since in moment(), at in moment(),
        signal in prop_oneof!["error_rate", "latency_p99", "health", "\\PC{1,8}"],
    ) -> Breach {
        Breach {
            trigger: name.as_str().into(), name, service, signal: Signal::parse(&signal),
            condition: Condition::Above(threshold), value, pending_since, at,
        }
    }
}

prop_compose! {
    fn record()(
        name in service(), image in text(), image_id in image(), print in text(),
        containers in vec("[0-9a-f]{64}", 0..3), depends_on in vec(service(), 0..2),
        digests in vec("sha256:[0-9a-f]{64}", 0..2), flags in any::<[bool; 4]>(),
    ) -> ServiceRecord {
        ServiceRecord {
            name, image, image_id, fingerprint: Fingerprint::new(print),
            containers: containers.into_iter().map(ContainerId::new).collect(),
            joins: depends_on.clone(), depends_on,
            stateful: flags[0], publishes: flags[1], one_shot: flags[2],
            digests, unattended: flags[3],
        }
    }
}

prop_compose! {
    fn revision()(
        number in any::<u32>(), began_at in moment(), deployed_at in moment(),
        services in vec(record(), 0..3), changed in vec(service(), 0..3),
    ) -> Revision {
        Revision { number: RevisionNo(number), began_at, deployed_at, services, changed }
    }
}

fn does() -> impl Strategy<Value = Does> {
    prop_oneof![
        Just(Does::Tell),
        Just(Does::Verify),
        (service(), service(), text(), image()).prop_map(|(service, also, reference, image)| {
            Does::Retag { service, along: vec![also], reference, image }
        }),
        (service(), image()).prop_map(|(service, image)| Does::Recreate {
            service,
            records: vec!["c0ffee".into()],
            image,
            replaces: Some(Replaced { image, containers: vec!["c0ffee".into()] }),
            order: Order::StartFirst,
            drain: Duration::from_millis(1500),
            start_timeout: Duration::new(60, 1),
        }),
        (service(), text(), image(), any::<u32>()).prop_map(
            |(service, reference, image, scale)| {
                let replaces = Replaced { image, containers: vec!["c0ffee".into()] };
                Does::Compose { service, reference, image, scale, replaces }
            }
        ),
        vec(service(), 0..2).prop_map(|services| Does::WaitHealthy { services }),
        vec(service(), 0..2).prop_map(|services| Does::Discard { services }),
        service().prop_map(|service| Does::PutBack { service }),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    (text(), does()).prop_map(|(name, does)| Step { name, does, limit: Duration::from_secs(9) })
}

fn cause() -> impl Strategy<Value = Cause> {
    prop_oneof![
        breach().prop_map(Cause::Breach),
        (text(), any::<bool>()).prop_map(|(reason, forward)| Cause::Person { reason, forward }),
        any::<u64>().prop_map(|id| Cause::NotRecovered { incident: IncidentId(id) }),
        any::<u64>().prop_map(|id| Cause::KnownBad { incident: IncidentId(id) }),
    ]
}

fn guard() -> impl Strategy<Value = Guard> {
    prop::sample::select(vec![Guard::Paused, Guard::Cooldown, Guard::NoTarget, Guard::Older])
}

fn outcome() -> impl Strategy<Value = Outcome> {
    prop::sample::select(vec![
        Outcome::Recovered,
        Outcome::Unverified,
        Outcome::NotRecovered,
        Outcome::Failed,
        Outcome::Refused,
    ])
}

prop_compose! {
    pub(super) fn incident()(
        id in any::<u64>(), refused in any::<bool>(), from in any::<u32>(),
        to in option::of(any::<u32>()), change in (service(), text(), image(), text(), image()),
        cause in cause(), joined in vec(breach(), 0..2), began_at in moment(),
        ended_at in option::of(moment()), acted in option::of((moment(), moment())),
        outcome in option::of(outcome()), reason in text(), steps in vec(step(), 0..3),
        went in option::of(prop_oneof![Just(Ok(())), Just(Err(Fault::Target))]),
    ) -> Box<Incident> {
        let (name, from_image, from_id, to_image, to_id) = change;
        let run = StepRun {
            name: reason.clone(), kind: "recreate".into(), began_at, ended_at, attempts: 2,
            outcome: went, output: reason.clone(),
        };
        Box::new(Incident {
            id: IncidentId(id),
            kind: if refused { IncidentKind::Refused } else { IncidentKind::Rollback },
            project: "shop".into(),
            services: vec![ServiceChange { name, from_image, from_id, to_image, to_id }],
            from: RevisionNo(from), to: to.map(RevisionNo), cause, joined, began_at, ended_at,
            acted, outcome, reason, steps: vec![run],
            plan: Plan { undo: steps.clone(), steps },
        })
    }
}

/// Every variant. A new one fails to compile in [`variant`] below.
pub(super) fn fact() -> impl Strategy<Value = Fact> {
    let id = || any::<u64>().prop_map(IncidentId);
    let project = || text().prop_map(rollbackd_core::words::ProjectName::new);
    let standing = prop::sample::select(vec![Standing::Baking, Standing::Good, Standing::Bad]);
    let ended = prop_oneof![
        text().prop_map(StepOutcome::Done),
        text().prop_map(|why| StepOutcome::Failed { why, fault: Fault::World }),
    ];
    prop_oneof![
        (project(), moment(), vec(service(), 0..3))
            .prop_map(|(project, at, services)| Fact::DeploymentBegan { project, at, services }),
        (project(), vec(service(), 0..3))
            .prop_map(|(project, services)| Fact::DeploymentGrew { project, services }),
        (project(), revision())
            .prop_map(|(project, revision)| Fact::DeploymentEnded { project, revision }),
        (project(), moment()).prop_map(|(project, at)| Fact::DeploymentVanished { project, at }),
        (project(), any::<u32>(), standing, moment(), any::<bool>(), text()).prop_map(
            |(project, revision, standing, at, returnable, reason)| {
                let revision = RevisionNo(revision);
                Fact::Stands { project, revision, standing, at, returnable, reason }
            }
        ),
        (project(), any::<u32>(), moment(), text()).prop_map(|(project, revision, at, reason)| {
            Fact::Clean { project, revision: RevisionNo(revision), at, reason }
        }),
        (project(), any::<u32>(), id()).prop_map(|(project, revision, incident)| {
            Fact::Acquitted { project, revision: RevisionNo(revision), incident }
        }),
        (project(), vec(service(), 0..3), id(), moment())
            .prop_map(|(project, services, by, at)| Fact::KnownBad { project, services, by, at }),
        (project(), breach()).prop_map(|(project, breach)| Fact::Breached { project, breach }),
        (project(), text(), moment()).prop_map(|(project, trigger, at)| {
            Fact::Cleared { project, trigger: trigger.as_str().into(), at }
        }),
        (project(), text(), guard()).prop_map(|(project, trigger, guard)| {
            Fact::Alerted { project, trigger: trigger.as_str().into(), guard }
        }),
        (incident(), guard()).prop_map(|(incident, guard)| Fact::Refused { incident, guard }),
        incident().prop_map(Fact::RollbackBegan),
        (id(), breach()).prop_map(|(incident, breach)| Fact::Joined { incident, breach }),
        (id(), any::<u32>(), any::<u32>(), any::<bool>(), moment()).prop_map(
            |(incident, run, index, undo, at)| Fact::StepBegan { incident, run, index, undo, at }
        ),
        (id(), any::<u32>(), moment(), ended).prop_map(|(incident, run, at, outcome)| {
            Fact::StepEnded { incident, run, at, outcome }
        }),
        (id(), moment(), moment(), moment()).prop_map(|(incident, at, counts_from, until)| {
            Fact::Verifying { incident, at, counts_from, until }
        }),
        incident().prop_map(|incident| Fact::NextTarget { incident }),
        (id(), moment(), outcome(), text()).prop_map(|(incident, at, outcome, reason)| {
            Fact::RollbackEnded { incident, at, outcome, reason }
        }),
        (project(), option::of(moment()), text(), moment())
            .prop_map(|(project, until, reason, at)| Fact::Paused { project, until, reason, at }),
        (project(), moment()).prop_map(|(project, at)| Fact::Resumed { project, at }),
        (id(), moment()).prop_map(|(incident, at)| Fact::AbortAsked { incident, at }),
        (project(), text(), moment(), moment())
            .prop_map(|(project, id, at, until)| Fact::Announced { project, id, at, until }),
        (project(), moment()).prop_map(|(project, at)| Fact::CommandEnded { project, at }),
        (project(), moment(), any::<bool>())
            .prop_map(|(project, at, ran_out)| Fact::AnnouncementOver { project, at, ran_out }),
    ]
}

/// A number a variant; how many there are.
pub(super) const VARIANTS: usize = 25;

pub(super) fn variant(fact: &Fact) -> usize {
    match fact {
        Fact::DeploymentBegan { .. } => 0,
        Fact::DeploymentGrew { .. } => 1,
        Fact::DeploymentEnded { .. } => 2,
        Fact::DeploymentVanished { .. } => 3,
        Fact::Stands { .. } => 4,
        Fact::Breached { .. } => 5,
        Fact::Cleared { .. } => 6,
        Fact::Refused { .. } => 7,
        Fact::RollbackBegan(_) => 8,
        Fact::Joined { .. } => 9,
        Fact::StepBegan { .. } => 10,
        Fact::StepEnded { .. } => 11,
        Fact::Verifying { .. } => 12,
        Fact::NextTarget { .. } => 13,
        Fact::RollbackEnded { .. } => 14,
        Fact::Clean { .. } => 18,
        Fact::Acquitted { .. } => 19,
        Fact::KnownBad { .. } => 20,
        Fact::Paused { .. } => 15,
        Fact::Resumed { .. } => 16,
        Fact::Alerted { .. } => 17,
        Fact::AbortAsked { .. } => 21,
        Fact::Announced { .. } => 22,
        Fact::CommandEnded { .. } => 23,
        Fact::AnnouncementOver { .. } => 24,
    }
}
