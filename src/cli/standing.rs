//! Waiting until a deployment has its standing: what is said meanwhile, what is
//! said at the end, and the exit code that follows. The daemon decides; it may
//! restart meanwhile, and is waited for.

use std::time::Duration;

use rollbackd_core::{
    incident::Outcome,
    view::{TriggerState, Verdict, WaitsFor},
    words::{ProjectName, RevisionNo},
};
use serde::Serialize;
use tokio::time::{Instant, sleep_until};

use crate::{
    api::json::{Incident, Project, Status, Verdict as Says},
    cli::{
        client::Client,
        exit::{Exit, Failure},
        out::Out,
        show::words::{condition, took, value},
    },
};

/// How often is asked.
const AGAIN: Duration = Duration::from_millis(500);

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Of {
    /// The newest revision, rolled back from or not.
    Newest,
    /// The revision that runs: nothing was deployed.
    Running,
}

/// The end, for programs.
#[derive(Debug, Serialize)]
pub(super) struct Ended {
    /// The project.
    pub(super) project: ProjectName,
    /// The revision that it is about.
    pub(super) revision: Option<RevisionNo>,
    /// `good`, `rolled-back`, `not-rolled-back`, `unknown` or `time-ran-out`.
    pub(super) verdict: &'static str,
    /// Why, in words.
    pub(super) reason: String,
    /// The program's exit code.
    pub(super) exit_code: u8,
    /// The rollback, whole.
    pub(super) rollback: Option<Incident>,
    /// `deploy`: whether anything was deployed.
    pub(super) changed: Option<bool>,
    #[serde(skip)]
    exit: Option<Exit>,
}

/// One wait: whose, how long, and what was said already.
pub(super) struct Wait<'a> {
    client: &'a Client,
    project: &'a ProjectName,
    out: &'a Out,
    until: Instant,
    told: Option<&'static str>,
}

impl<'a> Wait<'a> {
    pub(super) fn new(
        client: &'a Client,
        project: &'a ProjectName,
        out: &'a Out,
        timeout: Duration,
    ) -> Self {
        Self { client, project, out, until: Instant::now() + timeout, told: None }
    }

    /// Has the daemon look at the project now. What it sees later, it sees.
    pub(super) async fn look(&mut self) -> Result<(), Failure> {
        self.patiently(async |client, project| client.look(project).await).await
    }

    /// Asks until there is an answer, or time is up. A daemon that restarts is
    /// waited for.
    pub(super) async fn patiently<T>(
        &mut self,
        ask: impl AsyncFn(&Client, &ProjectName) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        loop {
            match ask(self.client, self.project).await {
                Ok(answer) => return Ok(answer),
                Err(failure) if !passes(&failure) => return Err(failure),
                Err(mut failure) if self.is_over() => {
                    if failure.exit != Exit::Unreachable {
                        failure.exit = Exit::TimeRanOut;
                    }
                    return Err(failure);
                }
                Err(failure) => self.away(&failure)?,
            }
            self.pause().await;
        }
    }

    /// Waits for the project to be in a state of which `wanted` makes something.
    pub(super) async fn until<T>(
        &mut self,
        wanted: impl Fn(&Project) -> Option<T>,
    ) -> Result<Option<T>, Failure> {
        loop {
            let status = self.patiently(async |client, _| client.status().await).await?;
            if let Some(project) = find(&status, self.project) {
                if let Some(found) = wanted(project) {
                    return Ok(Some(found));
                }
                self.tell(project, &project.verdict)?;
            } else if !status.projects.is_empty() {
                return Ok(None);
            }
            if self.is_over() {
                return Ok(None);
            }
            self.pause().await;
        }
    }

    /// Waits for the standing.
    pub(super) async fn end(mut self, of: Of) -> Result<Ended, Failure> {
        let mut paused = true;
        let mut last = None;
        loop {
            let status = self.patiently(async |client, _| client.status().await).await?;
            match find(&status, self.project) {
                Some(project) => {
                    let says = of.verdict(project).clone();
                    if says.verdict != Verdict::Waits {
                        return self.verdict(says).await;
                    }
                    paused &= project.paused;
                    self.tell(project, &says)?;
                    last = Some((says, project.pause_reason.clone().unwrap_or_default()));
                }
                // One that has just started knows of none yet.
                None if status.projects.is_empty() => {}
                None => return Ok(self.ended(None, Exit::Refused, "unknown", self.gone())),
            }
            if self.is_over() {
                return Ok(self.time_ran_out(paused, last));
            }
            self.pause().await;
        }
    }

    fn gone(&self) -> String {
        format!("{} is not in the configuration", self.project)
    }

    /// A bake that stood still the whole time can have no verdict.
    fn time_ran_out(&self, paused: bool, last: Option<(Says, String)>) -> Ended {
        let Some((says, pause)) = last else {
            return self.ended(None, Exit::TimeRanOut, "time-ran-out", "nothing was seen".into());
        };
        if paused && says.waits_for == Some(WaitsFor::Bake) {
            let why = if pause.is_empty() { "no reason given" } else { &pause };
            let reason = format!("it was paused the whole time ({why}), and its bake stood still");
            return self.ended(says.revision, Exit::Refused, "unknown", reason);
        }
        self.ended(says.revision, Exit::TimeRanOut, "time-ran-out", says.reason)
    }

    async fn verdict(&mut self, says: Says) -> Result<Ended, Failure> {
        let (exit, word) = code(&says);
        let rollback = match says.rollback {
            Some(id) => self.patiently(async |client, _| client.incident(id).await).await.ok(),
            None => None,
        };
        let reason = match (&rollback, says.outcome) {
            (Some(incident), Some(outcome)) if says.verdict == Verdict::RolledBack => {
                let to = incident.to.map(|to| format!(" to r{to}")).unwrap_or_default();
                let because = incident.trigger.as_ref().map(|name| format!(" because of {name}"));
                format!(
                    "rollback {}{to}{}: {}, {}",
                    incident.id,
                    because.unwrap_or_default(),
                    outcome.as_str(),
                    incident.reason
                )
            }
            _ => says.reason,
        };
        let ended = self.ended(says.revision, exit, word, reason);
        Ok(Ended { rollback, ..ended })
    }

    fn ended(
        &self,
        revision: Option<RevisionNo>,
        exit: Exit,
        verdict: &'static str,
        reason: String,
    ) -> Ended {
        let (project, exit_code) = (self.project.clone(), exit as u8);
        let (rollback, changed, exit) = (None, None, Some(exit));
        Ended { project, revision, verdict, reason, exit_code, rollback, changed, exit }
    }

    /// One line a phase; on a terminal one line that follows each.
    fn tell(&mut self, project: &Project, says: &Says) -> Result<(), Failure> {
        let phase = phase(project, says);
        let head = format!("{} {phase}", about(&project.name, shown(says)));
        if self.told != Some(phase) {
            self.told = Some(phase);
            self.out.settle()?;
            return self.out.progress(&format!("{head}: {}", detail(project, says)));
        }
        let bakes = says.waits_for == Some(WaitsFor::Bake);
        let pending = if bakes { pending(project) } else { String::new() };
        let pending = if pending.is_empty() { pending } else { format!("; pending: {pending}") };
        self.out.update(&format!("{head}: {}{pending}", detail(project, says)))
    }

    /// The daemon, or the engine behind it, does not answer.
    fn away(&mut self, failure: &Failure) -> Result<(), Failure> {
        let unreachable = failure.exit == Exit::Unreachable;
        let phase = if unreachable { "daemon-away" } else { "looking" };
        if self.told == Some(phase) {
            return Ok(());
        }
        self.told = Some(phase);
        self.out.settle()?;
        let why = &failure.error.message;
        self.out.progress(&format!("{} {phase}: {why}; it is waited for", self.project))
    }

    fn is_over(&self) -> bool {
        Instant::now() >= self.until
    }

    async fn pause(&self) {
        sleep_until((Instant::now() + AGAIN).min(self.until)).await;
    }
}

impl Ended {
    /// Says it, and how the program ends.
    pub(super) fn say(self, out: &Out) -> Result<Exit, Failure> {
        if out.json {
            out.document(&self)?;
        } else {
            out.settle()?;
            let head = about(&self.project, self.revision);
            out.text(&format!("{head} {}: {}\n", self.verdict, self.reason))?;
        }
        Ok(self.exit.unwrap_or(Exit::Failed))
    }
}

impl Of {
    fn verdict(self, project: &Project) -> &Says {
        match self {
            Self::Newest => &project.verdict,
            Self::Running => &project.running,
        }
    }
}

/// How a verdict ends the program.
fn code(says: &Says) -> (Exit, &'static str) {
    match says.verdict {
        Verdict::Good => (Exit::Done, "good"),
        Verdict::RolledBack if says.outcome == Some(Outcome::Recovered) => {
            (Exit::RolledBack, "rolled-back")
        }
        Verdict::RolledBack => (Exit::NotRecovered, "rolled-back"),
        Verdict::NotRolledBack => (Exit::Failed, "not-rolled-back"),
        Verdict::Unknown => (Exit::Refused, "unknown"),
        Verdict::Waits => (Exit::TimeRanOut, "time-ran-out"),
    }
}

/// What passes by itself: a daemon that restarts or is busy, an engine that is
/// away for a moment.
fn passes(failure: &Failure) -> bool {
    failure.exit == Exit::Unreachable
        || matches!(failure.error.code.as_str(), "busy" | "timeout" | "unseen")
}

fn find<'s>(status: &'s Status, name: &ProjectName) -> Option<&'s Project> {
    status.projects.iter().find(|project| project.name == *name)
}

/// The revision, once there is one that is deployed.
fn shown(says: &Says) -> Option<RevisionNo> {
    let coming = matches!(says.waits_for, Some(WaitsFor::Look | WaitsFor::Deployment));
    says.revision.filter(|_| !coming)
}

/// `shop r7`
fn about(project: &ProjectName, revision: Option<RevisionNo>) -> String {
    revision.map_or_else(|| project.to_string(), |revision| format!("{project} r{revision}"))
}

/// The words that are told apart; they do not change.
fn phase(project: &Project, says: &Says) -> &'static str {
    match says.waits_for {
        Some(WaitsFor::Look) | None => "looking",
        Some(WaitsFor::Deployment) => "deploying",
        Some(WaitsFor::Rollback) => "rolling-back",
        Some(WaitsFor::Verification) => "verifying",
        Some(WaitsFor::Bake) if project.paused => "paused",
        Some(WaitsFor::Bake) => "baking",
    }
}

fn detail(project: &Project, says: &Says) -> String {
    let rollback = says.rollback.map(|id| format!("rollback {id}, {}", says.reason));
    match (says.waits_for, project.bake) {
        (Some(WaitsFor::Bake), Some(bake)) => {
            let so_far = if bake.observed < 1.0 { "0s".into() } else { took(bake.observed) };
            let baked = format!("{so_far} of {} observed", took(bake.of));
            if !project.paused {
                return baked;
            }
            let why = project.pause_reason.as_deref().filter(|why| !why.is_empty());
            let why = why.map(|why| format!(" ({why})")).unwrap_or_default();
            format!("{baked}, and it stands still while paused{why}")
        }
        _ => rollback.unwrap_or_else(|| says.reason.clone()),
    }
}

/// What is on its way to a breach: `errors 12.4% above 5%`
fn pending(project: &Project) -> String {
    let triggers = project.services.iter().flat_map(|service| &service.triggers);
    let states = [TriggerState::Pending, TriggerState::Breached];
    let pending = triggers.filter(|trigger| states.contains(&trigger.state)).map(|trigger| {
        let shown = trigger.value.map_or_else(String::new, |v| value(&trigger.signal, v) + " ");
        let condition = condition(&trigger.signal, trigger.condition, trigger.threshold);
        format!("{} {shown}{condition}", trigger.name)
    });
    pending.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
#[path = "standing_tests.rs"]
mod tests;
