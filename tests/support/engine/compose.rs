//! Compose, as a person runs it on a file of their own.

use std::{
    fs,
    path::Path,
    process::{Command, Output, Stdio},
};

use super::host;

/// Which Compose deploys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tool {
    /// `docker-compose`
    V1,
    /// `docker compose`
    V2,
}

impl Tool {
    /// Those that are installed; at least one must be. v1 only where it can work:
    /// from engine 25 (API 1.44) on, it cannot recreate a container, for the
    /// image's `ContainerConfig` that it asks for is no longer there.
    pub fn all() -> Vec<Self> {
        let api = super::docker(&["version", "--format", "{{.Server.APIVersion}}"]);
        let minor = api.trim().strip_prefix("1.").and_then(|minor| minor.parse::<u32>().ok());
        let v1_works = minor.is_some_and(|minor| minor < 44);
        let answers = |tool: &Self| {
            if *tool == Self::V1 && !v1_works {
                return false;
            }
            let mut command = tool.command();
            let command = command.arg("version").stdin(Stdio::null());
            command.output().is_ok_and(|output| output.status.success())
        };
        let all: Vec<Self> = [Self::V2, Self::V1].into_iter().filter(answers).collect();
        assert!(!all.is_empty(), "install Compose: `docker compose` or `docker-compose`");
        all
    }

    fn command(self) -> Command {
        match self {
            Self::V1 => Command::new("docker-compose"),
            Self::V2 => {
                let mut command = Command::new("docker");
                command.arg("compose");
                command
            }
        }
    }

    /// The name that it gives to a container.
    pub fn container(self, project: &str, service: &str, number: u32) -> String {
        match self {
            Self::V1 => format!("{project}_{service}_{number}"),
            Self::V2 => format!("{project}-{service}-{number}"),
        }
    }

    /// Runs it on the project whose file is in this folder.
    pub fn run(self, project: &str, folder: &Path, words: &[&str]) -> Output {
        self.run_with(&[], project, folder, words)
    }

    /// The same from a shell that has these variables.
    pub fn run_with(
        self,
        variables: &[(&str, &str)],
        project: &str,
        folder: &Path,
        words: &[&str],
    ) -> Output {
        self.command()
            .envs(variables.iter().copied())
            .args(["-p", project, "-f", "compose.yml"])
            .args(words)
            .current_dir(folder)
            .env("DOCKER_HOST", host())
            .stdin(Stdio::null())
            .output()
            .expect("Compose is installed")
    }

    /// `up -d`: what it said, an error when it failed.
    pub fn up(self, project: &str, folder: &Path, words: &[&str]) -> Result<String, String> {
        let output = self.run(project, folder, &[&["up", "-d"], words].concat());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.success() { Ok(said) } else { Err(said) }
    }
}

/// Writes a project's file.
pub fn write(folder: &Path, file: &str) {
    fs::write(folder.join("compose.yml"), file).expect("the file can be written");
}
