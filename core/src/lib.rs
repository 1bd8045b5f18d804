//! What rollbackd decides.
//!
//! Samples, observations and a time go in; facts and effects come out. This
//! package is `no_std`, so the compiler itself keeps clocks, files, sockets and
//! threads out: the same core runs the daemon, its simulation and every replay.
#![no_std]

extern crate alloc;

pub mod effect;
pub mod event;
pub mod fact;
pub mod incident;
pub mod moment;
mod number;
pub mod plan;
pub mod ratio;
pub mod reading;
pub mod revision;
pub mod settings;
pub mod signal;
pub mod view;
pub mod words;
