//! Between people and the loop: a rollback to an image waits here until it is
//! known which image that is and whether Compose could deploy it. Everything
//! else goes on at once. The loop itself waits for no engine and no registry.

use std::{sync::Arc, time::Duration};

use rollbackd_core::{
    event::{Command, Goal, Refusal, WantedImage},
    words::{ImageId, ProjectName, ServiceName},
};
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
    time::timeout,
};

use crate::{
    api::{Asked, Snapshot},
    engine::Engine,
};

/// How long it may take, with a pull.
const WITHIN: Duration = Duration::from_secs(630);
/// How many may be looked for at once; another is told to ask again.
const MOST: usize = 4;

/// Finds out what people mean.
#[derive(Clone)]
pub(super) struct Goals {
    pub(super) engine: Engine,
    pub(super) snapshots: watch::Receiver<Arc<Snapshot>>,
    pub(super) commands: mpsc::Sender<Asked>,
}

impl Goals {
    /// Hands every command on, until nobody asks any more.
    pub(super) async fn run(self, mut asked: mpsc::Receiver<Asked>) {
        let mut looking = JoinSet::new();
        while let Some((command, answer)) = asked.recv().await {
            while looking.try_join_next().is_some() {}
            if image_of(&command).is_none() {
                // The loop is gone only when the daemon is.
                let _ = self.commands.send((command, answer)).await;
            } else if looking.len() >= MOST {
                let message = "other images are still being looked for".to_owned();
                let hint = "ask again in a moment".to_owned();
                // The person may have gone.
                let _ = answer.send(Err(Refusal { message, hint }));
            } else {
                let goals = self.clone();
                looking.spawn(async move {
                    match goals.resolved(command).await {
                        Ok(command) => {
                            let _ = goals.commands.send((command, answer)).await;
                        }
                        Err(refusal) => {
                            let _ = answer.send(Err(refusal));
                        }
                    }
                });
            }
        }
    }

    /// The command with the image that it means.
    async fn resolved(&self, mut command: Command) -> Result<Command, Refusal> {
        let Some((project, service, wanted)) = image_of(&command) else { return Ok(command) };
        let found = timeout(WITHIN, self.find(project, service, wanted)).await;
        let late = |_| {
            let message = format!("the image {} was not here in time", wanted.reference);
            Refusal { message, hint: format!("`docker pull {}` first", wanted.reference) }
        };
        let found = found.map_err(late)??;
        if let Command::Rollback { to: Some(Goal::Image(wanted)), .. } = &mut command {
            wanted.id = Some(found);
        }
        Ok(command)
    }

    async fn find(
        &self,
        project: &ProjectName,
        service: &ServiceName,
        wanted: &WantedImage,
    ) -> Result<ImageId, Refusal> {
        let refusal = |error: crate::engine::error::EngineError| Refusal {
            message: error.to_string(),
            hint: String::new(),
        };
        let found = self.engine.bring(project, service, &wanted.reference, wanted.id);
        let image = found.await.map_err(refusal)?;
        if !self.needs_no_compose(project, service, image) {
            self.engine.may_deploy(project, service, image).await.map_err(refusal)?;
        }
        Ok(image)
    }

    /// It runs already, or a revision that can be returned to ran it: the core
    /// answers without Compose. So it does where the service is not known.
    fn needs_no_compose(
        &self,
        project: &ProjectName,
        service: &ServiceName,
        image: ImageId,
    ) -> bool {
        let snapshot = self.snapshots.borrow();
        let Some(view) = snapshot.projects.iter().find(|view| view.name == *project) else {
            return true;
        };
        let mut services = view.services.iter();
        let runs = services.find(|one| one.name == *service).and_then(|one| one.image_id);
        let ran = |revision: &rollbackd_core::revision::Revision| {
            revision.service(service).is_some_and(|record| record.image_id == image)
        };
        runs.is_none_or(|runs| runs == image)
            || view.revisions.iter().any(|one| one.problem.is_none() && ran(&one.revision))
    }
}

/// The image that a command asks for, of which service; `None` when that is
/// known, or it is about none.
fn image_of(command: &Command) -> Option<(&ProjectName, &ServiceName, &WantedImage)> {
    match command {
        Command::Rollback {
            project,
            service: Some(service),
            to: Some(Goal::Image(wanted)),
            ..
        } => Some((project, service, wanted)),
        _ => None,
    }
}
