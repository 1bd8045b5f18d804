//! What the integration tests stand on: real projects on the real engine, the
//! real daemon as a child process, a real registry, Prometheus and mail server.
//! Everything has a name of its own and is removed when it is dropped, also
//! when the test fails.

pub mod config;
pub mod daemon;
#[allow(dead_code, reason = "the tests of one room use the rest")]
pub mod engine;
pub mod process;
pub mod project;
pub mod prometheus;
pub mod registry;
pub mod wait;

// Shared with the demo: one way to make an image, one mail server, one crowd of
// customers.
#[path = "../../demo/driver/src/docker.rs"]
#[allow(dead_code, reason = "the demo uses the rest")]
pub mod docker;
#[path = "../../demo/driver/src/mail.rs"]
pub mod mail;
#[path = "../../demo/driver/src/message.rs"]
pub mod message;
#[path = "../../demo/driver/src/traffic.rs"]
#[allow(dead_code, reason = "the demo uses the rest")]
pub mod traffic;

pub use process::{Running, free_port};
