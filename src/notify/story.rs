//! What each kind of news tells, under the same four headings: what happened,
//! what was done, is it over, what must be done now.

use rollbackd_core::{
    effect::Notice,
    incident::{Breach, Cause, Incident, Outcome, StepRun},
    plan::Does,
    words::{RevisionNo, ServiceName},
};

use super::{
    layout::{Block, Page, Tone},
    message::Letterhead,
    wording::{change, clip, duration, full_stop, is_down, sentence, short, threshold, value},
};

/// One notice and who tells it.
pub(super) struct Story<'a> {
    pub(super) letterhead: &'a Letterhead,
    pub(super) notice: &'a Notice,
}

impl Story<'_> {
    /// A breach that leads to no rollback.
    pub(super) fn alert(&self, breach: &Breach, reason: &str) -> Page {
        let place = self.place(Some(&breach.service));
        Page {
            title: format!("{place}: alert, {}", short(breach)),
            tone: Tone::Notice,
            happened: self.breached(breach),
            done: vec![text(format!("Nothing was rolled back: {}", full_stop(reason)))],
            over: vec![self.still_breaching(breach)],
            todo: vec![text(format!(
                "Look at {place}. `rollbackd rollback {place}` goes back by hand, \
                 with `--dry-run` it only shows the steps."
            ))],
            footer: self.letterhead.footer(None),
        }
    }

    /// A trigger without data.
    pub(super) fn blind(&self, service: &ServiceName, trigger: &str, reason: &str) -> Page {
        let place = self.place(Some(service));
        Page {
            title: format!("{place}: blind, no data for {trigger}"),
            tone: Tone::Notice,
            happened: vec![
                text(format!("The trigger {trigger} of {place} gets no usable data.")),
                facts([("source said", clip(reason)), ("told at", self.now())]),
            ],
            done: vec![text(
                "Nothing: a trigger without data neither calls for a rollback nor confirms that \
                 a deployment is good.",
            )],
            over: vec![text(format!("Not when this was written ({}).", self.now()))],
            todo: vec![text(
                "See that its source answers: `rollbackd check --live` asks each source once and \
                 shows what it said.",
            )],
            footer: self.letterhead.footer(None),
        }
    }

    /// A rollback has begun.
    pub(super) fn began(&self, incident: &Incident) -> Page {
        let place = self.place_of(incident);
        let steps = incident.plan.steps.iter().filter(|step| step.does != Does::Tell);
        let limit = incident.plan.steps.iter().find(|step| step.does == Does::Verify);
        let mut over = "No. You will be told how it ends".to_owned();
        if let Some(verify) = limit {
            over += &format!(
                "; once the images run, the signals have {} to be back",
                duration(verify.limit)
            );
        }
        Page {
            title: format!("{place}: {} {}", verb(incident), going(incident)),
            tone: Tone::Notice,
            happened: self.cause(incident),
            done: vec![
                text(format!("It has begun, at {}:", self.letterhead.time(incident.began_at))),
                changes(incident),
                text("The steps:"),
                Block::List(steps.map(|step| step.name.clone()).collect()),
            ],
            over: vec![text(format!("{over}."))],
            todo: vec![text(format!(
                "Nothing yet. A deployment of {} now would take over.",
                self.notice.project
            ))],
            footer: self.letterhead.footer(Some(incident)),
        }
    }

    /// A rollback has ended.
    pub(super) fn ended(&self, incident: &Incident, outcome: Outcome, todo: &[String]) -> Page {
        let place = self.place_of(incident);
        let to = incident.destination().unwrap_or_else(|| "what ran before".into());
        // An image that is no revision's never ran here.
        let image = incident.to.is_none() && incident.destination().is_some();
        let runs = if image { "runs" } else { "runs again" };
        let (tone, result, over) = match outcome {
            Outcome::Recovered => (
                Tone::Good,
                format!("recovered, {to} {runs}"),
                format!("Yes: {to} runs and the signals are back."),
            ),
            Outcome::Unverified => (
                Tone::Notice,
                format!("{to} {runs}, unverified"),
                format!("Probably: {to} runs, but nothing says whether that helped."),
            ),
            Outcome::NotRecovered => (
                Tone::Bad,
                format!("NOT recovered, {to} runs but the signals are not back"),
                format!("No: {to} runs, and that did not help; r{} is acquitted.", incident.from),
            ),
            Outcome::Failed => (
                Tone::Bad,
                format!("rollback FAILED, {to} does not run"),
                format!("No: {to} does not run."),
            ),
            Outcome::Refused => (
                Tone::Notice,
                "rollback stopped, it did not run to its end".to_owned(),
                "Not by rollbackd: it stopped, and leaves things as they are.".to_owned(),
            ),
        };
        let mut done = vec![changes(incident)];
        done.extend(self.steps(&incident.steps));
        Page {
            title: format!("{place}: {result}"),
            tone,
            happened: self.cause(incident),
            done,
            over: vec![
                text(format!("{over} {}", sentence(&incident.reason)).trim_end().to_owned()),
                self.phases(incident),
            ],
            todo: todos(todo),
            footer: self.letterhead.footer(Some(incident)),
        }
    }

    /// A rollback was called for and a guard refused it.
    pub(super) fn refused(&self, incident: &Incident) -> Page {
        let place = self.place_of(incident);
        let because = incident.breach().map(|breach| format!(" ({})", short(breach)));
        let mut done =
            vec![text(format!("Nothing was rolled back: {}", full_stop(&incident.reason)))];
        let mut todo = vec![text(format!(
            "Decide: `rollbackd rollback {place}` goes back by hand, and only a missing target or \
             a running rollback can refuse that."
        ))];
        if incident.services.is_empty() {
            todo = vec![text(format!("Repair {place} by hand, or deploy a good version."))];
        } else {
            done.push(text("What would have gone back:"));
            done.push(changes(incident));
        }
        Page {
            title: format!("{place}: NOT rolled back{}", because.unwrap_or_default()),
            tone: Tone::Bad,
            happened: self.cause(incident),
            done,
            over: vec![text(
                "No. When what held it back is over and the signal is still bad, it is decided \
                 again.",
            )],
            todo,
            footer: self.letterhead.footer(Some(incident)),
        }
    }

    /// A pause has ended by itself.
    pub(super) fn pause_ended(&self) -> Page {
        let place = self.place(None);
        Page {
            title: format!("{place}: the pause is over"),
            tone: Tone::Notice,
            happened: vec![text(format!("The pause of {place} ended at {}.", self.now()))],
            done: vec![text(
                "rollbackd acts on it again. A signal that is still bad is decided now.",
            )],
            over: vec![text("Yes.")],
            todo: vec![text(format!(
                "Nothing; or `rollbackd pause {place} --for 1h` if you are not done."
            ))],
            footer: self.letterhead.footer(None),
        }
    }

    /// A target's own containers failed; another is tried.
    pub(super) fn target_failed(&self, incident: &Incident, failed: RevisionNo, why: &str) -> Page {
        let place = self.place_of(incident);
        let mut done = vec![text(format!(
            "Revision {failed} is marked bad, and the next revision back is tried."
        ))];
        done.extend(self.steps(&incident.steps));
        Page {
            title: format!("{place}: r{failed} does not run, trying an older one"),
            tone: Tone::Bad,
            happened: vec![
                text(format!(
                    "Revision {failed}, to which {place} was to go back, did not run: {}",
                    full_stop(why)
                )),
                facts([("told at", self.now())]),
            ],
            done,
            over: vec![text("No. You will be told how it ends.")],
            todo: vec![text("Nothing yet.")],
            footer: self.letterhead.footer(Some(incident)),
        }
    }

    /// Why an incident began.
    fn cause(&self, incident: &Incident) -> Vec<Block> {
        let place = self.place_of(incident);
        let mut blocks = match &incident.cause {
            Cause::Breach(breach) => self.breached(breach),
            Cause::Person { reason, forward } => {
                let way = if *forward { "forward again" } else { "back" };
                let reason = match reason.trim() {
                    "" => "They gave no reason.".to_owned(),
                    reason => format!("Their reason: {}", full_stop(reason)),
                };
                vec![text(format!("Somebody asked that {place} go {way}. {reason}"))]
            }
            Cause::NotRecovered { incident } => vec![text(format!(
                "Going back (incident {incident}) did not help, so {place} goes forward again: it \
                 was not the deployment."
            ))],
            Cause::KnownBad { incident } => vec![text(format!(
                "An image that incident {incident} rolled back from was brought back to {place}, \
                 and no person seems to have done it."
            ))],
        };
        if !incident.joined.is_empty() {
            let names = incident.joined.iter().map(|breach| {
                let when = self.letterhead.time(breach.at);
                (breach.name.clone(), format!("{}, at {when}", short(breach)))
            });
            blocks.push(text("Meanwhile there breached besides:"));
            blocks.push(Block::Facts(names.collect()));
        }
        blocks
    }

    /// A breach with its values and times.
    fn breached(&self, breach: &Breach) -> Vec<Block> {
        let place = self.place(Some(&breach.service));
        let held = duration(breach.at.since(breach.pending_since));
        let what = match breach.value {
            None => format!("{} of {place} has had no data for {held}.", breach.signal),
            Some(_) if is_down(breach) => format!("{place} does not come up."),
            Some(_) if breach.at == breach.pending_since => {
                format!("{} of {place} was {}.", breach.signal, threshold(breach))
            }
            Some(_) => {
                format!("{} of {place} was {} for {held}.", breach.signal, threshold(breach))
            }
        };
        vec![
            text(what),
            facts([
                ("trigger", breach.name.clone()),
                ("last value", value(breach)),
                ("threshold", threshold(breach)),
                ("since", self.letterhead.time(breach.pending_since)),
                ("breached at", self.letterhead.time(breach.at)),
            ]),
        ]
    }

    fn still_breaching(&self, breach: &Breach) -> Block {
        let when = self.letterhead.time(breach.at);
        text(format!("Not when this was written: the last value was {} at {when}.", value(breach)))
    }

    /// The steps as they went.
    fn steps(&self, steps: &[StepRun]) -> Vec<Block> {
        let went: Vec<String> = steps.iter().filter(|step| step.kind != "tell").map(went).collect();
        let Some(first) = steps.first() else {
            return vec![text("No step was begun.")];
        };
        let began = self.letterhead.time(first.began_at);
        vec![text(format!("The steps, from {began}:")), Block::List(went)]
    }

    /// How long each phase took.
    fn phases(&self, incident: &Incident) -> Block {
        let phases = incident.phases();
        let first = incident.breach().map_or(incident.began_at, |breach| breach.pending_since);
        let whole = incident.ended_at.map(|end| end.since(first));
        let ended = incident.ended_at.map(|end| self.letterhead.time(end));
        let lasted = [
            ("detect", phases.detect),
            ("decide", phases.decide),
            ("act", phases.act),
            ("verify", phases.verify),
            ("in all", whole),
        ];
        let lasted = lasted.into_iter().filter_map(|(name, took)| Some((name, duration(took?))));
        facts(lasted.chain(ended.map(|ended| ("ended at", ended))))
    }

    /// `shop/backend`, or `shop` where it is not about one service.
    pub(super) fn place(&self, service: Option<&ServiceName>) -> String {
        let project = &self.notice.project;
        service.map_or_else(|| project.to_string(), |service| format!("{project}/{service}"))
    }

    fn place_of(&self, incident: &Incident) -> String {
        let only = match &incident.services[..] {
            [one] => Some(&one.name),
            _ => None,
        };
        self.place(incident.breach().map(|breach| &breach.service).or(only))
    }

    fn now(&self) -> String {
        self.letterhead.time(self.notice.at)
    }
}

pub(super) fn text(text: impl Into<String>) -> Block {
    Block::Text(text.into())
}

fn facts<'a>(facts: impl IntoIterator<Item = (&'a str, String)>) -> Block {
    Block::Facts(facts.into_iter().map(|(name, fact)| (name.to_owned(), fact)).collect())
}

/// What each service ran and what it goes to.
fn changes(incident: &Incident) -> Block {
    let service = |service| change(service);
    Block::Facts(incident.services.iter().map(|one| (one.name.to_string(), service(one))).collect())
}

/// `recreate backend: done in 420ms`
fn went(step: &StepRun) -> String {
    let took = step.ended_at.map(|end| duration(end.since(step.began_at)));
    let outcome = match (&step.outcome, took) {
        (Some(Ok(())), Some(took)) => format!("done in {took}"),
        (Some(Ok(())), None) => "done".to_owned(),
        (Some(Err(_)), Some(took)) => format!("FAILED after {took}"),
        (Some(Err(_)), None) => "FAILED".to_owned(),
        (None, _) => "begun".to_owned(),
    };
    let tries = match step.attempts {
        0 | 1 => String::new(),
        attempts => format!(", {attempts} attempts"),
    };
    let said = match step.output.trim() {
        "" => String::new(),
        said => format!(" ({})", clip(said)),
    };
    format!("{}: {outcome}{tries}{said}", step.name)
}

fn todos(todo: &[String]) -> Vec<Block> {
    match todo {
        [] => vec![text("Nothing.")],
        [one] => vec![text(one.clone())],
        many => vec![Block::List(many.to_vec())],
    }
}

fn verb(incident: &Incident) -> &'static str {
    if incident.goes_forward() { "going forward" } else { "rolling back" }
}

/// `r2 -> r1 (error_rate 12% > 5%)`
fn going(incident: &Incident) -> String {
    let to = incident.destination().unwrap_or_else(|| "?".into());
    let why = match &incident.cause {
        Cause::Breach(breach) => short(breach),
        Cause::Person { reason, .. } if reason.trim().is_empty() => "by hand".to_owned(),
        Cause::Person { reason, .. } => format!("by hand: {}", clip(reason)),
        Cause::NotRecovered { incident } => format!("incident {incident} did not help"),
        Cause::KnownBad { incident } => format!("known bad since incident {incident}"),
    };
    format!("r{} -> {to} ({why})", incident.from)
}
