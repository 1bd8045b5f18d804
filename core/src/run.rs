//! The life of a rollback: `Acting`, `Verifying`, `Ended`. Which step comes
//! next is a pure function of the facts so far.

use alloc::{
    string::{String, ToString},
    vec::Vec,
};
use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    fact::Fact,
    incident::{Incident, Outcome, StepRun},
    moment::Moment,
    plan::{Does, Fault, Step, StepOutcome},
};

/// How long to wait before each further try of a step that the world made fail.
const BACKOFF: [Duration; 3] =
    [Duration::from_secs(2), Duration::from_secs(10), Duration::from_secs(30)];

/// A rollback on its way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// What history tells of it.
    pub incident: Incident,
    /// How far it is.
    pub phase: Phase,
    /// How many runs of steps have begun.
    pub runs: u32,
    /// How many targets have failed by their own containers before this one.
    pub depth: u32,
    /// Why the plan's steps were left for its undo steps.
    pub undoing: Option<(String, Fault)>,
    /// A person has asked that it stop after its present step.
    pub aborted: bool,
    /// Steps were left out because of that.
    pub cut_short: bool,
}

/// How far a rollback is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// Between steps, or in one.
    Acting {
        /// The step's place in the plan.
        index: usize,
        /// It is one of the undo steps.
        undo: bool,
        /// It has begun and not ended.
        running: bool,
        /// How often this step has been begun.
        attempts: u32,
    },
    /// The signals are judged.
    Verifying {
        /// Samples before this do not count.
        counts_from: Moment,
        /// By when they must be back.
        until: Moment,
    },
    /// It is over.
    Ended(Outcome),
}

/// What comes next in a rollback.
#[derive(Clone, Debug, PartialEq)]
pub enum Next<'a> {
    /// Run this step, after a wait.
    Step(usize, bool, &'a Step, Duration),
    /// The plan is done, or undone.
    End,
}

impl Run {
    /// A rollback that has just begun.
    #[must_use]
    pub const fn new(incident: Incident) -> Self {
        let phase = Phase::Acting { index: 0, undo: false, running: false, attempts: 0 };
        let (undoing, aborted, cut_short) = (None, false, false);
        Self { incident, phase, runs: 0, depth: 0, undoing, aborted, cut_short }
    }

    /// What comes next, when nothing runs at present.
    #[must_use]
    pub fn next(&self) -> Next<'_> {
        let Phase::Acting { index, undo, attempts, .. } = self.phase else {
            return Next::End;
        };
        let steps = if undo { &self.incident.plan.undo } else { &self.incident.plan.steps };
        let wait = match attempts {
            0 => Duration::ZERO,
            n => BACKOFF[(n as usize - 1).min(BACKOFF.len() - 1)],
        };
        steps.get(index).map_or(Next::End, |step| Next::Step(index, undo, step, wait))
    }

    /// Is this the run of a step that is waited for?
    #[must_use]
    pub const fn awaits(&self, run: u32) -> bool {
        matches!(self.phase, Phase::Acting { running: true, .. }) && self.runs == run
    }

    /// Moves on by one fact about this rollback; others change nothing.
    pub fn apply(&mut self, fact: &Fact) {
        match fact {
            Fact::StepBegan { run, index, undo, at, .. } => {
                self.step_began(*run, *index as usize, *undo, *at);
            }
            Fact::StepEnded { at, outcome, .. } => self.step_ended(*at, outcome),
            Fact::Verifying { counts_from, until, .. } => {
                self.phase = Phase::Verifying { counts_from: *counts_from, until: *until };
            }
            Fact::AbortAsked { .. } => self.aborted = true,
            Fact::Joined { breach, .. } => self.incident.joined.push(breach.clone()),
            Fact::NextTarget { incident } => {
                let steps = core::mem::take(&mut self.incident.steps);
                let depth = self.depth + 1;
                let runs = self.runs;
                *self = Self { depth, runs, ..Self::new((**incident).clone()) };
                self.incident.steps = steps;
            }
            Fact::RollbackEnded { at, outcome, reason, .. } => {
                self.phase = Phase::Ended(*outcome);
                self.incident.ended_at = Some(*at);
                self.incident.outcome = Some(*outcome);
                self.incident.reason.clone_from(reason);
                for step in self.incident.steps.iter_mut().filter(|step| step.ended_at.is_none()) {
                    step.ended_at = Some(*at);
                }
            }
            _ => {}
        }
    }

    fn step_began(&mut self, run: u32, index: usize, undo: bool, at: Moment) {
        let again = matches!(self.phase,
            Phase::Acting { index: i, undo: u, attempts, .. } if i == index && u == undo && attempts > 0);
        self.cut_short |= matches!(self.phase,
            Phase::Acting { index: i, undo: u, .. } if index > i && undo == u);
        let attempts = match self.phase {
            Phase::Acting { attempts, .. } if again => attempts + 1,
            _ => 1,
        };
        self.runs = run;
        self.phase = Phase::Acting { index, undo, running: true, attempts };
        let steps = if undo { &self.incident.plan.undo } else { &self.incident.plan.steps };
        let Some(step) = steps.get(index) else { return };
        match self.incident.steps.last_mut() {
            Some(last) if again => last.attempts = attempts,
            _ => self.incident.steps.push(StepRun {
                name: step.name.clone(),
                kind: step.does.kind().to_string(),
                began_at: at,
                ended_at: None,
                attempts,
                outcome: None,
                output: String::new(),
            }),
        }
    }

    fn step_ended(&mut self, at: Moment, outcome: &StepOutcome) {
        let (index, undo, attempts) = match self.phase {
            Phase::Acting { index, undo, attempts, .. } => (index, undo, attempts),
            // The step that judges: its end is the verification's.
            Phase::Verifying { .. } => (self.incident.plan.steps.len().saturating_sub(2), false, 1),
            Phase::Ended(_) => return,
        };
        let steps = if undo { &self.incident.plan.undo } else { &self.incident.plan.steps };
        let does = steps.get(index).map(|step| &step.does);
        let puts_right = undo || matches!(does, Some(Does::Discard { .. }));
        let acts =
            steps.get(index).is_some_and(|step| !matches!(step.does, Does::Tell | Does::Verify));
        if let Some(step) = self.incident.steps.last_mut() {
            step.ended_at = Some(at);
            let (result, words) = match outcome {
                StepOutcome::Done(words) => (Ok(()), words),
                StepOutcome::Failed { why, fault } => (Err(*fault), why),
            };
            step.outcome = Some(result);
            step.output.clone_from(words);
            if acts {
                let first = self.incident.acted.map_or(step.began_at, |(first, _)| first);
                self.incident.acted = Some((first, at));
            }
        }
        let on = |index, undo, attempts| Phase::Acting { index, undo, running: false, attempts };
        self.phase = match outcome {
            StepOutcome::Done(_) => on(index + 1, undo, 0),
            StepOutcome::Failed { fault: Fault::World, .. }
                if (attempts as usize) <= BACKOFF.len() && (!self.aborted || puts_right) =>
            {
                on(index, undo, attempts)
            }
            // What cannot be undone does not keep the rest from being undone.
            StepOutcome::Failed { .. } if undo => on(index + 1, undo, 0),
            StepOutcome::Failed { why, fault } => {
                self.undoing = Some((why.clone(), *fault));
                on(0, true, 0)
            }
        };
    }

    /// The undo steps that failed, in words.
    #[must_use]
    pub fn not_undone(&self) -> Vec<String> {
        let names: Vec<&str> =
            self.incident.plan.undo.iter().map(|step| step.name.as_str()).collect();
        let failed = |step: &&StepRun| {
            names.contains(&step.name.as_str()) && matches!(step.outcome, Some(Err(_)))
        };
        let say = |step: &StepRun| alloc::format!("{}: {}", step.name, step.output);
        self.incident.steps.iter().filter(failed).map(say).collect()
    }
}
