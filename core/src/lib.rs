//! What rollbackd decides.
//!
//! Samples, observations and a time go in; facts and effects come out. This
//! package is `no_std`, so the compiler itself keeps clocks, files, sockets and
//! threads out: the same core runs the daemon, its simulation and every replay.
#![no_std]

extern crate alloc;

mod abort;
mod announce;
pub mod case;
mod command;
mod decide;
mod deployment;
pub mod effect;
pub mod event;
pub mod fact;
pub mod guard;
pub mod incident;
mod known_bad;
mod life;
pub mod moment;
mod number;
pub mod plan;
mod planner;
mod project;
pub mod ratio;
pub mod reading;
pub mod reducer;
pub mod revision;
pub mod run;
pub mod settings;
pub mod signal;
pub mod status;
mod through_compose;
mod verdict;
pub mod view;
pub mod watch;
pub mod why;
pub mod window;
pub mod words;
