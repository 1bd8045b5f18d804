//! From a recorded container to the request that creates it again, exactly as
//! it ran. Pure; every rule here was measured (`docker.md`, "Exactly as it
//! ran") or is a check of the engine's own that a copied document would fail.

use std::collections::BTreeMap;

use rollbackd_core::words::{ContainerId, ImageId};
use serde_json::{Map, Value, json};

use super::{
    document::{self, is_anonymous, list, text},
    fingerprint::is_own_id,
    names,
};

/// What a container is created from. Not `Debug`, for it holds environments.
#[derive(Clone, Copy)]
pub(super) struct Original<'a> {
    /// The recorded inspect document.
    pub(super) record: &'a Value,
    /// The inspect document of what runs in its place now, whose anonymous
    /// volumes hold today's data.
    pub(super) present: Option<&'a Value>,
    /// The containers that the record names by ID and what takes their place.
    pub(super) successors: &'a BTreeMap<ContainerId, ContainerId>,
    /// The image that shall run.
    pub(super) image: ImageId,
    /// The image that the recorded reference names now.
    pub(super) named_now: Option<ImageId>,
}

/// A request to create a container. Not `Debug`, for it holds an environment.
#[derive(Clone, PartialEq)]
pub(super) struct Replica {
    /// The name it shall have in the end.
    pub(super) name: String,
    /// The body of `POST /containers/create`.
    pub(super) body: Value,
    /// The further networks to connect it to before it starts, with the
    /// endpoint's settings.
    pub(super) networks: Vec<(String, Value)>,
}

impl Original<'_> {
    /// The request.
    pub(super) fn replica(&self) -> Replica {
        let host = self.host_config();
        let mut config = self.config(&host);
        let mode = text(&host["NetworkMode"]).to_owned();
        let mut networks = self.networks();
        // The first network is the one that the mode names; a container that
        // joins another, or the host, has none of its own.
        let own = document::joined(&mode).is_none() && mode != "host" && mode != "none";
        let first = networks.iter().position(|(name, _)| *name == mode);
        if !own {
            networks.clear();
        } else if let Some(first) = first {
            let (name, endpoint) = networks.remove(first);
            config.insert(
                "NetworkingConfig".to_owned(),
                json!({ "EndpointsConfig": { name: endpoint } }),
            );
        } else if mode == "default" {
            // The engine itself connects to `bridge`.
            networks.retain(|(name, _)| name != "bridge");
        }
        config.insert("HostConfig".to_owned(), Value::Object(host));
        Replica {
            name: own_name(document::name(self.record)).to_owned(),
            body: Value::Object(config),
            networks,
        }
    }

    fn config(&self, host: &Map<String, Value>) -> Map<String, Value> {
        let mut config = object(&self.record["Config"]);
        let recorded = text(&config["Image"]).to_owned();
        let by_name = !recorded.is_empty() && self.named_now == Some(self.image);
        let image = if by_name { recorded } else { self.image.to_string() };
        config.insert("Image".to_owned(), Value::String(image));
        let id = text(&self.record["Id"]);
        let generated = config.get("Hostname").is_some_and(|name| is_own_id(text(name), id));
        let mode = host.get("NetworkMode").map_or("", text);
        let joins = document::joined(mode).is_some();
        let uts_of_host = host.get("UTSMode").is_some_and(|mode| text(mode) == "host");
        if generated || joins || uts_of_host {
            config.insert("Hostname".to_owned(), Value::String(String::new()));
        }
        if joins {
            // The engine copied the names from what is joined, took the exposed
            // ports from the image, and refuses a request that states them.
            config.insert("Domainname".to_owned(), Value::String(String::new()));
            config.remove("ExposedPorts");
            config.remove("MacAddress");
        }
        config
    }

    fn host_config(&self) -> Map<String, Value> {
        let mut host = object(&self.record["HostConfig"]);
        for mode in ["NetworkMode", "IpcMode", "PidMode"] {
            if let Some(id) = host.get(mode).and_then(|mode| document::joined(text(mode))) {
                let joined = format!("container:{}", self.successor(id));
                host.insert(mode.to_owned(), Value::String(joined));
            }
        }
        if let Some(taken) = host.get_mut("VolumesFrom").and_then(Value::as_array_mut) {
            for entry in taken {
                let (id, mode) = document::volumes_from(text(entry));
                let mode = mode.map_or_else(String::new, |mode| format!(":{mode}"));
                *entry = Value::String(format!("{}{mode}", self.successor(id)));
            }
        }
        if let Some(links) = host.get_mut("Links").and_then(Value::as_array_mut) {
            for link in links {
                *link = Value::String(link_as_requested(text(link)));
            }
        }
        self.bind_anonymous_volumes(&mut host);
        host
    }

    fn successor<'b>(&'b self, id: &'b str) -> &'b str {
        self.successors.get(id).map_or(id, ContainerId::as_str)
    }

    /// Anonymous volumes are the data of what runs now: they are bound by name
    /// (as Compose v2 does), so the replacement finds its data and removing the
    /// old container does not remove them.
    fn bind_anonymous_volumes(&self, host: &mut Map<String, Value>) {
        let recorded = list(&self.record["Mounts"]);
        let mut binds: Vec<Value> = list(host.get("Binds").unwrap_or(&Value::Null)).to_vec();
        let mut mounts: Vec<Value> = list(host.get("Mounts").unwrap_or(&Value::Null)).to_vec();
        let mut added = false;
        for mount in recorded.iter().filter(|mount| is_anonymous_volume(mount)) {
            let at = text(&mount["Destination"]);
            // One taken from another container comes from there again.
            if self.comes_from_another(mount, host) {
                continue;
            }
            let volume = self.volume_at(at).unwrap_or_else(|| text(&mount["Name"]));
            if let Some(mount) = mounts.iter_mut().find(|mount| text(&mount["Target"]) == at) {
                mount["Source"] = Value::String(volume.to_owned());
                continue;
            }
            let mode = text(&mount["Mode"]);
            let mode = match (mode, mount["RW"].as_bool()) {
                ("" | "z" | "Z", Some(false)) => "ro",
                ("", _) => "rw",
                (mode, _) => mode,
            };
            binds.retain(|bind| text(bind).split(':').nth(1) != Some(at));
            binds.push(Value::String(format!("{volume}:{at}:{mode}")));
            added = true;
        }
        if added {
            host.insert("Binds".to_owned(), Value::Array(binds));
        }
        if !mounts.is_empty() {
            host.insert("Mounts".to_owned(), Value::Array(mounts));
        }
    }

    /// The volume that what runs now has at a place.
    fn volume_at(&self, place: &str) -> Option<&str> {
        let at =
            |mount: &&Value| text(&mount["Destination"]) == place && is_anonymous_volume(mount);
        list(&self.present?["Mounts"]).iter().find(at).map(|mount| text(&mount["Name"]))
    }

    /// Is the volume there only because of `volumes_from`? Such a place is
    /// neither declared by the configuration nor bound or mounted.
    fn comes_from_another(&self, mount: &Value, host: &Map<String, Value>) -> bool {
        let at = text(&mount["Destination"]);
        let some = |key: &str| host.get(key).map_or(&[][..], list);
        let bound = some("Binds").iter().any(|bind| text(bind).split(':').nth(1) == Some(at));
        let mounted = some("Mounts").iter().any(|mount| text(&mount["Target"]) == at);
        let declared = self.record["Config"]["Volumes"].get(at).is_some();
        !some("VolumesFrom").is_empty() && !bound && !mounted && !declared
    }

    /// The record's networks with the settings that somebody asked for, the
    /// engine's own doing (addresses, gateways, its name by ID) left out.
    fn networks(&self) -> Vec<(String, Value)> {
        let id = text(&self.record["Id"]);
        let fixed_mac = text(&self.record["Config"]["MacAddress"]);
        let Some(networks) = self.record["NetworkSettings"]["Networks"].as_object() else {
            return Vec::new();
        };
        let endpoint =
            |(name, was): (&String, &Value)| (name.clone(), endpoint(was, id, fixed_mac));
        networks.iter().map(endpoint).collect()
    }
}

/// A record that was taken in the middle of a rollback tells the name of then.
fn own_name(name: &str) -> &str {
    names::parse(name).map_or(name, |marked| marked.base)
}

fn endpoint(was: &Value, id: &str, fixed_mac: &str) -> Value {
    let mut endpoint = Map::new();
    let aliases: Vec<_> =
        list(&was["Aliases"]).iter().filter(|alias| !is_own_id(text(alias), id)).cloned().collect();
    if !aliases.is_empty() {
        endpoint.insert("Aliases".to_owned(), Value::Array(aliases));
    }
    for kept in ["Links", "DriverOpts", "GwPriority"] {
        if let Some(value) = was.get(kept).filter(|value| !value.is_null()) {
            endpoint.insert(kept.to_owned(), value.clone());
        }
    }
    // What was asked for is here; what the engine chose is beside it.
    if let Some(asked) = was.get("IPAMConfig").filter(|asked| !asked.is_null()) {
        endpoint.insert("IPAMConfig".to_owned(), asked.clone());
    }
    let mac = text(&was["MacAddress"]);
    if !mac.is_empty() && (mac == fixed_mac || !is_generated(mac)) {
        endpoint.insert("MacAddress".to_owned(), Value::String(mac.to_owned()));
    }
    Value::Object(endpoint)
}

/// A locally administered address is one that the engine made up.
fn is_generated(mac: &str) -> bool {
    mac.get(..2)
        .and_then(|first| u8::from_str_radix(first, 16).ok())
        .is_none_or(|first| first & 2 != 0)
}

fn is_anonymous_volume(mount: &Value) -> bool {
    text(&mount["Type"]) == "volume" && is_anonymous(text(&mount["Name"]))
}

/// `/shop_db_1:/shop_web_1/db`, as inspect tells it, is asked for as
/// `shop_db_1:db`.
fn link_as_requested(link: &str) -> String {
    let (other, alias) = link.split_once(':').unwrap_or((link, link));
    let alias = alias.rsplit('/').next().unwrap_or(alias);
    format!("{}:{alias}", other.trim_start_matches('/'))
}

fn object(value: &Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap_or_default()
}

#[cfg(test)]
#[path = "replica_tests.rs"]
mod tests;
