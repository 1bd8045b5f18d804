//! The few arguments of the demo: where the built programs and its files are.

use std::{ffi::OsString, path::PathBuf};

/// Where everything is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Arguments {
    /// The `rollbackd` program.
    pub(crate) rollbackd: PathBuf,
    /// The shop, a static program.
    pub(crate) shop: PathBuf,
    /// The daemon's configuration.
    pub(crate) config: PathBuf,
    /// The project's Compose file.
    pub(crate) compose_file: PathBuf,
}

impl Arguments {
    /// Reads `--rollbackd FILE --shop FILE [--config FILE] [--compose-file FILE]`.
    pub(crate) fn read(words: impl Iterator<Item = OsString>) -> Result<Self, String> {
        let mut read = Self {
            rollbackd: PathBuf::new(),
            shop: PathBuf::new(),
            config: "config/demo.toml".into(),
            compose_file: "demo/compose.yaml".into(),
        };
        let mut words = words;
        while let Some(word) = words.next() {
            let place = match word.to_str() {
                Some("--rollbackd") => &mut read.rollbackd,
                Some("--shop") => &mut read.shop,
                Some("--config") => &mut read.config,
                Some("--compose-file") => &mut read.compose_file,
                _ => return Err(format!("unknown argument {}: run `make demo`", word.display())),
            };
            *place = words.next().ok_or_else(|| format!("{} needs a file", word.display()))?.into();
        }
        for (name, path) in [
            ("--rollbackd", &mut read.rollbackd),
            ("--shop", &mut read.shop),
            ("--config", &mut read.config),
            ("--compose-file", &mut read.compose_file),
        ] {
            // Absolute: the daemon is started in another directory.
            let found = path.canonicalize().ok().filter(|path| path.is_file());
            *path = found.ok_or_else(|| {
                format!("{name}: there is no file `{}`: run `make demo`", path.display())
            })?;
        }
        Ok(read)
    }
}
