//! What the loop has given to its core, in the order in which it did, as bytes:
//! written while it happens and read back to make the core of a past moment.
//! Pure; where the bytes lie is the store's.
//!
//! A chunk is a row of records. Each begins with a byte that says what it is;
//! numbers are seven bits a byte, the lowest first, and times nanoseconds since
//! the record before (for a sample: before it was given to the core). A value of
//! exactly zero, which most are that count what goes wrong, has no bytes of its
//! own. What was said before is told again by its place in the span: one failing
//! source says the same every few seconds, and so does an engine where nothing
//! changes.

use std::collections::BTreeMap;

use rollbackd_core::{
    event::Event,
    moment::Moment,
    reading::{Missing, Reading, Sample},
    words::{ProjectName, RevisionNo, TriggerIx},
};

use crate::store::Chunk;

/// The most bytes that wait to be written. The loop writes every five seconds,
/// so this is 40,000 samples a second: four times what it is built for.
const MOST: usize = 4 * 1024 * 1024;

mod tag {
    pub(super) const VALUE: u8 = 0;
    pub(super) const ZERO: u8 = 1;
    pub(super) const MISSING: u8 = 2;
    pub(super) const MISSING_AGAIN: u8 = 3;
    pub(super) const EVENT: u8 = 4;
    pub(super) const EVENT_AGAIN: u8 = 5;
    pub(super) const DEADLINE: u8 = 6;
    pub(super) const DROPPED: u8 = 7;
    pub(super) const COMMITTED: u8 = 8;
}

/// One call of the core.
#[derive(Clone, Debug, PartialEq)]
pub enum Heard {
    /// An event was handled.
    Event(Moment, Event),
    /// Its turn could not be committed and was dropped.
    Dropped,
    /// So many facts were committed and applied, the next in the store's order.
    Committed(usize),
}

/// Writes. What is said again is known by where in the span it was said first;
/// so a span is read from its beginning.
#[derive(Debug)]
pub struct Recorder {
    bytes: Vec<u8>,
    from: Moment,
    last: Moment,
    /// Whole events of the span that may be said again, by what they are about.
    said: BTreeMap<About, usize>,
    events: Vec<Event>,
    /// Why which trigger had no value the last time.
    missed: BTreeMap<TriggerIx, usize>,
    missing: Vec<Missing>,
    lost: bool,
}

/// What an event is about that is likely to be said again.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum About {
    Seen(ProjectName),
    Restorable(ProjectName, RevisionNo),
}

impl About {
    fn of(event: &Event) -> Option<Self> {
        match event {
            Event::Observed(seen) => Some(Self::Seen(seen.project.clone())),
            Event::Restorable { project, revision, .. } => {
                Some(Self::Restorable(project.clone(), *revision))
            }
            _ => None,
        }
    }
}

impl Recorder {
    /// Begins a span at the moment of its keyframe.
    #[must_use]
    pub fn new(now: Moment) -> Self {
        Self {
            bytes: Vec::new(),
            from: now,
            last: now,
            said: BTreeMap::new(),
            events: Vec::new(),
            missed: BTreeMap::new(),
            missing: Vec::new(),
            lost: false,
        }
    }

    /// The core is about to be given this.
    pub fn heard(&mut self, now: Moment, event: &Event) {
        if self.is_full() {
            return;
        }
        match event {
            Event::Sample(sample) => self.sample(now, sample),
            Event::Deadline => self.begin(tag::DEADLINE, now),
            _ => self.whole(now, event),
        }
    }

    /// The turn of what was heard last was dropped.
    pub fn dropped(&mut self) {
        if !self.is_full() {
            self.bytes.push(tag::DROPPED);
        }
    }

    /// So many facts of what was heard last were committed and applied.
    pub fn committed(&mut self, facts: usize) {
        if facts > 0 && !self.is_full() {
            self.bytes.push(tag::COMMITTED);
            self.number(facts as u64);
        }
    }

    /// Something is missing from here on: what follows is worth nothing until the
    /// next span begins.
    pub fn lose(&mut self) {
        self.lost = true;
        self.bytes = Vec::new();
    }

    /// Is something missing?
    #[must_use]
    pub const fn is_lost(&self) -> bool {
        self.lost
    }

    /// What was recorded since this was asked last, up to now. Nothing when
    /// something is missing.
    pub fn take(&mut self, now: Moment) -> Option<Chunk> {
        if self.lost {
            return None;
        }
        let bytes = self.bytes.clone();
        // Keeps its room: the next five seconds are as full as these.
        self.bytes.clear();
        let chunk = Chunk { from: self.from, until: now, bytes };
        (self.from, self.last) = (now, now);
        Some(chunk)
    }

    fn is_full(&mut self) -> bool {
        if self.bytes.len() >= MOST {
            self.lose();
        }
        self.lost
    }

    fn sample(&mut self, now: Moment, sample: &Sample) {
        match &sample.reading {
            Reading::Value(value) if value.to_bits() == 0 => {
                self.asked(tag::ZERO, now, sample);
            }
            Reading::Value(value) => {
                self.asked(tag::VALUE, now, sample);
                self.bytes.extend_from_slice(&value.to_bits().to_le_bytes());
            }
            Reading::Missing(why) => {
                let before = self.missed.get(&sample.trigger).copied();
                if let Some(place) = before.filter(|place| self.missing[*place] == *why) {
                    self.asked(tag::MISSING_AGAIN, now, sample);
                    self.number(place as u64);
                    return;
                }
                self.asked(tag::MISSING, now, sample);
                self.json(why);
                self.missed.insert(sample.trigger, self.missing.len());
                self.missing.push(why.clone());
            }
        }
    }

    fn asked(&mut self, tag: u8, now: Moment, sample: &Sample) {
        self.begin(tag, now);
        self.number(u64::from(sample.trigger.0));
        self.signed(now, sample.at);
    }

    fn whole(&mut self, now: Moment, event: &Event) {
        let about = About::of(event);
        let before = about.as_ref().and_then(|about| self.said.get(about).copied());
        if let Some(place) = before
            && is_same(&self.events[place], event)
        {
            self.begin(tag::EVENT_AGAIN, now);
            self.number(place as u64);
            self.signed(now, at(event).unwrap_or(now));
            return;
        }
        self.begin(tag::EVENT, now);
        self.json(event);
        if let Some(about) = about {
            self.said.insert(about, self.events.len());
            self.events.push(event.clone());
        }
    }

    fn begin(&mut self, tag: u8, now: Moment) {
        self.bytes.push(tag);
        let since = now.as_nanos().saturating_sub(self.last.as_nanos());
        self.number(since);
        self.last = self.last.max(now);
    }

    fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.bytes.push((number & 0x7f) as u8 | 0x80);
            number >>= 7;
        }
        self.bytes.push(number as u8);
    }

    /// How long before `now` a moment was; a later one is possible, and odd.
    fn signed(&mut self, now: Moment, at: Moment) {
        let before = now.as_nanos().wrapping_sub(at.as_nanos()).cast_signed();
        self.number(((before << 1) ^ (before >> 63)).cast_unsigned());
    }

    fn json(&mut self, value: &impl serde::Serialize) {
        match serde_json::to_vec(value) {
            Ok(text) => {
                self.number(text.len() as u64);
                self.bytes.extend_from_slice(&text);
            }
            // What cannot be written cannot be told later.
            Err(_) => self.lose(),
        }
    }
}

/// The moment that an event carries and that alone is new when it comes again.
fn at(event: &Event) -> Option<Moment> {
    match event {
        Event::Observed(seen) => Some(seen.at),
        _ => None,
    }
}

/// Do they say the same but for when?
fn is_same(known: &Event, event: &Event) -> bool {
    match (known, event) {
        (Event::Observed(known), Event::Observed(seen)) => {
            known.changed_at == seen.changed_at
                && known.services == seen.services
                && known.pullers == seen.pullers
                && known.project == seen.project
        }
        _ => known == event,
    }
}

/// The recording was not written by this version, or is damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("what was recorded cannot be read by this version of rollbackd")]
pub struct Unreadable;

/// Reads a span, chunk after chunk.
#[derive(Debug, Default)]
pub struct Reader {
    events: Vec<Event>,
    missing: Vec<Missing>,
}

impl Reader {
    /// Everything in the next chunk.
    ///
    /// # Errors
    ///
    /// When it is no chunk of this span.
    pub fn read(&mut self, chunk: &Chunk) -> Result<Vec<Heard>, Unreadable> {
        let mut rest = Rest { bytes: &chunk.bytes };
        let (mut now, mut heard) = (chunk.from, Vec::new());
        while let Some(tag) = rest.next() {
            heard.push(self.one(tag, &mut now, &mut rest).ok_or(Unreadable)?);
        }
        Ok(heard)
    }

    fn one(&mut self, tag: u8, now: &mut Moment, rest: &mut Rest<'_>) -> Option<Heard> {
        match tag {
            tag::DROPPED => return Some(Heard::Dropped),
            tag::COMMITTED => return Some(Heard::Committed(usize::try_from(rest.number()?).ok()?)),
            _ => *now = Moment::from_nanos(now.as_nanos().checked_add(rest.number()?)?),
        }
        let event = match tag {
            tag::DEADLINE => Event::Deadline,
            tag::EVENT => {
                let event: Event = rest.json()?;
                if About::of(&event).is_some() {
                    self.events.push(event.clone());
                }
                event
            }
            tag::EVENT_AGAIN => {
                let mut event = self.events.get(usize::try_from(rest.number()?).ok()?)?.clone();
                let at = rest.before(*now)?;
                if let Event::Observed(seen) = &mut event {
                    seen.at = at;
                }
                event
            }
            _ => self.sample(tag, *now, rest)?,
        };
        Some(Heard::Event(*now, event))
    }

    fn sample(&mut self, tag: u8, now: Moment, rest: &mut Rest<'_>) -> Option<Event> {
        let trigger = TriggerIx(u32::try_from(rest.number()?).ok()?);
        let at = rest.before(now)?;
        let reading = match tag {
            tag::ZERO => Reading::Value(0.0),
            tag::VALUE => {
                let bits = rest.take(8)?.try_into().ok()?;
                Reading::Value(f64::from_bits(u64::from_le_bytes(bits)))
            }
            tag::MISSING => {
                let why: Missing = rest.json()?;
                self.missing.push(why.clone());
                Reading::Missing(why)
            }
            tag::MISSING_AGAIN => {
                Reading::Missing(self.missing.get(usize::try_from(rest.number()?).ok()?)?.clone())
            }
            _ => return None,
        };
        Some(Event::Sample(Sample { trigger, at, reading }))
    }
}

/// What of a chunk was not read yet.
struct Rest<'a> {
    bytes: &'a [u8],
}

impl<'a> Rest<'a> {
    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.bytes.split_first()?;
        self.bytes = rest;
        Some(*first)
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.bytes.split_at_checked(count)?;
        self.bytes = rest;
        Some(taken)
    }

    fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.next()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    fn before(&mut self, now: Moment) -> Option<Moment> {
        let number = self.number()?;
        let before = (number >> 1).cast_signed() ^ -(number & 1).cast_signed();
        Some(Moment::from_nanos(now.as_nanos().wrapping_sub(before.cast_unsigned())))
    }

    fn json<T: serde::de::DeserializeOwned>(&mut self) -> Option<T> {
        let length = usize::try_from(self.number()?).ok()?;
        serde_json::from_slice(self.take(length)?).ok()
    }
}
