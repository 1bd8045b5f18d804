//! Quantiles, pure: `histogram_quantile` over the counts of classic buckets,
//! and `quantile_over_time` over plain values, as PromQL defines both.

/// Differences of counts smaller than this share are rounding, as Prometheus
/// has it.
const ROUNDING: f64 = 1e-12;

/// A bucket: how many observations were at most `bound`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Bucket {
    /// The upper bound, `le`.
    pub(super) bound: f64,
    /// How many, or how many a second: only proportions matter.
    pub(super) count: f64,
}

/// What `histogram_quantile(q, ...)` says of these buckets. Buckets of the same
/// bound are added up, as `sum by (le)` does. `None` where PromQL says NaN: no
/// bucket for +Inf, no finite bucket, or no observation.
///
/// A quantile beyond the highest finite bound is that bound.
pub(super) fn of_buckets(q: f64, mut buckets: Vec<Bucket>) -> Option<f64> {
    buckets.retain(|bucket| !bucket.bound.is_nan());
    buckets.sort_by(|a, b| a.bound.total_cmp(&b.bound));
    buckets.dedup_by(|next, kept| {
        let same = next.bound == kept.bound;
        if same {
            kept.count += next.count;
        }
        same
    });
    monotonic(&mut buckets);
    let (last, finite) = buckets.split_last()?;
    if last.bound != f64::INFINITY || finite.is_empty() || last.count.is_nan() || last.count == 0.0
    {
        return None;
    }
    let rank = q * last.count;
    let Some(at) = finite.iter().position(|bucket| bucket.count >= rank) else {
        return finite.last().map(|highest| highest.bound);
    };
    let Bucket { bound, count } = finite[at];
    if at == 0 && bound <= 0.0 {
        return Some(bound);
    }
    let below = if at == 0 { Bucket { bound: 0.0, count: 0.0 } } else { finite[at - 1] };
    Some(below.bound + (bound - below.bound) * ((rank - below.count) / (count - below.count)))
}

/// Counts never fall as bounds rise; scraped at different times they may seem
/// to.
fn monotonic(buckets: &mut [Bucket]) {
    let mut highest = buckets.first().map_or(0.0, |first| first.count);
    for bucket in buckets {
        let rounding = (bucket.count - highest).abs() <= ROUNDING * highest.abs();
        if bucket.count < highest || rounding {
            bucket.count = highest;
        }
        highest = bucket.count;
    }
}

/// What `quantile_over_time(q, ...)` says of these values: the value at rank
/// `q * (n - 1)`, between two of them in proportion. `None` without a value.
pub(super) fn of_values(q: f64, mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let highest = values.len().checked_sub(1)?;
    let rank = q * highest as f64;
    let (below, above) = (rank.floor() as usize, (rank.floor() as usize + 1).min(highest));
    let share = rank - rank.floor();
    Some(values[below] * (1.0 - share) + values[above] * share)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn quantile(q: f64, buckets: &[(f64, f64)]) -> Option<f64> {
        let buckets = buckets.iter().map(|&(bound, count)| Bucket { bound, count });
        of_buckets(q, buckets.collect())
    }

    const INF: f64 = f64::INFINITY;

    #[test]
    fn a_quantile_lies_in_its_bucket_in_proportion() {
        let buckets = [(0.1, 50.0), (0.2, 90.0), (0.4, 100.0), (INF, 100.0)];
        assert_eq!(quantile(0.5, &buckets), Some(0.1));
        let found = quantile(0.95, &buckets).unwrap();
        assert!((found - 0.3).abs() < 1e-12, "{found}");
        assert_eq!(quantile(0.25, &buckets), Some(0.05));
    }

    #[test]
    fn a_quantile_beyond_the_highest_finite_bound_is_that_bound() {
        assert_eq!(quantile(0.99, &[(0.1, 50.0), (0.2, 90.0), (INF, 100.0)]), Some(0.2));
    }

    #[test]
    fn a_histogram_that_cannot_say_says_nothing() {
        assert_eq!(quantile(0.99, &[]), None);
        assert_eq!(quantile(0.99, &[(INF, 7.0)]), None);
        assert_eq!(quantile(0.99, &[(0.1, 7.0), (0.2, 9.0)]), None);
        assert_eq!(quantile(0.99, &[(0.1, 0.0), (INF, 0.0)]), None);
        assert_eq!(quantile(0.99, &[(f64::NAN, 1.0)]), None);
    }

    #[test]
    fn equal_bounds_are_added_up_and_falling_counts_are_levelled() {
        assert_eq!(quantile(0.5, &[(INF, 2.0), (1.0, 1.0), (INF, 2.0), (1.0, 3.0)]), Some(0.5));
        assert_eq!(quantile(0.9, &[(1.0, 10.0), (2.0, 8.0), (INF, 10.0)]), Some(0.9));
    }

    #[test]
    fn a_negative_first_bound_is_its_own_quantile() {
        assert_eq!(quantile(0.1, &[(-1.0, 5.0), (1.0, 10.0), (INF, 10.0)]), Some(-1.0));
    }

    #[test]
    fn a_quantile_of_values_lies_between_its_neighbours() {
        assert_eq!(of_values(0.5, vec![3.0, 1.0]), Some(2.0));
        assert_eq!(of_values(0.99, vec![1.0]), Some(1.0));
        assert_eq!(of_values(1.0, vec![1.0, 2.0, 3.0]), Some(3.0));
        assert_eq!(of_values(0.5, Vec::new()), None);
    }

    proptest! {
        #[test]
        fn a_quantile_never_falls_as_q_rises_and_stays_within_the_bounds(
            counts in prop::collection::vec(0.0..1e4, 2..15),
            low in 0.001..1.0_f64,
            high in 0.001..1.0_f64,
        ) {
            let highest = counts.len() - 1;
            let buckets: Vec<_> = counts
                .iter()
                .enumerate()
                .map(|(i, &count)| (if i == highest { INF } else { (i + 1) as f64 }, count))
                .collect();
            let of = |q| quantile(q, &buckets);
            if let (Some(less), Some(more)) = (of(low.min(high)), of(low.max(high))) {
                prop_assert!(less <= more + 1e-9);
                prop_assert!(less >= 0.0 && more <= highest as f64 + 1e-9);
            }
        }
    }
}
