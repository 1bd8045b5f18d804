//! A container as the engine describes it, read leniently: a word this version
//! does not know is a missing reading, never a failure of the whole answer.

use std::net::IpAddr;

use jiff::Timestamp;
use rollbackd_core::{
    revision::{ContainerState, Health},
    words::{ContainerId, ImageId, ProjectName, ServiceName},
};
use serde_json::Value;

/// A container, from its inspect document.
#[derive(Clone, Debug, PartialEq)]
pub struct Container {
    /// Its identity.
    pub id: ContainerId,
    /// Its name, without the leading slash.
    pub name: String,
    /// The Compose project of its labels.
    pub project: Option<ProjectName>,
    /// The Compose service of its labels.
    pub service: Option<ServiceName>,
    /// Its number among the service's containers; 1 where the label is missing.
    pub number: u32,
    /// Made by `docker compose run`.
    pub one_off: bool,
    /// The image it runs; `None` where the engine says what is no digest.
    pub image_id: Option<ImageId>,
    /// The reference it was created by.
    pub image: String,
    /// What it is doing.
    pub state: ContainerState,
    /// The code of its last exit.
    pub exit_code: i64,
    /// Its last exit was a kill for memory.
    pub oom_killed: bool,
    /// What its health check says.
    pub health: Health,
    /// How many health checks in a row have failed.
    pub failing_streak: u32,
    /// How often its restart policy restarted it.
    pub restarts: u64,
    /// Its restart policy restarts it after an exit with code 0.
    pub restarts_always: bool,
    /// When it was created.
    pub created: Option<Timestamp>,
    /// When it last started.
    pub started: Option<Timestamp>,
    /// When it last ended.
    pub finished: Option<Timestamp>,
    /// Its addresses in its networks, in the networks' order.
    pub addresses: Vec<IpAddr>,
    /// The whole document, exactly as the engine gave it.
    pub document: Value,
}
