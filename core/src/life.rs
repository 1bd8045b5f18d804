//! Driving a rollback: which step runs, what verification sees, how it ends.

use alloc::{borrow::ToOwned, boxed::Box, collections::BTreeSet, format, string::String, vec::Vec};
use core::time::Duration;

use crate::{
    decide,
    effect::{Effect, News},
    fact::Fact,
    incident::{Cause, Incident, Outcome, ServiceChange},
    moment::Moment,
    plan::{Does, Fault, Step, StepOutcome},
    reducer::{Core, Slot, Turn},
    revision::Standing,
    run::{Next, Phase, Run},
    settings::{Action, Mode, NotRecovered, TriggerSettings},
    watch::{Judgement, Watch},
    words::{IncidentId, ProjectName, RevisionNo, ServiceName, TriggerIx},
};

/// How long a person's own deployment is given before what was kept aside is
/// removed beside it.
const THEIRS: Duration = Duration::from_secs(5);

impl Core {
    /// Begins a rollback that has been decided; gives its number.
    pub(crate) fn begin(&self, now: Moment, mut incident: Incident, turn: &mut Turn) -> IncidentId {
        incident.id = self.next_incident(turn);
        let id = incident.id;
        turn.facts.push(Fact::RollbackBegan(Box::new(incident.clone())));
        self.advance(now, Run::new(incident), turn);
        id
    }

    /// The executor has reported.
    pub(crate) fn step_reported(
        &self,
        now: Moment,
        id: IncidentId,
        number: u32,
        outcome: StepOutcome,
        turn: &mut Turn,
    ) {
        let Some(run) = self.runs.get(&id).filter(|run| run.awaits(number)) else { return };
        let mut run = run.clone();
        record(&mut run, turn, Fact::StepEnded { incident: id, run: number, at: now, outcome });
        let project = self.projects.get(&run.incident.project);
        if let Some(service) = project.and_then(|project| project.overtaken.as_ref()) {
            if let Some((index, step)) = run.tidies() {
                return tidy(now, run, (index, step, THEIRS), turn);
            }
            let why = format!("somebody deployed {service} meanwhile: what they deployed stays");
            return self.conclude(now, run, Outcome::Refused, why, turn);
        }
        if run.aborted {
            return self.stop(now, run, turn);
        }
        self.advance(now, run, turn);
    }

    /// Goes on to the next step that needs somebody else.
    pub(crate) fn advance(&self, now: Moment, mut run: Run, turn: &mut Turn) {
        let id = run.incident.id;
        loop {
            let Next::Step(index, undo, step, after) = run.next() else {
                return self.undone(now, run, turn);
            };
            let (step, number) = (step.clone(), run.runs + 1);
            let last = matches!(step.does, Does::Tell) && (undo || index > 0);
            if last {
                return self.undone(now, run, turn);
            }
            let index = u32::try_from(index).unwrap_or(u32::MAX);
            let began = Fact::StepBegan { incident: id, run: number, index, undo, at: now };
            record(&mut run, turn, began);
            match step.does {
                Does::Tell => {
                    let outcome = StepOutcome::Done(String::new());
                    let ended = Fact::StepEnded { incident: id, run: number, at: now, outcome };
                    record(&mut run, turn, ended);
                    // At a further target people know already that it has begun.
                    if run.depth == 0 {
                        let news = News::Began(Box::new(run.incident.clone()));
                        turn.tell(now, &run.incident.project, news);
                    }
                }
                Does::Verify => return self.verify(now, run, turn),
                _ => {
                    let project = run.incident.project.clone();
                    let effect =
                        Effect::RunStep { incident: id, project, run: number, after, step };
                    turn.effects.push(effect);
                    return;
                }
            }
        }
    }

    /// Begins to judge: errors of the old version do not condemn the new.
    fn verify(&self, now: Moment, mut run: Run, turn: &mut Turn) {
        let judged: Vec<&TriggerSettings> = self
            .slots_of(&run.incident.project)
            .map(|slot| slot.watch.settings())
            .filter(|trigger| run.judges(trigger))
            .collect();
        let longest = |of: fn(&TriggerSettings) -> Duration| judged.iter().map(|t| of(t)).max();
        let wait = longest(|trigger| trigger.grace + trigger.looks_back).unwrap_or_default();
        let within = longest(Watch::time_to_recover).unwrap_or_default();
        let counts_from = now + wait;
        let until = counts_from + within;
        let none = judged.is_empty();
        let fact = Fact::Verifying { incident: run.incident.id, at: now, counts_from, until };
        record(&mut run, turn, fact);
        if none {
            let why = "no trigger watches these services, so nothing could be judged".to_owned();
            self.conclude(now, run, Outcome::Unverified, why, turn);
        }
    }

    /// A judged trigger has a new sample.
    pub(crate) fn judge(&self, now: Moment, ix: TriggerIx, turn: &mut Turn) {
        let Some(slot) = self.slot(ix) else { return };
        self.judge_all(now, &slot.project, turn);
    }

    /// Are the signals back, or is their time up?
    pub(crate) fn judge_all(&self, now: Moment, name: &ProjectName, turn: &mut Turn) {
        let Some(project) = self.projects.get(name) else { return };
        let Some(run) = project.durable.rollback.and_then(|id| self.runs.get(&id)) else { return };
        let Phase::Verifying { counts_from, until } = run.phase else { return };
        if turn.facts.iter().any(|fact| fact.incident() == Some(run.incident.id)) {
            return;
        }
        if let Some(service) = &project.overtaken {
            let why = format!("somebody deployed {service} before its signals could be judged");
            return self.conclude(now, run.clone(), Outcome::Unverified, why, turn);
        }
        let judged: Vec<&Slot> = self.slots_of(name).filter(|slot| slot.judged).collect();
        if judged.is_empty() {
            let why = "the triggers that were to judge are no longer in the configuration".into();
            return self.conclude(now, run.clone(), Outcome::Unverified, why, turn);
        }
        if now < counts_from {
            return;
        }
        let named = |wanted: Judgement| {
            let all = judged.iter().filter(|slot| slot.watch.judgement() == wanted);
            let names: Vec<&str> = all.map(|slot| slot.watch.settings().name.as_str()).collect();
            names.join(", ")
        };
        let (back, not_yet, no_data) =
            (named(Judgement::Back), named(Judgement::NotYet), named(Judgement::NoData));
        let (outcome, why) = match (not_yet.is_empty(), no_data.is_empty()) {
            (true, true) => (Outcome::Recovered, format!("back within its threshold: {back}")),
            _ if now < until => return,
            (false, _) => (Outcome::NotRecovered, format!("not back in time: {not_yet}")),
            (true, false) => (Outcome::Unverified, format!("no data to judge by: {no_data}")),
        };
        self.conclude(now, run.clone(), outcome, why, turn);
    }

    /// The plan failed and has been undone: try the next target, or end.
    fn undone(&self, now: Moment, run: Run, turn: &mut Turn) {
        let (why, fault) = run
            .undoing
            .clone()
            .unwrap_or_else(|| ("the plan ended without a verification".to_owned(), Fault::World));
        if run.aborted && run.not_undone().is_empty() {
            let why = run.stopped(&format!("{why}; what ran before was put back"));
            return self.conclude(now, run, Outcome::Refused, why, turn);
        }
        if fault == Fault::Target
            && run.not_undone().is_empty()
            && let Some(next) = self.next_target(now, &run)
        {
            return self.try_next(now, run, next, why, turn);
        }
        let left = run.not_undone();
        let state = if left.is_empty() {
            "what ran before was put back".to_owned()
        } else {
            format!("and what ran before could not be put back whole: {}", left.join("; "))
        };
        self.conclude(now, run, Outcome::Failed, format!("{why}; {state}"), turn);
    }

    /// The same rollback to the next target further back.
    fn next_target(&self, now: Moment, run: &Run) -> Option<Incident> {
        let project = self.projects.get(&run.incident.project)?;
        let settings = project.settings.as_ref().filter(|s| run.depth < s.max_depth)?;
        let Cause::Breach(_) = run.incident.cause else { return None };
        // Those further back than the one that failed.
        let failed = run.incident.to?;
        let newer = project.durable.revisions.keys().copied().filter(|n| *n >= failed).collect();
        let to = project.durable.target(&newer)?;
        if let Some(Some(_missing)) = project.restorable.get(&to) {
            return None;
        }
        let services: BTreeSet<ServiceName> =
            run.incident.services.iter().map(|change| change.name.clone()).collect();
        let cause = run.incident.cause.clone();
        // What was put back runs; the last look may still show what failed.
        let project = project.as_before(&run.incident);
        let next = decide::incident(&project, settings, to, &services, cause, now)?;
        let kept = &run.incident;
        Some(Incident {
            id: kept.id,
            began_at: kept.began_at,
            joined: kept.joined.clone(),
            acted: kept.acted,
            ..next
        })
    }

    fn try_next(&self, now: Moment, mut run: Run, next: Incident, why: String, turn: &mut Turn) {
        let project = run.incident.project.clone();
        if let Some(failed) = run.incident.to {
            turn.facts.push(stands(&project, failed, Standing::Bad, now, &why));
            let incident = Box::new(run.incident.clone());
            turn.tell(now, &project, News::TargetFailed { incident, revision: failed, why });
        }
        record(&mut run, turn, Fact::NextTarget { incident: Box::new(next) });
        self.advance(now, run, turn);
    }

    /// Ends a rollback: what is thought of its revisions, and who must do what.
    pub(crate) fn conclude(
        &self,
        now: Moment,
        mut run: Run,
        outcome: Outcome,
        why: String,
        turn: &mut Turn,
    ) {
        let (id, project) = (run.incident.id, run.incident.project.clone());
        let verifying = matches!(run.phase, Phase::Verifying { .. });
        let number = run.runs;
        if verifying {
            let done = StepOutcome::Done(why.clone());
            record(
                &mut run,
                turn,
                Fact::StepEnded { incident: id, run: number, at: now, outcome: done },
            );
        }
        turn.facts.extend(self.standings(now, &run, outcome, &why));
        let todo = match run.aborted {
            true if outcome != Outcome::Failed => run.todo_when_stopped(outcome),
            _ => todo(&run.incident, outcome, &run.not_undone()),
        };
        let ended = Fact::RollbackEnded { incident: id, at: now, outcome, reason: why };
        record(&mut run, turn, ended);
        let incident = Box::new(run.incident.clone());
        turn.tell(now, &project, News::Ended { incident, outcome, todo });
        if outcome == Outcome::NotRecovered {
            self.forward_again(now, &run.incident, turn);
        }
    }

    /// What the end of a rollback says of its revisions.
    fn standings(&self, now: Moment, run: &Run, outcome: Outcome, why: &str) -> Vec<Fact> {
        let incident = &run.incident;
        let (project, number) = (&incident.project, incident.id);
        let mut facts = Vec::new();
        match outcome {
            Outcome::Recovered | Outcome::Unverified | Outcome::NotRecovered
                if incident.goes_forward() =>
            {
                let why = format!("gone forward to by rollback {number}");
                let to = incident.to.map(|to| stands(project, to, Standing::Unproven, now, &why));
                facts.extend(to);
            }
            Outcome::Recovered | Outcome::Unverified => {
                let why = format!("rolled back from by rollback {number}");
                facts.push(stands(project, incident.from, Standing::Bad, now, &why));
            }
            Outcome::NotRecovered => {
                let why = format!("going back did not help (rollback {number})");
                facts.push(stands(project, incident.from, Standing::Unproven, now, &why));
                facts.push(Fact::Acquitted {
                    project: project.clone(),
                    revision: incident.from,
                    incident: number,
                });
            }
            Outcome::Failed if matches!(run.undoing, Some((_, Fault::Target))) => {
                let to = incident.to.map(|to| stands(project, to, Standing::Bad, now, why));
                facts.extend(to);
            }
            Outcome::Failed | Outcome::Refused => {}
        }
        facts
    }

    /// `not_recovered = "forward"`: it was not the deployment.
    fn forward_again(&self, now: Moment, ended: &Incident, turn: &mut Turn) {
        let Some(known) = self.projects.get(&ended.project) else { return };
        let Some(settings) = &known.settings else { return };
        if settings.not_recovered != NotRecovered::Forward || ended.goes_forward() {
            return;
        }
        let held = known.durable.pause.is_some() || known.durable.announced.is_some();
        if held || settings.mode == Mode::Observe {
            // People hold what is automatic; they are told how to go forward.
            return;
        }
        let mut project = known.clone();
        for fact in &turn.facts {
            project.apply(fact, Some(ended));
        }
        let services: BTreeSet<ServiceName> =
            ended.services.iter().map(|change| change.name.clone()).collect();
        let cause = Cause::NotRecovered { incident: ended.id };
        let back = decide::incident(&project, settings, ended.from, &services, cause, now);
        if let Some(incident) = back {
            self.begin(now, incident, turn);
        }
    }
}

/// Removes what was kept aside: left there, its labels make the person's next
/// `up` count one container too many and fail.
pub(crate) fn tidy(
    now: Moment,
    mut run: Run,
    (index, step, after): (u32, Step, Duration),
    turn: &mut Turn,
) {
    let (id, number) = (run.incident.id, run.runs + 1);
    let began = Fact::StepBegan { incident: id, run: number, index, undo: false, at: now };
    record(&mut run, turn, began);
    let project = run.incident.project.clone();
    turn.effects.push(Effect::RunStep { incident: id, project, run: number, after, step });
}

impl Run {
    /// The step that removes what was kept aside, unless it was the last to run
    /// or nothing can have been put aside yet.
    pub(crate) fn tidies(&self) -> Option<(u32, Step)> {
        let steps = &self.incident.plan.steps;
        let index = steps.iter().position(|step| matches!(step.does, Does::Discard { .. }))?;
        let step = steps[index].clone();
        let done = self.incident.steps.last().is_some_and(|last| last.kind == step.does.kind());
        let aside = self.incident.steps.iter().any(|step| step.kind == "recreate");
        if done || !aside { None } else { Some((u32::try_from(index).ok()?, step)) }
    }

    /// Is this trigger one that the verification waits for?
    #[must_use]
    pub fn judges(&self, trigger: &TriggerSettings) -> bool {
        let incident = &self.incident;
        let mut breached = incident.breach().into_iter().chain(&incident.joined).peekable();
        if breached.peek().is_some() {
            return breached.any(|breach| breach.trigger == trigger.id);
        }
        trigger.action == Action::Rollback
            && incident.services.iter().any(|change| change.name == trigger.service)
    }
}

/// Adds a fact to the turn and to the turn's own copy of the run.
pub(crate) fn record(run: &mut Run, turn: &mut Turn, fact: Fact) {
    run.apply(&fact);
    turn.facts.push(fact);
}

fn stands(
    project: &ProjectName,
    revision: RevisionNo,
    standing: Standing,
    at: Moment,
    why: &str,
) -> Fact {
    let project = project.clone();
    Fact::Stands { project, revision, standing, at, returnable: false, reason: why.to_owned() }
}

/// What a person must do after a rollback, a sentence each.
fn todo(incident: &Incident, outcome: Outcome, not_undone: &[String]) -> Vec<String> {
    let project = &incident.project;
    let mut todo = Vec::new();
    match outcome {
        Outcome::Recovered => {}
        Outcome::Unverified => todo.push(format!(
            "Look at {project} yourself: the previous images run, but there was no data to judge by."
        )),
        Outcome::NotRecovered => todo.push(format!(
            "Look for another cause: the previous images run and the numbers are still bad. \
             `rollbackd forward {project}` undoes the rollback."
        )),
        Outcome::Failed if not_undone.is_empty() => todo.push(format!(
            "Repair {project} by hand: it runs what was deployed, and going back failed."
        )),
        Outcome::Failed => todo.push(format!(
            "Look at once what runs (`docker compose -p {project} ps -a`): neither going back nor \
             putting back succeeded."
        )),
        Outcome::Refused => {
            todo.push(format!("Watch {project}: a person's deployment took over."));
        }
    }
    let went_back =
        matches!(outcome, Outcome::Recovered | Outcome::Unverified | Outcome::NotRecovered);
    if went_back && !incident.goes_forward() {
        for sentence in incident.services.iter().map(|change| deploys_again(incident, change)) {
            // Services of one image need it once.
            if !todo.contains(&sentence) {
                todo.push(sentence);
            }
        }
    }
    todo
}

/// What would bring the bad image back.
fn deploys_again(incident: &Incident, change: &ServiceChange) -> String {
    let ServiceChange { name, from_image, from_id, to_image, .. } = change;
    // By an image through Compose, the tag that it is deployed by may be moved.
    let by_tag = incident.to.is_none() && incident.moved_tag() == Some(from_image.as_str());
    let to_image = if by_tag { from_image } else { to_image };
    if let Some(why) = incident.left_tag(to_image).filter(|_| from_image == to_image) {
        format!(
            "On this host `{from_image}` still names the bad image ({}): it was left, {why}. Tag a \
             good one, or the next `docker compose up -d` deploys the bad one again.",
            from_id.short()
        )
    } else if from_image == to_image {
        format!(
            "`{from_image}` in the registry, or your next build, may still be the bad image \
             ({}): publish a good one before the next `docker compose pull`.",
            from_id.short()
        )
    } else {
        format!(
            "Your Compose file or .env still says `{from_image}` for {name}: set it back to \
             `{to_image}`, or the next `docker compose up -d` deploys the bad image again."
        )
    }
}
