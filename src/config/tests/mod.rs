//! What the configuration promises, from the text to the settings.

mod always;
mod drawn;
mod levels;
mod meaning;
mod never_fires;
mod reference;

use std::path::Path;

use super::{Loaded, Problem, Rejected, parse};

/// The commented reference.
const REFERENCE: &str = include_str!("../../../config/rollbackd.toml");

/// Reads a text as `/etc/rollbackd/rollbackd.toml`.
fn read(text: &str) -> Result<Loaded, Rejected> {
    parse(Path::new("/etc/rollbackd/rollbackd.toml"), text)
}

/// What a text that can be used says, without a warning.
fn loaded(text: &str) -> Loaded {
    let loaded = usable(text);
    assert_eq!(loaded.warnings, [], "in {text}");
    loaded
}

/// What a text that can be used says.
fn usable(text: &str) -> Loaded {
    read(text).unwrap_or_else(|rejected| panic!("{}", drawn(&rejected.problems, &rejected.text)))
}

/// All problems of a text.
fn problems(text: &str) -> Vec<Problem> {
    match read(text) {
        Ok(loaded) => loaded.warnings,
        Err(rejected) => rejected.problems,
    }
}

/// The one problem of a text, as `SEVERITY LINE:COLUMN MESSAGE; HINT`.
fn only(text: &str) -> String {
    let problems = problems(text);
    let said: Vec<String> = problems.iter().map(line).collect();
    assert_eq!(said.len(), 1, "{said:#?} in {text}");
    said.concat()
}

fn line(problem: &Problem) -> String {
    let Problem { severity, message, hint, line, column, .. } = problem;
    format!("{severity} {line}:{column} {message}; {hint}")
}

fn drawn(problems: &[Problem], text: &str) -> String {
    super::draw(problems, text, false)
}

/// A project with sources of every kind and one trigger, whose lines follow.
fn with_trigger(lines: &str) -> String {
    format!(
        "{SOURCES}[project.shop]\n[[project.shop.trigger]]\nservice = \"backend\"\n{lines}\n{USED}"
    )
}

/// A project of these lines, with one trigger.
fn with_project(lines: &str) -> String {
    format!("{SOURCES}[project.shop]\n{lines}\n{USED}")
}

const SOURCES: &str = "\
[source.prom]
kind = \"prometheus\"
url = \"http://127.0.0.1:9090\"
[source.page]
kind = \"scrape\"
service = \"backend\"
port = 3000
[source.door]
kind = \"probe\"
url = \"http://127.0.0.1:3000/ready\"
";

/// Whom to tell, for a text without the tables below.
const EMAIL: &str = "\
[email]
server = \"smtp://127.0.0.1:25\"
from = \"rollbackd@example.com\"
to = [\"ops@example.com\"]
";

/// Triggers of another service that use every source, and whom to tell.
const USED: &str = "\
[[project.shop.trigger]]
service = \"used\"
signal = \"queue\"
source = \"prom\"
query = \"queue_length\"
above = 100
for = \"1m\"
action = \"alert\"
[[project.shop.trigger]]
service = \"used\"
signal = \"error_rate\"
source = \"page\"
above = \"5%\"
for = \"1m\"
[[project.shop.trigger]]
service = \"used\"
signal = \"availability\"
source = \"door\"
below = \"99%\"
for = \"1m\"
[email]
server = \"smtp://127.0.0.1:25\"
from = \"rollbackd@example.com\"
to = [\"ops@example.com\"]
";
