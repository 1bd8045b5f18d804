//! Reading an inspect document: the few places of it that the engine room
//! needs beyond what [`Container`] holds.

use rollbackd_core::words::ContainerId;
use serde_json::Value;

use crate::docker::container::Container;

/// A text, or nothing where there is none.
pub(super) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The elements of a list; none where there is no list.
pub(super) fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// Is this the name of a volume that the engine made up?
pub(super) fn is_anonymous(volume: &str) -> bool {
    volume.len() == 64 && volume.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The container whose namespace a mode (`container:<id>`) joins.
pub(super) fn joined(mode: &str) -> Option<&str> {
    mode.strip_prefix("container:")
}

/// The containers whose namespaces a document's container lives in; each once.
pub(super) fn joins(document: &Value) -> Vec<ContainerId> {
    let host = &document["HostConfig"];
    let modes = ["NetworkMode", "IpcMode", "PidMode"];
    let mut found: Vec<_> =
        modes.iter().filter_map(|mode| joined(text(&host[*mode]))).map(ContainerId::new).collect();
    found.sort();
    found.dedup();
    found
}

/// Every container that a document names by its ID: those it joins, and those
/// whose volumes it takes (`volumes_from`).
pub(super) fn names_containers(document: &Value) -> Vec<ContainerId> {
    let taken = list(&document["HostConfig"]["VolumesFrom"]);
    let taken = taken.iter().map(|from| ContainerId::new(volumes_from(text(from)).0));
    let mut found = joins(document);
    found.extend(taken);
    found.sort();
    found.dedup();
    found
}

/// A `VolumesFrom` entry: the container, and the mode after the colon.
pub(super) fn volumes_from(entry: &str) -> (&str, Option<&str>) {
    entry.split_once(':').map_or((entry, None), |(from, mode)| (from, Some(mode)))
}

/// The container's name in a document, without the leading slash.
pub(super) fn name(document: &Value) -> &str {
    text(&document["Name"]).trim_start_matches('/')
}

/// Does it mount a named volume?
pub(super) fn has_named_volume(document: &Value) -> bool {
    list(&document["Mounts"])
        .iter()
        .any(|mount| text(&mount["Type"]) == "volume" && !is_anonymous(text(&mount["Name"])))
}

/// A port of the host that a container wants for itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct HostPort {
    /// `tcp`, `udp` or `sctp`.
    pub(super) protocol: String,
    /// The address to bind; empty for every address.
    pub(super) address: String,
    /// The port.
    pub(super) port: u16,
}

/// The ports of the host that a document asks for by number. A port that the
/// engine may choose is always free and not among them.
pub(super) fn host_ports(document: &Value) -> Vec<HostPort> {
    let Some(bindings) = document["HostConfig"]["PortBindings"].as_object() else {
        return Vec::new();
    };
    let mut ports = Vec::new();
    for (inner, bindings) in bindings {
        let protocol = inner.split_once('/').map_or("tcp", |(_, protocol)| protocol);
        for binding in list(bindings) {
            if let Ok(port @ 1..) = text(&binding["HostPort"]).parse() {
                let address = match text(&binding["HostIp"]) {
                    "0.0.0.0" | "::" => "",
                    address => address,
                };
                let (protocol, address) = (protocol.to_owned(), address.to_owned());
                ports.push(HostPort { protocol, address, port });
            }
        }
    }
    ports.sort();
    ports.dedup();
    ports
}

/// Does it publish any port on the host?
pub(super) fn publishes(document: &Value) -> bool {
    document["HostConfig"]["PortBindings"].as_object().is_some_and(|ports| !ports.is_empty())
}

/// A container that ran to its end with 0 and that nothing starts again.
pub(super) fn is_one_shot(container: &Container) -> bool {
    use rollbackd_core::revision::ContainerState;
    container.state == ContainerState::Exited(0) && !container.restarts_always
}

/// The word of its restart policy; `no` where there is none.
pub(super) fn restart_policy(document: &Value) -> &str {
    match text(&document["HostConfig"]["RestartPolicy"]["Name"]) {
        "" => "no",
        policy => policy,
    }
}

/// The addresses in its networks that somebody gave it by hand.
pub(super) fn fixed_addresses(document: &Value) -> Vec<&str> {
    let networks = document["NetworkSettings"]["Networks"].as_object().into_iter().flatten();
    networks
        .flat_map(|(_, network)| {
            let asked = &network["IPAMConfig"];
            [text(&asked["IPv4Address"]), text(&asked["IPv6Address"])]
        })
        .filter(|address| !address.is_empty())
        .collect()
}
