//! A deployment that a person announces (`rollbackd deploy`): when their command
//! begins and when it has ended. Between the two nothing is rolled back by
//! itself, and all that changes is one deployment. It lasts until its limit at
//! most: a command that was killed does not hold a project for ever.

use alloc::{format, string::String};
use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    command::{done, refusal},
    decide::words,
    event::Answer,
    fact::Fact,
    moment::Moment,
    project::Project,
    reducer::{Core, Turn},
    settings::ProjectSettings,
    words::ProjectName,
};

/// A deployment that was announced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Announced {
    /// Whose it is: the end of one does not end another's.
    pub(crate) id: String,
    pub(crate) began: Moment,
    /// Its limit.
    pub(crate) until: Moment,
    /// When its command ended. It is over with the first look after that.
    pub(crate) ended: Option<Moment>,
}

impl Announced {
    /// Why nothing is decided, in words.
    pub(crate) fn says(&self, now: Moment) -> String {
        let (since, left) = (words(now.since(self.began)), words(self.until.since(now)));
        match self.ended {
            None => format!(
                "`rollbackd deploy` has been at work for {since}, and is for {left} more at most; \
                 decided when it has ended"
            ),
            Some(_) => "`rollbackd deploy` has just ended; decided when that was looked at".into(),
        }
    }
}

impl Project {
    /// When the deployment under way, or the first look, is settled; `None`
    /// while that waits for something else than time.
    pub(crate) fn settles_at(&self, settings: &ProjectSettings) -> Option<Moment> {
        if let Some(announced) = &self.durable.announced {
            let looked = |ended: &Moment| self.seen.as_ref().is_some_and(|seen| seen.at > *ended);
            return announced.ended.filter(|ended| self.is_seen() && looked(ended));
        }
        let waits = self.durable.deploying.is_some() || self.durable.current.is_none();
        waits.then(|| self.changed_at + self.settles_after(settings))
    }
}

impl Core {
    /// A person's command is about to deploy.
    pub(crate) fn deploy_begins(
        &self,
        now: Moment,
        name: &ProjectName,
        id: String,
        limit: Duration,
        turn: &mut Turn,
    ) -> Answer {
        let project = self.free(name)?;
        match &project.durable.announced {
            // Its answer was lost on the way, and it asks again.
            Some(known) if known.id == id => {
                return Ok(done(format!("a deployment of {name} is announced")));
            }
            Some(other) if other.ended.is_none() => {
                let since = words(now.since(other.began));
                let left = words(other.until.since(now));
                let message = format!("another `deploy` of {name} has been at work for {since}");
                let hint = format!("wait for its end, or for its limit in {left}");
                return Err(refusal(message, hint));
            }
            Some(_) | None => {}
        }
        if !project.is_seen() {
            let message = format!("{name} has not been looked at yet");
            return Err(refusal(message, "try again in a moment"));
        }
        if project.durable.current.is_none() {
            // What runs before it is something to go back to.
            turn.facts.extend(project.end_deployment(now));
        }
        let (project, until) = (name.clone(), now + limit);
        turn.facts.push(Fact::Announced { project, id, at: now, until });
        Ok(done(format!("a deployment of {name} is announced, for {} at most", words(limit))))
    }

    /// That command has ended.
    pub(crate) fn deploy_ends(
        &self,
        now: Moment,
        name: &ProjectName,
        id: &str,
        turn: &mut Turn,
    ) -> Answer {
        let project = self.configured(name)?;
        match &project.durable.announced {
            Some(known) if known.id == id => {
                if known.ended.is_none() {
                    turn.facts.push(Fact::CommandEnded { project: name.clone(), at: now });
                }
                Ok(done(format!("the deployment of {name} has ended")))
            }
            // What it changed settles as any deployment does.
            Some(_) | None => {
                Ok(done(format!("the limit of that deployment of {name} has passed")))
            }
        }
    }

    /// Its limit has passed, and nobody has said that it ended.
    pub(crate) fn end_announcement(&self, now: Moment, name: &ProjectName, turn: &mut Turn) {
        let Some(project) = self.projects.get(name) else { return };
        if project.durable.announced.as_ref().is_some_and(|known| known.until <= now) {
            turn.facts.push(Fact::AnnouncementOver {
                project: name.clone(),
                at: now,
                ran_out: true,
            });
        }
    }
}
