//! What Compose writes on a container, and what it means. Compose v1 and v2
//! differ in what they write; a label that is missing or odd is `None` or
//! empty, never an error.

use std::{collections::BTreeMap, path::PathBuf};

use rollbackd_core::words::{ImageId, ProjectName, ServiceName};
use serde_json::Value;

use super::container::Container;

/// The project.
pub const PROJECT: &str = "com.docker.compose.project";
/// The service.
pub const SERVICE: &str = "com.docker.compose.service";
/// The container's number among its service's.
pub const NUMBER: &str = "com.docker.compose.container-number";
/// `True` on what `docker compose run` made.
pub const ONE_OFF: &str = "com.docker.compose.oneoff";
/// Compose's hash of the service's configuration.
pub const CONFIG_HASH: &str = "com.docker.compose.config-hash";
/// `postgres:service_healthy:false,...`; v2 alone.
pub const DEPENDS_ON: &str = "com.docker.compose.depends_on";
/// The image's ID when the container was created; v2 alone.
pub const IMAGE: &str = "com.docker.compose.image";
/// The version of Compose.
pub const VERSION: &str = "com.docker.compose.version";
/// The project's own directory.
pub const WORKING_DIR: &str = "com.docker.compose.project.working_dir";
/// The Compose files, comma-separated; under v1 as they were typed.
pub const CONFIG_FILES: &str = "com.docker.compose.project.config_files";

/// What `--env-file` named, comma-separated; only where it was given.
pub const ENVIRONMENT_FILE: &str = "com.docker.compose.project.environment_file";

/// One word of [`DEPENDS_ON`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dependency {
    /// The service that is depended on.
    pub service: ServiceName,
    /// `service_started`, `service_healthy`, `service_completed_successfully`.
    pub condition: String,
    /// Restarted together with it.
    pub restart: bool,
}

impl Container {
    /// A label of any kind.
    #[must_use]
    pub fn label(&self, name: &str) -> Option<&str> {
        self.document["Config"]["Labels"][name].as_str()
    }

    /// All its labels, by name.
    #[must_use]
    pub fn labels(&self) -> BTreeMap<String, String> {
        strings(&self.document["Config"]["Labels"])
    }

    /// Compose's hash of the service's configuration. Under v1 it changes with
    /// the image too.
    #[must_use]
    pub fn config_hash(&self) -> Option<&str> {
        self.label(CONFIG_HASH).filter(|hash| !hash.is_empty())
    }

    /// The services it depends on, as Compose v2 wrote them down; empty under v1.
    #[must_use]
    pub fn depends_on(&self) -> Vec<Dependency> {
        self.label(DEPENDS_ON).map(dependencies).unwrap_or_default()
    }

    /// The image that Compose v2 says it was created from.
    #[must_use]
    pub fn compose_image(&self) -> Option<ImageId> {
        self.label(IMAGE)?.parse().ok()
    }

    /// What Compose wrote on it that belongs to one image alone: v2 names the
    /// image, v1's hash of the configuration contains it. Whoever creates a
    /// container anew with the labels of another copies it. `None` where there
    /// is no such label.
    #[must_use]
    pub fn image_mark(&self) -> Option<String> {
        if let Some(image) = self.label(IMAGE) {
            return Some(format!("image {image}"));
        }
        let is_v1 = self.label(VERSION).is_some_and(|version| version.starts_with("1."));
        self.config_hash().filter(|_| is_v1).map(|hash| format!("hash {hash}"))
    }

    /// The project's own directory.
    #[must_use]
    pub fn working_dir(&self) -> Option<PathBuf> {
        self.label(WORKING_DIR).map(PathBuf::from).filter(|path| path.is_absolute())
    }

    /// The Compose files it came from, absolute where that can be known.
    #[must_use]
    pub fn config_files(&self) -> Vec<PathBuf> {
        self.files_of(CONFIG_FILES)
    }

    /// The files with variables that Compose was given, likewise; empty where it
    /// was given none and read the project's own `.env`.
    #[must_use]
    pub fn environment_files(&self) -> Vec<PathBuf> {
        self.files_of(ENVIRONMENT_FILE)
    }

    /// The version of the Compose that made it, as `2.26.1`.
    #[must_use]
    pub fn compose_version(&self) -> Option<&str> {
        self.label(VERSION).map(|version| version.trim_start_matches('v'))
    }

    fn files_of(&self, label: &str) -> Vec<PathBuf> {
        let base = self.working_dir().unwrap_or_default();
        let files = self.label(label).unwrap_or_default();
        files.split(',').filter(|file| !file.is_empty()).map(|file| base.join(file)).collect()
    }
}

/// What the labels say of where a container belongs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) project: Option<ProjectName>,
    pub(super) service: Option<ServiceName>,
    pub(super) number: u32,
    pub(super) one_off: bool,
}

/// Reads the place from labels, or from the attributes of an event, which hold
/// all labels.
pub(super) fn place(labels: &Value) -> Place {
    let word = |name: &str| labels[name].as_str().filter(|word| !word.is_empty());
    Place {
        project: word(PROJECT).map(ProjectName::from),
        service: word(SERVICE).map(ServiceName::from),
        number: word(NUMBER).and_then(|number| number.parse().ok()).unwrap_or(1),
        one_off: word(ONE_OFF).is_some_and(|word| word.eq_ignore_ascii_case("true")),
    }
}

/// An object of texts, other values left out.
pub(super) fn strings(object: &Value) -> BTreeMap<String, String> {
    let entries = object.as_object().into_iter().flatten();
    entries.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))).collect()
}

fn dependencies(label: &str) -> Vec<Dependency> {
    let words = label.split(',').map(str::trim).filter(|word| !word.is_empty());
    words
        .map(|word| {
            let mut parts = word.splitn(3, ':');
            let service = ServiceName::from(parts.next().unwrap_or_default());
            let condition = parts.next().unwrap_or("service_started").to_owned();
            let restart = parts.next() == Some("true");
            Dependency { service, condition, restart }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::json;

    use super::*;

    fn labelled(labels: &Value) -> Container {
        Container::read(json!({ "Id": "a", "Config": { "Labels": labels } })).unwrap()
    }

    #[test]
    fn dependencies_are_read_as_compose_v2_writes_them() {
        let container = labelled(&json!({
            DEPENDS_ON: "postgres:service_healthy:false,migrate:service_completed_successfully:true,cache"
        }));
        let read: Vec<_> = container
            .depends_on()
            .into_iter()
            .map(|on| format!("{} {} {}", on.service, on.condition, on.restart))
            .collect();
        assert_eq!(
            read,
            [
                "postgres service_healthy false",
                "migrate service_completed_successfully true",
                "cache service_started false",
            ]
        );
    }

    #[test]
    fn nothing_written_is_nothing_known() {
        let container = labelled(&Value::Null);
        assert!(container.depends_on().is_empty());
        assert_eq!(container.config_hash(), None);
        assert_eq!(container.compose_image(), None);
        assert!(container.config_files().is_empty());
        assert_eq!(container.number, 1);
        assert!(!container.one_off);
    }

    #[test]
    fn files_that_compose_v1_wrote_as_typed_are_found_from_the_working_directory() {
        let container = labelled(&json!({
            WORKING_DIR: "/srv/shop", CONFIG_FILES: "compose.yml,/etc/shop/override.yml"
        }));
        let files = container.config_files();
        assert_eq!(
            files,
            [Path::new("/srv/shop/compose.yml"), Path::new("/etc/shop/override.yml")]
        );
    }

    #[test]
    fn what_belongs_to_one_image_alone_is_v2s_image_and_v1s_hash() {
        let mark = |labels: Value| labelled(&labels).image_mark();
        let v1 = json!({ CONFIG_HASH: "h", VERSION: "1.29.2" });
        assert_eq!(mark(v1).as_deref(), Some("hash h"));
        let v2 = json!({ CONFIG_HASH: "h", VERSION: "2.26.1", IMAGE: "sha256:1" });
        assert_eq!(mark(v2).as_deref(), Some("image sha256:1"));
        // Under v2 the hash is of the configuration alone.
        assert_eq!(mark(json!({ CONFIG_HASH: "h", VERSION: "2.14.0" })), None);
        assert_eq!(mark(Value::Null), None);
    }

    #[test]
    fn a_container_of_compose_run_is_one_off() {
        assert!(labelled(&json!({ ONE_OFF: "True" })).one_off);
        assert!(!labelled(&json!({ ONE_OFF: "False" })).one_off);
    }
}
