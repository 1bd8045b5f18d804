//! A stretch of time as one picture: what was measured against its thresholds,
//! below it the states that followed, above it what happened when. Pure: the
//! same plot is the same SVG text, byte for byte, wherever it is drawn.

mod draw;
mod labels;
mod scale;
mod trace;

use rollbackd_core::{
    moment::Moment, reading::Reading, settings::Condition, signal::Unit, view::TriggerState,
};

/// One picture: panels one below the other over the same time.
#[derive(Clone, Debug, PartialEq)]
pub struct Plot {
    /// What is to be seen, in words, for those who cannot see it.
    pub title: String,
    /// The moment that the axis calls 0.
    pub zero: Moment,
    /// The first moment that is shown.
    pub from: Moment,
    /// The last.
    pub to: Moment,
    /// From top to bottom.
    pub panels: Vec<Panel>,
    /// What happened when; drawn through all panels.
    pub marks: Vec<Mark>,
}

/// A curve with strips below it; or strips alone.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Panel {
    /// What it shows; written above it unless it is empty.
    pub label: String,
    /// What was measured.
    pub curve: Option<Curve>,
    /// The states below.
    pub strips: Vec<Strip>,
}

/// What was measured.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// The unit of the values.
    pub unit: Unit,
    /// What is bad, to tell good samples from bad ones.
    pub condition: Condition,
    /// In the order of time.
    pub samples: Vec<Dot>,
    /// Lines across: thresholds.
    pub lines: Vec<Line>,
}

/// One sample.
#[derive(Clone, Debug, PartialEq)]
pub struct Dot {
    /// When it was asked for.
    pub at: Moment,
    /// What was answered.
    pub reading: Reading,
    /// Whether it was taken into account; hollow where not.
    pub counts: bool,
    /// Is it joined to the one before it?
    pub joined: bool,
}

/// A line across.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// At which value.
    pub value: f64,
    /// What it is: `above 5%`.
    pub label: String,
    /// Its colour.
    pub tone: Tone,
}

/// What something was over time.
#[derive(Clone, Debug, PartialEq)]
pub struct Strip {
    /// Whose states these are; to the left of it.
    pub label: String,
    /// In the order of time.
    pub spans: Vec<Span>,
}

/// A state that lasted.
#[derive(Clone, Debug, PartialEq)]
pub struct Span {
    /// Since when.
    pub from: Moment,
    /// Until when.
    pub to: Moment,
    /// Its colour.
    pub tone: Tone,
    /// Its name, written into it where there is room.
    pub word: String,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq)]
pub struct Mark {
    /// When.
    pub at: Moment,
    /// What: `deployment`, `fires`.
    pub label: String,
    /// Its colour.
    pub tone: Tone,
}

/// What a colour stands for. Neighbours differ in lightness too, and no state is
/// told by its colour alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tone {
    /// All is well.
    Ok,
    /// It may become bad.
    Pending,
    /// It is bad.
    Breached,
    /// Nobody knows.
    Blind,
    /// It does not count.
    Grace,
    /// Something is being done.
    Act,
    /// Neither good nor bad.
    Plain,
    /// No state but a length of time: an arrow with two heads.
    Measure,
}

impl From<TriggerState> for Tone {
    fn from(state: TriggerState) -> Self {
        match state {
            TriggerState::Ok => Self::Ok,
            TriggerState::Pending => Self::Pending,
            TriggerState::Breached => Self::Breached,
            TriggerState::Blind => Self::Blind,
            TriggerState::Grace => Self::Grace,
        }
    }
}

impl Plot {
    /// Draws it.
    #[must_use]
    pub fn svg(&self) -> String {
        draw::svg(self)
    }
}

#[cfg(test)]
mod tests;
