//! One connection to the engine: typed answers, events without gaps, the
//! meaning of labels. It decides nothing and starts nothing by itself.

pub mod container;
pub mod event;
