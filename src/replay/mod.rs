//! The same core fed from the past.

pub mod past;
pub mod recording;
