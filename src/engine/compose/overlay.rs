//! The file that gives one service another image, where a tag must not be moved
//! for it: shared with others, a version, a digest. It stays for as long as a
//! container names it, so that Compose finds what it was deployed from.

use std::{
    fs::{self, DirBuilder, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use rollbackd_core::words::ServiceName;
use serde_json::{Map, Value, json};

use super::{Errand, setup::Setup};
use crate::{docker::container::Container, engine::error::EngineError};

/// Where these files are.
pub(super) fn folder(state_dir: &Path) -> PathBuf {
    state_dir.join("compose")
}

/// Writes the file that gives a service an image; its path. Others may not read
/// it, as all of the state directory.
pub(super) fn write(
    state_dir: &Path,
    errand: Errand<'_>,
    service: &ServiceName,
    image: &str,
    version: Option<&str>,
) -> Result<PathBuf, EngineError> {
    let name = format!("{}{}.yml", prefix(errand, service), errand.incident);
    put(state_dir, &name, &content(service, image, version))
}

/// Writes a project's resolved configuration, with the secrets that are in it.
pub(super) fn write_whole(
    state_dir: &Path,
    name: &str,
    content: &str,
) -> Result<PathBuf, EngineError> {
    put(state_dir, &format!("{name}.json"), content)
}

fn put(state_dir: &Path, name: &str, content: &str) -> Result<PathBuf, EngineError> {
    let folder = folder(state_dir);
    let path = folder.join(name);
    let wrong = |source: io::Error| EngineError::File { path: path.display().to_string(), source };
    DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(wrong)?;
    let fresh = folder.join(format!("{name}.new"));
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&fresh)
        .map_err(wrong)?;
    file.write_all(content.as_bytes()).map_err(wrong)?;
    file.sync_all().map_err(wrong)?;
    fs::rename(&fresh, &path).map_err(wrong)?;
    Ok(path)
}

/// Removes those of a service that no container names any more.
pub(super) fn tidy(
    state_dir: &Path,
    errand: Errand<'_>,
    service: &ServiceName,
    containers: &[Container],
) {
    let used: Vec<PathBuf> = containers.iter().flat_map(Container::config_files).collect();
    let prefix = prefix(errand, service);
    let entries = fs::read_dir(folder(state_dir)).into_iter().flatten().flatten();
    for path in entries.map(|entry| entry.path()) {
        let rest = path.file_name().and_then(|name| name.to_str()?.strip_prefix(&prefix));
        let own = rest.is_some_and(|rest| rest.trim_end_matches(".yml").parse::<u64>().is_ok());
        if own && !used.contains(&path) {
            // One that stays takes a few bytes and is looked at again next time.
            let _ = fs::remove_file(&path);
        }
    }
}

fn prefix(errand: Errand<'_>, service: &ServiceName) -> String {
    format!("{}.{service}.", errand.project)
}

/// JSON is YAML, and quotes whatever an image may be called.
fn content(service: &ServiceName, image: &str, version: Option<&str>) -> String {
    let services = json!({ service.as_str(): { "image": image } });
    let mut file = Map::new();
    if let Some(version) = version {
        file.insert("version".to_owned(), Value::String(version.to_owned()));
    }
    file.insert("services".to_owned(), services);
    let head =
        "# Made by rollbackd for a rollback to an image. It is removed when nothing runs by it.";
    format!("{head}\n{:#}\n", Value::Object(file))
}

/// The version that Compose v1 wants all files of a project to state alike.
pub(super) fn version(setup: &Setup) -> Option<String> {
    let text = fs::read_to_string(setup.files.first()?).ok()?;
    let stated = text.lines().find_map(|line| line.strip_prefix("version:"))?;
    let stated = stated.split('#').next()?.trim().trim_matches(['"', '\'']);
    (!stated.is_empty()).then(|| stated.to_owned())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use rollbackd_core::words::{IncidentId, ProjectName};

    use super::*;
    use crate::docker::labels;

    #[test]
    fn it_is_for_its_owner_alone_and_goes_when_nothing_names_it() {
        let state = tempfile::tempdir().unwrap();
        let shop = ProjectName::new("shop");
        let web = ServiceName::new("web");
        let errand = |number| Errand { project: &shop, incident: IncidentId(number) };
        let first = write(state.path(), errand(7), &web, "shop@sha256:0a", None).unwrap();
        assert_eq!(first.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        let text = fs::read_to_string(&first).unwrap();
        assert!(text.contains("\"image\": \"shop@sha256:0a\"") && !text.contains("version"));
        let second = write(state.path(), errand(8), &web, "shop:1", Some("2.4")).unwrap();
        assert!(fs::read_to_string(&second).unwrap().contains("\"version\": \"2.4\""));
        let other = write(state.path(), errand(8), &"web.2".into(), "shop:1", None).unwrap();
        let files = format!("/srv/compose.yml,{}", second.display());
        let labels = json!({ labels::CONFIG_FILES: files });
        let runs = Container::read(json!({ "Id": "a", "Config": { "Labels": labels } })).unwrap();
        tidy(state.path(), errand(8), &web, &[runs]);
        assert!(!first.exists() && second.exists() && other.exists());
    }
}
