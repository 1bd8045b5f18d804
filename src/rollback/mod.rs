//! Runs one step of a plan when told, and reports how it went.
