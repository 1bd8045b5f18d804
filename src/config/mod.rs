//! TOML to a checked [`settings::Config`]: every problem at once, each with its
//! place and a hint. Nothing is reached out to; secrets stay references.
//!
//! The document is walked from the top (`top`), a file for each kind of table;
//! `reader` and `values` read what they ask for and tell what is wrong.

mod addresses;
mod ask;
mod email;
mod files;
mod later;
mod mask;
mod nearest;
mod problem;
mod project;
mod promql;
mod reader;
mod rules;
mod schema;
pub mod settings;
mod source;
mod syntax;
#[cfg(test)]
mod tests;
mod threshold;
mod timing;
mod top;
mod trigger;
mod values;

use std::{fs, io, path::Path};

use toml::de::DeTable;

pub use self::problem::{Problem, Severity, draw};
use self::{problem::Findings, settings::Config};

/// A usable configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    /// What it says.
    pub config: Config,
    /// What is probably not meant, in the file's order.
    pub warnings: Vec<Problem>,
    /// The file's text with every secret masked, for [`draw`].
    pub text: String,
}

/// A configuration that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// What is wrong, in the file's order: at least one error, and warnings.
    pub problems: Vec<Problem>,
    /// The file's text with every secret masked, for [`draw`]; empty where it
    /// could not be read.
    pub text: String,
}

impl std::fmt::Display for Rejected {
    /// One line: the first error, and how many more there are.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut errors = self.problems.iter().filter(|problem| problem.severity == Severity::Error);
        if let Some(first) = errors.next() {
            first.fmt(f)?;
        }
        match errors.count() {
            0 => Ok(()),
            1 => f.write_str(" (and 1 more error: see `rollbackd check`)"),
            more => write!(f, " (and {more} more errors: see `rollbackd check`)"),
        }
    }
}

impl std::error::Error for Rejected {}

/// Reads a configuration file. Relative paths in it are relative to its
/// directory.
///
/// # Errors
/// Every problem of the file, when one of them is an error; a file that cannot
/// be read is one problem in line 1.
pub fn load(path: &Path) -> Result<Loaded, Rejected> {
    let unreadable = |message: String, hint: &str| {
        let findings = Findings::new(path, "", false);
        findings.error(0..0, message, hint);
        Rejected { problems: findings.into_inner().0, text: String::new() }
    };
    let bytes = fs::read(path).map_err(|error| {
        let (what, hint) = match error.kind() {
            io::ErrorKind::NotFound => (
                "there is no such file".to_owned(),
                "name one with --config or $ROLLBACKD_CONFIG; the commented reference is config/rollbackd.toml",
            ),
            io::ErrorKind::IsADirectory => {
                ("this is a directory".to_owned(), "name the file in it: --config DIRECTORY/rollbackd.toml")
            }
            io::ErrorKind::PermissionDenied => {
                ("it may not be read".to_owned(), "let the user that rollbackd runs as read it")
            }
            _ => (error.to_string(), "see that it is a file that can be read"),
        };
        unreadable(format!("the configuration cannot be read: {what}"), hint)
    })?;
    match String::from_utf8(bytes) {
        Ok(text) => parse(path, &text),
        Err(error) => {
            let at = error.utf8_error().valid_up_to();
            let line = error.as_bytes()[..at].iter().filter(|byte| **byte == b'\n').count() + 1;
            let message = format!("the configuration is no UTF-8 text: see line {line}");
            Err(unreadable(message, "save it as UTF-8"))
        }
    }
}

/// Reads a configuration's text as if it were that of the file `path`.
///
/// # Errors
/// Every problem of the text, when one of them is an error.
pub fn parse(path: &Path, text: &str) -> Result<Loaded, Rejected> {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let dir = absolute.parent().unwrap_or(Path::new("/"));
    let (document, errors) = DeTable::parse_recoverable(text);
    let findings = Findings::new(path, text, !errors.is_empty());
    syntax::tell(&errors, document.get_ref(), &findings);
    let config = top::read(&findings, document.get_ref(), &absolute, dir);
    let (problems, secrets) = findings.into_inner();
    let text = mask::mask(text, &secrets);
    let usable = problems.iter().all(|problem| problem.severity == Severity::Warning);
    match config {
        Some(config) if usable => Ok(Loaded { config, warnings: problems, text }),
        _ => Err(Rejected { problems, text }),
    }
}
