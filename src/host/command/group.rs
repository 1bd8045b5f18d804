//! A process group: who is in it, and ending all of it. A group that an earlier
//! run of the program began is recognised by its leader's start, or else by a
//! mark in the environment of those that it left: numbers are used again.

use std::{fs, time::Duration};

use rustix::process::{Pid, Signal, kill_process_group};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

use super::MARK;

/// How often one looks whether a group has ended.
const LOOK: Duration = Duration::from_millis(20);
/// How long the system may take to end what was killed.
const KILLED: Duration = Duration::from_secs(5);

/// A process group, told apart from every other there will be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// Its number, which is its leader's.
    pub id: u32,
    /// When its leader started, in the kernel's ticks since the boot.
    pub started: u64,
    /// The boot.
    pub boot: String,
    /// What is in the environment of all its processes.
    pub mark: String,
}

/// One process, as the kernel tells of it.
struct Process {
    id: u32,
    dead: bool,
    group: u32,
    started: u64,
}

impl Group {
    /// The group that this process leads; `None` when there is no such process.
    pub(super) fn of(leader: u32, mark: &str) -> Option<Self> {
        let process = Process::read(leader)?;
        Some(Self { id: leader, started: process.started, boot: boot(), mark: mark.to_owned() })
    }

    /// Asks all of the group to end, kills what has not after `grace`, and waits
    /// until none of it is left. Says whether there was anything to end.
    pub async fn end(&self, grace: Duration) -> bool {
        if self.members().is_empty() {
            return false;
        }
        self.signal(Signal::TERM);
        if !self.is_over_within(grace).await {
            self.signal(Signal::KILL);
            if !self.is_over_within(KILLED).await {
                tracing::error!(group = self.id, "host.group.unkillable");
            }
        }
        true
    }

    /// Kills all of it, without waiting.
    pub(super) fn kill(&self) {
        if !self.members().is_empty() {
            self.signal(Signal::KILL);
        }
    }

    fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.id).ok().and_then(Pid::from_raw);
        // One that has ended meanwhile is what is wanted.
        let _ = id.map(|id| kill_process_group(id, signal));
    }

    async fn is_over_within(&self, limit: Duration) -> bool {
        let end = Instant::now() + limit;
        while !self.members().is_empty() {
            if Instant::now() >= end {
                return false;
            }
            sleep(LOOK).await;
        }
        true
    }

    /// Those of it that are alive: none when the number is another group's now.
    fn members(&self) -> Vec<u32> {
        if self.boot != boot() {
            return Vec::new();
        }
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        let ids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let all: Vec<Process> =
            ids.filter_map(Process::read).filter(|one| one.group == self.id).collect();
        // While its leader is there, dead or not, nobody else has the number.
        let led = all.iter().find(|one| one.id == self.id).map(|one| one.started);
        let ours = |one: &&Process| match led {
            Some(started) => started == self.started,
            None => one.started >= self.started && self.marks(one.id),
        };
        all.iter().filter(ours).filter(|one| !one.dead).map(|one| one.id).collect()
    }

    fn marks(&self, process: u32) -> bool {
        let environment = fs::read(format!("/proc/{process}/environ")).unwrap_or_default();
        let wanted = format!("{MARK}={}", self.mark);
        environment.split(|byte| *byte == 0).any(|variable| variable == wanted.as_bytes())
    }
}

impl Process {
    /// From `/proc/ID/stat`: the name in brackets may hold anything, so fields
    /// are counted after the last bracket.
    fn read(id: u32) -> Option<Self> {
        let text = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
        let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
        Some(Self {
            id,
            dead: matches!(*fields.first()?, "Z" | "X" | "x"),
            group: fields.get(2)?.parse().ok()?,
            started: fields.get(19)?.parse().ok()?,
        })
    }
}

/// The kernel's identity of the boot.
fn boot() -> String {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    id.trim().to_owned()
}
