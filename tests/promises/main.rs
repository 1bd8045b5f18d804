//! Promises to users, each kept by the real binary on a real engine, with a
//! real registry, a real Prometheus and a real mail server. A file for each
//! kind of promise; no test sleeps where it can wait for a fact.
#![expect(clippy::disallowed_methods, reason = "tests have deadlines of their own")]
#![allow(
    clippy::new_without_default,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    missing_docs,
    unreachable_pub,
    reason = "tests fail by panicking, and their support is nobody's library"
)]

#[path = "../support/mod.rs"]
mod support;

mod bad_input;
mod crash;
mod deploying;
mod examples;
mod guards;
mod health;
mod known_bad;
mod main_job;
mod scope;
mod stage;
mod to_image;
