//! The inspect documents of containers, kept in the store under their IDs:
//! what a revision is put back from. They hold the containers' environment, so
//! nothing of them is ever logged.

use rollbackd_core::words::ContainerId;

use super::error::EngineError;
use crate::{docker::container::Container, store::Handle};

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
}
