//! TOML to a checked [`settings::Config`]: every problem at once, each with its
//! place and a hint. Nothing is reached out to; secrets stay references.

pub mod settings;
