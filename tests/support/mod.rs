//! What the integration tests stand on: real projects on the real engine, the
//! real daemon as a child process, a real registry, Prometheus and mail server.
//! Everything has a name of its own and is removed when it is dropped, also
//! when the test fails.

pub mod config;
pub mod daemon;
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

use std::net::{Ipv4Addr, TcpListener};

/// A port of this machine that nobody uses at this moment.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}

/// A child process that is killed when it is dropped.
pub struct Running(pub std::process::Child);

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}
