//! `deploy`: announces a deployment, runs the person's own command, says when that
//! has ended, and goes on as `wait`. The command is theirs: its terminal, its
//! output, its signals.

use std::{
    ffi::OsString,
    io::{self, IsTerminal},
    os::{fd::AsFd, unix::process::ExitStatusExt},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use futures_util::StreamExt;
use rollbackd_core::{event::Command, words::ProjectName};
use rustix::process::{Pid, Signal, kill_process};
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    low_level::emulate_default_handler,
};
use signal_hook_tokio::Signals;
use tokio::process::Child;

use crate::{
    api::json::Project,
    cli::{
        client::Client,
        exit::{Exit, Failure},
        out::Out,
        standing::{Of, Wait},
        wait,
    },
};

/// The daemon is told the command's end also when the time is nearly over.
const TELL_WITHIN: Duration = Duration::from_secs(60);

/// Runs the command as a deployment, and waits for its standing.
pub(super) async fn deploy(
    client: &Client,
    project: &ProjectName,
    timeout: Duration,
    command: &[OsString],
    out: &Out,
) -> Result<Exit, Failure> {
    let deploy = Deploy { client, project, command, out, id: name_of_this(out) };
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP]).map_err(|why| no_signals(&why))?;
    let mut wait = Wait::new(client, project, out, timeout);
    let before = deploy.begin(timeout).await?;
    let ended = deploy.run(&mut signals).await;
    tokio::select! {
        exit = deploy.end(&mut wait, ended) => exit?,
        signal = signals.next() => return Err(interrupted(signal.unwrap_or(SIGTERM))),
    }
    tokio::select! {
        exit = deploy.standing(wait, before) => exit,
        signal = signals.next() => Err(interrupted(signal.unwrap_or(SIGTERM))),
    }
}

struct Deploy<'a> {
    client: &'a Client,
    project: &'a ProjectName,
    command: &'a [OsString],
    out: &'a Out,
    id: String,
}

/// The newest revision before the command ran.
type Before = Option<Option<rollbackd_core::words::RevisionNo>>;

impl Deploy<'_> {
    /// The command is not run unless the daemon knows of it.
    async fn begin(&self, limit: Duration) -> Result<Before, Failure> {
        wait::known(self.client, self.project).await?;
        // What was deployed a moment ago is no part of this deployment. An engine
        // that does not answer is the daemon's reason to refuse.
        if let Err(failure) = self.client.look(self.project).await
            && failure.exit == Exit::Unreachable
        {
            return Err(failure);
        }
        let (project, id) = (self.project.clone(), self.id.clone());
        let begins = Command::DeployBegins { project, id, limit };
        let accepted = self.client.command(&begins).await?;
        self.out.progress(&accepted.message)?;
        self.out.progress(&format!("running {}", self.line()))?;
        let status = self.client.status().await.ok();
        let newest = |project: &Project| project.verdict.revision;
        Ok(status.and_then(|status| {
            status.projects.iter().find(|known| known.name == *self.project).map(newest)
        }))
    }

    /// Runs the command to its end; signals are handed on to it.
    async fn run(&self, signals: &mut Signals) -> io::Result<ExitStatus> {
        let (program, arguments) = self.command.split_first().unwrap_or((&self.command[0], &[]));
        let mut command = tokio::process::Command::new(program);
        command.args(arguments);
        if self.out.json {
            // Standard output is for the one document.
            command.stdout(Stdio::from(io::stderr().as_fd().try_clone_to_owned()?));
        }
        let mut child = command.spawn()?;
        loop {
            tokio::select! {
                ended = child.wait() => return ended,
                Some(signal) = signals.next() => hand_on(&child, signal),
            }
        }
    }

    /// Tells the daemon that it has ended. A command that failed ends this
    /// program too.
    async fn end(&self, wait: &mut Wait<'_>, ended: io::Result<ExitStatus>) -> Result<(), Failure> {
        let (project, id) = (self.project.clone(), self.id.clone());
        let ends = Command::DeployEnds { project, id };
        let mut telling = Wait::new(self.client, self.project, self.out, TELL_WITHIN);
        telling.patiently(async |client, _| client.command(&ends).await).await?;
        let Some(failed) = failed(ended) else {
            return wait.look().await;
        };
        // What it changed is seen at once; it would be before long in any case.
        let _ = self.client.look(self.project).await;
        let message = format!("{} {failed}", self.line());
        let hint = format!(
            "what it changed is watched as any deployment: see `rollbackd status` and \
             `rollbackd wait {}`",
            self.project
        );
        Err(Failure::new(Exit::Failed, "command_failed", message, hint))
    }

    /// What it deployed, or what runs when it deployed nothing.
    async fn standing(&self, mut wait: Wait<'_>, before: Before) -> Result<Exit, Failure> {
        let settled = |project: &Project| {
            let open = project.announced.is_some() || project.deploying_since.is_some();
            let seen = project.verdict.waits_for != Some(rollbackd_core::view::WaitsFor::Look);
            (!open && seen).then_some(project.verdict.revision)
        };
        let newest = wait.until(settled).await?;
        let unchanged = newest.is_some() && newest == before;
        if unchanged {
            self.out.settle()?;
            self.out.progress(&format!("{}: nothing changed", self.project))?;
        }
        let of = if unchanged { Of::Running } else { Of::Newest };
        let mut ended = wait.end(of).await?;
        ended.changed = Some(!unchanged);
        ended.say(self.out)
    }

    /// `docker compose up -d`, for people.
    fn line(&self) -> String {
        let words = self.command.iter().map(|word| word.to_string_lossy());
        format!("`{}`", words.collect::<Vec<_>>().join(" "))
    }
}

/// Nobody else's: this process, at this moment.
fn name_of_this(out: &Out) -> String {
    format!("process {} at {}", std::process::id(), out.reader().now)
}

/// At a terminal, Ctrl-C reaches the command by itself; twice would make Compose
/// stop at once.
fn hand_on(child: &Child, signal: i32) {
    if signal == SIGINT && io::stdin().is_terminal() {
        return;
    }
    let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    let signal = match signal {
        SIGINT => Signal::INT,
        SIGHUP => Signal::HUP,
        _ => Signal::TERM,
    };
    if let Some(pid) = pid {
        // It may have ended meanwhile.
        let _ = kill_process(pid, signal);
    }
}

/// How a command failed; `None` when it went well.
fn failed(ended: io::Result<ExitStatus>) -> Option<String> {
    match ended {
        Err(why) => Some(format!("cannot be run: {why}")),
        Ok(status) if status.success() => None,
        Ok(status) => Some(match (status.code(), status.signal()) {
            (Some(code), _) => format!("ended with exit code {code}"),
            (None, Some(signal)) => format!("was ended by signal {signal}"),
            (None, None) => "ended badly".to_owned(),
        }),
    }
}

/// The command is over; only the waiting is given up, as the signal says.
fn interrupted(signal: i32) -> Failure {
    // Returns only when the system refuses.
    let _ = emulate_default_handler(signal);
    Failure::new(Exit::Failed, "interrupted", "waiting was given up", "`rollbackd wait` goes on")
}

fn no_signals(why: &io::Error) -> Failure {
    let message = format!("signals cannot be listened for: {why}");
    Failure::new(Exit::Failed, "internal", message, "")
}
