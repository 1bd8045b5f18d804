//! `check`: every problem of the configuration, drawn at its place; with
//! `--live` what everything it names answers when it is asked once.

use std::io::{self, Write};

use serde::Serialize;

use crate::{
    cli::{
        args::Global,
        exit::{Exit, Failure},
        live::{self, Asked, Went},
        out::{self, Out},
        show::{
            style,
            words::{count, pad},
        },
    },
    config::{self, Loaded, Problem, Rejected, Severity, draw, settings::Config},
};

/// What a program gets.
#[derive(Serialize)]
struct Document<'a> {
    problems: &'a [Problem],
    #[serde(skip_serializing_if = "Option::is_none")]
    live: Option<&'a [Asked]>,
}

/// Checks, and asks when the file is sound.
pub(super) async fn check(global: &Global, live: bool, out: &Out) -> Result<Exit, Failure> {
    match config::load(global.config()) {
        Err(rejected) => refuse(global, &rejected, out),
        Ok(loaded) => accept(global, &loaded, live, out).await,
    }
}

fn refuse(global: &Global, rejected: &Rejected, out: &Out) -> Result<Exit, Failure> {
    let Rejected { problems, text, .. } = rejected;
    if out.json {
        out.document(&Document { problems, live: None })?;
    } else {
        explain(global, problems, text);
        let errors = problems.iter().filter(|problem| problem.severity == Severity::Error).count();
        let file = global.config().display();
        tell(&format!("rollbackd: {file} is unusable: {}", count(errors, "error")));
    }
    Ok(Exit::Configuration)
}

async fn accept(global: &Global, loaded: &Loaded, live: bool, out: &Out) -> Result<Exit, Failure> {
    let Loaded { config, warnings, text, .. } = loaded;
    if !out.json {
        explain(global, warnings, text);
        out.text(&format!("{}\n", summary(config)))?;
    }
    let asked = if live { Some(live::ask(loaded).await) } else { None };
    let faults = asked.iter().flatten().filter_map(|asked| asked.problem.clone());
    let faults: Vec<Problem> = faults.collect();
    if out.json {
        let problems = &[warnings.clone(), faults].concat();
        out.document(&Document { problems, live: asked.as_deref() })?;
    } else if let Some(asked) = &asked {
        out.text(&lines(asked))?;
        explain(global, &faults, text);
    }
    let sound = asked.iter().flatten().all(|asked| asked.went != Went::Failed);
    Ok(if sound { Exit::Done } else { Exit::Failed })
}

/// Problems go where errors go.
fn explain(global: &Global, problems: &[Problem], text: &str) {
    if !problems.is_empty() {
        tell(&draw(problems, text, out::colored(global.color, &io::stderr())));
    }
}

/// There is nobody left to tell when that fails.
fn tell(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// `/etc/rollbackd/rollbackd.toml is good: 1 project, 4 triggers, 2 sources`
fn summary(config: &Config) -> String {
    let triggers = config.projects.iter().map(|project| project.watches.len()).sum();
    format!(
        "{} is good: {}, {}, {}",
        config.path.display(),
        count(config.projects.len(), "project"),
        count(triggers, "trigger"),
        count(config.sources.len(), "source"),
    )
}

fn lines(asked: &[Asked]) -> String {
    let widest = asked.iter().map(|asked| asked.what.chars().count()).max().unwrap_or(0);
    let line = |asked: &Asked| {
        let how = match asked.went {
            Went::Ok => style::good("ok    "),
            Went::Breach => style::bad("breach"),
            Went::Empty => style::warn("empty "),
            Went::Failed => style::bad("failed"),
        };
        format!("{}  {how}  {}\n", pad(&asked.what, widest), asked.answer)
    };
    asked.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use anstream::adapter::strip_str;

    use super::*;

    #[test]
    fn each_that_was_asked_has_a_line() {
        let asked = |what: &str, went: Went, answer: &str| Asked {
            what: what.into(),
            went,
            answer: answer.into(),
            problem: None,
        };
        let all = [
            asked("engine", Went::Ok, "28.5.2, API 1.51, at unix:///var/run/docker.sock"),
            asked(
                "shop/backend errors",
                Went::Failed,
                "prom: 127.0.0.1:9090 refuses the connection",
            ),
            asked("shop/backend availability", Went::Breach, "door: 503 after 2ms"),
            asked("shop/backend health", Went::Empty, "docker: the project has no container"),
        ];
        insta::assert_snapshot!(strip_str(&lines(&all)).to_string(), @r"
        engine                     ok      28.5.2, API 1.51, at unix:///var/run/docker.sock
        shop/backend errors        failed  prom: 127.0.0.1:9090 refuses the connection
        shop/backend availability  breach  door: 503 after 2ms
        shop/backend health        empty   docker: the project has no container
        ");
    }
}
