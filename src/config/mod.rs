//! TOML to a checked [`settings::Config`]: every problem at once, each with its
//! place and a hint. Nothing is reached out to; secrets stay references.
//!
//! The document is walked from the top (`top`), a file for each kind of table;
//! `reader` and `values` read what they ask for and tell what is wrong.

mod addresses;
mod ask;
mod clearing;
mod email;
mod file;
mod files;
mod groups;
mod identity;
mod later;
mod literal;
mod mask;
mod nearest;
mod problem;
mod project;
mod promql;
mod queries;
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

use std::path::Path;

use toml::de::DeTable;

pub use self::{
    file::read,
    problem::{Problem, Severity, draw},
    queries::Queries,
};
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
    /// Where the queries are written, for what a server says of them.
    pub queries: Queries,
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
    parse(path, &read(path)?)
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
    let queries = findings.queries();
    let (problems, secrets) = findings.into_inner();
    let text = mask::mask(text, &secrets);
    let usable = problems.iter().all(|problem| problem.severity == Severity::Warning);
    match config {
        Some(config) if usable => Ok(Loaded { config, warnings: problems, text, queries }),
        _ => Err(Rejected { problems, text }),
    }
}
