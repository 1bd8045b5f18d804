//! `check --live`: the engine, Compose, each trigger's source and the mail
//! server are asked once, all at the same time, and what they answered is told.

use std::{path::PathBuf, process::Stdio, time::Duration};

use futures_util::future::{join, join_all, join3};
use rollbackd_core::{
    reading::{Missing, Reading},
    words::TriggerIx,
};
use serde::Serialize;
use tokio::{
    process::Command,
    sync::{broadcast, mpsc},
    time::timeout,
};

use crate::{
    cli::show::words::short_name,
    config::{
        Loaded, Problem,
        settings::{Ask, ComposeCommand, ComposeFiles, Email, Project, Watch},
    },
    docker::Docker,
    host::clock::Clock,
    notify::email::Mailer,
    signals::{self, Fault, Needs},
};

/// Compose only says its version.
const COMPOSE_WITHIN: Duration = Duration::from_secs(10);

/// How it went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Went {
    /// It answered, and the answer is usable.
    Ok,
    /// It answered, and what it answered is beyond the threshold right now.
    Breach,
    /// It answered that there is nothing: no traffic yet, or a query that
    /// selects nothing.
    Empty,
    /// It did not answer, or not usably.
    Failed,
}

/// Who was asked, and what they answered.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Asked {
    /// `engine`, `compose`, `shop/backend errors`, `mail`.
    pub(super) what: String,
    /// How it went.
    pub(super) went: Went,
    /// What they said.
    pub(super) answer: String,
    /// The place in the file that it is about, if it is a query's own fault.
    #[serde(skip)]
    pub(super) problem: Option<Problem>,
}

impl Asked {
    fn of(what: &str, answer: Result<String, String>) -> Self {
        let went = if answer.is_ok() { Went::Ok } else { Went::Failed };
        Self {
            what: what.to_owned(),
            went,
            answer: answer.unwrap_or_else(|why| why),
            problem: None,
        }
    }
}

/// Asks everybody.
pub(super) async fn ask(loaded: &Loaded) -> Vec<Asked> {
    let config = &loaded.config;
    let docker = Docker::connect(&config.docker.host);
    let engine = async {
        let version = match &docker {
            Ok(docker) => docker.version().await.map_err(|why| why.to_string()),
            Err(why) => Err(why.to_string()),
        };
        let words = |version: crate::docker::Version| {
            format!("{}, API {}, at {}", version.engine, version.api, config.docker.host)
        };
        Asked::of("engine", version.map(words))
    };
    let compose = async { Asked::of("compose", compose(&config.docker.compose).await) };
    let mail = async {
        match &config.email {
            Some(email) => Some(Asked::of("mail", mail(email).await)),
            None => None,
        }
    };
    let triggers = async {
        match &docker {
            Ok(docker) => triggers(loaded, docker).await,
            Err(_) => Vec::new(),
        }
    };
    let ((engine, compose, mail), triggers) = join(join3(engine, compose, mail), triggers).await;
    let files = config.projects.iter().filter_map(files);
    [engine, compose].into_iter().chain(files).chain(triggers).chain(mail).collect()
}

/// Whether the files that a project names for Compose are there; `None` where it
/// names none, or only some that are relative to what the labels tell.
fn files(project: &Project) -> Option<Asked> {
    let ComposeFiles { dir, files, env_files, .. } = &project.files;
    let at = |path: &PathBuf| match dir {
        Some(dir) => Some(dir.join(path)),
        None => path.is_absolute().then(|| path.clone()),
    };
    let named: Vec<PathBuf> = files.iter().chain(env_files).filter_map(at).collect();
    let gone = named.iter().find(|path| !path.is_file());
    let gone = gone.or(dir.as_ref().filter(|dir| !dir.is_dir()));
    let answer = match gone {
        Some(gone) => Err(format!("{} is not there", gone.display())),
        None if dir.is_none() && named.is_empty() => return None,
        None => Ok("its directory and files are there".to_owned()),
    };
    Some(Asked::of(&format!("{} files", project.settings.name), answer))
}

async fn triggers(loaded: &Loaded, docker: &Docker) -> Vec<Asked> {
    let config = &loaded.config;
    // Nobody listens: each question is asked once and answered here.
    let (events, _) = broadcast::channel(1);
    let (samples, _samples) = mpsc::channel(1);
    let needs = Needs {
        clock: Clock::resume(None),
        sources: config.sources.clone(),
        docker: docker.clone(),
        events,
        samples,
    };
    let mut questions = Vec::new();
    for project in &config.projects {
        questions
            .extend(project.watches.iter().map(|watch| trigger(loaded, project, watch, &needs)));
    }
    join_all(questions).await
}

async fn trigger(loaded: &Loaded, project: &Project, watch: &Watch, needs: &Needs) -> Asked {
    let settings = &project.settings;
    let asked = signals::Asked {
        trigger: TriggerIx(0),
        project: settings.name.clone(),
        start_timeout: settings.start_timeout,
        watch: watch.clone(),
    };
    let answered = signals::ask_once(&asked, needs).await;
    let trigger = &watch.trigger;
    let went = match answered.reading {
        Reading::Value(value) if trigger.condition.breached_by(value) => Went::Breach,
        Reading::Value(_) => Went::Ok,
        Reading::Missing(Missing::Empty(_)) => Went::Empty,
        Reading::Missing(Missing::Failed(_)) => Went::Failed,
    };
    let name = short_name(&trigger.name, &trigger.service);
    let what = format!("{}/{} {name}", settings.name, trigger.service);
    let problem = answered.fault.and_then(|fault| {
        let Ask::Prometheus { query, .. } = &watch.ask else { return None };
        let Fault { message, hint, place } = fault;
        loaded.at_query(&settings.name, &trigger.id, query, place, (message, hint))
    });
    Asked { what, went, answer: format!("{}: {}", trigger.source, answered.text), problem }
}

async fn mail(email: &Email) -> Result<String, String> {
    let mailer = Mailer::new(email).map_err(|why| why.to_string())?;
    mailer.check().await.map_err(|why| why.to_string())
}

async fn compose(command: &ComposeCommand) -> Result<String, String> {
    let candidates: Vec<Vec<&str>> = match command {
        ComposeCommand::Auto => vec![vec!["docker", "compose"], vec!["docker-compose"]],
        ComposeCommand::Words(words) => vec![words.iter().map(String::as_str).collect()],
    };
    let mut failures = Vec::new();
    for words in candidates {
        match version(&words).await {
            Ok(version) => return Ok(format!("{version} (`{}`)", words.join(" "))),
            Err(why) => failures.push(format!("`{}`: {why}", words.join(" "))),
        }
    }
    Err(format!("{}; install Compose, or set docker.compose", failures.join(", ")))
}

async fn version(words: &[&str]) -> Result<String, String> {
    let Some((program, arguments)) = words.split_first() else {
        return Err("no command".to_owned());
    };
    let child = Command::new(program)
        .args(arguments)
        .args(["version", "--short"])
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let ended = timeout(COMPOSE_WITHIN, child).await;
    let ended = ended.map_err(|_| format!("no answer within {COMPOSE_WITHIN:?}"))?;
    let ended = ended.map_err(|why| match why.kind() {
        std::io::ErrorKind::NotFound => "there is no such program".to_owned(),
        _ => why.to_string(),
    })?;
    let said = String::from_utf8_lossy(&ended.stdout).trim().to_owned();
    if ended.status.success() && !said.is_empty() && said.len() < 100 {
        return Ok(said);
    }
    let why = String::from_utf8_lossy(&ended.stderr);
    let line = why.lines().next().unwrap_or_default().trim();
    Err(if line.is_empty() { "it says no version".to_owned() } else { line.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(command: &[&str]) -> ComposeCommand {
        ComposeCommand::Words(command.iter().map(|word| (*word).to_owned()).collect())
    }

    #[tokio::test]
    async fn compose_is_asked_by_the_words_of_the_configuration() {
        // `sh -c SCRIPT version --short` is answered by the script.
        let said = compose(&words(&["sh", "-c", "echo 2.40.3 $0 $1"])).await;
        assert_eq!(said.unwrap(), "2.40.3 version --short (`sh -c echo 2.40.3 $0 $1`)");
    }

    #[tokio::test]
    async fn a_compose_that_is_not_there_or_fails_is_told_in_its_own_words() {
        let why = compose(&words(&["/nowhere/compose"])).await.unwrap_err();
        assert!(why.starts_with("`/nowhere/compose`: there is no such program;"), "{why}");
        let why =
            compose(&words(&["sh", "-c", "echo broken plugin >&2; exit 1"])).await.unwrap_err();
        assert!(why.contains(": broken plugin;"), "{why}");
        let why = compose(&words(&[])).await.unwrap_err();
        assert!(why.contains("no command"), "{why}");
    }
}
