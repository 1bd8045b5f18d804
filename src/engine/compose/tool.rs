//! The Compose command: which one made a service's containers, what it can do,
//! and running it. It is asked before a flag of it is used.

use std::{path::Path, time::Duration};

use rollbackd_core::words::ProjectName;

use super::{
    Compose,
    document::{list, text},
    setup::Setup,
};
use crate::{
    config::settings::ComposeCommand,
    docker::container::Container,
    engine::error::EngineError,
    host::command::{Command, Ended},
};

/// How long a question may take.
const QUESTION: Duration = Duration::from_secs(60);
/// How long a group that is left of an earlier run may take to end.
const GRACE: Duration = Duration::from_secs(10);
/// The longest of Compose's words that is told, in characters.
const LONGEST: usize = 600;
/// What the name of a variable with a secret contains.
const SECRET: [&str; 7] = ["PASS", "SECRET", "TOKEN", "KEY", "CREDENTIAL", "AUTH", "DSN"];

/// A Compose that answers.
#[derive(Clone, Debug)]
pub(super) struct Tool {
    words: Vec<String>,
    /// As `2.26.1`.
    pub(super) version: String,
    /// What it says of `up`.
    up: String,
    /// What it says of `config`.
    config: String,
}

impl Tool {
    /// The first Compose, in Python, which computes other hashes.
    pub(super) fn is_v1(&self) -> bool {
        is_v1(&self.version)
    }

    /// Does `up` know this flag?
    pub(super) fn ups(&self, flag: &str) -> bool {
        knows(&self.up, flag)
    }

    /// Does `config` know this flag?
    pub(super) fn configs(&self, flag: &str) -> bool {
        knows(&self.config, flag)
    }
}

fn is_v1(version: &str) -> bool {
    version.starts_with("1.")
}

fn knows(help: &str, flag: &str) -> bool {
    help.split(|c: char| c.is_whitespace() || c == '=' || c == ',').any(|word| word == flag)
}

impl Compose {
    /// The Compose of the kind that made a container.
    pub(super) async fn tool(&self, record: &Container) -> Result<Tool, EngineError> {
        let made_by = record.compose_version().unwrap_or_default().to_owned();
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        let candidates: Vec<Vec<String>> = match &self.calls.command {
            ComposeCommand::Words(words) => vec![words.clone()],
            ComposeCommand::Auto if is_v1(&made_by) => vec![words(&["docker-compose"])],
            ComposeCommand::Auto => vec![words(&["docker", "compose"]), words(&["docker-compose"])],
        };
        let mut failures = Vec::new();
        for words in candidates {
            let shown = words.join(" ");
            match self.answering(words).await {
                Ok(tool) if tool.is_v1() == is_v1(&made_by) => return Ok(tool),
                Ok(tool) => failures.push(format!(
                    "`{shown}` is Compose {}, and {made_by} made the containers",
                    tool.version
                )),
                Err(why) => failures.push(format!("`{shown}` does not answer: {why}")),
            }
        }
        Err(EngineError::NoCompose { why: failures.join(", ") })
    }

    /// A Compose and what it can do; else why not, in its own words.
    async fn answering(&self, words: Vec<String>) -> Result<Tool, String> {
        let ask = async |more: &[&str]| {
            let more = more.iter().map(|word| (*word).to_owned());
            let command = Command::new(words.iter().cloned().chain(more).collect(), QUESTION);
            let held = self.at_our_engine(command).hold(self.records.identity());
            match held.map_err(|why| why.to_string())?.run().await {
                Ok(ended) if ended.ok => Ok(ended.out),
                Ok(ended) => Err(last_words(&ended)),
                Err(why) => Err(why.to_string()),
            }
        };
        let version = ask(&["version", "--short"]).await?.trim().trim_start_matches('v').to_owned();
        let (up, config) = (ask(&["up", "--help"]).await?, ask(&["config", "--help"]).await?);
        Ok(Tool { words, version, up, config })
    }

    fn at_our_engine(&self, command: Command) -> Command {
        if self.calls.host.is_empty() {
            command
        } else {
            command.variable("DOCKER_HOST", &self.calls.host)
        }
    }

    /// Asks Compose for something that changes nothing; what it printed.
    pub(super) async fn question(
        &self,
        tool: &Tool,
        setup: &Setup,
        words: &[&str],
        record: &Container,
    ) -> Result<String, EngineError> {
        let command = self.command(tool, setup, None, words, record, QUESTION);
        let ended = command.hold(self.records.identity())?.run().await?;
        if ended.ok { Ok(ended.out) } else { Err(failed(words, &ended)) }
    }

    /// The whole configuration, resolved: as Compose prints it, not masked, for it
    /// is given back to Compose. Whoever has it keeps it from others.
    pub(super) async fn whole(
        &self,
        tool: &Tool,
        setup: &Setup,
        record: &Container,
    ) -> Result<String, EngineError> {
        let words = ["config", "--format", "json"];
        let command = self.command(tool, setup, None, &words, record, QUESTION);
        let ended = command.secrets(Vec::new()).hold(self.records.identity())?.run().await?;
        if ended.ok {
            return Ok(ended.out);
        }
        // Only its output is needed whole; what it complains of may be told.
        let command = self.command(tool, setup, None, &words, record, QUESTION);
        Err(failed(&words, &command.hold(self.records.identity())?.run().await?))
    }

    /// Lets Compose change something. Its group is written down before it runs,
    /// and forgotten when all of it has ended.
    pub(super) async fn change(
        &self,
        (tool, setup, overlay): (&Tool, &Setup, Option<&Path>),
        words: &[&str],
        record: &Container,
        limit: Duration,
    ) -> Result<(), EngineError> {
        let command = self.command(tool, setup, overlay, words, record, limit);
        let held = command.hold(self.records.identity())?;
        self.records.command_began(&setup.project, held.group()).await?;
        let ended = held.run().await;
        self.records.command_ended(&setup.project).await?;
        let ended = ended?;
        if ended.ok { Ok(()) } else { Err(failed(words, &ended)) }
    }

    /// Ends what a command of an earlier run of this program, or of a step that
    /// was given up, has left running for a project: never do two of ours change
    /// one project.
    ///
    /// # Errors
    ///
    /// When the store does not answer.
    pub async fn end_left_behind(&self, project: &ProjectName) -> Result<(), EngineError> {
        let Some(group) = self.records.command(project).await? else { return Ok(()) };
        if group.end(GRACE).await {
            tracing::warn!(%project, group = group.id, "engine.command.ended: it was left running");
        }
        self.records.command_ended(project).await
    }

    fn command(
        &self,
        tool: &Tool,
        setup: &Setup,
        overlay: Option<&Path>,
        words: &[&str],
        record: &Container,
        limit: Duration,
    ) -> Command {
        let told = setup.words(overlay);
        let words = words.iter().map(|word| (*word).to_owned());
        let all = tool.words.iter().cloned().chain(told).chain(words).collect();
        let command = Command::new(all, limit).dir(&setup.dir).secrets(secrets(record));
        self.at_our_engine(command)
    }
}

/// The values of variables that look secret, of this program's environment and
/// of the container's: Compose may repeat them when it complains.
fn secrets(record: &Container) -> Vec<String> {
    let own = std::env::vars();
    let theirs = list(&record.document["Config"]["Env"]).iter().filter_map(|entry| {
        let (name, value) = text(entry).split_once('=')?;
        Some((name.to_owned(), value.to_owned()))
    });
    let is_secret = |name: &str| {
        let name = name.to_ascii_uppercase();
        SECRET.iter().any(|word| name.contains(word))
    };
    own.chain(theirs).filter(|(name, _)| is_secret(name)).map(|(_, value)| value).collect()
}

fn failed(words: &[&str], ended: &Ended) -> EngineError {
    let said = last_words(ended);
    if let Some(told) = crate::docker::error::DockerError::told(&said) {
        return told.into();
    }
    let command = format!("docker compose {}", words.first().copied().unwrap_or_default());
    EngineError::Compose { command, how: ended.how.clone(), said }
}

/// The end of what a command complained of, on one bounded line.
fn last_words(ended: &Ended) -> String {
    let said = if ended.err.trim().is_empty() { &ended.out } else { &ended.err };
    let lines: Vec<&str> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    // Warnings come first, what stopped it comes last.
    let last = lines[lines.len().saturating_sub(3)..].join(" ");
    let from = last.char_indices().rev().nth(LONGEST).map_or(0, |(at, _)| at);
    last[from..].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_is_known_only_by_its_whole_name() {
        let help = "      --no-deps    Don't\n      --pull string   Pull\n      --hash=\"*\"\n  -d, --detach  D";
        assert!(knows(help, "--no-deps") && knows(help, "--pull") && knows(help, "--hash"));
        assert!(knows(help, "--detach") && knows(help, "-d"));
        assert!(!knows(help, "--no-dep") && !knows(help, "--no-build"));
    }

    #[test]
    fn what_the_engine_said_through_compose_keeps_its_cause() {
        let ended = |err: &str| Ended {
            ok: false,
            how: "exit code 1".to_owned(),
            out: String::new(),
            err: err.to_owned(),
        };
        let own = "Error response from daemon: failed to create shim task: OCI runtime create failed: exec: \"/nope\": stat /nope: no such file or directory: unknown";
        assert_eq!(failed(&["up"], &ended(own)).fault(), rollbackd_core::plan::Fault::Target);
        let other = failed(&["up", "-d"], &ended("level=warning msg=x\nno such service: web\n"));
        assert_eq!(
            other.to_string(),
            "`docker compose up` failed (exit code 1): level=warning msg=x no such service: web"
        );
    }
}
