//! From what was watched to the panels of a plot.

use rollbackd::replay::plot::{Curve, Dot, Line, Panel, Plot, Span, Strip, Tone};
use rollbackd_core::{
    moment::Moment,
    settings::{Condition, TriggerSettings},
    view::TriggerState,
};

use super::{Scene, Story, Told};

impl Scene {
    /// What a trigger read, and its states.
    pub fn panel(&self, trigger: &str) -> Panel {
        let settings = self.settings(trigger);
        let label = format!("{} of {}", settings.signal, settings.service);
        let curve = Some(self.curve(trigger));
        Panel { label, curve, strips: vec![self.strip(trigger, "state")] }
    }

    pub fn settings(&self, trigger: &str) -> &TriggerSettings {
        let mut all = self.world.settings.projects.iter().flat_map(|project| &project.triggers);
        all.find(|settings| settings.name == trigger).unwrap()
    }

    pub fn curve(&self, trigger: &str) -> Curve {
        let settings = self.settings(trigger);
        let mut samples: Vec<Dot> = Vec::new();
        for (_, at, reading) in self.log.borrow().iter().filter(|(name, ..)| name == trigger) {
            let joined = samples.last().is_some_and(|last| at.since(last.at) <= settings.every * 2);
            let counts = state_at(&self.states[trigger], *at) != Some(TriggerState::Grace);
            samples.push(Dot { at: *at, reading: reading.clone(), counts, joined });
        }
        let condition = settings.condition;
        let lines = vec![line(settings)];
        Curve { unit: settings.signal.unit(), condition, samples, lines }
    }

    pub fn strip(&self, trigger: &str, label: &str) -> Strip {
        let spans =
            self.spans(&self.states[trigger], |state| (Tone::from(*state), state.as_str().into()));
        Strip { label: label.into(), spans }
    }

    /// What the project was doing.
    pub fn project(&self) -> Strip {
        Strip { label: "shop".into(), spans: self.spans(&self.project, Clone::clone) }
    }

    fn spans<T>(&self, story: &Story<T>, told: impl Fn(&T) -> (Tone, String)) -> Vec<Span> {
        let ends = story.iter().skip(1).map(|(at, _)| *at).chain([self.world.now]);
        let spans = story.iter().zip(ends).filter_map(|((from, what), to)| {
            let (tone, word) = told(what.as_ref()?);
            Some(Span { from: *from, to, tone, word })
        });
        spans.collect()
    }

    /// A length of time with its name.
    pub fn length(&self, from: i64, to: i64, word: impl Into<String>) -> Strip {
        let (from, to) = (self.moment(from), self.moment(to));
        let span = Span { from, to, tone: Tone::Measure, word: word.into() };
        Strip { label: String::new(), spans: vec![span] }
    }

    /// Something that lasted, told by hand: from, to, colour, word.
    pub fn lasted(&self, label: &str, spans: &[(i64, i64, Tone, &str)]) -> Strip {
        let span = |&(from, to, tone, word): &(i64, i64, Tone, &str)| Span {
            from: self.moment(from),
            to: self.moment(to),
            tone,
            word: word.to_owned(),
        };
        Strip { label: label.into(), spans: spans.iter().map(span).collect() }
    }

    /// The picture, and what the document says beside it.
    pub fn told(self, title: impl Into<String>, panels: Vec<Panel>, says: Vec<String>) -> Told {
        let Self { zero, from, marks, world, .. } = self;
        let title = title.into().replace('`', "");
        Told { plot: Plot { title, zero, from, to: world.now, panels, marks }, says }
    }
}

/// The threshold's line.
pub fn line(settings: &TriggerSettings) -> Line {
    let value = settings.condition.threshold();
    let shown = settings.signal.unit().show(value);
    let label = match settings.condition {
        Condition::Above(_) => format!("above {shown}"),
        Condition::Below(_) => format!("below {shown}"),
        Condition::AtLeast(_) => format!("{shown} or more"),
    };
    Line { value, label, tone: Tone::Breached }
}

fn state_at(story: &Story<TriggerState>, at: Moment) -> Option<TriggerState> {
    story.iter().rev().find(|(from, _)| *from <= at).and_then(|(_, state)| *state)
}
