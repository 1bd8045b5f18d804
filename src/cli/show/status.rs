//! `status`: what people see at three in the morning. First what is wrong as a
//! whole, then each project, service and trigger, aligned.

use rollbackd_core::{
    revision::Standing,
    settings::Mode,
    view::{RECENT, TriggerState},
};

use crate::{
    api::json::{Project, Service, Status, Trigger},
    cli::{
        out::Reader,
        show::{
            spark, style,
            words::{ahead, clock, condition, pad, short_name, took, value, when, wrap},
        },
    },
};

/// The whole text.
pub(in crate::cli) fn status(status: &Status, reader: &Reader) -> String {
    let mut text = head(status, reader);
    let columns = Columns::of(status);
    for project in &status.projects {
        text += "\n";
        text += &self::project(project, &columns, reader);
    }
    text
}

/// A service counts as watched when somebody put a trigger on it; what has
/// none is unarmed by its owner's choice.
pub(in crate::cli) fn is_unarmed(service: &Service) -> bool {
    !service.armed && !service.triggers.is_empty()
}

/// What keeps `status --check` from being content, a line each: `shop/web: why`.
pub(in crate::cli) fn unarmed(status: &Status) -> Vec<String> {
    let engine = status.engine.as_ref().map(|why| format!("the engine does not answer: {why}"));
    let line = |project: &Project, service: &Service| {
        let why = match service.reasons.is_empty() {
            true => "unarmed".to_owned(),
            false => service.reasons.join("; "),
        };
        let line = format!("{}/{}: {why}", project.name, service.name);
        line.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let services = status.projects.iter().flat_map(|project| {
        let unarmed = project.services.iter().filter(|service| is_unarmed(service));
        unarmed.map(move |service| line(project, service))
    });
    engine.into_iter().chain(status.trouble.clone()).chain(services).collect()
}

fn head(status: &Status, reader: &Reader) -> String {
    let services = || status.projects.iter().flat_map(|project| &project.services);
    let watched = services().filter(|service| !service.triggers.is_empty()).count();
    let armed = services().filter(|service| service.armed).count();
    let summary = match watched {
        0 => "nothing is watched".to_owned(),
        _ => format!("{armed} of {watched} watched services armed"),
    };
    let (version, at, mode) = (&status.version, clock(status.at, reader), mode(status.mode));
    let mut text = format!("rollbackd {version} at {at}, mode {mode}: {summary}\n");
    if let Some(why) = &status.engine {
        let since = status.engine_away_since.map(|at| format!(" since {}", when(at, reader)));
        let since = since.unwrap_or_default();
        text += &warning(&format!("the engine does not answer{since}: {why}"), reader);
    }
    if let Some(trouble) = &status.trouble {
        text += &warning(trouble, reader);
    }
    if status.behind > 5.0 {
        text += &warning(&format!("samples are read {} late", took(status.behind)), reader);
    }
    text
}

fn mode(mode: Mode) -> &'static str {
    match mode {
        Mode::Act => "act",
        Mode::Observe => "observe",
    }
}

fn warning(what: &str, reader: &Reader) -> String {
    let lines = wrap(&format!("! {what}"), reader.width);
    lines.iter().map(|line| style::bad(line) + "\n").collect()
}

/// The widths of what stands in columns.
struct Columns {
    service: usize,
    armed: usize,
    image: usize,
    trigger: usize,
    value: usize,
    condition: usize,
}

impl Columns {
    fn of(status: &Status) -> Self {
        let services = || status.projects.iter().flat_map(|project| &project.services);
        let triggers = || services().flat_map(|service| &service.triggers);
        let widest = |texts: &mut dyn Iterator<Item = String>| {
            texts.map(|text| text.chars().count()).max().unwrap_or(0)
        };
        Self {
            service: widest(&mut services().map(|service| service.name.to_string())),
            armed: widest(&mut services().map(armed)),
            // One long name shall not push every age out of sight.
            image: widest(&mut services().map(image).filter(|text| text.len() <= 40)),
            trigger: widest(&mut services().flat_map(|service| {
                let names = service.triggers.iter().map(|trigger| &trigger.name);
                names.map(|name| short_name(name, &service.name).to_owned())
            })),
            value: widest(&mut triggers().map(shown_value)),
            condition: widest(&mut triggers().map(shown_condition)),
        }
    }
}

fn project(project: &Project, columns: &Columns, reader: &Reader) -> String {
    let revision = match (project.revision, project.standing) {
        (Some(revision), Some(standing)) => format!("r{revision} {}", style::standing(standing)),
        (Some(revision), None) => format!("r{revision}"),
        (None, _) => "no revision recorded yet".to_owned(),
    };
    let mut text = format!("{}  {revision}", style::strong(project.name.as_str()));
    if let (Some(bake), Some(Standing::Baking)) = (project.bake, project.standing) {
        text += &format!(", {} of {} observed", took(bake.observed), took(bake.of));
    }
    if let Some(at) = project.deployed_at {
        text += &format!(", deployed {}", when(at, reader));
    }
    text += "\n";
    for line in situation(project, reader) {
        for line in wrap(&line, reader.width.saturating_sub(2)) {
            text += &format!("  {}\n", style::warn(&line));
        }
    }
    for service in &project.services {
        text += &self::service(service, columns, reader);
    }
    text
}

/// What is unusual about a project, a sentence each.
fn situation(project: &Project, reader: &Reader) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(id) = project.rollback {
        lines.push(format!("rollback {id} runs: rollbackd history {id}"));
    }
    if let Some(announced) = &project.announced {
        lines.push(format!(
            "`rollbackd deploy` is at work since {}, until {} at the latest: nothing is rolled back",
            when(announced.since, reader),
            clock(announced.until, reader),
        ));
    }
    if let Some(at) = project.deploying_since {
        lines.push(format!("a deployment is under way since {}", when(at, reader)));
    }
    if project.paused {
        let until = match project.paused_until {
            Some(at) => format!("until {} ({})", clock(at, reader), ahead(at, reader)),
            None => format!("until `rollbackd resume {}`", project.name),
        };
        let reason = project.pause_reason.as_deref().filter(|reason| !reason.is_empty());
        let reason = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
        lines.push(format!("paused {until}{reason}"));
    }
    if project.mode == Mode::Observe {
        lines.push("mode observe: rollbackd decides and tells, and touches nothing".to_owned());
    }
    lines
}

fn service(service: &Service, columns: &Columns, reader: &Reader) -> String {
    let mut text = headline(service, columns, reader);
    for reason in &service.reasons {
        for line in wrap(reason, reader.width.saturating_sub(4)) {
            text += &format!("    {}\n", style::quiet(&line));
        }
    }
    for trigger in &service.triggers {
        let name = short_name(&trigger.name, &service.name);
        text += &self::trigger(name, trigger, columns, reader);
    }
    text
}

/// Name, armed or not, what it runs and since when: on one line where that
/// fits.
fn headline(service: &Service, columns: &Columns, reader: &Reader) -> String {
    let colored = |text: &str| match (service.armed, is_unarmed(service)) {
        (true, _) => style::good(text),
        (false, true) => style::warn(text),
        (false, false) => style::quiet(text),
    };
    let name = pad(service.name.as_str(), columns.service);
    let (armed, image) = (armed(service), image(service));
    let since = service.since.map(|at| when(at, reader)).unwrap_or_default();
    let left = 2 + columns.service + 2 + columns.armed + 2;
    let padded_image = pad(&image, columns.image);
    let right = padded_image.chars().count() + 2 + since.chars().count();
    if left + right <= reader.width {
        let armed = colored(&pad(&armed, columns.armed));
        return format!("  {name}  {armed}  {padded_image}  {since}").trim_end().to_owned() + "\n";
    }
    let mut text = format!("  {name}  {}\n    {image}", colored(&armed));
    text += if 4 + image.chars().count() + 2 + since.chars().count() <= reader.width {
        "  "
    } else {
        "\n    "
    };
    (text + &since).trim_end().to_owned() + "\n"
}

fn armed(service: &Service) -> String {
    match (service.armed, service.target) {
        (true, Some(target)) => format!("armed, back to r{target}"),
        (true, None) => "armed".to_owned(),
        (false, _) => "unarmed".to_owned(),
    }
}

fn image(service: &Service) -> String {
    match (&service.image, service.image_id) {
        (Some(image), Some(id)) => format!("{image} {}", id.short()),
        (Some(image), None) => image.clone(),
        (None, _) => "no container".to_owned(),
    }
}

fn trigger(name: &str, trigger: &Trigger, columns: &Columns, reader: &Reader) -> String {
    /// As wide as the longest state, `breached`.
    const STATE: usize = 8;
    let state = style::state(trigger.state, &pad(trigger.state.as_str(), STATE));
    let value = format!("{:>width$}", shown_value(trigger), width = columns.value);
    let mut text = format!(
        "    {}  {state}  {value}  {}",
        pad(name, columns.trigger),
        pad(&shown_condition(trigger), columns.condition),
    );
    let left = 4 + columns.trigger + 2 + STATE + 2 + columns.value + 2 + columns.condition;
    let mut used = left;
    if left + 2 + RECENT <= reader.width {
        let recent = &trigger.recent;
        let spark = spark::line(recent, trigger.condition, trigger.threshold, RECENT, reader.utf8);
        text += &format!("  {spark}");
        used += 2 + RECENT;
    }
    let note = note(trigger, reader);
    if note.is_empty() {
        return text.trim_end().to_owned() + "\n";
    }
    if used + 2 + note.chars().count() <= reader.width {
        return format!("{text}  {note}\n");
    }
    let lines = wrap(&note, reader.width.saturating_sub(6));
    let lines: String = lines.iter().map(|line| format!("      {line}\n")).collect();
    text.trim_end().to_owned() + "\n" + &lines
}

fn note(trigger: &Trigger, reader: &Reader) -> String {
    let since = trigger.pending_since.map(|at| format!("since {}", when(at, reader)));
    let stale = || trigger.at.map(|at| format!("last value {}", when(at, reader)));
    let time = match trigger.state {
        TriggerState::Pending | TriggerState::Breached => since,
        TriggerState::Blind => stale(),
        TriggerState::Ok | TriggerState::Grace => None,
    };
    let parts = [trigger.reason.clone(), time];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn shown_value(trigger: &Trigger) -> String {
    trigger.value.map_or_else(|| "-".to_owned(), |number| value(&trigger.signal, number))
}

fn shown_condition(trigger: &Trigger) -> String {
    condition(&trigger.signal, trigger.condition, trigger.threshold)
}
