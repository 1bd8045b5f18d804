//! The `rollbackd` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    rollbackd::cli::main()
}
