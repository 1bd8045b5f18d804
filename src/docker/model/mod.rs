//! An engine in memory that behaves as the real one does, for tests that need
//! a thousand engines or a death at every boundary. Allowed only because one
//! conformance suite (`tests/engine_conformance/`) runs on it and on the real
//! engine: what the suite does not promise, do not rely on.
//!
//! It is asked the same calls and answers with the same documents, statuses
//! and messages (those of Engine 20.10). Everything happens at once: a
//! container that ends by itself has ended when its start returns, a health
//! check has its verdict, a stop never waits. What takes its time on the real
//! engine is set off by hand: [`Model::restart_round`], [`Model::health`].

mod answer;
mod create;
mod document;
mod events;
mod image;
mod life;
mod network;
mod person;
mod puller;
#[cfg(test)]
mod tests;
mod world;

use std::{
    net::Ipv4Addr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use jiff::Timestamp;
use rollbackd_core::words::{ContainerId, ImageId};
use serde_json::Value;

pub(super) use self::events::Happenings;
pub use self::person::Service;
use self::world::World;
use super::{call::Call, error::DockerError};
use crate::host::clock::Clock;

/// What the program in an image does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behaviour {
    /// Runs until it is asked to stop, then ends with code 0.
    Runs,
    /// Ends at once with this code.
    Exits(i64),
    /// Runs, and its health check always fails.
    Unhealthy,
    /// There is no such program: the start itself fails.
    CannotExecute,
    /// Runs until it is killed: a stop ends it with code 137.
    IgnoresSigterm,
}

/// The engine model. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Model {
    world: Arc<Mutex<World>>,
}

impl Model {
    /// An engine with nothing on it, that dates by this clock.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self { world: Arc::new(Mutex::new(World::new(clock))) }
    }

    pub(super) fn answer(&self, call: &Call<'_>) -> Result<Value, DockerError> {
        self.world().answer(call)
    }

    pub(super) fn events(&self, since: Timestamp) -> Result<Happenings, DockerError> {
        let world = self.world();
        world.reachable()?;
        Ok(Happenings::new(Arc::clone(&self.world), &world, since))
    }

    /// Builds or imports an image: a new one each time, which takes the tag.
    pub fn import(&self, reference: &str, behaviour: Behaviour) -> ImageId {
        self.import_with(reference, behaviour, &Value::Null)
    }

    /// Likewise, with fields of the image's `Config` (`Env`, `Labels`,
    /// `Volumes`, `Healthcheck`, ...).
    pub fn import_with(&self, reference: &str, behaviour: Behaviour, config: &Value) -> ImageId {
        self.world().import(reference, behaviour, config)
    }

    /// Puts an image into a registry under a reference with a digest, by which
    /// it can be pulled also after it was removed here.
    pub fn push(&self, image: ImageId, reference: &str) {
        self.world().push(image, reference);
    }

    /// Makes a network; one that is there is left alone.
    pub fn network(&self, name: &str) {
        self.world().add_network(name, None);
    }

    /// Likewise, with a subnet that begins with this address: only in such a
    /// network a container can have a fixed address.
    pub fn network_with_subnet(&self, name: &str, subnet: Ipv4Addr) {
        self.world().add_network(name, Some(subnet));
    }

    /// Takes a port of the host for a process that is no container, or frees it.
    pub fn take_port(&self, port: u16, taken: bool) {
        let mut world = self.world();
        if taken {
            world.foreign_ports.insert(port);
        } else {
            world.foreign_ports.remove(&port);
        }
    }

    /// A health check's verdict on a running container, by name: healthy, or
    /// unhealthy with this many failures in a row.
    pub fn health(&self, name: &str, healthy: bool, streak: u64) {
        self.world().set_health(name, healthy, streak);
    }

    /// A running container's program ends by itself with this code (137 with
    /// `oom`: killed for memory), and its restart policy does what it says.
    pub fn exit(&self, name: &str, code: i64, oom: bool) {
        self.world().exit(name, code, oom);
    }

    /// Starts each container once more that waits for its restart policy.
    pub fn restart_round(&self) {
        self.world().restart_round();
    }

    /// Sets what a container has used: nanoseconds of processor time, bytes of
    /// memory.
    pub fn use_up(&self, name: &str, cpu_nanos: u64, memory: u64) {
        self.world().use_up(name, cpu_nanos, memory);
    }

    /// The engine goes away (calls fail, streams end) or comes back, with its
    /// containers as they were.
    pub fn unreachable(&self, away: bool) {
        self.world().set_away(away);
    }

    /// The engine restarts: streams end, containers die, and those come back
    /// whose restart policy says so.
    pub fn restart(&self) {
        self.world().restart();
    }

    /// The next call of this name (as `docker.start`) fails with this error and
    /// does nothing.
    pub fn fail_once(&self, call: &'static str, error: DockerError) {
        self.world().faults.push((call, error));
    }

    /// The names of all containers, in order.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let world = self.world();
        let mut names: Vec<String> =
            world.containers.iter().map(|made| made.name.clone()).collect();
        names.sort();
        names
    }

    /// The inspect document of a container, by name or ID.
    #[must_use]
    pub fn inspect(&self, name: &str) -> Option<Value> {
        let world = self.world();
        world.find(name).map(|made| world.inspect(made))
    }

    /// The ID of a container, by name.
    #[must_use]
    pub fn id(&self, name: &str) -> Option<ContainerId> {
        self.world().find(name).map(|made| ContainerId::new(made.id.clone()))
    }

    /// What has happened so far, each as `container die shop-web-1`.
    #[must_use]
    pub fn story(&self) -> Vec<String> {
        self.world().log.iter().map(events::told).collect()
    }

    /// How much has happened: grows with everything that does.
    #[must_use]
    pub fn happened(&self) -> u64 {
        self.world().happened
    }

    fn world(&self) -> MutexGuard<'_, World> {
        // A test that died while it held the lock has failed already.
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
