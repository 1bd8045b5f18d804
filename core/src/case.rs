//! One trigger before the judge: everything that stands between its breach and a
//! rollback, as a list of checks in the order in which they are told. Deciding
//! takes the first that does not pass; `why` shows them all, with their values.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    format,
    string::String,
    vec::Vec,
};
use core::{cell::OnceCell, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    decide::{self, words},
    guard::Guard,
    incident::{Breach, Cause, Incident},
    moment::Moment,
    planner,
    project::{Past, Project},
    reducer::{Core, Slot},
    revision::{ContainerState, Health, ServiceSeen},
    settings::{Action, AfterBake, Blame, Mode, ProjectSettings},
    signal::Signal,
    watch::Watch,
    words::{ImageId, RevisionNo, ServiceName},
};

/// Over how long the budget of rollbacks is counted.
const DAY: Duration = Duration::from_secs(24 * 3600);

/// One thing that was looked at before deciding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// What.
    pub guard: Guard,
    /// It does not stand in the way.
    pub passed: bool,
    /// What was found, with its values.
    pub says: String,
}

/// Found: in the way (`Err`) or not (`Ok`), in words.
type Found = Result<String, String>;

/// Everything that is asked about one trigger.
pub(crate) struct Case<'a> {
    core: &'a Core,
    pub(crate) project: &'a Project,
    pub(crate) settings: &'a ProjectSettings,
    watch: &'a Watch,
    breach: Breach,
    now: Moment,
    /// The unfinished deployments that may be to blame.
    suspects: &'a [RevisionNo],
    incident: OnceCell<Result<Incident, String>>,
}

impl<'a> Case<'a> {
    /// The case of a breach; `None` where its project is not configured.
    pub(crate) fn of(
        core: &'a Core,
        project: &'a Project,
        watch: &'a Watch,
        breach: Breach,
        now: Moment,
    ) -> Option<Self> {
        let settings = project.settings.as_ref()?;
        let trigger = watch.settings();
        let watched: Vec<&ServiceName> =
            core::iter::once(&trigger.service).chain(&trigger.blames).collect();
        let suspects = project.durable.suspects(&watched);
        let incident = OnceCell::new();
        Some(Self { core, project, settings, watch, breach, now, suspects, incident })
    }

    /// The first check that does not pass.
    pub(crate) fn in_the_way(&self) -> Option<(Guard, String)> {
        Guard::ALL.into_iter().find_map(|guard| Some((guard, self.look(guard)?.err()?)))
    }

    /// Every check.
    pub(crate) fn checks(&self) -> Vec<Check> {
        let check = |guard| {
            let found = self.look(guard)?;
            let passed = found.is_ok();
            Some(Check { guard, passed, says: found.unwrap_or_else(|why| why) })
        };
        Guard::ALL.into_iter().filter_map(check).collect()
    }

    /// The rollback that is called for, when there is something to go back to.
    pub(crate) fn incident(&self) -> Result<&Incident, &String> {
        self.incident.get_or_init(|| self.called_for()).as_ref()
    }

    /// Looks at one guard; `None` where it has nothing to look at.
    fn look(&self, guard: Guard) -> Option<Found> {
        Some(match guard {
            Guard::AlertOnly => self.acts(),
            Guard::Running => self.none_runs(),
            Guard::Unseen => self.is_seen(),
            Guard::Deploying => self.is_settled(),
            Guard::NobodyToBlame => self.somebody_to_blame(),
            Guard::Older => self.is_of_the_deployment()?,
            Guard::Dependency => self.dependencies_are_well(),
            Guard::Others => self.others_are_well(),
            Guard::Group => self.group_agrees()?,
            Guard::NoTarget => self.has_target(),
            Guard::Observing => self.may_act(),
            Guard::Paused => self.is_not_paused(),
            Guard::Cooldown => self.has_cooled_down(),
            Guard::Budget => self.is_within_budget(),
            Guard::NotRestorable => self.is_restorable()?,
            Guard::BroughtBack => return None,
        })
    }

    fn acts(&self) -> Found {
        match self.watch.settings().action {
            Action::Alert => Err("this trigger only alerts".into()),
            Action::Rollback => Ok("its action is to roll back".into()),
        }
    }

    fn none_runs(&self) -> Found {
        match self.project.durable.rollback {
            Some(id) => Err(format!("rollback {id} runs: a breach joins it")),
            None => Ok("no rollback runs".into()),
        }
    }

    fn is_seen(&self) -> Found {
        if let Some(why) = &self.core.engine_down {
            return Err(format!("the engine does not answer: {why}"));
        }
        if !self.project.is_seen() {
            return Err("the project has not been looked at yet".into());
        }
        Ok("the engine answers, and the project was looked at".into())
    }

    fn is_settled(&self) -> Found {
        if let Some(announced) = &self.project.durable.announced {
            return Err(announced.says(self.now));
        }
        match &self.project.durable.deploying {
            Some(deploying) => Err(format!(
                "a deployment is under way since {}; decided when it has settled",
                self.ago(deploying.began)
            )),
            None => Ok("no deployment is under way".into()),
        }
    }

    fn somebody_to_blame(&self) -> Found {
        let service = &self.watch.settings().service;
        if let Some(began) = self.project.durable.began(self.suspects) {
            let changed: Vec<String> = names(self.project.durable.changed(self.suspects).iter());
            return Ok(format!(
                "{} changed {}, {}, and its bake is not over{}",
                revisions(self.suspects),
                changed.join(", "),
                self.ago(began),
                self.baked(),
            ));
        }
        match self.settings.after_bake {
            AfterBake::Rollback => {
                Ok("no deployment is in its bake, and after_bake = \"rollback\"".into())
            }
            AfterBake::Alert => {
                Err(format!("no deployment of {service} is in its bake, so none is blamed"))
            }
        }
    }

    fn baked(&self) -> String {
        let (observed, bake) = (self.project.bake.observed, self.settings.bake);
        if self.project.baking().is_none() {
            return String::new();
        }
        format!(" ({} of {} observed)", words(observed), words(bake))
    }

    fn is_of_the_deployment(&self) -> Option<Found> {
        let began = self.project.durable.began(self.suspects)?;
        let trigger = self.watch.settings();
        let since_before = self.breach.pending_since < began && trigger.signal != Signal::Health;
        // The window remembers how bad it was before; without that memory (after
        // a restart) an older breach is not blamed.
        let became_worse = self.watch.was_older() && !self.watch.is_older(began);
        if self.watch.is_older(began) || (since_before && !became_worse) {
            let why = "it had held before the deployment began, and is not half again as bad since";
            return Some(Err(why.into()));
        }
        Some(Ok(if became_worse {
            "it had held before the deployment began, and is half again as bad since".into()
        } else {
            "it did not hold before the deployment began".into()
        }))
    }

    fn dependencies_are_well(&self) -> Found {
        let deployed = self.project.durable.changed(self.suspects);
        let needed = self.needs(&self.watch.settings().service);
        let mut foreign: Vec<&ServiceName> =
            needed.into_iter().filter(|name| !deployed.contains(*name)).collect();
        foreign.sort();
        let unwell = foreign.iter().find_map(|name| Some((*name, self.unwell(name)?)));
        match unwell {
            Some((name, how)) if self.careful() => Err(format!(
                "{name}, which {} depends on and which was not deployed, {how}",
                self.watch.settings().service
            )),
            Some((name, how)) => Ok(format!("{name} {how}, and blame = \"always\"")),
            None if foreign.is_empty() => Ok("it depends on nothing that was not deployed".into()),
            None => Ok(format!("well: {}", names(foreign.into_iter()).join(", "))),
        }
    }

    /// What a service depends on, however far.
    fn needs(&self, service: &'a ServiceName) -> BTreeSet<&'a ServiceName> {
        let direct = self.links();
        let (mut open, mut met) = (alloc::vec![service], BTreeSet::new());
        while let Some(name) = open.pop() {
            let further = direct.get(name).into_iter().flatten().copied();
            open.extend(further.filter(|next| *next != service && met.insert(*next)));
        }
        met
    }

    fn links(&self) -> BTreeMap<&'a ServiceName, Vec<&'a ServiceName>> {
        let link = |seen: &'a ServiceSeen| {
            let record = &seen.record;
            (&record.name, record.depends_on.iter().chain(&record.joins).collect())
        };
        self.seen().map(link).collect()
    }

    fn seen(&self) -> impl Iterator<Item = &'a ServiceSeen> {
        self.project.seen.iter().flat_map(|seen| &seen.services)
    }

    /// How a service is unwell by itself, if it is.
    fn unwell(&self, name: &ServiceName) -> Option<String> {
        let breached = |slot: &&Slot| {
            let trigger = slot.watch.settings();
            trigger.service == *name
                && trigger.signal == Signal::Health
                && slot.watch.breach(self.now).is_some()
        };
        let Some(seen) = self.seen().find(|seen| seen.record.name == *name) else {
            // A job that ran, and whose container was removed since, is well.
            let known = self.project.durable.revisions.get(&self.project.durable.current?)?;
            let lasting = known.revision.service(name).is_some_and(|record| !record.one_shot);
            return lasting.then(|| "has no container".into());
        };
        if seen.record.one_shot {
            return None;
        }
        if seen.containers.iter().any(|container| container.health == Health::Unhealthy) {
            return Some("is unhealthy".into());
        }
        if !seen.containers.iter().any(|container| container.state == ContainerState::Running) {
            return Some("does not run".into());
        }
        let slot = self.core.slots_of(&self.project.name).find(breached)?;
        Some(format!("breaches {}", slot.watch.settings().name))
    }

    fn careful(&self) -> bool {
        self.watch.settings().blame == Blame::Careful
    }

    /// Are services bad as well that no suspect changed, and that depend on none
    /// that one changed? Then it is something that they have in common.
    fn others_are_well(&self) -> Found {
        let mut deployed = self.project.durable.changed(self.suspects);
        deployed.insert(self.watch.settings().service.clone());
        let foreign = |slot: &&Slot| {
            let trigger = slot.watch.settings();
            trigger.action == Action::Rollback
                && !trigger.blames.iter().any(|blamed| deployed.contains(blamed))
                && !deployed.contains(&trigger.service)
                && !self.needs(&trigger.service).into_iter().any(|s| deployed.contains(s))
                && self.is_bad_as_well(&slot.watch)
        };
        let Some(slot) = self.core.slots_of(&self.project.name).find(foreign) else {
            return Ok("no service is bad that was not deployed".into());
        };
        let other = slot.watch.settings();
        if self.careful() {
            Err(format!(
                "{} is bad as well, and {} was not deployed and depends on nothing that was",
                other.name, other.service
            ))
        } else {
            Ok(format!("{} is bad as well, and blame = \"always\"", other.name))
        }
    }

    /// Does it breach since the deployment, or does its condition hold since
    /// about the moment at which this one's began to? When all break at once,
    /// one of them is the first to have held for its time.
    fn is_bad_as_well(&self, other: &Watch) -> bool {
        let began = self.project.durable.began(self.suspects).unwrap_or(Moment::ZERO);
        let together = self.watch.settings().every.max(other.settings().every) * 2;
        let breached = other.breach(self.now).map(|(since, _)| since);
        let pending = other.pending_since().filter(|_| !other.is_blind(self.now));
        let pending = pending.filter(|since| *since <= self.breach.pending_since + together);
        breached.or(pending).is_some_and(|since| since >= began)
    }

    fn group_agrees(&self) -> Option<Found> {
        let name = self.watch.settings().group.as_ref()?;
        let group = self.settings.groups.iter().find(|group| group.name == *name)?;
        let (breached, all) = (self.fellows().len() + 1, self.members().count());
        let says = format!(
            "{breached} of the {all} triggers of group {name} breach; it needs {}",
            group.needs
        );
        Some(if breached >= group.needs as usize { Ok(says) } else { Err(says) })
    }

    /// The triggers of its group.
    fn members(&self) -> impl Iterator<Item = &'a Slot> {
        let group = self.watch.settings().group.clone();
        let member = move |slot: &&Slot| group.is_some() && slot.watch.settings().group == group;
        self.core.slots_of(&self.project.name).filter(member)
    }

    /// The others of its group that breach.
    fn fellows(&self) -> Vec<Breach> {
        let breach = |slot: &'a Slot| {
            let trigger = slot.watch.settings();
            let breach = slot.watch.breach(self.now)?;
            (trigger.id != self.breach.trigger)
                .then(|| decide::breach_of(trigger, breach, slot.watch.value_now(self.now)))
        };
        self.members().filter_map(breach).collect()
    }

    fn called_for(&self) -> Result<Incident, String> {
        let durable = &self.project.durable;
        let Some(to) = durable.target_before(self.suspects, &BTreeSet::new()) else {
            return Err("there is no earlier revision to return to".into());
        };
        let cause = Cause::Breach(self.breach.clone());
        let services =
            planner::in_scope(self.project, self.settings, to, self.suspects, &self.breach.service);
        let incident =
            decide::incident(self.project, self.settings, to, &services, cause, self.now);
        let incident = incident.map(|incident| Incident { joined: self.fellows(), ..incident });
        incident.ok_or_else(|| format!("nothing of revision {to} differs from what runs"))
    }

    fn has_target(&self) -> Found {
        let incident = self.incident().map_err(Clone::clone)?;
        let to = incident.to.unwrap_or(RevisionNo(0));
        let standing = self
            .project
            .durable
            .revisions
            .get(&to)
            .map_or("unknown", |known| known.standing.as_str());
        Ok(format!("{} would go back to revision {to} ({standing})", incident.service_names()))
    }

    fn may_act(&self) -> Found {
        match self.settings.mode {
            Mode::Observe => Err("mode = \"observe\": decided and told, not done".into()),
            Mode::Act => Ok("mode = \"act\"".into()),
        }
    }

    fn is_not_paused(&self) -> Found {
        let Some(pause) = &self.project.durable.pause else { return Ok("not paused".into()) };
        let why = if pause.reason.is_empty() { "no reason given" } else { &pause.reason };
        Err(format!("{} is paused ({why})", self.project.name))
    }

    /// Earlier rollbacks from the images that would be rolled back from.
    fn earlier(&self, from: Moment) -> Vec<&'a Past> {
        let services = self.incident().map(|incident| incident.services.as_slice());
        let images: Vec<ImageId> =
            services.unwrap_or_default().iter().map(|service| service.from_id).collect();
        let counts = |past: &&Past| {
            past.at >= from
                && !past.forward
                && !past.unattended
                && past.images.iter().any(|image| images.contains(image))
        };
        self.project.durable.past.iter().filter(counts).collect()
    }

    fn has_cooled_down(&self) -> Found {
        let cooldown = self.settings.cooldown;
        let Some(past) = self.earlier(self.now - cooldown).first().copied() else {
            let cooldown = words(cooldown);
            return Ok(format!("no rollback from the same image within the last {cooldown}"));
        };
        let left = (past.at + cooldown).since(self.now);
        Err(format!(
            "cooldown: rollback {} from the same image began less than {} ago; it lifts in {}",
            past.id,
            words(cooldown),
            words(left)
        ))
    }

    fn is_within_budget(&self) -> Found {
        let (today, most) = (self.earlier(self.now - DAY).len(), self.settings.max_rollbacks);
        if today >= most as usize {
            let why =
                format!("{today} rollbacks from the same image in 24 h; max_rollbacks is {most}");
            return Err(why);
        }
        Ok(format!("{today} of {most} rollbacks from the same image in 24 h"))
    }

    fn is_restorable(&self) -> Option<Found> {
        let to = self.incident().ok()?.to?;
        Some(match self.project.restorable.get(&to) {
            Some(Some(missing)) => Err(missing.clone()),
            Some(None) => Ok(format!("all that revision {to} needs is here")),
            None => Ok(format!("revision {to} has not been checked yet")),
        })
    }

    /// How long ago something was.
    fn ago(&self, at: Moment) -> String {
        format!("{} ago", words(self.now.since(at)))
    }
}

fn names<'n>(services: impl Iterator<Item = &'n ServiceName>) -> Vec<String> {
    services.map(|service| String::from(service.as_str())).collect()
}

fn revisions(numbers: &[RevisionNo]) -> String {
    match numbers {
        [one] => format!("revision {one}"),
        [first, .., last] => format!("revisions {first} to {last}"),
        [] => "nothing".into(),
    }
}
