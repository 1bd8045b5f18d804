//! The past, told: what a trigger saw and did over a stretch of time. Nothing is
//! decided here and no rule is written twice; whoever calls has driven the core
//! and brings what came of it.

pub mod plot;
