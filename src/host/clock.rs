//! The only place that asks what time it is.
//!
//! A [`Moment`] is boot-time (it counts suspension and cannot be set) put after
//! a stored [`Anchor`], so that the axis goes on over restarts and reboots and
//! never runs backwards. Wall time is for people, and for what the engine dates.

#[cfg(feature = "testing")]
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::{fs, sync::Arc, time::Duration};

use jiff::Timestamp;
use rollbackd_core::moment::Moment;
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

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
pub struct Clock(Arc<Kind>);

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
        Self(Arc::new(Kind::Real { boot_id, began }))
    }

    /// A clock that stands at a moment until [`Clock::set`]; wall time equals it
    /// until [`Clock::set_wall_ahead`].
    #[cfg(feature = "testing")]
    #[must_use]
    pub fn manual(at: Moment) -> Self {
        Self(Arc::new(Kind::Manual(AtomicU64::new(at.as_nanos()), AtomicI64::new(0))))
    }

    /// Moves a manual clock; a real one does not move.
    #[cfg(feature = "testing")]
    pub fn set(&self, at: Moment) {
        if let Kind::Manual(now, _) = &*self.0 {
            now.store(at.as_nanos(), Ordering::SeqCst);
        }
    }

    /// Somebody sets the wall clock: so many nanoseconds ahead of a manual
    /// clock's axis. A real one is not moved.
    #[cfg(feature = "testing")]
    pub fn set_wall_ahead(&self, nanos: i64) {
        if let Kind::Manual(_, ahead) = &*self.0 {
            ahead.store(nanos, Ordering::SeqCst);
        }
    }

    /// What moment it is.
    #[must_use]
    pub fn now(&self) -> Moment {
        match &*self.0 {
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
        let boot_id = match &*self.0 {
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

    /// The moment this machine booted.
    #[must_use]
    pub fn booted(&self) -> Moment {
        self.now() - Duration::from_nanos(boot_nanos())
    }

    /// How far wall time is ahead of the axis, in nanoseconds.
    fn wall_ahead(&self) -> i128 {
        match &*self.0 {
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
