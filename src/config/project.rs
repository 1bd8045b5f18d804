//! `[project.NAME]`: one project's rules and its triggers, and what can only be
//! judged of them together.

use std::{collections::BTreeMap, ops::Range, path::Path, time::Duration};

use rollbackd_core::{
    settings::{Action, AfterBake, Mode, NotRecovered, Order, ProjectSettings, Scope},
    signal::Signal,
    words::{ProjectName, ServiceName},
};

use super::{
    files, groups, identity, later,
    problem::Findings,
    reader::{Table, entries},
    rules::Rules,
    schema,
    settings::{KeepBy, Project, Watch},
    source::Sources,
    trigger::{self, Written},
    values::{self, Value, Wrong, quoted, shown},
};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(60 * 60);
const MONTH: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// The shortest that is not nothing.
const SHORT: Duration = Duration::from_millis(1);

/// The words of `mode`, of the top level and of a project.
pub(super) const MODES: [(&str, Mode); 2] = [("act", Mode::Act), ("observe", Mode::Observe)];

/// Reads every `[project.NAME]`, in the file's order.
pub(super) fn read_all(
    top: &Table<'_>,
    mode: Option<Mode>,
    sources: &Sources,
    dir: &Path,
) -> Vec<Option<Project>> {
    let named = top.named("project", "[project.shop]");
    if named.is_empty() && top.value("project").is_none() {
        let hint = "add a table for it: [project.NAME], where NAME is the Compose project's name";
        top.findings.absent(top.place.clone(), "there is no project to watch", hint);
    }
    let read = named.into_iter().map(|(name, place, value)| {
        if let Err(wrong) = compose_name(name) {
            top.findings.error(place, wrong.message, wrong.hint);
        }
        let table = top.table_of(value, format!("[project.{name}]"), schema::PROJECT)?;
        read(&table, name, mode, sources, dir)
    });
    read.collect()
}

/// Compose makes its projects' names lower case, and so must we.
fn compose_name(name: &str) -> Result<(), Wrong> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    if name.chars().all(fits) && name.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return Ok(());
    }
    let message = format!("{} cannot be the name of a Compose project", quoted(name));
    Err(Wrong::new(
        message,
        "use the name that `docker compose ls` shows: lower case letters, digits, - and _",
    ))
}

fn read(
    table: &Table<'_>,
    name: &str,
    mode: Option<Mode>,
    sources: &Sources,
    dir: &Path,
) -> Option<Project> {
    later::of_project(table);
    let rules = Rules::of_project(table);
    let settings = settings(table, name, mode, &rules);
    let kept = kept(table);
    let files = files::read(table, dir);
    let health = health(table);
    let title = format!("[[project.{name}.trigger]]");
    let triggers = table.tables("trigger", &title, schema::TRIGGER);
    if triggers.is_empty() && !table.findings.is_broken() {
        let message =
            format!("the project `{name}` has no trigger: nothing is watched, nothing goes back");
        table.findings.warn(table.place.clone(), message, format!("add one: {title}"));
    }
    let all = triggers.len();
    let groups = groups::read(table, &triggers);
    let mut written: Vec<Written> =
        triggers.iter().filter_map(|trigger| trigger::read(trigger, &rules, sources)).collect();
    identity::tell_apart(&mut written);
    tell_names(table.findings, &triggers);
    tell_twins(table.findings, &written);
    if let Some(settings) = &settings {
        tell_too_late(table.findings, settings, &written);
    }
    tell_unwatched(table, &triggers);
    let (settings, (keep_by, keep_max), health, files) = (settings?, kept?, health?, files?);
    let settings = ProjectSettings { groups: groups?, ..settings };
    (written.len() == all).then_some(())?;
    for one in &written {
        if let Some(place) = &one.query_place {
            table.findings.query(&settings.name, &one.watch.trigger.id, place.clone());
        }
    }
    let watches = watches(written, &health, &rules)?;
    Some(Project { settings, keep_by, keep_max, files, watches })
}

fn settings(
    table: &Table<'_>,
    name: &str,
    mode: Option<Mode>,
    rules: &Rules,
) -> Option<ProjectSettings> {
    let time = |key, example, least: Duration, most, default| {
        table.read(key, values::duration(example, least..=most)).or(default)
    };
    let count = |key, limits, default: u32| {
        let read = table.read(key, values::count(limits)).or(u64::from(default))?;
        u32::try_from(read).ok()
    };
    let flag = |key| table.read(key, values::boolean).or(false);
    let mode = table.read("mode", values::word(&MODES)).maybe().and_then(|own| own.or(mode));
    let after_bake = word(
        table,
        "after_bake",
        &[("alert", AfterBake::Alert), ("rollback", AfterBake::Rollback)],
    );
    let scopes = [
        ("deployment", Scope::Deployment),
        ("service", Scope::Service),
        ("project", Scope::Project),
    ];
    let (scope, order) = (
        word(table, "scope", &scopes),
        word(
            table,
            "order",
            &[("stop-first", Order::StopFirst), ("start-first", Order::StartFirst)],
        ),
    );
    let not_recovered = word(
        table,
        "not_recovered",
        &[("stay", NotRecovered::Stay), ("forward", NotRecovered::Forward)],
    );
    let bake = time("bake", "30m", SECOND, MONTH, HOUR / 2);
    let settle = time("settle", "60s", SHORT, HOUR, SECOND * 60);
    let start_timeout = time("start_timeout", "60s", SECOND, HOUR, SECOND * 60);
    let drain = time("drain", "2s", Duration::ZERO, HOUR, SECOND * 2);
    let cooldown = time("cooldown", "15m", Duration::ZERO, MONTH, HOUR / 4);
    let (keep, max_rollbacks) = (count("keep", 1..=100, 3), count("max_rollbacks", 1..=1000, 3));
    let max_depth = count("max_depth", 0..=100, 1);
    let stateful = flag("stateful");
    // Whether it may be drilled is asked when there are drills.
    let _drills = flag("drills");
    if let (Some(Duration::ZERO), Some(value)) = (cooldown, table.value("cooldown")) {
        let message = "without a `cooldown` the same image may be rolled back from again and again";
        table.findings.warn(
            value.span,
            message,
            "leave it out for 15m, or write `cooldown = \"1m\"` or more",
        );
    }
    Some(ProjectSettings {
        name: ProjectName::new(name),
        mode: mode?,
        bake: bake?,
        after_bake: after_bake?,
        settle: settle?,
        grace: rules.grace?,
        scope: scope?,
        order: order?,
        drain: drain?,
        stateful: stateful?,
        keep: keep?,
        cooldown: cooldown?,
        max_rollbacks: max_rollbacks?,
        recover_within: rules.recover_within?,
        not_recovered: not_recovered?,
        max_depth: max_depth?,
        start_timeout: start_timeout?,
        groups: Vec::new(),
        triggers: Vec::new(),
    })
}

/// One of some words, the first unless written.
fn word<T: Copy>(table: &Table<'_>, key: &'static str, words: &[(&'static str, T)]) -> Option<T> {
    table.read(key, values::word(words)).or(words[0].1)
}

/// How images are kept, and how much of them.
fn kept(table: &Table<'_>) -> Option<(KeepBy, u64)> {
    let keep_by = table.read("keep_by", |value| {
        if value.is_text("archive") {
            let hint = "write `keep_by = \"anchor\"` or \"tag\"";
            return Err(Wrong::new("`keep_by = \"archive\"` is not built yet", hint));
        }
        values::word(&[("anchor", KeepBy::Anchor), ("tag", KeepBy::Tag)])(value)
    });
    let keep_max = table.read("keep_max", values::size).or(10 << 30);
    Some((keep_by.or(KeepBy::Anchor)?, keep_max?))
}

/// What `health` says for the project and for some of its services.
struct Health {
    project: bool,
    services: Vec<(String, bool)>,
}

impl Health {
    fn of(&self, service: &ServiceName) -> bool {
        let own = self.services.iter().find(|(name, _)| name == service.as_str());
        own.map_or(self.project, |(_, health)| *health)
    }
}

fn health(table: &Table<'_>) -> Option<Health> {
    let project = table.read("health", values::boolean).or(true);
    let services = services(table).into_iter().map(|(name, service)| {
        let health = service.read("health", values::boolean).maybe()?;
        Some((name.to_owned(), health.or(project)?))
    });
    let services: Vec<Option<_>> = services.collect();
    Some(Health { project: project?, services: services.into_iter().collect::<Option<_>>()? })
}

fn services<'a>(table: &Table<'a>) -> Vec<(&'a str, Table<'a>)> {
    let title = |name: &str| format!("{}.service.{name}]", table.title.trim_end_matches(']'));
    let named = table.named("service", &title("backend"));
    let opened = named.into_iter().filter_map(|(name, _, value): (_, Range<usize>, Value<'_>)| {
        Some((name, table.table_of(value, title(name), schema::SERVICE)?))
    });
    opened.collect()
}

/// A table of a service that no trigger watches changes nothing.
fn tell_unwatched(table: &Table<'_>, triggers: &[Table<'_>]) {
    let Some(Value { item: toml::de::DeValue::Table(services), .. }) = table.value("service")
    else {
        return;
    };
    let watched: Vec<&str> =
        triggers.iter().filter_map(|trigger| trigger.value("service")?.str()).collect();
    for (name, _, value) in entries(services) {
        if !watched.contains(&name) && !table.findings.is_broken() {
            let message =
                format!("no trigger watches the service `{name}`: this table changes nothing");
            let hint = format!("add a trigger with `service = \"{name}\"`, or remove the table");
            table.findings.warn(value.span, message, hint);
        }
    }
}

/// Tells names that are there twice, whatever else is wrong with the triggers.
fn tell_names(findings: &Findings<'_>, triggers: &[Table<'_>]) {
    let named = |table: &Table<'_>| {
        let value = table.value("name")?;
        Some((value.str()?.to_owned(), value.span, table.place.clone()))
    };
    let mut firsts: BTreeMap<String, Range<usize>> = BTreeMap::new();
    for (name, place, whole) in triggers.iter().filter_map(named) {
        match firsts.get(&name) {
            Some(first) => {
                let line = findings.line(first);
                let message = format!("the trigger of line {line} is called {} too", quoted(&name));
                let hint = "give each trigger of a project its own `name`";
                findings.error(place, message, hint);
            }
            None => drop(firsts.insert(name, whole)),
        }
    }
}

/// Tells triggers that are there twice by what they do.
fn tell_twins(findings: &Findings<'_>, written: &[Written]) {
    // By what two that are the same have in common, so that thousands are not
    // all compared with one another.
    let mut by_id = BTreeMap::new();
    let mut by_work: BTreeMap<_, Vec<usize>> = BTreeMap::new();
    for (index, second) in written.iter().enumerate() {
        let trigger = &second.watch.trigger;
        let named = by_id.get(&trigger.id).copied();
        let alike = by_work.entry(work(&second.watch)).or_default();
        let twin = alike.iter().copied().find(|&first| same(&written[first].watch, &second.watch));
        alike.push(index);
        by_id.entry(&trigger.id).or_insert(index);
        let Some(first) = named.into_iter().chain(twin).min() else { continue };
        let first = &written[first];
        let same_name = first.watch.trigger.name == trigger.name && first.is_named;
        if same_name && second.is_named {
            continue;
        }
        let line = findings.line(&first.place);
        let message = format!(
            "this trigger is that of line {line} once more: it measures the same, with the same condition and `for`"
        );
        let hint = "remove one, or let their conditions or times differ";
        findings.error(second.place.clone(), message, hint);
    }
}

/// What it measures.
fn work(watch: &Watch) -> (&ServiceName, &Signal, &str, &str) {
    let trigger = &watch.trigger;
    (&trigger.service, &trigger.signal, &trigger.source, &trigger.measures)
}

/// Of two that measure the same: different names for one and the same?
fn same(first: &Watch, second: &Watch) -> bool {
    let (a, b) = (&first.trigger, &second.trigger);
    (a.condition, a.hold, a.action) == (b.condition, b.hold, b.action) && first.ask == second.ask
}

/// A breach is blamed on a deployment only within its bake: what must hold for
/// longer than that would never put anything back, and is an error. What hardly
/// fits is a warning.
fn tell_too_late(findings: &Findings<'_>, project: &ProjectSettings, written: &[Written]) {
    let bake = project.bake;
    let rolls_back = |written: &&Written| {
        let trigger = &written.watch.trigger;
        trigger.action == Action::Rollback && trigger.signal != Signal::Health
    };
    if project.after_bake == AfterBake::Rollback {
        return;
    }
    for trigger in written.iter().filter(rolls_back) {
        let (held, grace) = (trigger.held, trigger.watch.trigger.grace);
        let (place, bake_shown, held_shown) =
            (trigger.held_place.clone(), shown(bake), shown(held));
        let hint = format!("let `bake` be longer than {}, or `for` shorter", shown(held + grace));
        if held >= bake {
            let message = format!(
                "this trigger can never roll back: `for` is {held_shown}, and a breach is blamed on a deployment only within its `bake` of {bake_shown}"
            );
            findings.error(place, message, hint);
        } else if held + grace >= bake {
            let message = format!(
                "this trigger hardly ever rolls back: after `grace` ({}) and `for` ({held_shown}) the `bake` of {bake_shown} is over",
                shown(grace)
            );
            findings.warn(place, message, hint);
        }
    }
}

/// The written triggers, and `health` for each of their services that has none.
fn watches(written: Vec<Written>, health: &Health, rules: &Rules) -> Option<Vec<Watch>> {
    let mut watches: Vec<Watch> = written.into_iter().map(|written| written.watch).collect();
    let mut services: Vec<ServiceName> = Vec::new();
    for watch in &watches {
        if !services.contains(&watch.trigger.service) {
            services.push(watch.trigger.service.clone());
        }
    }
    for service in services {
        let has = |watch: &Watch| {
            watch.trigger.service == service && watch.trigger.signal == Signal::Health
        };
        if health.of(&service) && !watches.iter().any(has) {
            watches.push(trigger::implicit_health(&service, rules)?);
        }
    }
    Some(watches)
}
