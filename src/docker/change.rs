//! Everything that changes something on the engine, each a durable boundary
//! before and after.

use std::time::Duration;

use rollbackd_core::words::{ContainerId, ImageId};
use serde_json::{Value, json};

use super::{Docker, call::Call, error::DockerError};

/// How long a stop may take of a container that is to be waited for without end.
const LONG_GRACE: Duration = Duration::from_secs(600);

impl Docker {
    /// Creates a container from a body as `POST /containers/create` takes it.
    ///
    /// # Errors
    /// [`DockerError::Conflict`] when the name is taken,
    /// [`DockerError::NotFound`] when the image is not there.
    pub async fn create(&self, name: &str, body: &Value) -> Result<ContainerId, DockerError> {
        let call = Call::Create { name, body };
        let answer = self.ask(call).await?;
        for warning in answer["Warnings"].as_array().into_iter().flatten() {
            tracing::warn!(container = name, warning = %warning, "docker.create.warned");
        }
        answer["Id"].as_str().map(ContainerId::new).ok_or_else(|| DockerError::Unreadable {
            call: call.name(),
            why: "it names no container".to_owned(),
        })
    }

    /// Connects a container to a network, with an endpoint as the API's
    /// `EndpointConfig`; `Null` for none.
    ///
    /// # Errors
    /// [`DockerError::NotFound`] without the network or the container.
    pub async fn connect_network(
        &self,
        network: &str,
        container: &ContainerId,
        endpoint: &Value,
    ) -> Result<(), DockerError> {
        let mut body = json!({ "Container": container });
        if !endpoint.is_null() {
            body["EndpointConfig"] = endpoint.clone();
        }
        self.ask(Call::Connect { network, body: &body }).await.map(drop)
    }

    /// Disconnects a container from a network.
    ///
    /// # Errors
    /// [`DockerError::NotFound`] without the network or the container.
    pub async fn disconnect_network(
        &self,
        network: &str,
        container: &ContainerId,
    ) -> Result<(), DockerError> {
        let body = json!({ "Container": container });
        self.ask(Call::Disconnect { network, body: &body }).await.map(drop)
    }

    /// Gives a container another name, running or not.
    ///
    /// # Errors
    /// [`DockerError::Conflict`] when the name is taken.
    pub async fn rename(&self, id: &ContainerId, name: &str) -> Result<(), DockerError> {
        self.ask(Call::Rename { id: id.as_str(), name }).await.map(drop)
    }

    /// Starts a container; one that runs is left alone.
    ///
    /// # Errors
    /// [`DockerError::NotExecutable`] when its own program is at fault,
    /// [`DockerError::PortTaken`] and the others when the world is.
    pub async fn start(&self, id: &ContainerId) -> Result<(), DockerError> {
        self.ask(Call::Start(id.as_str())).await.map(drop)
    }

    /// Stops a container: its stop signal, then SIGKILL after `grace` (whole
    /// seconds), or after its own stop timeout. One that does not run is left
    /// alone.
    ///
    /// # Errors
    /// [`DockerError::NotFound`] when it is not there.
    pub async fn stop(&self, id: &ContainerId, grace: Option<Duration>) -> Result<(), DockerError> {
        let grace = match grace {
            Some(grace) => grace,
            None => match self.container(id.as_str()).await? {
                Some(container) => container.stop_grace().unwrap_or(LONG_GRACE),
                // The engine itself says that it is not there.
                None => Duration::ZERO,
            },
        };
        self.ask(Call::Stop { id: id.as_str(), grace }).await.map(drop)
    }

    /// Kills a container with SIGKILL.
    ///
    /// # Errors
    /// [`DockerError::Conflict`] when it does not run.
    pub async fn kill(&self, id: &ContainerId) -> Result<(), DockerError> {
        self.ask(Call::Kill(id.as_str())).await.map(drop)
    }

    /// Removes a container, with `volumes` also its anonymous volumes, with
    /// `force` also when it runs.
    ///
    /// # Errors
    /// [`DockerError::Conflict`] when it runs, [`DockerError::NotFound`].
    pub async fn remove(
        &self,
        id: &ContainerId,
        volumes: bool,
        force: bool,
    ) -> Result<(), DockerError> {
        self.ask(Call::Remove { id: id.as_str(), volumes, force }).await.map(drop)
    }

    /// Changes limits or the restart policy of a container; the body is that
    /// of `POST /containers/{id}/update`.
    ///
    /// # Errors
    /// As every call: by cause.
    pub async fn update(&self, id: &ContainerId, body: &Value) -> Result<(), DockerError> {
        self.ask(Call::Update { id: id.as_str(), body }).await.map(drop)
    }

    /// Gives an image a tag, which leaves the image it was on.
    ///
    /// # Errors
    /// [`DockerError::NotFound`] without the image.
    pub async fn tag(
        &self,
        image: &ImageId,
        repository: &str,
        tag: &str,
    ) -> Result<(), DockerError> {
        self.ask(Call::Tag { image: &image.to_string(), repository, tag }).await.map(drop)
    }

    /// Takes a tag away. With its last tag the engine deletes the image too,
    /// unless a container uses it.
    ///
    /// # Errors
    /// [`DockerError::NotFound`] without the tag, [`DockerError::Conflict`]
    /// when it is the last one of an image that a container uses.
    pub async fn untag(&self, reference: &str) -> Result<(), DockerError> {
        self.ask(Call::Untag(reference)).await.map(drop)
    }

    /// Pulls an image by a reference with a digest, as the engine can reach
    /// the registry: without a login.
    ///
    /// # Errors
    /// The registry's, as the engine words them.
    pub async fn pull(&self, reference: &str) -> Result<(), DockerError> {
        self.ask(Call::Pull(reference)).await.map(drop)
    }
}
