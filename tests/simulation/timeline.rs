//! What happened in a life, with times that a person can read: moves, commands
//! and their answers, facts, and what the engine tells.

use std::time::Duration;

use rollbackd_core::{fact::Fact, moment::Moment};

use crate::world::BEGINNING;

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
            "{} {} of {} from {} to {:?} by {:?}: {}",
            if matches!(fact, Fact::RollbackBegan(_)) { "RollbackBegan" } else { "NextTarget" },
            incident.id,
            incident.project,
            incident.from,
            incident.to.map(|to| to.0),
            incident.cause,
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
        other => format!("{other:?}"),
    }
}
