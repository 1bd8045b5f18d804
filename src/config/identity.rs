//! What makes a trigger the same one across reloads, and what it is called
//! where it has no name.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use rollbackd_core::{
    settings::{Condition, Hold, TriggerSettings},
    signal::{Signal, Unit},
    words::TriggerId,
};
use sha2::{Digest, Sha256};

use super::{trigger::Written, values::shown};

/// An identity made of these words.
pub(super) fn of(words: &[&str]) -> TriggerId {
    let digest = Sha256::digest(words.join("\0").as_bytes());
    let mut id = String::new();
    for byte in digest.iter().take(6) {
        let _ = write!(id, "{byte:02x}");
    }
    TriggerId::new(id)
}

/// Two levels of one signal, without names, measure the same: each of them, so
/// that their order in the file does not matter, is told apart by its condition
/// and its time, and called by them.
///
/// Where there is no second level nothing changes, so windows survive an
/// upgrade. When a reload adds a second level or removes it, the first is
/// known by another identity, and its window may start empty: that costs the
/// time of one `for`, and only when somebody changes what is watched.
pub(super) fn tell_apart(written: &mut [Written]) {
    let mut levels: BTreeMap<TriggerId, Vec<usize>> = BTreeMap::new();
    for (index, one) in written.iter().enumerate().filter(|(_, one)| !one.is_named) {
        levels.entry(one.watch.trigger.id.clone()).or_default().push(index);
    }
    for same in levels.into_values().filter(|same| same.len() > 1) {
        let names = names(&same.iter().map(|index| &written[*index]).collect::<Vec<_>>());
        for (index, name) in same.into_iter().zip(names) {
            let held = shown(written[index].held);
            let trigger = &mut written[index].watch.trigger;
            trigger.id = of(&[trigger.id.as_str(), &exact(trigger), &held]);
            trigger.name = name;
        }
    }
}

/// The shortest names that tell all of these apart.
fn names(levels: &[&Written]) -> Vec<String> {
    let plain = |one: &Written| {
        let trigger = &one.watch.trigger;
        format!("{} {}", trigger.name, compared(trigger.condition, &trigger.signal))
    };
    let timed = |one: &Written| {
        let share = match one.watch.trigger.hold {
            Hold::For(_) => String::new(),
            Hold::Share { share, .. } => format!("{} of ", Unit::Share.show(share.get())),
        };
        format!("{} for {share}{}", plain(one), shown(one.held))
    };
    let whole = |one: &Written| format!("{} ({})", timed(one), exact(&one.watch.trigger));
    let ways: [&dyn Fn(&Written) -> String; 2] = [&plain, &timed];
    for way in ways {
        let names: Vec<String> = levels.iter().map(|one| way(one)).collect();
        if names.iter().collect::<BTreeSet<_>>().len() == names.len() {
            return names;
        }
    }
    levels.iter().map(|one| whole(one)).collect()
}

/// `above 5%`, `below 99%`, `3 or more`
fn compared(condition: Condition, signal: &Signal) -> String {
    let threshold = signal.unit().show(condition.threshold());
    match condition {
        Condition::Above(_) => format!("above {threshold}"),
        Condition::Below(_) => format!("below {threshold}"),
        Condition::AtLeast(_) if signal.unit() == Unit::Count => format!("{threshold} or more"),
        Condition::AtLeast(_) => format!("{threshold} and above"),
    }
}

/// Condition and share as they are, not as they are shown.
fn exact(trigger: &TriggerSettings) -> String {
    let condition = match trigger.condition {
        Condition::Above(threshold) => format!("above {threshold}"),
        Condition::Below(threshold) => format!("below {threshold}"),
        Condition::AtLeast(threshold) => format!("at least {threshold}"),
    };
    match trigger.hold {
        Hold::For(_) => condition,
        Hold::Share { share, .. } => format!("{condition}, share {}", share.get()),
    }
}
