//! What one trigger has seen: the part of it that a restart keeps, and how the
//! condition's time is counted in it.

use alloc::collections::VecDeque;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{moment::Moment, reading::Missing, view::RECENT};

/// What a trigger has seen: all of it that a restart keeps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Window {
    /// Since when it has been watching without a break.
    pub(crate) began: Moment,
    /// When the source was last asked.
    pub(crate) asked: Option<Moment>,
    /// When the last usable value was asked for.
    pub(crate) last: Option<Moment>,
    /// When it came: later, where the source is slow.
    #[serde(default)]
    pub(crate) heard: Option<Moment>,
    /// The last usable value.
    #[serde(default, with = "crate::number::option")]
    pub(crate) value: Option<f64>,
    /// The last of those that counted.
    pub(crate) counted: Option<Moment>,
    pub(crate) held: Held,
    /// Breached, and past the clearing line since then.
    #[serde(default)]
    clearing: Option<Moment>,
    /// For `share`: every sample that the span still needs, oldest first.
    pub(crate) span: VecDeque<(Moment, bool)>,
    /// How many of them breach.
    breaching: u32,
    /// Why there is no value, if the last answer had none.
    pub(crate) missing: Option<Missing>,
    /// How far beyond the threshold the breach was that a deployment found; kept
    /// over gaps, until a sample does not breach.
    #[serde(default, with = "crate::number::option")]
    pub(crate) older: Option<f64>,
    /// Since when that breach had held.
    #[serde(default)]
    pub(crate) older_since: Option<Moment>,
    /// When the newest deployment began that it was told of.
    #[serde(default)]
    pub(crate) deployed: Option<Moment>,
    /// Pending when that deployment began: starts anew when it has ended.
    #[serde(default)]
    pub(crate) held_back: bool,
    /// Usable before the present deployment began.
    pub(crate) fresh_before: Option<Moment>,
    /// Time covered by usable samples since the bake began.
    pub(crate) covered: Duration,
    /// Verification counts samples from here.
    pub(crate) judged_from: Option<Moment>,
    /// Samples in a row since then that were past the clearing line.
    pub(crate) calm: u32,
    /// When the first of those was.
    #[serde(default)]
    pub(crate) calm_since: Option<Moment>,
    /// Usable samples since then.
    pub(crate) judged: u32,
    /// People were told that it is blind.
    pub(crate) told_blind: bool,
    #[serde(with = "crate::number::recent")]
    recent: [Option<f32>; RECENT],
    next: u8,
}

/// What one value says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Says {
    /// The condition holds.
    pub(crate) breaches: bool,
    /// It is past the line where a breach clears; never with `breaches`.
    pub(crate) clears: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Held {
    Calm,
    Pending { since: Moment },
    Breached { since: Moment, at: Moment },
}

impl Window {
    /// One that has seen nothing yet, with room for so many samples of a span.
    pub(crate) fn new(now: Moment, slots: usize) -> Self {
        Self {
            began: now,
            asked: None,
            last: None,
            heard: None,
            value: None,
            counted: None,
            held: Held::Calm,
            clearing: None,
            span: VecDeque::with_capacity(slots),
            breaching: 0,
            missing: None,
            older: None,
            older_since: None,
            deployed: None,
            held_back: false,
            fresh_before: None,
            covered: Duration::ZERO,
            judged_from: None,
            calm: 0,
            calm_since: None,
            judged: 0,
            told_blind: false,
            recent: [None; RECENT],
            next: 0,
        }
    }

    pub(crate) fn clear(&mut self) {
        self.held = Held::Calm;
        self.clearing = None;
        self.span.clear();
        self.breaching = 0;
    }

    /// Prometheus's `for`; a breach is over after `lasts` past its line.
    pub(crate) fn hold(&mut self, at: Moment, says: Says, span: Duration, lasts: Duration) {
        let over = self.is_over(at, says, lasts);
        if says.breaches {
            self.hold_if(at, |since| at.since(since) >= span);
        } else if over {
            self.older = None;
            self.clear();
        }
    }

    /// Is what is breached past its line for long enough? True also when
    /// nothing is breached.
    fn is_over(&mut self, at: Moment, says: Says, lasts: Duration) -> bool {
        if !matches!(self.held, Held::Breached { .. }) {
            return true;
        }
        if !says.clears {
            self.clearing = None;
            return false;
        }
        at.since(*self.clearing.get_or_insert(at)) >= lasts
    }

    /// At least `share` of the samples of the span, the newest among them, and
    /// they cover the span.
    pub(crate) fn hold_share(
        &mut self,
        at: Moment,
        says: Says,
        (share, within): (f64, Duration),
        lasts: Duration,
        most: usize,
    ) {
        let breaches = says.breaches;
        let over = self.is_over(at, says, lasts);
        // A source that is asked more often than agreed costs span, not memory.
        if self.span.len() >= most {
            self.drop_oldest();
        }
        self.span.push_back((at, breaches));
        self.breaching += u32::from(breaches);
        let from = at - within;
        while self.span.get(1).is_some_and(|(second, _)| *second <= from) {
            self.drop_oldest();
        }
        if self.breaching == 0 {
            if over {
                self.held = Held::Calm;
                self.clearing = None;
                self.older = None;
            }
            return;
        }
        let covers = self.span.front().is_some_and(|(first, _)| *first <= from);
        let samples = u32::try_from(self.span.len()).unwrap_or(u32::MAX);
        let enough = f64::from(self.breaching) >= share * f64::from(samples);
        if breaches {
            self.hold_if(at, |_| covers && enough);
        } else if let Held::Breached { since, .. } = self.held
            && !enough
            && over
        {
            self.held = Held::Pending { since };
        }
    }

    fn hold_if(&mut self, at: Moment, complete: impl Fn(Moment) -> bool) {
        let since = match self.held {
            Held::Calm => at,
            Held::Pending { since } => since,
            Held::Breached { .. } => return,
        };
        self.held =
            if complete(since) { Held::Breached { since, at } } else { Held::Pending { since } };
    }

    fn drop_oldest(&mut self) {
        if let Some((_, breached)) = self.span.pop_front() {
            self.breaching -= u32::from(breached);
        }
    }

    /// One more sample that a verification counts.
    pub(crate) fn judge(&mut self, at: Moment, says: Says) {
        self.judged = self.judged.saturating_add(1);
        self.calm = if says.clears { self.calm.saturating_add(1) } else { 0 };
        self.calm_since = says.clears.then(|| self.calm_since.unwrap_or(at));
    }

    pub(crate) fn remember(&mut self, value: Option<f32>) {
        self.recent[usize::from(self.next)] = value;
        self.next = (self.next + 1) % RECENT as u8;
    }

    pub(crate) fn history(&self) -> alloc::vec::Vec<Option<f32>> {
        let (newer, older) = self.recent.split_at(usize::from(self.next));
        let all = older.iter().chain(newer);
        all.skip_while(|value| value.is_none()).copied().collect()
    }
}

/// How many samples a span holds, with room for the one before it and for
/// moments that are not exact.
pub(crate) fn slots(within: Duration, every: Duration) -> usize {
    let samples = within.as_nanos() / every.as_nanos().max(1);
    usize::try_from(samples).unwrap_or(usize::MAX).min(100_000) + 4
}
