//! What the counters of one page have been over the longest window that asks,
//! and no longer: enough to say what each of them grew by.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use rollbackd_core::moment::Moment;

use super::{
    super::rates,
    page::{Metric, Tag},
};

/// The past of one metric of one page.
#[derive(Default)]
pub(super) struct History {
    name: String,
    times: VecDeque<Moment>,
    series: BTreeMap<u64, Line>,
}

/// One series: a value for each of the times, NaN where it was not there.
struct Line {
    tag: Tag,
    values: VecDeque<f64>,
}

impl History {
    /// Takes in what the page says at a moment, and forgets what is older than
    /// `keep`.
    pub(super) fn push(&mut self, at: Moment, metric: &Metric, keep: Duration) {
        // Without series nobody knows yet by which label they will be read: that
        // is a reading at which none was there, as after a start of the app.
        if self.name != metric.name && !metric.series.is_empty() {
            if !self.series.is_empty() {
                // It is read from another metric now: nothing of it goes together.
                *self = Self::default();
            }
            self.name.clone_from(&metric.name);
        }
        self.times.push_back(at);
        let now = self.times.len();
        for seen in &metric.series {
            let line = self.series.entry(seen.key).or_insert_with(|| Line {
                tag: seen.tag,
                values: std::iter::repeat_n(f64::NAN, now - 1).collect(),
            });
            line.tag = seen.tag;
            // A series that stands on a page twice counts once.
            if line.values.len() < now {
                line.values.push_back(seen.value);
            }
        }
        for line in self.series.values_mut() {
            if line.values.len() < now {
                line.values.push_back(f64::NAN);
            }
        }
        self.forget(at - keep);
    }

    fn forget(&mut self, before: Moment) {
        while self.times.front().is_some_and(|&at| at < before) {
            self.times.pop_front();
            for line in self.series.values_mut() {
                line.values.pop_front();
            }
        }
        self.series.retain(|_, line| line.values.iter().any(|value| !value.is_nan()));
    }

    /// What each series grew by over the `range` that ends at `end`; only those
    /// that can say.
    pub(super) fn grown(
        &self,
        end: Moment,
        range: Duration,
    ) -> impl Iterator<Item = (Tag, f64)> + '_ {
        self.series.values().filter_map(move |line| {
            let points = self.times.iter().copied().zip(line.values.iter().copied());
            let present = points.filter(|(_, value)| !value.is_nan());
            Some((line.tag, rates::increase(present, end, range)?))
        })
    }

    /// How many readings lie in the `range` that ends at `end`.
    pub(super) fn readings(&self, end: Moment, range: Duration) -> usize {
        self.times.iter().filter(|&&at| at >= end - range && at <= end).count()
    }

    /// When it was read last.
    pub(super) fn last(&self) -> Option<Moment> {
        self.times.back().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::{super::page::Seen, *};

    const SECOND: Duration = Duration::from_secs(1);

    fn at(second: u32) -> Moment {
        Moment::ZERO + SECOND * (1000 + second)
    }

    fn metric(series: &[(u64, f64)]) -> Metric {
        let seen = |&(key, value): &(u64, f64)| Seen { key, tag: Tag::Good, value };
        Metric { name: "requests".into(), series: series.iter().map(seen).collect() }
    }

    #[test]
    fn it_keeps_no_more_than_the_window_needs() {
        let mut history = History::default();
        for second in 0..1000 {
            // A new series every second, each there for one reading only.
            let series = [(u64::from(second), 1.0), (u64::MAX, f64::from(second))];
            history.push(at(second), &metric(&series), SECOND * 10);
        }
        assert_eq!(history.times.len(), 11);
        assert_eq!(history.series.len(), 12);
        assert!(history.series.values().all(|line| line.values.len() == 11));
        let grown: Vec<_> = history.grown(at(999), SECOND * 10).collect();
        assert_eq!(grown, [(Tag::Good, 10.0)]);
    }

    #[test]
    fn a_series_that_was_away_for_a_reading_goes_on() {
        let mut history = History::default();
        let keep = SECOND * 10;
        history.push(at(0), &metric(&[(1, 100.0)]), keep);
        history.push(at(1), &metric(&[]), keep);
        history.push(at(2), &metric(&[(1, 120.0), (1, 777.0)]), keep);
        let grown: Vec<_> = history.grown(at(2), SECOND * 2).collect();
        assert_eq!(grown, [(Tag::Good, 20.0)]);
    }

    #[test]
    fn a_page_without_series_yet_takes_nothing_of_the_past_away() {
        let mut history = History::default();
        let named = |series: &[(u64, f64)]| Metric {
            name: "requests (by status)".into(),
            ..metric(series)
        };
        let keep = SECOND * 10;
        history.push(at(0), &metric(&[]), keep);
        history.push(at(1), &named(&[(1, 100.0)]), keep);
        history.push(at(2), &named(&[(1, 110.0)]), keep);
        history.push(at(3), &metric(&[]), keep);
        history.push(at(4), &named(&[(1, 4.0)]), keep);
        let grown: Vec<_> = history.grown(at(4), SECOND * 3).collect();
        assert_eq!(grown, [(Tag::Good, 14.0)]);
        assert_eq!(history.readings(at(4), keep), 5);
    }

    #[test]
    fn another_metric_begins_anew() {
        let mut history = History::default();
        history.push(at(0), &metric(&[(1, 100.0)]), SECOND * 10);
        let other = Metric { name: "other".into(), ..metric(&[(1, 5000.0)]) };
        history.push(at(1), &other, SECOND * 10);
        assert_eq!(history.grown(at(1), SECOND * 10).count(), 0);
        assert_eq!(history.readings(at(1), SECOND * 10), 1);
    }
}
