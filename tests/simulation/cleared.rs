//! When a breach may be over: past its line for its time, or nobody can say any
//! more that it holds.

use rollbackd_core::{moment::Moment, settings::TriggerSettings};

use crate::{
    account::Breached,
    promises::{Verdict, check},
    timeline::since,
    world::World,
};

/// What happened to a breach besides what its source said.
pub struct Around {
    pub now: Moment,
    /// When the daemon was started.
    pub daemon_began: Moment,
    /// When the last deployment was seen.
    pub deployed: Option<Moment>,
    /// When its service, or what that needs, last started.
    pub started: Option<Moment>,
}

pub fn a_cleared_breach_had_been_past_its_line(
    trigger: &TriggerSettings,
    breached: &Breached,
    around: &Around,
    world: &World,
) -> Verdict {
    let anew = breached.at < around.daemon_began
        || around.deployed.is_some_and(|at| at >= breached.since)
        // In grace nothing counts, which is a gap.
        || around.started.is_some_and(|at| at >= breached.since)
        || world.reloaded.is_some_and(|at| at >= breached.since);
    let Some(heard) = world.heard.get(&trigger.id).filter(|_| !anew) else { return Ok(()) };
    let since_then = heard.iter().filter(|one| one.asked >= breached.since);
    let values: Vec<_> = since_then.filter(|one| one.value.is_some()).collect();
    let Some(newest) = values.last() else { return Ok(()) };
    let gap = |a: Moment, b: Moment| b.since(a) > trigger.max_gap;
    // What is late is not missing; a gap ends what holds.
    let silent = gap(newest.told, around.now)
        || values.windows(2).any(|two| gap(two[0].asked, two[1].asked));
    if silent {
        return Ok(());
    }
    let past = |value: f64| trigger.condition.cleared_by(value, trigger.clear.line);
    let mut calm = values.iter().rev().take_while(|one| one.value.is_some_and(past));
    let first = calm.by_ref().last().map(|one| one.asked);
    let lasted = first.is_some_and(|first| newest.asked.since(first) >= trigger.clear.lasts);
    check(lasted, || {
        let last = newest.value.unwrap_or_default();
        format!("{} cleared; past its line since {:?}, last {last}", trigger.id, first.map(since))
    })
}
