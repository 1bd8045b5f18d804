//! What the tests of one room stand on: of all the support only the engine
//! itself and a registry.

pub mod engine;
pub mod process;
pub mod registry;
pub mod wait;
