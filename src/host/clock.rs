//! The only place that asks what time it is.
//!
//! A [`Moment`] is boot-time (it counts suspension and cannot be set) put after
//! a stored [`Anchor`], so that the axis goes on over restarts and reboots and
//! never runs backwards. Wall time is for people, and for what the engine dates.

#[cfg(feature = "testing")]
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::{
    fs,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use rollbackd_core::moment::Moment;
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

mod dates;

use dates::Dates;

/// Where the axis stood at one instant: enough to go on from after a restart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Anchor {
    /// The kernel's identity of the boot.
    pub boot_id: String,
    /// Boot time, nanoseconds since that boot.
    pub boot_nanos: u64,
    /// Unix time in nanoseconds.
    pub wall_nanos: u64,
    /// The moment.
    pub moment: Moment,
}

/// The clock. Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub struct Clock(Arc<Inside>);

#[derive(Debug)]
struct Inside {
    kind: Kind,
    dates: Mutex<Dates>,
}

#[derive(Debug)]
enum Kind {
    Real {
        boot_id: String,
        began: Anchor,
    },
    /// Set by hand: for simulation. The moment, and how many nanoseconds wall
    /// time is ahead of it.
    #[cfg(feature = "testing")]
    Manual(AtomicU64, AtomicI64),
}

impl Clock {
    /// Goes on from the anchor that was stored last, or begins an axis at the
    /// Unix time of now.
    #[must_use]
    pub fn resume(last: Option<&Anchor>) -> Self {
        let boot_id = fs::read_to_string("/proc/sys/kernel/random/boot_id")
            .map(|id| id.trim().to_owned())
            .unwrap_or_default();
        let (boot_nanos, wall_nanos) = (boot_nanos(), wall_nanos());
        let moment = match last {
            None => Moment::from_nanos(wall_nanos),
            Some(last) if last.boot_id == boot_id && !boot_id.is_empty() => {
                last.moment + Duration::from_nanos(boot_nanos.saturating_sub(last.boot_nanos))
            }
            // Another boot: only the wall clock knows how long it was away.
            Some(last) => {
                last.moment + Duration::from_nanos(wall_nanos.saturating_sub(last.wall_nanos))
            }
        };
        let began = Anchor { boot_id: boot_id.clone(), boot_nanos, wall_nanos, moment };
        Self::of(Kind::Real { boot_id, began })
    }

    /// A clock that stands at a moment until [`Clock::set`]; wall time equals it
    /// until [`Clock::set_wall_ahead`].
    #[cfg(feature = "testing")]
    #[must_use]
    pub fn manual(at: Moment) -> Self {
        Self::of(Kind::Manual(AtomicU64::new(at.as_nanos()), AtomicI64::new(0)))
    }

    fn of(kind: Kind) -> Self {
        Self(Arc::new(Inside { kind, dates: Mutex::default() }))
    }

    /// Moves a manual clock; a real one does not move.
    #[cfg(feature = "testing")]
    pub fn set(&self, at: Moment) {
        if let Kind::Manual(now, _) = &self.0.kind {
            now.store(at.as_nanos(), Ordering::SeqCst);
        }
    }

    /// Somebody sets the wall clock: so many nanoseconds ahead of a manual
    /// clock's axis. A real one is not moved.
    #[cfg(feature = "testing")]
    pub fn set_wall_ahead(&self, nanos: i64) {
        if let Kind::Manual(_, ahead) = &self.0.kind {
            ahead.store(nanos, Ordering::SeqCst);
        }
    }

    /// What moment it is.
    #[must_use]
    pub fn now(&self) -> Moment {
        match &self.0.kind {
            Kind::Real { began, .. } => {
                began.moment + Duration::from_nanos(boot_nanos().saturating_sub(began.boot_nanos))
            }
            #[cfg(feature = "testing")]
            Kind::Manual(now, _) => Moment::from_nanos(now.load(Ordering::SeqCst)),
        }
    }

    /// What time it is, for people.
    #[must_use]
    pub fn wall(&self) -> Timestamp {
        self.wall_of(self.now())
    }

    /// Where the axis stands now, to be stored.
    #[must_use]
    pub fn anchor(&self) -> Anchor {
        let boot_id = match &self.0.kind {
            Kind::Real { boot_id, .. } => boot_id.clone(),
            #[cfg(feature = "testing")]
            Kind::Manual(..) => String::new(),
        };
        Anchor { boot_id, boot_nanos: boot_nanos(), wall_nanos: wall_nanos(), moment: self.now() }
    }

    /// A moment as the wall clock of now would date it.
    #[must_use]
    pub fn wall_of(&self, moment: Moment) -> Timestamp {
        let nanos = i128::from(moment.as_nanos()) + self.wall_ahead();
        Timestamp::from_nanosecond(nanos).unwrap_or(Timestamp::UNIX_EPOCH)
    }

    /// The moment of a wall time that another program on this machine wrote
    /// down; never later than now.
    #[must_use]
    pub fn moment_of(&self, wall: Timestamp) -> Moment {
        let nanos = wall.as_nanosecond() - self.wall_ahead();
        let nanos = u64::try_from(nanos.max(0)).unwrap_or(u64::MAX);
        Moment::from_nanos(nanos).min(self.now())
    }

    /// Likewise, but what was once said of a wall time is said of it again: a
    /// start an hour ago does not become one of this moment because somebody
    /// set the clock back. For dates that are looked at again and again.
    #[must_use]
    pub fn first_moment_of(&self, wall: Timestamp) -> Moment {
        let mut dates = self.0.dates.lock().unwrap_or_else(PoisonError::into_inner);
        dates.first(wall, || self.moment_of(wall))
    }

    /// The moment this machine booted.
    #[must_use]
    pub fn booted(&self) -> Moment {
        self.now() - Duration::from_nanos(boot_nanos())
    }

    /// How far wall time is ahead of the axis, in nanoseconds.
    fn wall_ahead(&self) -> i128 {
        match &self.0.kind {
            Kind::Real { .. } => i128::from(wall_nanos()) - i128::from(self.now().as_nanos()),
            #[cfg(feature = "testing")]
            Kind::Manual(_, ahead) => i128::from(ahead.load(Ordering::SeqCst)),
        }
    }
}

fn boot_nanos() -> u64 {
    nanos(ClockId::Boottime)
}

fn wall_nanos() -> u64 {
    nanos(ClockId::Realtime)
}

fn nanos(clock: ClockId) -> u64 {
    let time = clock_gettime(clock);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    seconds.saturating_mul(1_000_000_000) + u64::try_from(time.tv_nsec).unwrap_or(0)
}

#[cfg(all(test, feature = "testing"))]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000_000_000;

    #[test]
    fn a_date_that_was_looked_at_keeps_its_moment_when_the_clock_is_set() {
        let start = Moment::from_nanos(1_800_000_000_000_000_000);
        for set in [-HOUR, HOUR] {
            let clock = Clock::manual(start);
            let started = clock.wall();
            clock.set(start + Duration::from_secs(600));
            assert_eq!(clock.first_moment_of(started), start);
            clock.set_wall_ahead(set);
            assert_eq!(clock.first_moment_of(started), start);
            assert_ne!(clock.moment_of(started), start, "as it would be dated now");
            let now = clock.wall();
            assert_eq!(clock.first_moment_of(now), clock.now(), "what is new is of now");
        }
    }
}
