//! One trigger at work: samples in, and whether its condition has held for its
//! time. Constant time and no allocation a sample, however long the window.
//!
//! The rule of `for` is Prometheus's: pending since the first breaching sample,
//! breached at the first breaching sample at least `for` later, cleared by any
//! that does not breach. What Prometheus has no rule for (gaps, grace, blindness,
//! `share`) is the contract's.

use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    moment::Moment,
    reading::{Missing, Reading},
    settings::{Hold, OnBlind, TriggerSettings},
    signal::Signal,
    view::{TriggerState, TriggerView},
    window::{Held, Says, Window, slots},
};

/// How many samples in a row must not breach before a signal counts as back.
const BACK: u32 = 3;

/// A trigger and its window.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Watch {
    settings: TriggerSettings,
    window: Window,
    /// The most samples that a span for `share` holds.
    slots: usize,
    /// Samples before this do not count: grace, or a deployment under way.
    counts_from: Moment,
    /// Its service runs an image that was rolled back from before.
    known_bad: bool,
}

/// What verification sees of a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// Enough samples in a row do not breach.
    Back,
    /// There are samples, but not enough good ones in a row.
    NotYet,
    /// No usable sample yet.
    NoData,
}

impl Watch {
    /// A trigger that has seen nothing yet.
    #[must_use]
    pub fn new(settings: TriggerSettings, now: Moment) -> Self {
        let slots = match settings.hold {
            Hold::For(_) => 0,
            Hold::Share { within, .. } => slots(within, settings.every),
        };
        let window = Window::new(now, slots);
        Self { settings, window, slots, counts_from: Moment::ZERO, known_bad: false }
    }

    /// What it was told to watch.
    #[must_use]
    pub const fn settings(&self) -> &TriggerSettings {
        &self.settings
    }

    /// Takes changed settings and keeps the window. `false`, and nothing is
    /// taken: what is measured, or when it breaches, has changed.
    #[must_use]
    pub fn configure(&mut self, settings: &TriggerSettings) -> bool {
        let old = &self.settings;
        let same = old.signal == settings.signal
            && old.measures == settings.measures
            && old.condition == settings.condition
            && old.hold == settings.hold
            && old.clear == settings.clear
            && old.every == settings.every;
        if same {
            self.settings = settings.clone();
        }
        same
    }

    /// Takes one reading that was answered when it was asked for.
    pub fn feed(&mut self, at: Moment, reading: &Reading) -> bool {
        self.hear(at, at, reading)
    }

    /// Takes one reading, asked for at `at`, that arrives now. One that is not
    /// newer than the last is ignored: `false`.
    pub fn hear(&mut self, now: Moment, at: Moment, reading: &Reading) -> bool {
        if self.window.asked.is_some_and(|asked| at <= asked) {
            return false;
        }
        self.window.asked = Some(at);
        match reading {
            Reading::Value(value) => {
                self.window.heard = Some(now);
                self.value(at, *value);
            }
            Reading::Missing(missing) => self.missing(at, missing),
        }
        true
    }

    fn missing(&mut self, at: Moment, missing: &Missing) {
        self.window.remember(None);
        if self.window.missing.as_ref() != Some(missing) {
            self.window.missing = Some(missing.clone());
        }
        // Prometheus: an empty answer resolves at once, a failed query changes nothing.
        let empty = matches!(missing, Missing::Empty(_));
        if self.settings.max_gap.is_zero() && empty && at >= self.counts_from {
            self.window.clear();
        }
    }

    fn value(&mut self, at: Moment, value: f64) {
        let blind_after = self.blind_after();
        let window = &mut self.window;
        window.remember(Some(value as f32));
        window.missing = None;
        window.told_blind = false;
        if let Some(last) = window.last {
            window.covered += at.since(last).min(blind_after);
        }
        (window.last, window.value) = (Some(at), Some(value));
        if at < self.counts_from {
            return;
        }
        let gap = window.counted.map_or(Duration::ZERO, |counted| at.since(counted));
        if !self.settings.max_gap.is_zero() && gap > self.settings.max_gap {
            window.clear();
        }
        window.counted = Some(at);
        let clear = self.settings.clear;
        let says = Says {
            breaches: self.settings.condition.breached_by(value),
            clears: self.settings.condition.cleared_by(value, clear.line),
        };
        if window.judged_from.is_some_and(|from| at >= from) {
            window.judge(at, says);
        }
        match self.hold() {
            Hold::For(span) => self.window.hold(at, says, span, clear.lasts),
            Hold::Share { share, within } => {
                let over = (share.get(), within);
                self.window.hold_share(at, says, over, clear.lasts, self.slots);
            }
        }
    }

    /// For how long its condition must hold: shorter on a known bad image.
    #[must_use]
    pub fn hold(&self) -> Hold {
        let hold = self.settings.hold;
        if self.known_bad { hold.over(self.settings.for_known_bad) } else { hold }
    }

    /// Its service runs an image that was rolled back from before, or not.
    pub fn known_bad(&mut self, known_bad: bool) {
        self.known_bad = known_bad && self.settings.signal != Signal::Health;
    }

    /// How long without a usable value makes it blind.
    fn blind_after(&self) -> Duration {
        self.settings.every * 3
    }

    /// When it becomes blind unless a usable value comes. One that is late is
    /// not missing: time runs from when it came, not from when it was asked for.
    #[must_use]
    pub fn blind_at(&self) -> Moment {
        let heard = self.heard().unwrap_or(self.window.began);
        heard.max(self.window.began) + self.blind_after()
    }

    /// When the last usable value came.
    fn heard(&self) -> Option<Moment> {
        self.window.heard.max(self.window.last)
    }

    /// Has it had no usable value for too long?
    #[must_use]
    pub fn is_blind(&self, now: Moment) -> bool {
        now > self.blind_at()
    }

    /// Time alone: what is pending does not outlast a gap.
    pub fn wake(&mut self, now: Moment) {
        let counted = self.window.counted.and(self.heard());
        let gap = counted.map_or(Duration::ZERO, |heard| now.since(heard));
        if !self.settings.max_gap.is_zero() && gap > self.settings.max_gap {
            self.window.clear();
        }
    }

    /// Should people be told, now, that it is blind? Says so once.
    pub fn tell_blind(&mut self, now: Moment) -> bool {
        let tell = self.settings.on_blind == OnBlind::Alert
            && self.is_blind(now)
            && !core::mem::replace(&mut self.window.told_blind, true);
        self.window.told_blind &= self.is_blind(now);
        tell
    }

    /// Telling it did not come about.
    pub const fn untold_blind(&mut self) {
        self.window.told_blind = false;
    }

    /// Since when its condition holds, and when it had held for its time;
    /// `None` unless it is breached.
    #[must_use]
    pub fn breach(&self, now: Moment) -> Option<(Moment, Moment)> {
        if let Held::Breached { since, at } = self.window.held {
            return Some((since, at));
        }
        self.breach_by_blindness(now)
    }

    /// `on_blind = "breach"`: it had data when the deployment began and has had
    /// none since, for its time and the grace.
    fn breach_by_blindness(&self, now: Moment) -> Option<(Moment, Moment)> {
        let began = self.window.fresh_before?;
        let unseen = self.window.last.is_none_or(|last| last < began);
        let due = began + self.settings.grace + self.hold().span().max(self.blind_after());
        let breach = self.settings.on_blind == OnBlind::Breach && unseen && now >= due;
        breach.then_some((began, due))
    }

    /// Did the last answer hold a value, and does that breach?
    #[must_use]
    pub fn breaches_now(&self) -> bool {
        let window = &self.window;
        let newest = window.value.filter(|_| window.asked == window.counted);
        newest.is_some_and(|value| self.settings.condition.breached_by(value))
    }

    /// Is it breached because it sees nothing since the deployment?
    #[must_use]
    pub fn is_breach_by_blindness(&self, now: Moment) -> bool {
        self.breach_by_blindness(now).is_some()
    }

    /// The last usable value, if it is not blind.
    #[must_use]
    pub fn value_now(&self, now: Moment) -> Option<f64> {
        self.window.value.filter(|_| !self.is_blind(now))
    }

    /// Is its condition holding, though not yet for its time?
    #[must_use]
    pub const fn is_pending(&self) -> bool {
        matches!(self.window.held, Held::Pending { .. })
    }

    /// Since when its condition holds, whether for its time or not.
    #[must_use]
    pub const fn pending_since(&self) -> Option<Moment> {
        match self.window.held {
            Held::Calm => None,
            Held::Pending { since } | Held::Breached { since, .. } => Some(since),
        }
    }

    /// Had its condition held its full time before the deployments that began
    /// at `began`, and is it not half again as bad since? Then it is older, and
    /// not blamed on them.
    #[must_use]
    pub fn is_older(&self, began: Moment) -> bool {
        let (Some(before), Some(value)) = (self.window.older, self.window.value) else {
            return false;
        };
        if self.window.older_since.is_some_and(|since| since >= began) {
            return false;
        }
        let excess = self.settings.condition.excess(value);
        self.settings.signal != Signal::Health && !(excess >= before * 1.5 && excess > before)
    }

    /// Had its condition held its full time before the present deployment?
    #[must_use]
    pub const fn was_older(&self) -> bool {
        self.window.older.is_some()
    }

    /// Samples before `moment` do not count.
    pub fn grace_until(&mut self, moment: Moment) {
        if !self.window.held_back {
            self.counts_from = moment;
        }
    }

    /// A deployment that may be blamed for it has begun.
    pub fn deployment_began(&mut self, at: Moment) {
        let blind = self.is_blind(at);
        self.window.deployed = Some(at);
        self.window.fresh_before = (!blind && self.window.last.is_some()).then_some(at);
        match self.window.held {
            Held::Breached { since, at: held } if since < at && held <= at => {
                let last = self.window.value.unwrap_or_default();
                self.window.older = Some(self.settings.condition.excess(last));
                self.window.older_since = Some(since);
            }
            // Seen late, it may have held its time since: not before it began.
            Held::Pending { since } | Held::Breached { since, .. } if since < at => {
                self.window.clear();
                self.window.held_back = true;
                self.counts_from = Moment::from_nanos(u64::MAX);
            }
            Held::Calm | Held::Pending { .. } | Held::Breached { .. } => {}
        }
    }

    /// That deployment has ended: what was held back counts from `counts_from`.
    pub fn deployment_ended(&mut self, counts_from: Moment) {
        if core::mem::take(&mut self.window.held_back) {
            self.counts_from = counts_from;
        }
    }

    /// Was it told of this deployment?
    #[must_use]
    pub fn knows_of(&self, began: Moment) -> bool {
        self.window.deployed.is_some_and(|deployed| deployed >= began)
    }

    /// A bake begins: coverage counts from here.
    pub const fn bake_began(&mut self) {
        self.window.covered = Duration::ZERO;
    }

    /// Time covered by usable samples since the bake began.
    #[must_use]
    pub const fn covered(&self) -> Duration {
        self.window.covered
    }

    /// How long a verification waits for such a trigger: as long as is written,
    /// and at least until there could have been enough samples and the answer to
    /// the last of them.
    #[must_use]
    pub fn time_to_recover(settings: &TriggerSettings) -> Duration {
        let least = settings.every * (BACK + 1) + settings.clear.lasts;
        settings.recover_within.max(least)
    }

    /// Begins to count for a verification.
    pub const fn judge_from(&mut self, from: Moment) {
        self.window.judged_from = Some(from);
        self.window.judged = 0;
        self.window.calm = 0;
        self.window.calm_since = None;
    }

    /// What verification sees.
    #[must_use]
    pub fn judgement(&self) -> Judgement {
        let Window { judged, calm, calm_since, last, .. } = &self.window;
        let lasted = calm_since.zip(*last).map(|(since, last)| last.since(since));
        match (judged, lasted) {
            (0, _) => Judgement::NoData,
            (_, Some(lasted)) if *calm >= BACK && lasted >= self.settings.clear.lasts => {
                Judgement::Back
            }
            _ => Judgement::NotYet,
        }
    }

    /// What it has seen, for a checkpoint.
    #[must_use]
    pub const fn window(&self) -> &Window {
        &self.window
    }

    /// Goes on from a checkpoint: what lies between is a gap.
    pub fn restore(&mut self, window: Window, now: Moment) {
        let judged_from = self.window.judged_from;
        // Being blind begins anew: nobody asked while the daemon was away.
        self.window = window;
        self.window.began = now;
        // What is judged, the facts say: a checkpoint may be older than they.
        if self.window.judged_from != judged_from {
            self.window.judged_from = judged_from;
            (self.window.judged, self.window.calm) = (0, 0);
            self.window.calm_since = None;
        }
        if self.window.held_back {
            self.counts_from = Moment::from_nanos(u64::MAX);
        }
        self.window.span.reserve(self.slots.saturating_sub(self.window.span.len()));
    }

    /// Why a `share` cannot decide yet: its samples do not cover the span.
    fn too_few(&self) -> Option<alloc::string::String> {
        let Hold::Share { within, .. } = self.settings.hold else { return None };
        let span = &self.window.span;
        let needed = within.as_nanos().div_ceil(self.settings.every.as_nanos().max(1)) + 1;
        let covers = match (span.front(), span.back()) {
            (Some((first, _)), Some((last, _))) => last.since(*first) >= within,
            _ => false,
        };
        let few = !covers && (span.len() as u128) < needed;
        few.then(|| alloc::format!("{} of {needed} samples so far", span.len()))
    }

    /// How it looks from outside.
    #[must_use]
    pub fn view(&self, now: Moment) -> TriggerView {
        let settings = &self.settings;
        let state = match self.window.held {
            _ if now < self.counts_from => TriggerState::Grace,
            _ if self.breach_by_blindness(now).is_some() => TriggerState::Breached,
            _ if self.is_blind(now) => TriggerState::Blind,
            Held::Calm => TriggerState::Ok,
            Held::Pending { .. } => TriggerState::Pending,
            Held::Breached { .. } => TriggerState::Breached,
        };
        let reason = match (state, &self.window.missing) {
            (TriggerState::Grace, _) => Some("samples do not count yet after a start".into()),
            (_, Some(missing)) => Some(alloc::format!("{missing}")),
            (TriggerState::Blind, None) => Some("the source has not answered yet".into()),
            (TriggerState::Ok | TriggerState::Pending, None) => self.too_few(),
            _ => None,
        };
        TriggerView {
            name: settings.name.clone(),
            signal: settings.signal.clone(),
            source: settings.source.clone(),
            action: settings.action,
            state,
            value: self.window.value,
            at: self.window.last,
            condition: settings.condition,
            hold: self.hold(),
            known_bad: self.known_bad,
            pending_since: self.pending_since(),
            reason,
            recent: self.window.history(),
        }
    }
}
