//! What must always hold, a function each with its promise as its name. They
//! judge by the facts, by what the engine runs and by what the sources said,
//! and by nothing that the core itself worked out.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use rollbackd_core::{
    fact::Fact,
    incident::{Breach, Cause, Incident, Outcome},
    moment::Moment,
    revision::Standing,
    settings::{
        Action, AfterBake, Hold, Mode, NotRecovered, ProjectSettings, Scope, TriggerSettings,
    },
    words::{ImageId, ProjectName, ServiceName, TriggerId},
};

use crate::{
    account::Account,
    blamed, brought_back,
    judge::{Because, Broken},
    life::Svc,
    timeline::since,
    world::{Heard, World},
};

const DAY: Duration = Duration::from_secs(24 * 3600);

pub type Verdict = Result<(), String>;

/// A rollback that begins, and everything that it is judged by.
pub struct Began<'a> {
    pub incident: &'a Incident,
    pub account: &'a Account,
    pub now: Moment,
    because: &'a Because,
    before: &'a [Fact],
    pub settings: Option<ProjectSettings>,
    pub heard: Option<VecDeque<Heard>>,
    /// The newest answer of each trigger's source.
    pub newest: BTreeMap<TriggerId, Heard>,
    /// The services that run, and of which no container is unhealthy.
    pub serves: BTreeSet<Svc>,
    /// When the daemon was started.
    pub daemon_began: Moment,
    /// The last start of the breaching service or of what it depends on.
    started: Option<Moment>,
    missing: Vec<ImageId>,
    full: bool,
}

impl<'a> Began<'a> {
    pub async fn new(
        incident: &'a Incident,
        account: &'a Account,
        now: Moment,
        because: &'a Because,
        before: &'a [Fact],
        world: &mut World,
    ) -> Self {
        let serves = Svc::ALL.into_iter().filter(|svc| world.serves(*svc)).collect();
        let named = |settings: &&ProjectSettings| settings.name == incident.project;
        let breach = incident.breach();
        let mut missing = Vec::new();
        for change in &incident.services {
            if !world.engine_away && !world.has_image(change.to_id).await {
                missing.push(change.to_id);
            }
        }
        Self {
            settings: world.settings.projects.iter().find(named).cloned(),
            heard: breach.and_then(|breach| world.heard.get(&breach.trigger).cloned()),
            started: breach.and_then(|breach| world.started(Svc::of(&breach.service))),
            newest: world
                .heard
                .iter()
                .filter_map(|(id, all)| Some((id.clone(), *all.back()?)))
                .collect(),
            serves,
            daemon_began: world.daemon_began,
            full: world.full,
            incident,
            account,
            now,
            because,
            before,
            missing,
        }
    }

    pub fn breach(&self) -> Option<&Breach> {
        self.incident.breach()
    }

    /// Nobody asked for it by hand.
    fn by_itself(&self) -> bool {
        !matches!(self.incident.cause, Cause::Person { .. })
    }

    pub fn trigger(&self) -> Option<&TriggerSettings> {
        let triggers = &self.settings.as_ref()?.triggers;
        triggers.iter().find(|trigger| Some(&trigger.id) == self.breach().map(|b| &b.trigger))
    }
}

type OfBegan = &'static [(&'static str, fn(&Began<'_>) -> Verdict)];

/// The first of them need nothing but the facts.
const BY_FACTS: usize = 4;

/// What holds whenever a rollback begins.
const BEGINNINGS: OfBegan = &[
    ("at_most_one_rollback_per_project_at_a_time", at_most_one_rollback_per_project_at_a_time),
    ("none_while_paused", none_while_paused),
    ("none_while_a_deployment_is_under_way", none_while_a_deployment_is_under_way),
    ("none_without_a_target", none_without_a_target),
    ("nothing_begins_while_state_cannot_be_written", nothing_begins_while_state_cannot_be_written),
    ("none_of_what_is_not_configured", none_of_what_is_not_configured),
    ("none_while_observing", none_while_observing),
    ("none_outside_the_bake_unless_asked", none_outside_the_bake_unless_asked),
    ("none_in_cooldown", none_in_cooldown),
    ("none_past_the_budget", none_past_the_budget),
    ("none_to_what_is_not_there", none_to_what_is_not_there),
    ("none_in_grace", none_in_grace),
    ("none_on_missing_data", none_on_missing_data),
    ("none_before_the_condition_has_held_its_time", none_before_the_condition_has_held_its_time),
    ("only_what_is_in_scope_goes_back", only_what_is_in_scope_goes_back),
    ("forward_again_only_where_it_is_wanted", forward_again_only_where_it_is_wanted),
    (
        "none_while_an_undeployed_dependency_is_unwell",
        blamed::none_while_an_undeployed_dependency_is_unwell,
    ),
    (
        "none_while_an_independent_service_is_bad_as_well",
        blamed::none_while_an_independent_service_is_bad_as_well,
    ),
    ("none_for_what_had_held_before", blamed::none_for_what_had_held_before),
    ("never_with_fewer_than_its_group_needs", blamed::never_with_fewer_than_its_group_needs),
    (
        "to_the_newest_clean_revision_before_what_is_blamed",
        blamed::to_the_newest_clean_revision_before_what_is_blamed,
    ),
    (
        "only_what_nobody_deployed_is_put_back_without_a_breach",
        brought_back::only_what_nobody_deployed_is_put_back_without_a_breach,
    ),
    ("put_back_at_most_three_times_an_hour", brought_back::put_back_at_most_three_times_an_hour),
];

pub fn of_a_beginning(began: &Began<'_>) -> Result<(), Broken> {
    let unseen = *began.because == Because::Unseen;
    for (promise, holds) in BEGINNINGS.iter().take(if unseen { BY_FACTS } else { usize::MAX }) {
        holds(began).map_err(|why| {
            let incident = began.incident;
            Broken::new(promise, format!("rollback {} of {}: {why}", incident.id, incident.project))
        })?;
    }
    Ok(())
}

pub fn check(holds: bool, why: impl FnOnce() -> String) -> Verdict {
    if holds { Ok(()) } else { Err(why()) }
}

fn at_most_one_rollback_per_project_at_a_time(began: &Began<'_>) -> Verdict {
    let other = began.account.running.as_ref().map(|incident| incident.id);
    check(other.is_none(), || format!("{other:?} runs"))
}

fn nothing_begins_while_state_cannot_be_written(began: &Began<'_>) -> Verdict {
    check(!began.full, || "it was committed to a full disk".into())
}

fn none_of_what_is_not_configured(began: &Began<'_>) -> Verdict {
    if !began.by_itself() {
        return Ok(());
    }
    check(began.settings.is_some(), || "its project was taken out of the configuration".into())?;
    let Some(breach) = began.breach() else { return Ok(()) };
    let acts = began.trigger().is_some_and(|trigger| trigger.action == Action::Rollback);
    check(acts, || format!("{} is no trigger that rolls back", breach.trigger))
}

fn none_while_paused(began: &Began<'_>) -> Verdict {
    check(!(began.by_itself() && began.account.paused), || "it is paused".into())
}

fn none_while_observing(began: &Began<'_>) -> Verdict {
    let observes = began.settings.as_ref().is_some_and(|s| s.mode == Mode::Observe);
    check(!(began.by_itself() && observes), || "mode = observe".into())
}

fn none_while_a_deployment_is_under_way(began: &Began<'_>) -> Verdict {
    check(!(began.breach().is_some() && began.account.deploying), || "it has not settled".into())
}

fn none_outside_the_bake_unless_asked(began: &Began<'_>) -> Verdict {
    let (Some(trigger), Some(settings)) = (began.trigger(), &began.settings) else { return Ok(()) };
    if settings.after_bake == AfterBake::Rollback {
        return Ok(());
    }
    let watched = |name: &ServiceName| trigger.service == *name || trigger.blames.contains(name);
    let known = began.account.unfinished.iter().filter_map(|n| began.account.revisions.get(n));
    let mut changed = known.flat_map(|known| &known.revision.changed);
    check(changed.any(watched), || format!("no deployment that {} watches bakes", trigger.id))
}

/// When earlier rollbacks from the same images began.
fn earlier<'a>(began: &'a Began<'_>) -> impl Iterator<Item = Moment> + 'a {
    let images: BTreeSet<ImageId> = began.incident.services.iter().map(|s| s.from_id).collect();
    let same = move |from: &[ImageId]| from.iter().any(|image| images.contains(image));
    let past = began.account.rollbacks.iter().filter(|(.., counts)| *counts);
    past.filter(move |(_, from, _)| same(from)).map(|(at, ..)| *at)
}

fn none_in_cooldown(began: &Began<'_>) -> Verdict {
    let (Some(_), Some(settings)) = (began.breach(), &began.settings) else { return Ok(()) };
    let recent = earlier(began).find(|at| began.now.since(*at) < settings.cooldown);
    check(recent.is_none(), || {
        format!("one from the same image began at {}", since(recent.unwrap()))
    })
}

fn none_past_the_budget(began: &Began<'_>) -> Verdict {
    let (Some(_), Some(settings)) = (began.breach(), &began.settings) else { return Ok(()) };
    let today = earlier(began).filter(|at| began.now.since(*at) < DAY).count();
    check(today < settings.max_rollbacks as usize, || format!("{today} in 24 h"))
}

fn none_without_a_target(began: &Began<'_>) -> Verdict {
    let incident = began.incident;
    let target = incident.to.and_then(|to| began.account.revisions.get(&to));
    check(target.is_some() && !incident.services.is_empty(), || format!("to {:?}", incident.to))?;
    let Some((breach, target)) = incident.breach().zip(target) else { return Ok(()) };
    check(target.standing != Standing::Bad && target.returnable, || {
        format!("{} may not be returned to for {}", target.revision.number, breach.trigger)
    })
}

fn none_to_what_is_not_there(began: &Began<'_>) -> Verdict {
    check(!began.by_itself() || began.missing.is_empty(), || format!("no {:?}", began.missing))
}

fn none_in_grace(began: &Began<'_>) -> Verdict {
    let (Some(trigger), Some(started)) = (began.trigger(), began.started) else { return Ok(()) };
    let newest = began.heard.as_ref().and_then(|heard| heard.back());
    let Some(newest) = newest.filter(|_| !trigger.grace.is_zero()) else { return Ok(()) };
    check(newest.asked >= started + trigger.grace, || {
        format!("its service, or what that needs, started at {}", since(started))
    })
}

fn none_on_missing_data(began: &Began<'_>) -> Verdict {
    let (Some(breach), Some(trigger)) = (began.breach(), began.trigger()) else { return Ok(()) };
    let live = matches!(began.because, Because::Sample(of) if *of == breach.trigger);
    let newest = began.heard.as_ref().and_then(|heard| heard.back());
    if !live {
        // A command's turn, or time, after the sample: it is not completed by these.
        return Err(format!("{:?} made it begin", began.because));
    }
    let now = newest.is_some_and(|newest| newest.told == began.now);
    check(now, || "no sample was delivered just now".into())?;
    let value = newest.and_then(|newest| newest.value);
    check(value.is_some_and(|value| trigger.condition.breached_by(value)), || {
        format!("the last answer was {value:?}")
    })
}

/// The answers since the last that does not count towards what is pending, from
/// the newest back.
fn none_before_the_condition_has_held_its_time(began: &Began<'_>) -> Verdict {
    let (Some(trigger), Some(heard)) = (began.trigger(), &began.heard) else { return Ok(()) };
    let (span, share) = match trigger.hold {
        Hold::For(span) => (span, None),
        Hold::Share { share, within } => (within, Some(share.get())),
    };
    let known_bad = earlier(began).next().is_some() || !began.account.put_back.is_empty();
    let span = if known_bad { span.min(trigger.for_known_bad) } else { span };
    let values: Vec<(Moment, f64)> =
        heard.iter().rev().filter_map(|one| Some((one.asked, one.value?))).collect();
    let Some((newest, _)) = values.first() else { return Err("it was told nothing".into()) };
    let breaches = |value: f64| trigger.condition.breached_by(value);
    let (mut last, mut bad, mut all) = (*newest, 0u32, 0u32);
    for (at, value) in &values {
        let gap = last.since(*at);
        check(gap <= trigger.max_gap, || format!("a gap of {gap:?} ends at {}", since(last)))?;
        last = *at;
        all += 1;
        bad += u32::from(breaches(*value));
        if share.is_none() {
            check(breaches(*value), || format!("{value} at {} does not breach", since(*at)))?;
        }
        if newest.since(*at) >= span {
            let enough = share.is_none_or(|share| f64::from(bad) >= share * f64::from(all));
            return check(enough, || format!("{bad} of {all} breached"));
        }
    }
    Err(format!("it was told of {:?} only", newest.since(last)))
}

fn only_what_is_in_scope_goes_back(began: &Began<'_>) -> Verdict {
    let (Some(breach), Some(settings)) = (began.breach(), &began.settings) else { return Ok(()) };
    let account = began.account;
    let blamed = match account.unfinished.as_slice() {
        [] => account.current.as_slice(),
        some => some,
    };
    let known = blamed.iter().filter_map(|number| account.revisions.get(number));
    let changed: BTreeSet<_> = known.flat_map(|known| &known.revision.changed).collect();
    for change in &began.incident.services {
        let fits = match settings.scope {
            Scope::Service => change.name == breach.service,
            Scope::Deployment => changed.contains(&change.name),
            Scope::Project => settings.stateful || change.name.as_str() != Svc::Db.name(),
        };
        check(fits, || format!("{} goes back by scope {:?}", change.name, settings.scope))?;
    }
    Ok(())
}

fn forward_again_only_where_it_is_wanted(began: &Began<'_>) -> Verdict {
    let Cause::NotRecovered { incident } = began.incident.cause else { return Ok(()) };
    let wanted = began.settings.as_ref().map(|settings| settings.not_recovered);
    check(wanted == Some(NotRecovered::Forward), || "not_recovered = stay".into())?;
    let ended = began.before.iter().rev().find_map(|fact| match fact {
        Fact::RollbackEnded { incident: id, outcome, .. } if *id == incident => Some(*outcome),
        _ => None,
    });
    check(ended == Some(Outcome::NotRecovered), || format!("{incident} ended {ended:?}"))
}

/// What holds whenever a rollback ends.
pub async fn of_an_end(
    incident: &Incident,
    ran: &BTreeSet<Svc>,
    outcome: Outcome,
    world: &mut World,
) -> Result<(), Broken> {
    let began = incident.began_at;
    for svc in ran {
        if world.engine_away || world.meddled.get(svc).is_some_and(|at| *at >= began) {
            // What people did meanwhile is theirs.
            continue;
        }
        let (runs, name) = (world.runs_of(*svc).to_vec(), svc.name());
        let serves = runs.iter().any(|one| one.running && !one.marked);
        if !serves && !world.target_fell(*svc) {
            let why = format!("rollback {} ended {outcome:?}; {name}: {runs:?}", incident.id);
            return Err(Broken::new("a_service_that_ran_before_a_rollback_runs_after_it", why));
        }
        let change = incident.services.iter().find(|change| change.name.as_str() == name);
        let went =
            matches!(outcome, Outcome::Recovered | Outcome::Unverified | Outcome::NotRecovered);
        if let Some(change) = change.filter(|_| went) {
            let target = |one: &&crate::world::Runs| one.running && !one.marked;
            if !runs.iter().filter(target).all(|one| one.image_id == change.to_id) {
                let why = format!("rollback {} ended {outcome:?}; {name}: {runs:?}", incident.id);
                return Err(Broken::new("after_a_rollback_the_target_runs", why));
            }
        }
        if runs.iter().any(|one| one.marked) && went {
            let why = format!("rollback {} ended {outcome:?}; {name}: {runs:?}", incident.id);
            return Err(Broken::new("nothing_of_ours_is_left", why));
        }
    }
    Ok(())
}

/// What holds at every moment.
pub fn of_a_second(accounts: &BTreeMap<ProjectName, Account>, world: &World) -> Result<(), Broken> {
    for settings in &world.settings.projects {
        let Some(account) = accounts.get(&settings.name) else { continue };
        a_bake_ends(account, settings).map_err(|why| {
            Broken::new("a_bake_that_was_observed_ends", format!("{}: {why}", settings.name))
        })?;
    }
    Ok(())
}

/// A bake that was observed for its time, and for as long as anything pending
/// may be seen through, has its verdict.
fn a_bake_ends(account: &Account, settings: &ProjectSettings) -> Verdict {
    let longest = settings.triggers.iter().map(|t| t.hold.span() + t.every + t.max_gap).max();
    let most = settings.bake + longest.unwrap_or_default() + Duration::from_secs(200);
    check(account.unfinished.is_empty() || account.observed <= most.as_secs(), || {
        format!("{:?} bakes for {} s", account.unfinished, account.observed)
    })
}
