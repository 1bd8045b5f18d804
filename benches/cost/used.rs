//! What a process has used, as the kernel counts it.

use std::{fs, thread, time::Duration};

/// The kernel counts processor time in hundredths of a second for everybody.
const TICKS: f64 = 100.0;

/// What one process used over some time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Used {
    /// Share of one core.
    pub(crate) cpu: f64,
    /// Bytes resident at the end.
    pub(crate) resident: f64,
}

/// What these processes use from now on for so long.
pub(crate) fn over<const N: usize>(time: Duration, processes: [u32; N]) -> [Used; N] {
    let before = processes.map(ticks);
    thread::sleep(time);
    let after = processes.map(ticks);
    std::array::from_fn(|one| Used {
        cpu: (after[one] - before[one]) / TICKS / time.as_secs_f64(),
        resident: resident(processes[one]),
    })
}

/// `utime` and `stime` of all threads.
fn ticks(process: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    // What comes after the name, which may hold anything.
    let fields: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
    fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()
}

fn resident(process: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{process}/smaps_rollup")).unwrap();
    let line = status.lines().find(|line| line.starts_with("Rss:")).unwrap();
    let kib: f64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kib * 1024.0
}

/// How busy the machine is, as `uptime` says it.
pub(crate) fn load() -> String {
    let load = fs::read_to_string("/proc/loadavg").unwrap();
    load.split(' ').take(3).collect::<Vec<_>>().join(" ")
}
