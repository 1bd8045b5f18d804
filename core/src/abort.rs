//! A person stops a running rollback: after its present step, and never in a
//! state in which a service has no container. What was kept aside is removed; a
//! step that failed is undone first.

use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};
use core::time::Duration;

use crate::{
    command::refusal,
    event::{Accepted, Answer},
    fact::Fact,
    incident::{Outcome, StepRun},
    life::{record, tidy},
    moment::Moment,
    plan::Does,
    reducer::{Core, Turn},
    run::{Next, Phase, Run},
    words::{IncidentId, ServiceName},
};

impl Core {
    /// Stops a rollback. Asked twice, it stops once.
    pub(crate) fn abort(&self, now: Moment, id: IncidentId, turn: &mut Turn) -> Answer {
        let Some(run) = self.runs.get(&id) else { return Err(self.runs_not(id)) };
        let shown = alloc::boxed::Box::new(run.incident.clone());
        let present = run.incident.steps.last().map_or("its first step", |step| &step.name);
        let message = format!("rollback {id} stops after its present step: {present}");
        if run.aborted {
            return Ok(Accepted { message, incident: Some(shown) });
        }
        let mut run = run.clone();
        record(&mut run, turn, Fact::AbortAsked { incident: id, at: now });
        match run.phase {
            Phase::Acting { running: true, .. } | Phase::Ended(_) => {}
            Phase::Acting { running: false, .. } => self.stop(now, run, turn),
            Phase::Verifying { .. } => {
                let why = run.stopped("its signals were not judged to the end");
                self.conclude(now, run, Outcome::Unverified, why, turn);
            }
        }
        Ok(Accepted { message, incident: Some(shown) })
    }

    fn runs_not(&self, id: IncidentId) -> crate::event::Refusal {
        let ended = self.history.get(&id).and_then(|incident| incident.outcome);
        match ended {
            Some(outcome) => refusal(
                format!("rollback {id} does not run: it ended {}", outcome.as_str()),
                format!("`rollbackd history {id}` shows it whole"),
            ),
            None => refusal(format!("there is no rollback {id}"), "`rollbackd history` lists them"),
        }
    }

    /// Its present step has ended.
    pub(crate) fn stop(&self, now: Moment, run: Run, turn: &mut Turn) {
        match run.next() {
            // What failed is undone to the end: somebody must serve.
            Next::Step(_, true, ..) => return self.advance(now, run, turn),
            Next::Step(_, _, step, wait) => {
                let tidies = matches!(step.does, Does::Discard { .. });
                if tidies && !wait.is_zero() {
                    return self.advance(now, run, turn);
                }
                if matches!(step.does, Does::Verify) && !run.cut_short {
                    let why = run.stopped("every step was done, and its signals were not judged");
                    return self.conclude(now, run, Outcome::Unverified, why, turn);
                }
            }
            Next::End => {}
        }
        if let Some((index, step)) = run.tidies() {
            return tidy(now, run, (index, step, Duration::ZERO), turn);
        }
        let why = run.stopped(&run.leaves());
        self.conclude(now, run, Outcome::Refused, why, turn);
    }
}

impl Run {
    /// `stopped by a person after recreate web: ...`
    pub(crate) fn stopped(&self, state: &str) -> String {
        // The removal of what was kept aside followed because it was stopped.
        let cut = |step: &&StepRun| !(self.cut_short && step.kind == "discard");
        let own = |step: &&StepRun| self.undoing.is_none() || step.kind != "put-back";
        let last = self.incident.steps.iter().rfind(|step| cut(step) && own(step));
        let after = last.map_or("it began", |step| step.name.as_str());
        format!("stopped by a person after {after}: {state}")
    }

    /// What each service runs now, in words.
    fn leaves(&self) -> String {
        let done = |wanted: &Does| {
            let mut steps = self.incident.plan.steps.iter().filter(|step| step.does == *wanted);
            let name = steps.next().map(|step| step.name.as_str());
            let ran = self.incident.steps.iter().rfind(|step| Some(step.name.as_str()) == name);
            ran.filter(|step| step.outcome == Some(Ok(())))
        };
        let recreated = |name: &ServiceName| {
            let mut steps = self.incident.plan.steps.iter().map(|step| &step.does);
            steps.any(|does| {
                matches!(does, Does::Recreate { service, .. } if service == name)
                    && done(does).is_some()
            })
        };
        let to = self.incident.to.map_or_else(|| "?".into(), |to| to.to_string());
        let runs = |name: &ServiceName| {
            if recreated(name) {
                format!("{name} runs revision {to}")
            } else {
                format!("{name} still runs revision {}", self.incident.from)
            }
        };
        let mut says: Vec<String> =
            self.incident.services.iter().map(|change| runs(&change.name)).collect();
        for step in &self.incident.plan.steps {
            let Does::Retag { reference, .. } = &step.does else { continue };
            if done(&step.does).is_some_and(|ran| !ran.output.starts_with("left ")) {
                says.push(format!("the tag {reference} names revision {to}'s image"));
            }
        }
        says.join(", ")
    }

    /// What is to be done after a rollback that a person stopped.
    pub(crate) fn todo_when_stopped(&self, outcome: Outcome) -> Vec<String> {
        let project = &self.incident.project;
        let todo = if outcome == Outcome::Unverified {
            format!("Look at {project} yourself: the previous images run, and nobody judged them.")
        } else {
            format!(
                "Look at {project}: its rollback was stopped on the way. `rollbackd rollback \
                 {project}` goes back whole; `rollbackd pause {project}` keeps rollbackd from \
                 beginning another by itself."
            )
        };
        alloc::vec![todo]
    }
}
