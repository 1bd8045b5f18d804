//! The `rollbackd` program.

fn main() {}
