//! What others have dated, with the moments that this was first taken for. Wall
//! time that is set later moves none of them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rollbackd_core::moment::Moment;

/// Dates of one generation. A container has three, so this is enough for a
/// thousand containers that are looked at in turn.
const MOST: usize = 4096;

/// The dates that were asked for lately: at most two generations of [`MOST`],
/// each date that is asked for again moving into the younger one.
#[derive(Debug, Default)]
pub(super) struct Dates {
    young: BTreeMap<Timestamp, Moment>,
    old: BTreeMap<Timestamp, Moment>,
}

impl Dates {
    /// The moment that was given for a date before, else `new`.
    pub(super) fn first(&mut self, date: Timestamp, new: impl FnOnce() -> Moment) -> Moment {
        if let Some(moment) = self.young.get(&date) {
            return *moment;
        }
        let moment = self.old.get(&date).copied().unwrap_or_else(new);
        if self.young.len() >= MOST {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(date, moment);
        moment
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_that_are_asked_for_again_and_again_are_kept_and_the_others_forgotten() {
        let mut dates = Dates::default();
        let at = |second: i64| Timestamp::from_second(second).unwrap();
        let kept = dates.first(at(-1), || Moment::from_nanos(7));
        for second in 0..40_000 {
            dates.first(at(second), || Moment::ZERO);
            assert_eq!(dates.first(at(-1), || Moment::from_nanos(9)), kept);
        }
        assert!(dates.young.len() + dates.old.len() <= 2 * MOST);
        assert_eq!(dates.first(at(0), || Moment::from_nanos(9)), Moment::from_nanos(9));
    }
}
