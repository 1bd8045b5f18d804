//! One connection to the engine: typed answers, events without gaps, the
//! meaning of labels. It decides nothing and starts nothing by itself.
//!
//! Answers are read leniently and documents are kept whole. Every call has one
//! limit around all of it, and every change is a durable boundary before and
//! after (see [`death`](crate::host::death)).

mod call;
mod change;
pub mod container;
pub mod error;
pub mod event;
mod follow;
pub mod image;
pub mod labels;
mod lines;
#[cfg(feature = "testing")]
pub mod model;
mod real;
pub mod stats;
mod wire;

use std::sync::Arc;

use futures_util::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use rollbackd_core::{
    revision::ContainerState,
    words::{ContainerId, ImageId, ProjectName},
};
use serde_json::Value;

use self::{
    call::Call,
    container::Container,
    error::DockerError,
    image::{Image, Reference},
    lines::Lines,
    real::Real,
    stats::Stats,
};
use crate::host::death::boundary;

/// How many containers are inspected at once.
const AT_ONCE: usize = 4;

/// The engine. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Docker(Engine);

#[derive(Clone)]
enum Engine {
    Real(Arc<Real>),
    #[cfg(feature = "testing")]
    Model(model::Model),
}

/// What the engine says it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// The engine's own, as `28.5.2`.
    pub engine: String,
    /// Its API's newest, as `1.51`.
    pub api: String,
}

/// A network that the engine has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    /// Its identity.
    pub id: String,
    /// Its name.
    pub name: String,
}

impl Docker {
    /// The engine at `unix:///path` or `tcp://host:port`. Does not talk yet,
    /// so an engine that is not there is no error here.
    ///
    /// # Errors
    /// [`DockerError::BadHost`].
    pub fn connect(host: &str) -> Result<Self, DockerError> {
        Ok(Self(Engine::Real(Arc::new(Real::new(host)?))))
    }

    /// An engine in memory.
    #[cfg(feature = "testing")]
    #[must_use]
    pub fn model(model: model::Model) -> Self {
        Self(Engine::Model(model))
    }

    /// Which engine answers. Agrees on the version of the API anew.
    ///
    /// # Errors
    /// [`DockerError::Unreachable`], [`DockerError::Timeout`], [`DockerError::Unreadable`].
    pub async fn version(&self) -> Result<Version, DockerError> {
        let versions = self.ask(Call::Version).await?;
        let text = |field: &str| versions[field].as_str().unwrap_or("unknown").to_owned();
        Ok(Version { engine: text("Version"), api: text("ApiVersion") })
    }

    /// The containers of a project, in every state, by service, number and
    /// name. One that vanishes while it is looked at is left out.
    ///
    /// # Errors
    /// As every call: by cause.
    pub async fn containers(&self, project: &ProjectName) -> Result<Vec<Container>, DockerError> {
        let label = format!("{}={project}", labels::PROJECT);
        self.inspected(Some(&label)).await
    }

    /// The containers on the whole host, of any project and in every state,
    /// that were created by this image reference, however it was spelled.
    ///
    /// # Errors
    /// As every call: by cause.
    pub async fn all_using(&self, reference: &str) -> Result<Vec<Container>, DockerError> {
        // The list shows an ID instead of a reference whose tag has moved.
        let mut all = self.inspected(None).await?;
        all.retain(|container| Reference::same(&container.image, reference));
        Ok(all)
    }

    /// The containers on the whole host with this label, in every state.
    ///
    /// # Errors
    /// As every call: by cause.
    pub async fn labelled(&self, name: &str, value: &str) -> Result<Vec<Container>, DockerError> {
        self.inspected(Some(&format!("{name}={value}"))).await
    }

    /// The running containers on the whole host into which a socket of the
    /// engine is mounted: they may do to containers whatever they like.
    ///
    /// # Errors
    /// As every call: by cause.
    pub async fn holding_the_socket(&self) -> Result<Vec<Container>, DockerError> {
        let mut all = self.inspected(None).await?;
        all.retain(|container| {
            let mounts = container.document["Mounts"].as_array();
            let named = |mount: &Value, field: &str| {
                mount[field].as_str().is_some_and(|path| path.ends_with("docker.sock"))
            };
            let holds = |mount| named(mount, "Source") || named(mount, "Destination");
            container.state == ContainerState::Running && mounts.into_iter().flatten().any(holds)
        });
        Ok(all)
    }

    async fn inspected(&self, label: Option<&str>) -> Result<Vec<Container>, DockerError> {
        let ids = ids_of(&self.ask(Call::Containers(label)).await?)?;
        let looked: Vec<Option<Container>> = stream::iter(ids)
            .map(|id| async move { self.container(&id).await })
            .buffered(AT_ONCE)
            .try_collect()
            .await?;
        let mut containers: Vec<Container> = looked.into_iter().flatten().collect();
        containers
            .sort_by(|a, b| (&a.service, a.number, &a.name).cmp(&(&b.service, b.number, &b.name)));
        Ok(containers)
    }

    /// One container by ID or name; `None` when it is not there.
    ///
    /// # Errors
    /// As every call: by cause.
    pub async fn container(&self, id_or_name: &str) -> Result<Option<Container>, DockerError> {
        match present(self.ask(Call::Container(id_or_name)).await)? {
            Some(document) => Container::read(document).map(Some),
            None => Ok(None),
        }
    }

    /// An image by reference or ID; `None` when the engine does not have it.
    ///
    /// # Errors
    /// As every call: by cause.
    pub async fn image(&self, reference_or_id: &str) -> Result<Option<Image>, DockerError> {
        match present(self.ask(Call::Image(reference_or_id)).await)? {
            Some(document) => Image::read(&document).map(Some),
            None => Ok(None),
        }
    }

    /// The tags of a repository, as `repository:tag`, and what each names.
    ///
    /// # Errors
    /// As every call: by cause.
    pub async fn tagged(&self, repository: &str) -> Result<Vec<(String, ImageId)>, DockerError> {
        let images = self.ask(Call::Images(repository)).await?;
        Ok(image::tags_of(&images, repository))
    }

    /// What a container uses of the machine; `None` when it does not run.
    ///
    /// # Errors
    /// As every call: by cause.
    pub async fn stats(&self, id: &ContainerId) -> Result<Option<Stats>, DockerError> {
        let document = present(self.ask(Call::Stats(id.as_str())).await)?;
        Ok(document.as_ref().and_then(Stats::of))
    }

    /// A network by name or ID; `None` when it is not there.
    ///
    /// # Errors
    /// As every call: by cause.
    pub async fn network(&self, name_or_id: &str) -> Result<Option<Network>, DockerError> {
        let document = present(self.ask(Call::Network(name_or_id)).await)?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        Ok(document
            .map(|network| Network { id: text(&network["Id"]), name: text(&network["Name"]) }))
    }

    /// Whether a volume of this name is there.
    ///
    /// # Errors
    /// As every call: by cause.
    pub async fn volume(&self, name: &str) -> Result<bool, DockerError> {
        Ok(present(self.ask(Call::Volume(name)).await)?.is_some())
    }

    /// One call, with its limit around all of it and its boundaries.
    async fn ask(&self, call: Call<'_>) -> Result<Value, DockerError> {
        if call.changes() {
            boundary(&format!("{} before", call.name()));
        }
        let limit = call.limit();
        let answer = async {
            match &self.0 {
                Engine::Real(real) => real.answer(&call).await,
                #[cfg(feature = "testing")]
                Engine::Model(model) => model.answer(&call),
            }
        };
        let answer = tokio::time::timeout(limit, answer)
            .await
            .unwrap_or(Err(DockerError::Timeout { call: call.name(), limit }));
        if call.changes() {
            tracing::debug!(call = call.name(), failed = answer.is_err(), "docker.changed");
            boundary(&format!("{} after", call.name()));
        }
        answer
    }

    async fn events(&self, since: Timestamp) -> Result<Events, DockerError> {
        match &self.0 {
            Engine::Real(real) => Ok(Events::Real(Arc::clone(real), real.events(since).await?)),
            #[cfg(feature = "testing")]
            Engine::Model(model) => Ok(Events::Model(model.events(since)?)),
        }
    }
}

/// An open stream of events.
enum Events {
    Real(Arc<Real>, Lines),
    #[cfg(feature = "testing")]
    Model(model::Happenings),
}

impl Events {
    /// The next event's document, or why there is none any more.
    async fn next(&mut self) -> Result<Value, DockerError> {
        match self {
            Self::Real(real, lines) => match lines.next().await {
                Ok(Some(event)) => Ok(event),
                Ok(None) => Err(real.cut(None)),
                Err(error) => Err(real.cut(Some(error))),
            },
            #[cfg(feature = "testing")]
            Self::Model(happenings) => happenings.next().await,
        }
    }
}

/// The IDs in a list of containers. An engine writes an empty one as `null`. What
/// is no list, or names a container without an ID, cannot be read: to pass over
/// it would look as if the container were gone.
fn ids_of(list: &Value) -> Result<Vec<String>, DockerError> {
    let unreadable =
        |why: &str| DockerError::Unreadable { call: "docker.containers", why: why.to_owned() };
    let entries = match list {
        Value::Null => &[][..],
        Value::Array(entries) => entries,
        _ => return Err(unreadable("it is no list")),
    };
    let id = |entry: &Value| entry["Id"].as_str().map(str::to_owned);
    let ids: Option<Vec<String>> = entries.iter().map(id).collect();
    ids.ok_or_else(|| unreadable("a container without an ID"))
}

/// What is not there is no error to who asks whether it is.
fn present(answer: Result<Value, DockerError>) -> Result<Option<Value>, DockerError> {
    match answer {
        Ok(document) => Ok(Some(document)),
        Err(DockerError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}
