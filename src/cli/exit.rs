//! How a command ends: the contract's exit codes, and errors as one line for
//! people or one JSON document for programs.

use std::process::ExitCode;

use rollbackd_core::incident::Outcome;

use crate::{
    api::json::{ErrorBody, ErrorDocument},
    config::{Rejected, Severity},
};

/// The contract's exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exit {
    /// Done.
    Done = 0,
    /// Failed.
    Failed = 1,
    /// Wrong usage.
    Usage = 2,
    /// The daemon cannot be reached.
    Unreachable = 3,
    /// Refused by a guard, or no verdict possible.
    Refused = 4,
    /// Rolled back, not recovered or unverified.
    NotRecovered = 5,
    /// Rolled back and recovered.
    RolledBack = 6,
    /// Time ran out.
    TimeRanOut = 7,
    /// The configuration is unusable.
    Configuration = 78,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

impl Exit {
    /// How a command that waited for a rollback ends.
    pub(super) fn of(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Recovered => Self::Done,
            Outcome::Unverified | Outcome::NotRecovered => Self::NotRecovered,
            Outcome::Failed => Self::Failed,
            Outcome::Refused => Self::Refused,
        }
    }
}

/// An error for a person: what and where, what to do, and the exit code.
#[derive(Debug)]
pub(super) struct Failure {
    /// How the program ends.
    pub(super) exit: Exit,
    /// What is told. Boxed: a rare thing need not make every result large.
    pub(super) error: Box<ErrorBody>,
}

impl Failure {
    pub(super) fn new(
        exit: Exit,
        code: &str,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        let (code, message, hint) = (code.to_owned(), message.into(), hint.into());
        let error = ErrorBody { code, message, hint, ..ErrorBody::default() };
        Self { exit, error: Box::new(error) }
    }

    /// The same at a place in a file, counted from 1.
    pub(super) fn at(mut self, file: String, line: usize, column: usize) -> Self {
        self.error.file = Some(file);
        self.error.line = Some(line);
        self.error.column = Some(column);
        self
    }

    /// A configuration that cannot be used: the first error with its place;
    /// `check` tells the others.
    pub(super) fn unusable(rejected: &Rejected) -> Self {
        let mut errors = rejected.problems.iter().filter(|one| one.severity == Severity::Error);
        let first = errors.next();
        let (message, hint) = first.map_or(("the configuration is unusable", ""), |first| {
            (first.message.as_str(), first.hint.as_str())
        });
        let hint = match errors.count() {
            0 => hint.to_owned(),
            more => format!("{hint} (and {more} more: see `rollbackd check`)"),
        };
        let failure = Self::new(Exit::Configuration, "configuration", message, hint);
        match first {
            Some(first) => failure.at(first.file.display().to_string(), first.line, first.column),
            None => failure,
        }
    }

    /// What the daemon answered instead of a result.
    pub(super) fn answered(error: ErrorBody) -> Self {
        let exit = match error.code.as_str() {
            "refused" => Exit::Refused,
            "stopping" => Exit::Unreachable,
            _ => Exit::Failed,
        };
        Self { exit, error: Box::new(error) }
    }

    /// One line: what, where, what to do.
    pub(super) fn line(&self) -> String {
        let ErrorBody { message, hint, file, line, column, .. } = &*self.error;
        let place = match (file, line, column) {
            (Some(file), Some(line), Some(column)) => format!("{file}:{line}:{column}: "),
            _ => String::new(),
        };
        let hint = if hint.is_empty() { String::new() } else { format!("; {hint}") };
        let whole = format!("rollbackd: {place}{message}{hint}");
        whole.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// The same as the contract's document.
    pub(super) fn document(&self) -> ErrorDocument {
        ErrorDocument { error: (*self.error).clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_waited_for_rollback_ends_as_the_contract_has_it() {
        let codes = [
            (Outcome::Recovered, 0),
            (Outcome::Unverified, 5),
            (Outcome::NotRecovered, 5),
            (Outcome::Failed, 1),
            (Outcome::Refused, 4),
        ];
        for (outcome, code) in codes {
            assert_eq!(Exit::of(outcome) as u8, code, "{outcome:?}");
        }
    }

    #[test]
    fn exit_codes_are_the_contracts() {
        let all = [Exit::Done, Exit::Failed, Exit::Usage, Exit::Unreachable, Exit::Refused];
        assert_eq!(all.map(|exit| exit as u8), [0, 1, 2, 3, 4]);
        assert_eq!((Exit::RolledBack as u8, Exit::TimeRanOut as u8), (6, 7));
        assert_eq!((Exit::NotRecovered as u8, Exit::Configuration as u8), (5, 78));
    }

    #[test]
    fn what_the_daemon_refuses_is_not_a_failure() {
        let exit = |code: &str| {
            Failure::answered(ErrorBody { code: code.into(), ..ErrorBody::default() }).exit
        };
        assert_eq!(exit("refused"), Exit::Refused);
        assert_eq!(exit("stopping"), Exit::Unreachable);
        assert_eq!(exit("not_found"), Exit::Failed);
    }

    #[test]
    fn an_error_is_one_line_whatever_it_is_made_of() {
        let failure = Failure::new(Exit::Failed, "x", "what\n  went wrong", "do\nthis");
        assert_eq!(failure.line(), "rollbackd: what went wrong; do this");
        let placed = failure.at("/etc/r.toml".into(), 3, 7);
        assert_eq!(placed.line(), "rollbackd: /etc/r.toml:3:7: what went wrong; do this");
    }
}
