//! The demo in its order: v1 serves, rollbackd is armed, v2 is deployed and
//! breaks, rollbackd puts v1 back and proves it, and a mail says so.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, bail, ensure};
use owo_colors::OwoColorize;

use crate::{
    arguments::Arguments,
    daemon::{Daemon, Incident, Project},
    mail::MailSink,
    report,
    screen::Screen,
    stage::Stage,
    traffic::{self, Traffic},
};

/// How often the daemon is asked.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Everything on stage. Dropped from the first field to the last: customers
/// leave, the daemon stops, and only then is the stage cleared.
struct Story<'a> {
    screen: &'a mut Screen,
    interrupted: &'a AtomicBool,
    traffic: Traffic,
    daemon: Daemon,
    mail: MailSink,
    stage: Stage,
    project: Project,
    incident: Option<Incident>,
    told: Told,
}

/// What has been said already.
#[derive(Default)]
struct Told {
    armed: bool,
    states: BTreeMap<String, String>,
    standing: Option<(u64, String)>,
    began: bool,
    steps_begun: usize,
    steps_ended: usize,
    mails: usize,
}

/// Tells the whole of it; an error when v1 is not what serves at the end.
pub(crate) fn tell(
    arguments: &Arguments,
    screen: &mut Screen,
    interrupted: &AtomicBool,
) -> Result<()> {
    let mail = MailSink::start()?;
    let stage = Stage::set(arguments, mail.port)?;
    let (compose, port) = (stage.compose.typed(), stage.port);
    screen
        .say(&format!("made shop:v1 (good) and shop:v2 (12 % errors, 900 ms slow); {compose} up"));
    stage.deploy("v1")?;
    wait_for_v1(port, interrupted)?;
    screen.say("v1 serves; 100 requests a second begin, and rollbackd starts");
    let traffic = Traffic::start(port)?;
    let daemon = Daemon::start(&arguments.rollbackd, &stage.directory, &stage.config)?;
    let mut story = Story {
        screen,
        interrupted,
        traffic,
        daemon,
        mail,
        stage,
        project: Project::default(),
        incident: None,
        told: Told::default(),
    };
    story.until("rollbackd being armed", Duration::from_secs(45), Story::is_armed)?;
    story.deploy_v2()?;
    story.until("the rollback", Duration::from_secs(60), Story::has_ended)?;
    story.until("the mail about its end", Duration::from_secs(15), |story| story.mails() >= 2)?;
    story.end()
}

impl Story<'_> {
    fn is_armed(&self) -> bool {
        let services = &self.project.services;
        !services.is_empty() && services.iter().all(|service| service.armed)
    }

    fn has_ended(&self) -> bool {
        self.incident.as_ref().is_some_and(|incident| incident.ended_at.is_some())
    }

    fn mails(&self) -> usize {
        self.told.mails
    }

    fn deploy_v2(&mut self) -> Result<()> {
        let compose = self.stage.compose.typed();
        let typed = format!("docker tag shop:v2 shop:latest && {compose} up -d");
        self.screen.say(&format!("{} {}", "$".dimmed(), typed.bold()));
        self.traffic.reset();
        self.stage.deploy("v2")
    }

    /// Watches until something is so.
    fn until(&mut self, what: &str, limit: Duration, fact: impl Fn(&Self) -> bool) -> Result<()> {
        let deadline = Instant::now() + limit;
        loop {
            ensure!(!self.interrupted.load(Ordering::Relaxed), "interrupted");
            self.look()?;
            if fact(self) {
                return Ok(());
            }
            if Instant::now() >= deadline {
                let services = self.project.services.iter();
                let reasons: Vec<&str> =
                    services.flat_map(|service| &service.reasons).map(String::as_str).collect();
                bail!(
                    "{what} did not come within {} s ({}); the daemon's log ends with:\n{}",
                    limit.as_secs(),
                    reasons.join("; "),
                    self.daemon.last_words()
                );
            }
            thread::sleep(LOOK_EVERY);
        }
    }

    /// Asks the daemon, says what is new, draws the picture.
    fn look(&mut self) -> Result<()> {
        let ours = |status: crate::daemon::Status| status.projects.into_iter().next();
        if let Some(project) = self.daemon.status()?.and_then(ours) {
            self.project = project;
        }
        self.incident = self.daemon.history()?.into_iter().next_back();
        self.tell_project();
        self.tell_incident();
        self.tell_mails();
        let now = self.traffic.now();
        let picture = report::picture(&self.project, &now);
        self.screen.draw(&picture, &report::line(&self.project, &now));
        Ok(())
    }

    fn tell_project(&mut self) {
        let Self { project, told, screen, .. } = self;
        if let (Some(revision), Some(standing)) = (project.revision, project.standing.clone()) {
            let standing = (revision, standing);
            if told.standing.as_ref() != Some(&standing) {
                screen.say(&format!("revision {} is {}", standing.0, standing.1));
                told.standing = Some(standing);
            }
        }
        let armed = !project.services.is_empty() && project.services.iter().all(|s| s.armed);
        if armed && !told.armed {
            told.armed = true;
            screen.say(&format!("rollbackd is {}", "armed".green().bold()));
        }
        // Once it acts, what a trigger says is of the past until it is judged.
        if told.began {
            return;
        }
        for service in &project.services {
            for trigger in &service.triggers {
                let key = format!("{} {}", service.name, trigger.signal);
                let before = told.states.insert(key.clone(), trigger.state.clone());
                if before.as_deref() == Some(trigger.state.as_str()) {
                    continue;
                }
                let value = trigger.value.map(|value| report::value(&trigger.signal, value));
                let value = value.unwrap_or_else(|| "no data".to_owned());
                let limit =
                    report::condition(&trigger.signal, &trigger.condition, trigger.threshold);
                let word = match trigger.state.as_str() {
                    "pending" => "pending".yellow().to_string(),
                    "breached" => "breached".red().bold().to_string(),
                    _ => continue,
                };
                screen.say(&format!("{key}: {value}, {limit}: {word}"));
            }
        }
    }

    fn tell_incident(&mut self) {
        let Self { incident: Some(incident), told, screen, .. } = self else { return };
        if !told.began {
            told.began = true;
            let what = format!("{} {}", incident.kind, incident.id);
            screen.say(&format!("{}: {}", what.bold(), report::because(incident)));
        }
        for (place, step) in incident.steps.iter().enumerate() {
            if place >= told.steps_begun && step.began_at.is_some() && step.outcome.is_none() {
                told.steps_begun = place + 1;
                screen.say(&format!("  {} …", step.name));
            }
            let (Some(outcome), Some(ended)) = (&step.outcome, step.ended_at) else { continue };
            if place >= told.steps_ended {
                told.steps_ended = place + 1;
                let took =
                    step.began_at.map_or(0.0, |began| ended.duration_since(began).as_secs_f64());
                let said = step.output.as_deref().filter(|said| !said.is_empty());
                let said = said.map_or(String::new(), |said| format!(": {said}"));
                screen.say(&format!("  {} {outcome}, {took:.2} s{said}", step.name));
            }
        }
    }

    fn tell_mails(&mut self) {
        let arrived = self.mail.arrived();
        for message in &arrived[self.told.mails..] {
            self.screen.say(&format!("mail: {}", message.subject.bold()));
        }
        self.told.mails = arrived.len();
    }

    /// What it came to, and whether it is what it should be.
    fn end(&mut self) -> Result<()> {
        let resident = self.daemon.resident();
        wait_for_v1(self.stage.port, self.interrupted)?;
        let runs = self.stage.running_image()?;
        let Self { screen, incident: Some(incident), stage, project, mail, traffic, .. } = self
        else {
            bail!("there is no rollback in the history");
        };
        screen.plain("");
        if let Some(message) = mail.arrived().last() {
            screen.plain("The mail as it arrived:\n");
            report::mail(message).iter().for_each(|line| screen.plain(line));
            screen.plain("");
        }
        let took = incident
            .ended_at
            .map_or(0.0, |ended| ended.duration_since(incident.began_at).as_secs_f64());
        screen.plain(&format!("The incident, {took:.1} s from decision to proof:\n"));
        report::summary(incident).iter().for_each(|line| screen.plain(line));
        screen.plain(&format!("\n  {}", report::harm(&traffic.totals())));
        if let Some(resident) = resident {
            screen.plain(&format!("  rollbackd itself: {resident:.1} MiB resident\n"));
        }
        ensure!(runs == stage.images[0], "not v1 runs at the end, but {runs}");
        let outcome = incident.outcome.as_deref().unwrap_or("nothing");
        ensure!(outcome == "recovered", "the rollback ended {outcome}, not recovered");
        for service in &project.services {
            let says = service.image_id.as_deref();
            ensure!(says == Some(&runs), "status says that {says:?} runs, and it is {runs}");
        }
        screen.say(&format!("{}", "v1 serves again".green().bold()));
        Ok(())
    }
}

/// Until the shop answers as v1.
fn wait_for_v1(port: u16, interrupted: &AtomicBool) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(15);
    loop {
        ensure!(!interrupted.load(Ordering::Relaxed), "interrupted");
        let answer = traffic::ask(port);
        if matches!(&answer, Ok((200, Some(version))) if version == "v1") {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "v1 does not serve: {answer:?}");
        thread::sleep(Duration::from_millis(50));
    }
}
