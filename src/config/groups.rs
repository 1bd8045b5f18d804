//! `[project.NAME.group.NAME]`: triggers that act only together, and whether
//! enough of them are there.

use std::ops::Range;

use rollbackd_core::{
    settings::{Action, Group},
    words::GroupName,
};

use super::{
    nearest::nearest,
    reader::Table,
    schema,
    values::{self, Value, Wrong, quoted},
};

/// The groups of a project, in the file's order; `None` where something is
/// wrong with one.
pub(super) fn read(project: &Table<'_>, triggers: &[Table<'_>]) -> Option<Vec<Group>> {
    let prefix = project.title.trim_end_matches(']');
    let title = |name: &str| format!("{prefix}.group.{name}]");
    let declared = project.named("group", &title("front"));
    let named: Vec<(&str, Range<usize>)> =
        triggers.iter().filter_map(|trigger| of(trigger)).collect();
    let known: Vec<&str> = declared.iter().map(|(name, ..)| *name).collect();
    let all_known = tell_undeclared(project, &named, &known, &title("front"));
    let groups = declared.into_iter().map(|(name, place, value)| {
        let fits = name_fits(project, name, place);
        let table = project.table_of(value, title(name), schema::GROUP)?;
        let hint = "say how many must be breached at once: `needs = 2`";
        let needs = table.need("needs", values::count(1..=100), hint)?;
        let members = named.iter().filter(|(member, _)| *member == name).count();
        // A trigger whose group is misspelt may belong to this one.
        let enough = !all_known || enough(&table, name, needs, members);
        let needs = u32::try_from(needs).ok()?;
        (fits && enough).then(|| Group { name: GroupName::new(name), needs })
    });
    let groups: Vec<Option<Group>> = groups.collect();
    all_known.then_some(())?;
    groups.into_iter().collect()
}

/// A trigger's group and its place.
fn of<'a>(trigger: &Table<'a>) -> Option<(&'a str, Range<usize>)> {
    let value = trigger.value("group")?;
    Some((value.str()?, value.span))
}

/// Tells groups that no table declares.
fn tell_undeclared(
    project: &Table<'_>,
    named: &[(&str, Range<usize>)],
    known: &[&str],
    title: &str,
) -> bool {
    let undeclared = named.iter().filter(|(name, _)| !known.contains(name));
    let told = undeclared.map(|(name, place)| {
        let hint = match nearest(name, known.iter().copied()) {
            Some(near) => format!("did you mean \"{near}\"?"),
            None => format!("declare it: a table {title} of that name, with `needs = 2`"),
        };
        let message = format!("there is no group called {}", quoted(name));
        project.findings.absent(place.clone(), message, hint);
    });
    told.count() == 0
}

fn name_fits(project: &Table<'_>, name: &str, place: Range<usize>) -> bool {
    let letter = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let fits = !name.is_empty() && name.len() <= 64 && name.chars().all(letter);
    if !fits {
        let message = format!("{} cannot be the name of a group", quoted(name));
        let hint = "use at most 64 letters, digits, -, _ and .";
        project.findings.error(place, message, hint);
    }
    fits
}

/// As many triggers as a group needs must name it.
fn enough(table: &Table<'_>, name: &str, needs: u64, members: usize) -> bool {
    if table.findings.is_broken() {
        return true;
    }
    if members == 0 {
        let message = format!("no trigger is in the group `{name}`: this table changes nothing");
        let hint = format!("write `group = \"{name}\"` in its triggers, or remove the table");
        table.findings.warn(table.place.clone(), message, hint);
        return true;
    }
    let enough = u64::try_from(members).is_ok_and(|members| members >= needs);
    if !enough {
        let place = table.value("needs").map_or_else(|| table.place.clone(), |value| value.span);
        let are = if members == 1 { "is only 1" } else { &format!("are only {members}") };
        let message = format!(
            "this group can never act: {needs} of its triggers must be breached at once, and there {are}"
        );
        let hint = format!("write `needs = {members}`, or `group = \"{name}\"` in more triggers");
        table.findings.error(place, message, hint);
    }
    enough
}

/// Reads a trigger's `group`: only what rolls back counts in one.
pub(super) fn member(trigger: &Table<'_>, action: Option<Action>) -> Option<Option<GroupName>> {
    let read = trigger.read("group", |value: &Value<'_>| {
        let name = values::text("front")(value)?;
        if action == Some(Action::Alert) {
            let message = "a trigger of a group must roll back, and this one only alerts: it would never count";
            let hint = "remove `group`, or write `action = \"rollback\"`";
            return Err(Wrong::new(message, hint));
        }
        Ok(GroupName::new(name))
    });
    read.maybe()
}
