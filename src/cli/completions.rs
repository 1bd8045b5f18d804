//! `completions`: what a shell completes after `rollbackd`, for the shell to
//! read. The packages bring it; by hand it goes where the shell looks.

use clap::CommandFactory;
use clap_complete::Shell;

use crate::cli::{
    args::Arguments,
    exit::{Exit, Failure},
    out::Out,
};

/// Prints the script.
pub(super) fn completions(shell: Shell, out: &Out) -> Result<Exit, Failure> {
    out.text(&script(shell))?;
    Ok(Exit::Done)
}

fn script(shell: Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "rollbackd", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shell_learns_every_command() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let script = script(shell);
            for command in Arguments::command().get_subcommands() {
                assert!(script.contains(command.get_name()), "{shell}: {}", command.get_name());
            }
        }
    }
}
