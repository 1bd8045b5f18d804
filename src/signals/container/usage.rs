//! How much of the processors and of the memory that they may use a service's
//! containers do use, pure. The busiest container is the service's number.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use rollbackd_core::{
    moment::Moment,
    reading::{Missing, Reading},
    words::{ContainerId, ServiceName},
};

use crate::docker::stats::Stats;

/// One reading of one container.
pub(super) struct Used {
    pub(super) container: ContainerId,
    pub(super) service: ServiceName,
    /// How many cores it may use; `None`: all that there are.
    pub(super) cpu_limit: Option<f64>,
    pub(super) stats: Stats,
}

/// What was used over the longest window that asks.
pub(super) struct Usage {
    keep: Duration,
    containers: BTreeMap<ContainerId, Past>,
}

struct Past {
    service: ServiceName,
    cpu_limit: Option<f64>,
    readings: VecDeque<(Moment, Stats)>,
}

impl Usage {
    /// For triggers whose longest window is `keep`.
    pub(super) fn new(keep: Duration) -> Self {
        Self { keep, containers: BTreeMap::new() }
    }

    /// Takes in what was read at a moment: of all containers that run.
    pub(super) fn take(&mut self, at: Moment, used: Vec<Used>) {
        self.containers.retain(|id, _| used.iter().any(|used| used.container == *id));
        for Used { container, service, cpu_limit, stats } in used {
            let past = self.containers.entry(container).or_insert_with(|| Past {
                service,
                cpu_limit,
                readings: VecDeque::new(),
            });
            past.cpu_limit = cpu_limit;
            let restarted = |(_, last): &(Moment, Stats)| stats.cpu < last.cpu;
            if past.readings.back().is_some_and(restarted) {
                past.readings.clear();
            }
            past.readings.push_back((at, stats));
            while past.readings.front().is_some_and(|&(then, _)| then + self.keep < at) {
                past.readings.pop_front();
            }
        }
    }

    /// The share of the cores it may use that the busiest container used, on
    /// average over `window`.
    pub(super) fn cpu(&self, service: &ServiceName, at: Moment, window: Duration) -> Reading {
        let share = |past: &Past| {
            let (_, last) = past.readings.back()?;
            let within = |&&(then, _): &&(Moment, Stats)| then + window >= at;
            let (_, first) = past.readings.iter().find(within)?;
            let cores = past.cpu_limit.or(last.cores.map(f64::from))?;
            Some(last.busy_cores_since(first)? / cores)
        };
        let why = "the containers' processor time was read once so far; a share needs two readings";
        self.busiest(service, share, why)
    }

    /// The share of the memory it may use that the fullest container uses.
    pub(super) fn memory(&self, service: &ServiceName) -> Reading {
        let share = |past: &Past| past.readings.back()?.1.memory_share();
        self.busiest(service, share, "the engine does not say how much memory the containers use")
    }

    fn busiest(
        &self,
        service: &ServiceName,
        share: impl Fn(&Past) -> Option<f64>,
        unknown: &str,
    ) -> Reading {
        let mut own = self.containers.values().filter(|past| past.service == *service).peekable();
        if own.peek().is_none() {
            let why = "the service has no running container whose use could be read";
            return Reading::Missing(Missing::Failed(why.into()));
        }
        match own.filter_map(share).max_by(f64::total_cmp) {
            Some(share) => Reading::of(share),
            None => Reading::Missing(Missing::Empty(unknown.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::{SignedDuration, Timestamp};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn at(second: u32) -> Moment {
        Moment::ZERO + SECOND * (1000 + second)
    }

    /// A reading at a second, with so much processor time used by then.
    fn used(id: &str, second: u32, cpu: f64, limit: Option<f64>) -> Used {
        Used {
            container: ContainerId::new(id),
            service: "web".into(),
            cpu_limit: limit,
            stats: Stats {
                read: Timestamp::UNIX_EPOCH + SignedDuration::from_secs(second.into()),
                cpu: Some(Duration::from_secs_f64(cpu)),
                cores: Some(4),
                memory: Some(300),
                memory_limit: Some(if limit.is_some() { 400 } else { 1000 }),
            },
        }
    }

    fn cpu(usage: &Usage, second: u32) -> Reading {
        usage.cpu(&"web".into(), at(second), SECOND * 10)
    }

    #[test]
    fn processor_use_is_a_share_of_the_limit_or_of_all_cores() {
        let mut usage = Usage::new(SECOND * 10);
        usage.take(at(0), vec![used("a", 0, 0.0, Some(0.5))]);
        assert!(matches!(cpu(&usage, 0), Reading::Missing(Missing::Empty(_))));
        usage.take(at(10), vec![used("a", 10, 4.0, Some(0.5))]);
        assert_eq!(cpu(&usage, 10), Reading::Value(0.8));

        let mut usage = Usage::new(SECOND * 10);
        usage.take(at(0), vec![used("a", 0, 0.0, None)]);
        usage.take(at(10), vec![used("a", 10, 20.0, None)]);
        assert_eq!(cpu(&usage, 10), Reading::Value(0.5));
    }

    #[test]
    fn the_busiest_container_is_the_services_number() {
        let mut usage = Usage::new(SECOND * 10);
        usage.take(at(0), vec![used("a", 0, 0.0, Some(1.0)), used("b", 0, 5.0, None)]);
        usage.take(at(10), vec![used("a", 10, 9.0, Some(1.0)), used("b", 10, 9.0, None)]);
        assert_eq!(cpu(&usage, 10), Reading::Value(0.9));
        assert_eq!(usage.memory(&"web".into()), Reading::Value(0.75));
    }

    #[test]
    fn a_restarted_container_begins_anew_and_a_window_is_kept_and_no_more() {
        let mut usage = Usage::new(SECOND * 10);
        for second in 0..100 {
            usage.take(at(second), vec![used("a", second, f64::from(second), Some(1.0))]);
        }
        assert_eq!(usage.containers.values().next().unwrap().readings.len(), 11);
        assert_eq!(cpu(&usage, 99), Reading::Value(1.0));
        usage.take(at(100), vec![used("a", 100, 0.5, Some(1.0))]);
        assert!(matches!(cpu(&usage, 100), Reading::Missing(Missing::Empty(_))));
        usage.take(at(102), vec![used("a", 102, 1.0, Some(1.0))]);
        assert_eq!(cpu(&usage, 102), Reading::Value(0.25));
    }

    #[test]
    fn a_service_that_does_not_run_has_no_number() {
        let usage = Usage::new(SECOND);
        assert!(matches!(usage.memory(&"web".into()), Reading::Missing(Missing::Failed(_))));
    }
}
