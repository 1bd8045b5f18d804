//! What holds of whom a rollback blames and where it goes: judged, as in
//! `promises.rs`, by the facts, the engine and the sources alone.

use std::collections::BTreeSet;

use rollbackd_core::{
    fact::Fact,
    incident::Cause,
    revision::Standing,
    settings::{Action, Blame, Condition, TriggerSettings},
    signal::Signal,
    words::{RevisionNo, ServiceName},
};

use crate::{
    account::{Account, Known},
    life::Svc,
    promises::{Began, Verdict, check},
    timeline::since,
};

/// What the unfinished deployments changed.
fn deployed(account: &Account) -> BTreeSet<Svc> {
    let known = account.unfinished.iter().filter_map(|number| account.revisions.get(number));
    known.flat_map(|known| &known.revision.changed).map(Svc::of).collect()
}

/// What a service depends on, however far.
fn needs(svc: Svc) -> BTreeSet<Svc> {
    let direct = svc.depends_on().iter().map(|name| Svc::of(&ServiceName::new(*name)));
    direct.flat_map(|svc| needs(svc).into_iter().chain([svc])).collect()
}

fn careful<'a>(began: &'a Began<'_>) -> Option<&'a TriggerSettings> {
    began.trigger().filter(|trigger| trigger.blame == Blame::Careful)
}

pub fn none_while_an_undeployed_dependency_is_unwell(began: &Began<'_>) -> Verdict {
    let Some(trigger) = careful(began) else { return Ok(()) };
    let deployed = deployed(began.account);
    let current = began.account.current.and_then(|number| began.account.revisions.get(&number));
    let mut foreign = needs(Svc::of(&trigger.service)).into_iter().filter(|svc| {
        // What people took down long ago is not unwell.
        let known = current.map(|known| &known.revision);
        let here = known.and_then(|revision| revision.service(&ServiceName::new(svc.name())));
        here.is_some() && !deployed.contains(svc)
    });
    let unwell = foreign.find(|svc| !began.serves.contains(svc));
    check(unwell.is_none(), || format!("{unwell:?}, which was not deployed, is unwell"))
}

pub fn none_while_an_independent_service_is_bad_as_well(began: &Began<'_>) -> Verdict {
    let (Some(trigger), Some(settings)) = (careful(began), &began.settings) else { return Ok(()) };
    let Some(newest) = began.account.unfinished.last() else { return Ok(()) };
    let from = began.account.revisions[newest].revision.began_at;
    let mut deployed = deployed(began.account);
    deployed.insert(Svc::of(&trigger.service));
    for other in settings.triggers.iter().filter(|other| other.action == Action::Rollback) {
        let svc = Svc::of(&other.service);
        let mut tied = needs(svc);
        tied.extend(other.blames.iter().map(Svc::of).chain([svc]));
        let Some(breached) = began.account.breached.get(&other.id) else { continue };
        let says = began.newest.get(&other.id).and_then(|heard| heard.value);
        let bad = says.is_some_and(|value| other.condition.breached_by(value));
        // What is remembered of before a restart or a reload, the window may not know.
        let lately = breached.at >= began.daemon_began && breached.since >= from;
        check(!(bad && lately && tied.is_disjoint(&deployed)), || {
            format!("{} breaches since {} as well", other.name, since(breached.since))
        })?;
    }
    Ok(())
}

/// Not blamed on a deployment, unless it is half again as bad since.
pub fn none_for_what_had_held_before(began: &Began<'_>) -> Verdict {
    let (Some(breach), Some(heard)) = (began.breach(), &began.heard) else { return Ok(()) };
    let Some(first) = began.account.unfinished.first() else { return Ok(()) };
    let first = &began.account.revisions[first].revision;
    let is_older = breach.pending_since < first.began_at && breach.signal != Signal::Health;
    let known = heard.front().is_some_and(|oldest| oldest.asked < first.began_at);
    if !is_older || !known {
        return Ok(());
    }
    let excess = |value: f64| match breach.condition {
        Condition::Above(line) | Condition::AtLeast(line) => value - line,
        Condition::Below(line) => line - value,
    };
    let before = heard.iter().take_while(|one| one.told <= first.deployed_at);
    let least = before.filter_map(|one| one.value).map(excess).fold(f64::INFINITY, f64::min);
    let now = breach.value.map_or(0.0, excess);
    check(now >= least * 1.5 && now > least, || {
        format!("{} breaches since {}, before it", breach.name, since(breach.pending_since))
    })
}

pub fn never_with_fewer_than_its_group_needs(began: &Began<'_>) -> Verdict {
    let (Some(trigger), Some(settings)) = (began.trigger(), &began.settings) else { return Ok(()) };
    let group = settings.groups.iter().find(|group| Some(&group.name) == trigger.group.as_ref());
    let Some(group) = group else { return Ok(()) };
    let breaches = |other: &&TriggerSettings| {
        let says = began.newest.get(&other.id).and_then(|heard| heard.value);
        other.group == trigger.group
            && (began.account.breached.contains_key(&other.id)
                || says.is_some_and(|value| other.condition.breached_by(value)))
    };
    let breached = settings.triggers.iter().filter(breaches).count();
    check(breached >= group.needs as usize, || format!("{breached} of its group breach"))
}

/// To what nothing was ever held against, and no further back than needed.
pub fn to_the_newest_clean_revision_before_what_is_blamed(began: &Began<'_>) -> Verdict {
    let (incident, account) = (began.incident, began.account);
    let newest = match &incident.cause {
        Cause::Person { .. } | Cause::NotRecovered { .. } => return Ok(()),
        Cause::Breach(_) => {
            let Some(trigger) = began.trigger() else { return Ok(()) };
            let watched = |s: &ServiceName| *s == trigger.service || trigger.blames.contains(s);
            let touches =
                |n: &&RevisionNo| account.revisions[n].revision.changed.iter().any(watched);
            account.unfinished.iter().rev().find(touches).copied().or(account.current)
        }
        Cause::KnownBad { .. } => account.current,
    };
    let Some(newest) = newest else { return Ok(()) };
    clean_before(account, newest, incident.to)
}

fn clean_before(account: &Account, newest: RevisionNo, to: Option<RevisionNo>) -> Verdict {
    let clean = |known: &&Known| known.returnable && known.standing != Standing::Bad;
    let earlier = account.revisions.range(..newest).rev().map(|(_, known)| known);
    let wanted = earlier.clone().find(clean).map(|known| known.revision.number);
    check(to == wanted, || format!("{newest} is blamed; it goes to {to:?} and not to {wanted:?}"))
}

/// The next target, when one has failed by itself.
pub fn of_a_next_target(account: &Account, fact: &Fact) -> Verdict {
    let (Fact::NextTarget { incident }, Some(failed)) =
        (fact, account.running.as_ref().and_then(|running| running.to))
    else {
        return Ok(());
    };
    clean_before(account, failed, incident.to)
}
