//! One file a command: arguments, talking to the daemon over its socket,
//! printing for people or as JSON. Knows nothing of the daemon's insides.

use std::{ffi::OsString, future::Future, io::Write, process::ExitCode};

use clap::{Parser, error::ErrorKind};

use crate::cli::{
    args::{Arguments, Command},
    client::Client,
    exit::{Exit, Failure},
    out::Out,
};

mod abort;
mod args;
mod ask;
mod at;
mod check;
mod client;
mod completions;
mod deploy;
mod exit;
mod follow;
mod forward;
mod history;
mod journal;
mod live;
mod man;
mod out;
mod pause;
mod revisions;
mod rollback;
mod run;
mod show;
mod socket;
mod standing;
mod status;
mod test_notify;
mod wait;
mod why;

/// The whole program: reads the arguments, does the command, tells how it went.
#[must_use]
pub fn main() -> ExitCode {
    let words: Vec<OsString> = std::env::args_os().collect();
    let arguments = match Arguments::try_parse_from(&words) {
        Ok(arguments) => arguments,
        Err(error) => return usage(&error, &words).into(),
    };
    let out = Out::new(&arguments.global);
    let ended = dispatch(arguments, &out).unwrap_or_else(|failure| {
        out.fail(&failure);
        failure.exit
    });
    ended.into()
}

fn dispatch(arguments: Arguments, out: &Out) -> Result<Exit, Failure> {
    let global = arguments.global;
    let client = || socket::of(&global).map(Client::new);
    match arguments.command {
        Command::Run => run::run(&global),
        Command::Check { live } => wait(check::check(&global, live, out)),
        Command::Status { watch: true, .. } => wait(status::watch(&client()?, out)),
        Command::Status { check, .. } => wait(status::once(&client()?, check, out)),
        Command::Why { target, at } => wait(why::why(&client()?, &target, at.as_ref(), out)),
        Command::Revisions { project } => {
            wait(revisions::list(&client()?, project.map(|name| name.0), out))
        }
        Command::History { id: Some(id) } => wait(history::one(&client()?, id, out)),
        Command::History { id: None } => wait(history::list(&client()?, out)),
        Command::Rollback(wanted) => wait(rollback::rollback(&client()?, &wanted, out)),
        Command::Forward { target, acting } => {
            wait(forward::forward(&client()?, &target, acting, out))
        }
        Command::Pause { project, lasts, reason } => {
            wait(pause::pause(&client()?, project.map(|name| name.0), lasts, reason, out))
        }
        Command::Resume { project } => {
            wait(pause::resume(&client()?, project.map(|name| name.0), out))
        }
        Command::Wait { project, timeout } => {
            wait(wait::wait(&client()?, &project.0, timeout, out))
        }
        Command::Deploy { project, timeout, command } => {
            wait(deploy::deploy(&client()?, &project.0, timeout, &command, out))
        }
        Command::Abort { id } => wait(abort::abort(&client()?, id, out)),
        Command::TestNotify => wait(test_notify::test_notify(&client()?, out)),
        Command::Completions { shell } => completions::completions(shell, out),
        Command::Man { directory } => man::man(directory.as_deref(), out),
    }
}

/// Runs what talks to the daemon: one thread is enough.
fn wait(work: impl Future<Output = Result<Exit, Failure>>) -> Result<Exit, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|why| {
            let message = format!("the system gives this program no event queue: {why}");
            Failure::new(Exit::Failed, "internal", message, "raise the limit of open files")
        })?
        .block_on(work)
}

/// Help and version go where they are looked for; what is wrong is one line.
fn usage(error: &clap::Error, words: &[OsString]) -> Exit {
    let asked_for = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    if asked_for || error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        // The reader may have gone away; there is nobody else to tell.
        let _ = error.print();
        let _ = std::io::stdout().flush();
        return if asked_for { Exit::Done } else { Exit::Usage };
    }
    out::fail(&misused(error), words.iter().any(|word| word == "--json"));
    Exit::Usage
}

/// Clap's first paragraph says what is wrong; the rest is help, which has a
/// place of its own.
fn misused(error: &clap::Error) -> Failure {
    let text = error.render().to_string();
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    let mut paragraphs =
        text.split("\n\n").map(|part| part.split_whitespace().collect::<Vec<_>>().join(" "));
    let message = paragraphs.next().unwrap_or_default();
    let tip = paragraphs.find_map(|part| part.strip_prefix("tip: ").map(str::to_owned));
    let hint = tip.unwrap_or_else(|| "see `rollbackd --help`".to_owned());
    Failure::new(Exit::Usage, "usage", message, hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn misuse(words: &str) -> String {
        let error = Arguments::try_parse_from(words.split(' ')).unwrap_err();
        misused(&error).line()
    }

    #[test]
    fn wrong_usage_is_one_line_that_says_what_to_do() {
        insta::assert_snapshot!(misuse("rollbackd statsu"), @"rollbackd: unrecognized subcommand 'statsu'; a similar subcommand exists: 'status'");
        insta::assert_snapshot!(misuse("rollbackd status --wacth"), @"rollbackd: unexpected argument '--wacth' found; a similar argument exists: '--watch'");
        insta::assert_snapshot!(misuse("rollbackd rollback"), @"rollbackd: the following required arguments were not provided: <PROJECT[/SERVICE]>; see `rollbackd --help`");
        insta::assert_snapshot!(misuse("rollbackd rollback shop --to r0"), @"rollbackd: invalid value 'r0' for '--to <REV|IMAGE>': a revision is a number as `rollbackd revisions` lists it (2 or r2), an image is written as `shop:previous`, `shop@sha256:...` or `sha256:...`; see `rollbackd --help`");
        insta::assert_snapshot!(misuse("rollbackd why shop/backend --at noon"), @"rollbackd: invalid value 'noon' for '--at <TIME>': write a time of day (03:12 or 03:12:40), how long ago (10m), or the whole of it (2026-11-21T03:12:00Z); see `rollbackd --help`");
        insta::assert_snapshot!(misuse("rollbackd pause --for tomorrow"), @"rollbackd: invalid value 'tomorrow' for '--for <TIME>': expected number at 0; see `rollbackd --help`");
    }
}
