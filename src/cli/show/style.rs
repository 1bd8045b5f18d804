//! The few colours: each says again what a word beside it says already. Output
//! that is not coloured has them stripped at the end.

use owo_colors::OwoColorize;
use rollbackd_core::{incident::Outcome, revision::Standing, view::TriggerState};

pub(in crate::cli) fn good(text: &str) -> String {
    text.green().to_string()
}

pub(in crate::cli) fn warn(text: &str) -> String {
    text.yellow().to_string()
}

pub(in crate::cli) fn bad(text: &str) -> String {
    text.red().bold().to_string()
}

pub(in crate::cli) fn quiet(text: &str) -> String {
    text.dimmed().to_string()
}

pub(in crate::cli) fn strong(text: &str) -> String {
    text.bold().to_string()
}

/// `text` in the colour of a trigger's state.
pub(super) fn state(state: TriggerState, text: &str) -> String {
    match state {
        TriggerState::Ok => good(text),
        TriggerState::Pending | TriggerState::Blind => warn(text),
        TriggerState::Breached => bad(text),
        TriggerState::Grace => quiet(text),
    }
}

/// A standing in its colour.
pub(super) fn standing(standing: Standing) -> String {
    match standing {
        Standing::Good => good(standing.as_str()),
        Standing::Bad => bad(standing.as_str()),
        Standing::Baking | Standing::Unproven => standing.as_str().to_owned(),
    }
}

/// An outcome in its colour.
pub(in crate::cli) fn outcome(outcome: Outcome) -> String {
    match outcome {
        Outcome::Recovered => good(outcome.as_str()),
        Outcome::Unverified | Outcome::Refused => warn(outcome.as_str()),
        Outcome::NotRecovered | Outcome::Failed => bad(outcome.as_str()),
    }
}
