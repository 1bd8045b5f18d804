//! The top level of the file, and its small tables: `[api]`, `[docker]`.

use std::path::Path;

use toml::de::DeTable;
use url::Url;

use super::{
    addresses, email, later,
    problem::Findings,
    project,
    reader::Table,
    schema,
    settings::{Api, ComposeCommand, Config, Docker},
    source,
    values::{self, Value, Wrong},
};

/// Reads the whole document; `None` where something was told.
pub(super) fn read<'a>(
    findings: &'a Findings<'a>,
    document: &'a DeTable<'a>,
    path: &Path,
    dir: &Path,
) -> Option<Config> {
    let top = Table::open(findings, document, 0..0, "the top level", schema::TOP);
    let state_dir = top
        .read("state_dir", addresses::path("/var/lib/rollbackd", dir))
        .or("/var/lib/rollbackd".into());
    let mode = top.read("mode", values::word(&project::MODES)).or(project::MODES[0].1);
    let api = api(&top, dir);
    let docker = docker(&top, dir);
    later::webhooks(&top);
    let email = match top.value("email") {
        None => Some(None),
        Some(_) => {
            top.table("email", schema::EMAIL).and_then(|table| email::read(&table, dir)).map(Some)
        }
    };
    let sources = source::read(&top, dir);
    let projects = project::read_all(&top, mode, &sources, dir);
    source::tell_unused(&sources, findings);
    tell_nobody_is_told(&top);
    let named = |(name, defined): (String, source::Defined)| Some((name, defined.source?));
    Some(Config {
        path: path.to_owned(),
        state_dir: state_dir?,
        mode: mode?,
        api: api?,
        docker: docker?,
        email: email?,
        sources: sources.defined.into_iter().map(named).collect::<Option<_>>()?,
        projects: projects.into_iter().collect::<Option<_>>()?,
    })
}

/// Without mail a rollback is only found by looking. Not said of a file that has
/// worse problems.
fn tell_nobody_is_told(top: &Table<'_>) {
    let findings = top.findings;
    if top.value("email").is_none() && !findings.is_broken() && findings.is_usable() {
        let message = "there is no [email]: nobody is told of a breach or a rollback";
        let hint = "add the table, with `server`, `from` and `to`";
        findings.warn(top.place.clone(), message, hint);
    }
}

fn api(top: &Table<'_>, dir: &Path) -> Option<Api> {
    let default = Api { socket: "/run/rollbackd/rollbackd.sock".into(), listen: None };
    if top.value("api").is_none() {
        return Some(default);
    }
    let table = top.table("api", schema::API)?;
    let socket = table
        .read("socket", addresses::path("/run/rollbackd/rollbackd.sock", dir))
        .or(default.socket);
    let listen = table.read("listen", addresses::socket_address).maybe();
    Some(Api { socket: socket?, listen: listen? })
}

fn docker(top: &Table<'_>, dir: &Path) -> Option<Docker> {
    let default =
        Docker { host: "unix:///var/run/docker.sock".into(), compose: ComposeCommand::Auto };
    if top.value("docker").is_none() {
        return Some(default);
    }
    let table = top.table("docker", schema::DOCKER)?;
    let host = table.read("host", engine_address).or(default.host);
    let compose = table.read("compose", |value| compose(value, dir)).or(default.compose);
    Some(Docker { host: host?, compose: compose? })
}

/// `unix:///PATH` or `tcp://HOST:PORT`.
fn engine_address(value: &Value<'_>) -> Result<String, Wrong> {
    let address = values::text("unix:///var/run/docker.sock")(value)?;
    let fits = match address.split_once("://") {
        Some(("unix", path)) => path.starts_with('/'),
        Some(("tcp", _)) => {
            Url::parse(&address).is_ok_and(|url| url.host().is_some() && url.port().is_some())
        }
        _ => false,
    };
    let hint = "write `host = \"unix:///var/run/docker.sock\"` or, say, `\"tcp://127.0.0.1:2375\"`";
    let wrong = || {
        Wrong::new("`host` takes the engine's socket, `unix:///PATH`, or `tcp://HOST:PORT`", hint)
    };
    if fits { Ok(address) } else { Err(wrong()) }
}

/// `auto`, or the words of a command; a path is relative to the file.
fn compose(value: &Value<'_>, dir: &Path) -> Result<ComposeCommand, Wrong> {
    let text = values::text("auto")(value)?;
    if text.trim() == "auto" {
        return Ok(ComposeCommand::Auto);
    }
    let mut words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
    if let Some(program) = words.first_mut().filter(|program| program.contains('/')) {
        *program = dir.join(&*program).to_string_lossy().into_owned();
    }
    Ok(ComposeCommand::Words(words))
}
