//! `status`, `status --watch` and `status --check`.

use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use crate::{
    api::json::Status,
    cli::{
        client::Client,
        exit::{Exit, Failure},
        out::Out,
        show,
    },
};

/// How often `--watch` draws.
const AGAIN: Duration = Duration::from_secs(1);

/// Shows it once. With `check`, what is unarmed decides the exit code.
pub(super) async fn once(client: &Client, check: bool, out: &Out) -> Result<Exit, Failure> {
    let status = client.status().await?;
    if out.json {
        out.document(&status)?;
    } else if check {
        tell_unarmed(&status, out)?;
    } else {
        out.text(&show::status::status(&status, &out.reader()))?;
    }
    Ok(if check { verdict(&status) } else { Exit::Done })
}

/// What is unarmed and why, a line each; when nothing is, a line that says so.
fn tell_unarmed(status: &Status, out: &Out) -> Result<(), Failure> {
    let unarmed = show::status::unarmed(status);
    if unarmed.is_empty() {
        return out.progress("everything that is watched is armed");
    }
    out.text(&unarmed.iter().map(|line| format!("{line}\n")).collect::<String>())
}

/// Refused when anything that is watched could not be rolled back right now.
fn verdict(status: &Status) -> Exit {
    let mut services = status.projects.iter().flat_map(|project| &project.services);
    let unarmed = services.any(show::status::is_unarmed);
    if unarmed || status.engine.is_some() || status.trouble.is_some() {
        Exit::Refused
    } else {
        Exit::Done
    }
}

/// Shows it until interrupted. A daemon that goes away is told and waited for;
/// one that was never there is an error.
pub(super) async fn watch(client: &Client, out: &Out) -> Result<Exit, Failure> {
    let mut last = client.status().await?;
    let mut away = None;
    let mut ticks = interval(AGAIN);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks.tick().await;
    if !out.json {
        out.clear()?;
    }
    loop {
        if out.json {
            if away.is_none() {
                out.line(&last)?;
            }
        } else {
            out.redraw(&screen(&last, away.as_ref(), out))?;
        }
        ticks.tick().await;
        match client.status().await {
            Ok(status) => (last, away) = (status, None),
            Err(failure) => away = Some(failure),
        }
    }
}

fn screen(status: &Status, away: Option<&Failure>, out: &Out) -> String {
    let reader = out.reader();
    let text = show::status::status(status, &reader);
    match away {
        Some(failure) => format!("{}\n{text}", show::style::bad(&format!("! {}", failure.line()))),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{api::samples, cli::exit::Exit};

    #[test]
    fn check_refuses_while_anything_watched_is_unarmed() {
        let mut status = samples::status();
        assert_eq!(verdict(&status), Exit::Refused);
        for project in &mut status.projects {
            for service in &mut project.services {
                service.armed = !service.triggers.is_empty();
            }
        }
        assert_eq!(verdict(&status), Exit::Done, "what has no trigger does not count");
        status.engine = Some("connection refused".into());
        assert_eq!(verdict(&status), Exit::Refused);
    }
}
