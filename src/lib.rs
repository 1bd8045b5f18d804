//! rollbackd watches a Docker Compose project after each deployment and puts
//! the previous images back when its numbers break. The rooms are drawn in
//! `docs/developing.md`; imports go down only.

pub mod api;
pub mod cli;
pub mod config;
pub mod daemon;
pub mod docker;
pub mod engine;
pub mod host;
pub mod notify;
pub mod replay;
pub mod rollback;
pub mod signals;
pub mod store;
