//! What happened in a life, with times that a person can read: moves, commands
//! and their answers, facts, and what the engine tells.

use std::time::Duration;

use rollbackd_core::{fact::Fact, moment::Moment};

use crate::world::BEGINNING;

/// What names and numbers are wrapped in.
const WRAPPED: [&str; 6] =
    ["Moment(", "ProjectName(", "ServiceName(", "TriggerId(", "RevisionNo(", "IncidentId("];

/// Kept only when somebody will read it.
pub struct Timeline {
    lines: Option<Vec<String>>,
    told: usize,
}

impl Timeline {
    pub fn new(on: bool) -> Self {
        Self { lines: on.then(Vec::new), told: 0 }
    }

    pub fn on(&self) -> bool {
        self.lines.is_some()
    }

    pub fn note(&mut self, at: Moment, what: impl FnOnce() -> String) {
        if let Some(lines) = &mut self.lines {
            lines.push(format!("{:>12}  {}", since(at), what()));
        }
    }

    /// What the engine has told since the last time.
    pub fn engine(&mut self, at: Moment, story: &[String]) {
        // An engine that restarts begins its story anew.
        let begin = if self.told > story.len() { 0 } else { self.told };
        for line in &story[begin..] {
            self.note(at, || format!("    engine: {line}"));
        }
        self.told = story.len();
    }

    pub fn fact(&mut self, at: Moment, fact: &Fact) {
        self.note(at, || format!("  fact: {}", brief(fact)));
    }

    pub fn text(&self) -> String {
        self.lines.as_deref().unwrap_or_default().join("\n")
    }
}

/// A moment as `+1h 3m 20s` since the life began.
pub fn since(at: Moment) -> String {
    let seconds = at.since(BEGINNING).as_secs();
    format!("+{}", humantime::format_duration(Duration::from_secs(seconds)))
}

/// A fact in one line, without the plan.
pub fn brief(fact: &Fact) -> String {
    match fact {
        Fact::RollbackBegan(incident) | Fact::NextTarget { incident } => format!(
            "{} {} of {} from {} to {:?} by {}: {}",
            if matches!(fact, Fact::RollbackBegan(_)) { "RollbackBegan" } else { "NextTarget" },
            incident.id,
            incident.project,
            incident.from,
            incident.to.map(|to| to.0),
            plain(&format!("{:?}", incident.cause)),
            incident.service_names()
        ),
        Fact::Refused { incident, guard } => {
            format!(
                "Refused {} of {} {guard:?}: {}",
                incident.id, incident.project, incident.reason
            )
        }
        Fact::DeploymentEnded { project, revision } => {
            let runs =
                revision.services.iter().map(|s| format!("{} {}", s.name, s.image_id.short()));
            let runs: Vec<String> = runs.collect();
            format!(
                "DeploymentEnded {project} revision {} of {} changed {:?}: {}",
                revision.number,
                since(revision.began_at),
                revision.changed,
                runs.join(", ")
            )
        }
        other => plain(&format!("{other:?}")),
    }
}

/// Debug text as a person says it: names bare, moments since the life began.
fn plain(text: &str) -> String {
    let (mut plain, mut rest) = (String::new(), text);
    while let Some((word, at)) =
        WRAPPED.iter().filter_map(|w| Some((*w, rest.find(w)?))).min_by_key(|(_, at)| *at)
    {
        let inner = &rest[at + word.len()..];
        let (value, after) = inner.split_once(')').unwrap_or((inner, ""));
        plain.push_str(&rest[..at]);
        match value.parse() {
            Ok(nanos) if word == "Moment(" => plain.push_str(&since(Moment::from_nanos(nanos))),
            _ => plain.push_str(value.trim_matches('"')),
        }
        rest = after;
    }
    plain + rest
}
