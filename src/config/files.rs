//! What Compose is told of a project: `dir`, `files`, `env_files`, `profiles`.
//! Whether they are there is asked live only: a project may be deployed later.

use std::path::{Path, PathBuf};

use super::{
    addresses,
    reader::Table,
    settings::ComposeFiles,
    values::{self, Value, Wrong},
};

/// Reads the four keys. `dir` is relative to the configuration; the others stay
/// as they are written, for they are relative to the project's own directory.
pub(super) fn read(table: &Table<'_>, dir: &Path) -> Option<ComposeFiles> {
    let own = table.read("dir", addresses::path("/srv/shop", dir)).maybe();
    let paths = |key, example: &'static str| {
        let path = |value: &Value<'_>| values::text(example)(value).map(PathBuf::from);
        table.read(key, values::list(path)).or(Vec::new())
    };
    let files = paths("files", "compose.yml");
    let env_files = paths("env_files", ".env");
    let profiles = table.read("profiles", values::list(profile)).or(Vec::new());
    Some(ComposeFiles { dir: own?, files: files?, env_files: env_files?, profiles: profiles? })
}

/// A profile's name, as Compose takes it.
fn profile(value: &Value<'_>) -> Result<String, Wrong> {
    let text = values::text("production")(value)?;
    let fits = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    if text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.chars().all(fits) {
        return Ok(text);
    }
    let hint = "write the names that your Compose files have under `profiles:`";
    Err(value.takes("names of profiles", hint))
}
