//! Asking before something is done that changes what runs.

use std::io::{self, BufRead, IsTerminal, Write};

use crate::cli::{
    args::Acting,
    exit::{Exit, Failure},
    out::Out,
};

/// Where the answer comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Consent {
    /// It was given on the command line.
    Given,
    /// A person at the terminal is asked.
    Ask,
}

/// Without a terminal there is nobody to ask, and a program that wants JSON
/// does not want questions: then it must be given.
pub(super) fn consent(acting: Acting, out: &Out) -> Result<Consent, Failure> {
    decide(acting.yes, out.json, io::stdin().is_terminal())
}

fn decide(yes: bool, json: bool, terminal: bool) -> Result<Consent, Failure> {
    if yes {
        return Ok(Consent::Given);
    }
    if terminal && !json {
        return Ok(Consent::Ask);
    }
    let message = "this changes what runs, and there is nobody here to ask";
    Err(Failure::new(Exit::Usage, "usage", message, "add --yes to do it all the same"))
}

/// Asks on standard error, so that standard output holds results alone. Anything
/// but yes is no.
pub(super) fn confirm(question: &str) -> Result<(), Failure> {
    let failed = |why: io::Error| {
        let message = format!("the answer cannot be read: {why}");
        Failure::new(Exit::Failed, "input", message, "add --yes to do it without asking")
    };
    let mut stderr = io::stderr().lock();
    write!(stderr, "{question} [y/N] ").and_then(|()| stderr.flush()).map_err(failed)?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).map_err(failed)?;
    if is_yes(&answer) {
        return Ok(());
    }
    Err(Failure::new(Exit::Failed, "declined", "nothing was done: you did not say yes", ""))
}

fn is_yes(answer: &str) -> bool {
    matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_terminal_consent_must_be_given() {
        assert_eq!(decide(true, false, false).unwrap(), Consent::Given);
        assert_eq!(decide(false, false, true).unwrap(), Consent::Ask);
        for (json, terminal) in [(false, false), (true, true), (true, false)] {
            let failure = decide(false, json, terminal).unwrap_err();
            assert_eq!(failure.exit, Exit::Usage);
            assert!(failure.line().contains("--yes"));
        }
    }

    #[test]
    fn anything_but_yes_is_no() {
        assert!(is_yes("y\n") && is_yes("YES\n"));
        assert!(!is_yes("\n") && !is_yes("") && !is_yes("yep\n") && !is_yes("n\n"));
    }
}
