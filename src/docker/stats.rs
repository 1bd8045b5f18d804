//! What a container uses of the machine, read once; on cgroup v1 and v2. What
//! the engine leaves out is `None`.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::container::time;

/// One reading of what a container uses.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stats {
    /// When it was read, by the engine's clock.
    pub read: Timestamp,
    /// Processor time that it has used since it started, over all cores.
    pub cpu: Option<Duration>,
    /// Cores that are there for it.
    pub cores: Option<u32>,
    /// Bytes of memory in use, the file cache that can go at any time left
    /// out, as `docker stats` counts.
    pub memory: Option<u64>,
    /// Bytes of memory that it may use: its own limit, else the host's memory.
    pub memory_limit: Option<u64>,
}

impl Stats {
    /// Reads a stats document; `None` for one of a container that does not run.
    pub(super) fn of(document: &Value) -> Option<Self> {
        let (cpu, memory) = (&document["cpu_stats"], &document["memory_stats"]);
        let used = cpu["cpu_usage"]["total_usage"].as_u64();
        Some(Self {
            read: time(&document["read"])?,
            cpu: used.map(Duration::from_nanos),
            cores: cores(cpu),
            memory: memory["usage"].as_u64().map(|usage| usage.saturating_sub(cache(memory))),
            memory_limit: memory["limit"].as_u64().filter(|limit| *limit > 0),
        })
    }

    /// How many cores were busy with it, on average, since an earlier reading
    /// of the same run; `None` when that cannot be said.
    #[must_use]
    pub fn busy_cores_since(&self, earlier: &Self) -> Option<f64> {
        let used = self.cpu?.checked_sub(earlier.cpu?)?;
        let passed = Duration::try_from(self.read.duration_since(earlier.read)).ok()?;
        (!passed.is_zero()).then(|| used.as_secs_f64() / passed.as_secs_f64())
    }

    /// Which share of the memory it may use is in use.
    #[must_use]
    pub fn memory_share(&self) -> Option<f64> {
        let (used, limit) = (self.memory?, self.memory_limit?);
        #[expect(clippy::cast_precision_loss, reason = "a share needs no 53 bits")]
        let share = used as f64 / limit as f64;
        Some(share)
    }
}

fn cores(cpu: &Value) -> Option<u32> {
    let online = cpu["online_cpus"].as_u64().filter(|cores| *cores > 0);
    // cgroup v1 on engines before 1.27 of the API: one entry a core.
    let listed = || cpu["cpu_usage"]["percpu_usage"].as_array().map(|cores| cores.len() as u64);
    u32::try_from(online.or_else(listed)?).ok()
}

/// The inactive file cache: `total_inactive_file` on cgroup v1, `inactive_file`
/// on v2.
fn cache(memory: &Value) -> u64 {
    let (stats, usage) = (&memory["stats"], memory["usage"].as_u64().unwrap_or(0));
    let v1 = stats["total_inactive_file"].as_u64();
    v1.or_else(|| stats["inactive_file"].as_u64()).filter(|cache| *cache < usage).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const AT: &str = "2026-01-02T03:04:05.5Z";

    #[test]
    fn the_cache_is_no_memory_in_use_on_either_cgroup() {
        for field in ["total_inactive_file", "inactive_file"] {
            let stats = Stats::of(&json!({ "read": AT, "memory_stats": {
                "usage": 1000, "limit": 4000, "stats": { field: 200 } } }))
            .unwrap();
            assert_eq!(stats.memory, Some(800));
            assert_eq!(stats.memory_share(), Some(0.2));
        }
    }

    #[test]
    fn cores_busy_are_processor_time_over_time_passed() {
        let at = |read: &str, nanos: u64| {
            let usage = json!({ "cpu_usage": { "total_usage": nanos }, "online_cpus": 2 });
            Stats::of(&json!({ "read": read, "cpu_stats": usage })).unwrap()
        };
        let earlier = at("2026-01-02T03:04:05Z", 1_000_000_000);
        let later = at("2026-01-02T03:04:07Z", 4_000_000_000);
        assert_eq!(later.busy_cores_since(&earlier), Some(1.5));
        assert_eq!(later.cores, Some(2));
        // It was restarted in between: its count began anew.
        assert_eq!(at("2026-01-02T03:04:09Z", 5).busy_cores_since(&later), None);
        assert_eq!(later.busy_cores_since(&later), None);
    }

    #[test]
    fn a_container_that_does_not_run_uses_nothing() {
        assert_eq!(Stats::of(&json!({ "read": "0001-01-01T00:00:00Z" })), None);
    }

    #[test]
    fn what_is_left_out_is_not_known() {
        let stats = Stats::of(&json!({ "read": AT, "memory_stats": {} })).unwrap();
        assert_eq!((stats.cpu, stats.memory, stats.memory_share()), (None, None, None));
    }
}
