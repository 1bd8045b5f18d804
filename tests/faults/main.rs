//! Faults on the real parts: each is met with a clear word, nothing hangs and
//! nothing is lost. What is promised and was seen is in `docs/reliability.md`.
//! The engine is shared with other tests: what is to fail about it fails in a
//! proxy in front of it.
#![cfg(feature = "testing")]
#![expect(clippy::disallowed_methods, reason = "tests have deadlines of their own")]
#![allow(
    dead_code,
    clippy::new_without_default,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    missing_docs,
    unreachable_pub,
    reason = "tests fail by panicking, and their support is nobody's library"
)]

#[path = "../support/proxy.rs"]
mod proxy;
#[path = "../support/smtp.rs"]
mod smtp;
#[path = "../support/mod.rs"]
mod support;

mod clock;
mod disk;
mod engine;
mod files;
mod middle;
mod odd;
mod people;
mod sources;
mod stage;
