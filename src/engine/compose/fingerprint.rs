//! What makes a service the same service: image, configuration and number of
//! containers, and nothing that a restart, a health check or a recreation with
//! the same configuration changes.

use std::collections::BTreeMap;

use rollbackd_core::words::{ContainerId, Fingerprint, ServiceName};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::document::{is_anonymous, joined, text};
use crate::docker::container::Container;

/// The label under which Compose keeps its hash of a service's configuration.
const CONFIG_HASH: &str = "com.docker.compose.config-hash";

/// The fingerprint of a service that consists of these containers.
/// `services` names the service of every container that another may join.
pub(super) fn of_service(
    containers: &[&Container],
    services: &BTreeMap<ContainerId, ServiceName>,
) -> Fingerprint {
    let mut parts: Vec<String> = containers
        .iter()
        .map(|container| {
            let image = container.image_id.map_or_else(String::new, |id| id.to_string());
            let configuration = of_configuration(&container.document, services);
            format!("{} {image} {configuration}\n", container.number)
        })
        .collect();
    parts.sort();
    Fingerprint::new(&hex(&Sha256::digest(parts.concat()))[..32])
}

/// What stands for a container's configuration: Compose's own hash, or ours
/// where a container has none.
pub(super) fn of_configuration(
    document: &Value,
    services: &BTreeMap<ContainerId, ServiceName>,
) -> String {
    let label = &document["Config"]["Labels"][CONFIG_HASH];
    label.as_str().map_or_else(|| own_hash(document, services), str::to_owned)
}

/// A hash of `Config` and `HostConfig` without what the engine makes up anew
/// for each container: its host name, the names of anonymous volumes, and the
/// ID of a container that it joins (the joined service's name instead).
fn own_hash(document: &Value, services: &BTreeMap<ContainerId, ServiceName>) -> String {
    let mut config = document["Config"].clone();
    let mut host = document["HostConfig"].clone();
    if let Some(config) = config.as_object_mut() {
        let id = text(&document["Id"]);
        // The image is told apart by its ID, whatever it was called.
        config.remove("Image");
        if config.get("Hostname").is_some_and(|name| is_own_id(text(name), id)) {
            config.remove("Hostname");
        }
    }
    if let Some(host) = host.as_object_mut() {
        for mode in ["NetworkMode", "IpcMode", "PidMode"] {
            let Some(id) = host.get(mode).and_then(|mode| joined(text(mode))) else { continue };
            let service = services.get(id).map_or(id, ServiceName::as_str);
            host.insert(mode.to_owned(), Value::String(format!("service:{service}")));
            // The engine copies the host name of what is joined.
            if mode == "NetworkMode"
                && let Some(config) = config.as_object_mut()
            {
                config.remove("Hostname");
                config.remove("Domainname");
            }
        }
        without_anonymous_volumes(host);
    }
    // `serde_json` keeps the keys of an object sorted, so equal documents are
    // equal texts.
    hex(&Sha256::digest(format!("{config}\n{host}")))
}

fn without_anonymous_volumes(host: &mut Map<String, Value>) {
    let anonymous = |bind: &Value| text(bind).split(':').next().is_some_and(is_anonymous);
    if let Some(binds) = host.get_mut("Binds").and_then(Value::as_array_mut) {
        binds.retain(|bind| !anonymous(bind));
    }
    if let Some(mounts) = host.get_mut("Mounts").and_then(Value::as_array_mut) {
        mounts.retain(|mount| !is_anonymous(text(&mount["Source"])));
    }
    for list in ["Binds", "Mounts"] {
        if host.get(list).is_some_and(|list| list.is_null() || *list == Value::Array(Vec::new())) {
            host.remove(list);
        }
    }
}

/// Is this the host name that the engine made of the container's ID?
pub(super) fn is_own_id(name: &str, id: &str) -> bool {
    name.len() == 12 && id.starts_with(name)
}

/// Bytes as hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
