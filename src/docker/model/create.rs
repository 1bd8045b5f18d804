//! How the model makes a container: the body of a create, what the image adds
//! to it, the volumes it gets, and all the fields that the engine fills in.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{
    network::Endpoint,
    world::{Made, Refusal, Status, World},
};

impl World {
    pub(super) fn create(&mut self, name: &str, body: &Value) -> Result<String, Refusal> {
        let reference = body["Image"].as_str().unwrap_or_default();
        let image = self.find_image(reference)?;
        let (image_id, from_image) = (image.id, image.config.clone());
        self.name_is_free(name)?;
        let host = host_config(&body["HostConfig"]);
        let id = self.identity();
        let config = config(body, &from_image, &id);
        if program(&config).is_empty() {
            return Err((400, "No command specified".to_owned()));
        }
        let mounts = self.mounts(&config, &host);
        let endpoints = endpoints(&host, &body["NetworkingConfig"]["EndpointsConfig"]);
        let created = self.date();
        self.containers.push(Made {
            id: id.clone(),
            name: name.to_owned(),
            created,
            image: image_id,
            config,
            host,
            endpoints,
            mounts,
            bound: Vec::new(),
            status: Status::Created,
            exit_code: 0,
            error: String::new(),
            oom: false,
            started: None,
            finished: None,
            restarts: 0,
            stopped_by_hand: false,
            health: None,
            used: (0, 1 << 20),
        });
        self.tell(self.containers.len() - 1, "create", &[]);
        Ok(id)
    }

    /// The mounts of binds, of mounts, and of declared volumes where nothing
    /// else is mounted.
    fn mounts(&mut self, config: &Value, host: &Value) -> Vec<Value> {
        let mut mounts: Vec<Value> = Vec::new();
        for bind in texts(&host["Binds"]) {
            let mut parts = bind.splitn(3, ':');
            let source = parts.next().unwrap_or_default();
            let target = parts.next().unwrap_or_default();
            let mode = parts.next().unwrap_or_default();
            let writable = !mode.split(',').any(|word| word == "ro");
            mounts.push(if source.starts_with('/') {
                bind_mount(source, target, mode, writable)
            } else {
                let mode = if mode.is_empty() { "z" } else { mode };
                self.volume_mount(source, target, mode, writable)
            });
        }
        for mount in host["Mounts"].as_array().into_iter().flatten() {
            let text = |field: &str| mount[field].as_str().unwrap_or_default();
            let writable = mount["ReadOnly"] != true;
            let made = match text("Type") {
                "volume" => self.volume_mount(text("Source"), text("Target"), "z", writable),
                _ => bind_mount(text("Source"), text("Target"), "", writable),
            };
            mounts.push(made);
        }
        for (target, _) in config["Volumes"].as_object().into_iter().flatten() {
            if !mounts.iter().any(|mount| mount["Destination"] == **target) {
                let mount = self.volume_mount("", target, "", true);
                mounts.push(mount);
            }
        }
        mounts
    }

    /// A volume's mount; an empty name makes an anonymous one.
    fn volume_mount(&mut self, name: &str, target: &str, mode: &str, writable: bool) -> Value {
        let name = if name.is_empty() { self.identity() } else { name.to_owned() };
        self.volumes.insert(name.clone());
        json!({ "Type": "volume", "Name": name, "Destination": target, "Driver": "local",
            "Source": format!("/var/lib/docker/volumes/{name}/_data"), "Mode": mode,
            "RW": writable, "Propagation": "" })
    }
}

impl Made {
    /// What is executed: entrypoint and command.
    pub(super) fn program(&self) -> Vec<String> {
        program(&self.config)
    }
}

fn program(config: &Value) -> Vec<String> {
    [texts(&config["Entrypoint"]), texts(&config["Cmd"])].concat()
}

fn texts(list: &Value) -> Vec<String> {
    let list = list.as_array().into_iter().flatten();
    list.filter_map(|text| Some(text.as_str()?.to_owned())).collect()
}

fn bind_mount(source: &str, target: &str, mode: &str, writable: bool) -> Value {
    json!({ "Type": "bind", "Source": source, "Destination": target, "Mode": mode,
        "RW": writable, "Propagation": "rprivate" })
}

/// The container's configuration, with what its image adds (the engine's own
/// rules: `runconfig` and `daemon/commit.go`, `merge`).
fn config(body: &Value, image: &Value, id: &str) -> Value {
    let mut config = json!({
        "Hostname": &id[..12], "Domainname": "", "User": "", "AttachStdin": false,
        "AttachStdout": false, "AttachStderr": false, "Tty": false, "OpenStdin": false,
        "StdinOnce": false, "Env": null, "Cmd": null, "Image": "", "Volumes": null,
        "WorkingDir": "", "Entrypoint": null, "OnBuild": null, "Labels": {},
    });
    let own = body.as_object().into_iter().flatten();
    for (name, value) in own.filter(|(name, _)| !is_elsewhere(name)) {
        let is_empty = value.is_null() || *value == "";
        if !(is_empty && matches!(name.as_str(), "Hostname" | "Labels" | "Healthcheck")) {
            config[name] = value.clone();
        }
    }
    let has_entrypoint = !texts(&config["Entrypoint"]).is_empty();
    if !has_entrypoint {
        if texts(&config["Cmd"]).is_empty() {
            config["Cmd"] = image["Cmd"].clone();
        }
        config["Entrypoint"] = image["Entrypoint"].clone();
    }
    for field in ["User", "WorkingDir"] {
        if config[field] == "" {
            config[field] = image[field].clone();
        }
    }
    if config["Healthcheck"]["Test"].is_null() && !image["Healthcheck"].is_null() {
        config["Healthcheck"] = image["Healthcheck"].clone();
    }
    config["Env"] = environment(&config["Env"], &image["Env"]);
    for field in ["Labels", "Volumes", "ExposedPorts"] {
        if let Some(joined) = joined(&image[field], &config[field]) {
            config[field] = joined;
        }
    }
    config
}

fn is_elsewhere(field: &str) -> bool {
    matches!(field, "HostConfig" | "NetworkingConfig")
}

/// The container's variables, then the image's that it does not set.
fn environment(own: &Value, image: &Value) -> Value {
    let name = |variable: &String| variable.split('=').next().unwrap_or_default().to_owned();
    let mut all = texts(own);
    let set: Vec<String> = all.iter().map(name).collect();
    all.extend(texts(image).into_iter().filter(|variable| !set.contains(&name(variable))));
    if all.is_empty() { own.clone() } else { json!(all) }
}

/// Both objects in one, the second winning; `None` when neither is one.
fn joined(first: &Value, second: &Value) -> Option<Value> {
    if !first.is_object() && !second.is_object() {
        return None;
    }
    let mut all: Map<String, Value> = first.as_object().cloned().unwrap_or_default();
    all.extend(second.as_object().cloned().unwrap_or_default());
    Some(Value::Object(all))
}

/// The host's part of the configuration, with the defaults of Engine 20.10.
fn host_config(own: &Value) -> Value {
    let mut host = json!({
        "AutoRemove": false, "Binds": null, "BlkioWeight": 0, "CapAdd": null, "CapDrop": null,
        "Cgroup": "", "CgroupParent": "", "CgroupnsMode": "host", "ContainerIDFile": "",
        "CpuPeriod": 0, "CpuQuota": 0, "CpuShares": 0, "Dns": [], "DnsOptions": [],
        "DnsSearch": [], "ExtraHosts": null, "GroupAdd": null, "IpcMode": "private",
        "Links": null, "LogConfig": { "Type": "json-file", "Config": {} }, "Memory": 0,
        "MemoryReservation": 0, "MemorySwap": 0, "NanoCpus": 0, "NetworkMode": "default",
        "OomScoreAdj": 0, "PidMode": "", "PidsLimit": null, "PortBindings": {},
        "Privileged": false, "PublishAllPorts": false, "ReadonlyRootfs": false,
        "RestartPolicy": { "Name": "no", "MaximumRetryCount": 0 }, "Runtime": "runc",
        "SecurityOpt": null, "ShmSize": 67_108_864, "UTSMode": "", "Ulimits": [],
        "UsernsMode": "", "VolumeDriver": "", "VolumesFrom": null,
    });
    for (name, value) in own.as_object().into_iter().flatten() {
        let unset = value.is_null() || *value == "" || (name == "ShmSize" && *value == 0);
        if !unset {
            host[name] = value.clone();
        }
    }
    if host["RestartPolicy"]["Name"] == "" || host["RestartPolicy"]["Name"].is_null() {
        host["RestartPolicy"]["Name"] = "no".into();
    }
    if host["RestartPolicy"]["MaximumRetryCount"].is_null() {
        host["RestartPolicy"]["MaximumRetryCount"] = 0.into();
    }
    if host["Memory"] != 0 && host["MemorySwap"] == 0 {
        host["MemorySwap"] = (host["Memory"].as_u64().unwrap_or(0) * 2).into();
    }
    host
}

/// The networks of a new container: the one of its mode, and those named.
fn endpoints(host: &Value, named: &Value) -> BTreeMap<String, Endpoint> {
    let mode = host["NetworkMode"].as_str().unwrap_or("default");
    let first = if mode == "default" { "bridge" } else { mode };
    if first.starts_with("container:") {
        return BTreeMap::new();
    }
    let mut endpoints: BTreeMap<String, Endpoint> = named
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, settings)| (name.clone(), Endpoint::read(settings)))
        .collect();
    endpoints.entry(first.to_owned()).or_insert_with(|| Endpoint::read(&Value::Null));
    endpoints
}
