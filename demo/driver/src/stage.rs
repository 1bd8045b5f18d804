//! What the demo makes on this machine, in one place, so that all of it can be
//! removed: a temporary directory, images, containers, a network.

use std::{
    fs,
    net::{Ipv4Addr, TcpListener},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};

use crate::{
    arguments::Arguments,
    docker::{Compose, docker, image},
};

/// The stage; dropped, everything on it is removed.
pub(crate) struct Stage {
    /// Its directory: the Compose project and the daemon's files.
    pub(crate) directory: PathBuf,
    /// The Compose project's name.
    pub(crate) project: String,
    /// The shop's image, without a tag.
    pub(crate) repository: String,
    /// The IDs of v1 and v2.
    pub(crate) images: Vec<String>,
    /// Where the shop is reached on this machine.
    pub(crate) port: u16,
    /// The daemon's configuration.
    pub(crate) config: PathBuf,
    /// How Compose is called.
    pub(crate) compose: Compose,
}

impl Stage {
    /// Sets the stage: files written, images made, nothing running.
    pub(crate) fn set(arguments: &Arguments, mail_port: u16) -> Result<Self> {
        let number = std::process::id();
        let project = format!("rollbackd-demo-{number}");
        let directory = std::env::temp_dir().join(&project);
        fs::DirBuilder::new()
            .mode(0o700)
            .create(&directory)
            .with_context(|| format!("making {}", directory.display()))?;
        let mut stage = Self {
            config: directory.join("rollbackd.toml"),
            repository: format!("{project}/shop"),
            images: Vec::new(),
            port: free_port()?,
            compose: Compose::find()?,
            directory,
            project,
        };
        stage.write_files(arguments, mail_port)?;
        for (tag, environment) in [
            ("v1", "SHOP_VERSION=v1 SHOP_ERRORS=0% SHOP_DELAY=0ms"),
            ("v2", "SHOP_VERSION=v2 SHOP_ERRORS=12% SHOP_DELAY=900ms"),
        ] {
            let tag = format!("{}:{tag}", stage.repository);
            stage.images.push(image(&arguments.shop, &tag, environment)?);
        }
        Ok(stage)
    }

    fn write_files(&self, arguments: &Arguments, mail_port: u16) -> Result<()> {
        let Self { directory, project, repository, port, .. } = self;
        let read = |path: &Path| {
            fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))
        };
        let config = fill(
            &read(&arguments.config)?,
            &[
                ("project.demo", &format!("project.{project}")),
                ("http://127.0.0.1:8080/", &format!("http://127.0.0.1:{port}/")),
                ("smtp://127.0.0.1:2525", &format!("smtp://127.0.0.1:{mail_port}")),
            ],
        )?;
        fs::write(&self.config, config)?;
        fs::write(directory.join("compose.yaml"), read(&arguments.compose_file)?)?;
        let variables =
            format!("COMPOSE_PROJECT_NAME={project}\nSHOP_IMAGE={repository}\nSHOP_PORT={port}\n");
        fs::write(directory.join(".env"), variables)?;
        Ok(())
    }

    /// What a person types to deploy a version, and does it.
    pub(crate) fn deploy(&self, version: &str) -> Result<()> {
        let repository = &self.repository;
        docker(&["tag", &format!("{repository}:{version}"), &format!("{repository}:latest")])?;
        self.compose.run(&self.directory, &["-f", "compose.yaml", "up", "-d"])?;
        Ok(())
    }

    /// The ID of the image that the service runs.
    pub(crate) fn running_image(&self) -> Result<String> {
        let label = format!("label=com.docker.compose.project={}", self.project);
        let containers = docker(&["ps", "-q", "--no-trunc", "--filter", &label])?;
        let ids: Vec<&str> = containers.split_whitespace().collect();
        ensure!(ids.len() == 1, "{} containers of the service run, not one", ids.len());
        Ok(docker(&["inspect", "--format", "{{.Image}}", ids[0]])?.trim().to_owned())
    }

    /// Removes everything, one container at a time, going on after failures;
    /// gives what could not be removed.
    fn strike(&self) -> Vec<String> {
        let label = format!("label=com.docker.compose.project={}", self.project);
        // By image as well: what the daemon keeps images with has no label of
        // the project.
        let mut filters = vec![label.clone()];
        filters.extend(self.images.iter().map(|id| format!("ancestor={id}")));
        let mut left = Vec::new();
        let mut each = |list: &[&str], remove: &[&str]| match docker(list) {
            Ok(found) => {
                for id in found.split_whitespace() {
                    let removal: Vec<&str> = remove.iter().copied().chain([id]).collect();
                    left.extend(docker(&removal).err().map(|why| why.to_string()));
                }
            }
            Err(why) => left.push(why.to_string()),
        };
        for filter in &filters {
            each(&["ps", "-aq", "--filter", filter], &["rm", "-f", "-v"]);
        }
        each(&["network", "ls", "-q", "--filter", &label], &["network", "rm"]);
        each(&["volume", "ls", "-q", "--filter", &label], &["volume", "rm"]);
        for id in &self.images {
            left.extend(docker(&["rmi", "-f", id]).err().map(|why| why.to_string()));
        }
        left.extend(fs::remove_dir_all(&self.directory).err().map(|why| why.to_string()));
        left
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let left = self.strike();
        for what in &left {
            anstream::eprintln!("demo: could not be removed: {what}");
        }
        if left.is_empty() {
            anstream::println!("All that the demo made has been removed.");
        }
    }
}

/// Replaces texts, each of which must be there.
fn fill(template: &str, replacements: &[(&str, &str)]) -> Result<String> {
    let mut text = template.to_owned();
    for (old, new) in replacements {
        ensure!(text.contains(old), "the demo's configuration has no `{old}` any more");
        text = text.replace(old, new);
    }
    Ok(text)
}

/// A port that nobody uses at this moment.
fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}
