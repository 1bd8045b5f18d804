//! What a rule looks like at one evaluation, and how two that should be the
//! same are put beside each other for a person.

use std::{
    fmt::{self, Write as _},
    time::Duration,
};

use crate::series::{Case, Pace};

/// In which of its three states an alert is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Inactive,
    Pending,
    Firing,
}

/// An alert at one evaluation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    pub state: State,
    /// Since when its condition holds, in whole seconds.
    pub since: Option<Duration>,
    /// When it began to fire.
    pub fired: Option<Duration>,
}

impl Seen {
    /// One whose condition does not hold.
    pub const CALM: Self = Self { state: State::Inactive, since: None, fired: None };
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = format!("{:?}", self.state).to_lowercase();
        let since = self.since.map(|since| format!(" since {since:?}")).unwrap_or_default();
        let fired = self.fired.map(|fired| format!(", fired {fired:?}")).unwrap_or_default();
        f.pad(&format!("{state}{since}{fired}"))
    }
}

/// A case in which the two are not the same.
pub struct Difference {
    pub pace: Pace,
    pub case: Case,
    pub values: Vec<Option<f64>>,
    pub theirs: Vec<Seen>,
    pub ours: Vec<Seen>,
}

impl Difference {
    /// The first evaluation at which they differ.
    pub fn first(&self) -> usize {
        self.theirs.iter().zip(&self.ours).take_while(|(theirs, ours)| theirs == ours).count()
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (every, between) = (self.pace.every.as_millis(), self.pace.between.as_millis());
        writeln!(f, "at Pace::of({every}, {between}):\n  {}", self.case)?;
        writeln!(f, "{:>9}  {:>12}  {:36}  ours", "time", "value", "theirs")?;
        let first = self.first();
        let rows =
            self.pace.evaluations().zip(&self.values).zip(self.theirs.iter().zip(&self.ours));
        for ((at, value), (theirs, ours)) in rows.take(first + 2) {
            let at = format!("{at:?}");
            let value = value.map_or_else(|| "nothing".to_owned(), |value| value.to_string());
            let mut line = format!("{at:>9}  {value:>12}  {theirs:36}  {ours}");
            if theirs != ours {
                write!(line, "  <--")?;
            }
            writeln!(f, "{line}")?;
        }
        Ok(())
    }
}
