//! The same core fed from the past, and a stretch of time told: no rule is
//! written twice here.

pub mod past;
pub mod plot;
pub mod recording;
