//! `increase` as PromQL defines it, pure: what a counter grew by over a range,
//! resets included, extrapolated to the range's ends where the series is near
//! them. `rate` is this divided by the range.
//!
//! The definition is that of Prometheus 3 (`extrapolatedRate` in its
//! `promql/functions.go`). Prometheus 2 differs in one corner: where a series
//! begins inside the range *and* its counter began at zero between half and
//! 1.1 times the mean distance of its samples before its first one, 2 goes back
//! to that zero and 3 goes back half that distance.

use std::time::Duration;

use rollbackd_core::moment::Moment;

/// What a counter grew by over the `range` that ends at `end`, from its samples
/// in order of time; those outside the range (both its ends belong to it) do
/// not count. `None` with fewer than two samples in it.
pub(super) fn increase(
    points: impl Iterator<Item = (Moment, f64)>,
    end: Moment,
    range: Duration,
) -> Option<f64> {
    let start = end - range;
    let mut points = points.filter(|(at, _)| (start..=end).contains(at));
    let first = points.next()?;
    let (mut last, mut resets, mut count) = (first, 0.0, 1_u32);
    for point in points {
        if point.1 < last.1 {
            // It began again at zero: what it had counted is not lost.
            resets += last.1;
        }
        (last, count) = (point, count + 1);
    }
    if count < 2 || last.0 == first.0 {
        return None;
    }
    let grown = last.1 - first.1 + resets;
    let sampled = last.0.since(first.0).as_secs_f64();
    let between = sampled / f64::from(count - 1);
    let reach = |to_end: f64| if to_end < between * 1.1 { to_end } else { between / 2.0 };
    let mut before = reach(first.0.since(start).as_secs_f64());
    if grown > 0.0 && first.1 >= 0.0 {
        // A counter is never negative: do not go back beyond its zero.
        before = before.min(sampled * (first.1 / grown));
    }
    let after = reach(end.since(last.0).as_secs_f64());
    Some(grown * ((sampled + before + after) / sampled))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: f64) -> Moment {
        Moment::ZERO + Duration::from_secs_f64(seconds)
    }

    fn grown(points: &[(f64, f64)], end: f64, range: f64) -> Option<f64> {
        let points = points.iter().map(|&(time, value)| (at(time), value));
        increase(points, at(end), Duration::from_secs_f64(range))
    }

    #[test]
    fn a_steady_counter_grows_by_its_rate_times_the_range() {
        let points: Vec<_> =
            (0..=10).map(|i| (f64::from(i), 1000.0 + f64::from(i) * 3.0)).collect();
        assert_eq!(grown(&points, 10.0, 10.0), Some(30.0));
        assert_eq!(grown(&points, 10.5, 10.0), Some(30.0));
    }

    #[test]
    fn a_reset_loses_nothing_that_was_counted() {
        // 100 → 110, begins again, → 5 → 15: 10 + 5 + 10.
        let points = [(0.0, 100.0), (1.0, 110.0), (2.0, 5.0), (3.0, 15.0)];
        assert_eq!(grown(&points, 3.0, 3.0), Some(25.0));
    }

    #[test]
    fn one_sample_is_no_rate_and_what_is_outside_does_not_count() {
        assert_eq!(grown(&[], 10.0, 5.0), None);
        assert_eq!(grown(&[(9.0, 4.0)], 10.0, 5.0), None);
        assert_eq!(grown(&[(1.0, 1.0), (4.9, 2.0), (9.0, 4.0), (10.1, 5.0)], 10.0, 5.0), None);
        assert_eq!(grown(&[(5.0, 2.0), (10.0, 4.0)], 10.0, 5.0), Some(2.0));
    }

    #[test]
    fn a_series_that_begins_inside_the_range_is_not_taken_back_to_its_start() {
        // Far from its zero: half a distance back (1 s of 2 s), none forward.
        let points = [(6.0, 1000.0), (8.0, 1020.0), (10.0, 1040.0)];
        assert_eq!(grown(&points, 10.0, 10.0), Some(50.0));
    }

    #[test]
    fn a_counter_is_not_taken_back_beyond_its_zero() {
        // It grows by 10 a second and stands at 4: 0.4 s back, not 0.9.
        let points = [(0.9, 4.0), (1.9, 14.0), (2.9, 24.0)];
        let found = grown(&points, 2.9, 2.9).unwrap();
        assert!((found - 24.0).abs() < 1e-9, "{found}");
    }

    proptest! {
        #[test]
        fn a_counter_never_shrinks(
            steps in prop::collection::vec((1_u32..30, 0.0..1e6), 2..40),
            late in 0.0..20.0,
        ) {
            let mut time = 0.0;
            let points: Vec<_> = steps
                .iter()
                .map(|&(step, value)| { time += f64::from(step); (time, value) })
                .collect();
            let found = grown(&points, time + late, time + late).unwrap();
            prop_assert!(found >= 0.0 && found.is_finite());
        }

        #[test]
        fn what_was_seen_is_counted_and_at_most_the_ends_are_added(
            steps in prop::collection::vec(0.0..1e3, 2..40),
        ) {
            let mut value = 0.0;
            let points: Vec<_> = steps
                .iter()
                .enumerate()
                .map(|(i, step)| { value += step; (i as f64, value) })
                .collect();
            let seen = value - points[0].1;
            let end = (points.len() - 1) as f64;
            let found = grown(&points, end, end + 0.5).unwrap();
            let share = (end + 0.5) / end;
            prop_assert!(found >= seen - 1e-6 && found <= seen * share + 1e-6);
        }
    }
}
