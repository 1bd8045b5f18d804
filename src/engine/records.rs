//! The inspect documents of containers, kept in the store under their IDs:
//! what a revision is put back from. They hold the containers' environment, so
//! nothing of them is ever logged. Beside them: which containers a rollback
//! made, and which image each mark of Compose belongs to.

use rollbackd_core::words::{ContainerId, ImageId, IncidentId, ProjectName};

use super::error::EngineError;
use crate::{
    docker::container::Container,
    host::command::Group,
    store::{Handle, Touch},
};

/// Where containers' documents are kept.
#[derive(Clone, Debug)]
pub struct Records(Handle);

impl Records {
    /// Those of this store.
    #[must_use]
    pub const fn new(store: Handle) -> Self {
        Self(store)
    }

    /// Keeps a container's document in place of an earlier one.
    pub(super) async fn put(&self, container: &Container) -> Result<(), EngineError> {
        Ok(self.0.put_record(&container.id, &container.document).await?)
    }

    /// A container as it was when it was seen last.
    pub(super) async fn get(&self, id: &ContainerId) -> Result<Option<Container>, EngineError> {
        match self.0.record(id).await? {
            Some(document) => Ok(Some(Container::read(document)?)),
            None => Ok(None),
        }
    }

    /// Notes what a rollback does to containers.
    pub(super) async fn touch(
        &self,
        incident: IncidentId,
        containers: Vec<(ContainerId, Touch)>,
    ) -> Result<(), EngineError> {
        Ok(self.0.touch(incident, containers).await?)
    }

    /// What a rollback did to a container.
    pub(super) async fn touched(
        &self,
        container: &Container,
        incident: IncidentId,
    ) -> Result<Option<Touch>, EngineError> {
        Ok(self.0.touched(&container.id, incident).await?)
    }

    /// Did any rollback make it?
    pub(super) async fn made(&self, container: &Container) -> Result<bool, EngineError> {
        Ok(self.0.made(&container.id).await?)
    }

    /// What this state directory calls itself.
    pub(super) fn identity(&self) -> &str {
        self.0.identity()
    }

    /// Notes the group of the command that is about to run for a project.
    pub(super) async fn command_began(
        &self,
        project: &ProjectName,
        group: &Group,
    ) -> Result<(), EngineError> {
        Ok(self.0.command_began(project, group).await?)
    }

    /// Forgets it: all of it has ended.
    pub(super) async fn command_ended(&self, project: &ProjectName) -> Result<(), EngineError> {
        Ok(self.0.command_ended(project).await?)
    }

    /// The group that was noted last and not forgotten.
    pub(super) async fn command(
        &self,
        project: &ProjectName,
    ) -> Result<Option<Group>, EngineError> {
        Ok(self.0.command(project).await?)
    }

    /// Notes which image a mark of Compose belongs to: that with which it is
    /// seen first.
    pub(super) async fn mark(&self, mark: String, image: ImageId) -> Result<(), EngineError> {
        Ok(self.0.mark(mark, image).await?)
    }

    /// The image that a mark of Compose belongs to.
    pub(super) async fn marked(&self, mark: String) -> Result<Option<ImageId>, EngineError> {
        Ok(self.0.marked(mark).await?)
    }
}
