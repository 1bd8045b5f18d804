//! The documents that the model answers with, in the shape of Engine 20.10.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    image::Built,
    world::{Made, Status, World},
};

/// The host of the model: cores and bytes of memory.
const CORES: u64 = 2;
const MEMORY: u64 = 8 << 30;

/// What the engine says of a time that has not been.
const NEVER: &str = "0001-01-01T00:00:00Z";

fn time(at: Option<Timestamp>) -> String {
    at.map_or_else(|| NEVER.to_owned(), |at| format!("{at:.9}"))
}

impl World {
    pub(super) fn inspect(&self, made: &Made) -> Value {
        let words = made.program();
        let (path, arguments) =
            words.split_first().map_or(("", &[][..]), |(path, rest)| (path, rest));
        json!({
            "Id": made.id, "Created": time(Some(made.created)), "Path": path, "Args": arguments,
            "State": state(made), "Image": made.image.to_string(),
            "Name": format!("/{}", made.name), "RestartCount": made.restarts,
            "Driver": "overlay2", "Platform": "linux", "ExecIDs": null,
            "HostConfig": made.host, "Mounts": made.mounts, "Config": made.config,
            "NetworkSettings": { "Ports": made.ports(), "Networks": made.networks(),
                "SandboxID": "", "SandboxKey": "" },
        })
    }

    /// The list of containers, newest first, as the engine gives it.
    pub(super) fn list(&self, label: Option<&str>) -> Value {
        let wanted = label.map(|label| label.split_once('=').unwrap_or((label, "")));
        let matches =
            |made: &&Made| wanted.is_none_or(|(name, value)| made.config["Labels"][name] == value);
        let entry = |made: &Made| {
            json!({ "Id": made.id, "Names": [format!("/{}", made.name)],
                "Image": made.config["Image"], "ImageID": made.image.to_string(),
                "Labels": made.config["Labels"], "State": word(made.status) })
        };
        self.containers.iter().rev().filter(matches).map(entry).collect()
    }

    pub(super) fn stats(&self, made: &Made) -> Value {
        if made.status != Status::Running {
            return json!({ "read": NEVER, "id": made.id, "cpu_stats": {}, "memory_stats": {} });
        }
        let limit = made.host["Memory"].as_u64().filter(|limit| *limit > 0).unwrap_or(MEMORY);
        let (cpu, memory) = made.used;
        json!({
            "read": time(Some(self.clock.wall())), "id": made.id,
            "cpu_stats": { "cpu_usage": { "total_usage": cpu }, "online_cpus": CORES },
            "memory_stats": { "usage": memory, "limit": limit, "stats": { "inactive_file": 0 } },
        })
    }
}

pub(super) fn image(image: &Built) -> Value {
    json!({
        "Id": image.id.to_string(), "RepoTags": image.tags, "RepoDigests": image.digests,
        "Created": time(Some(image.created)), "Config": image.config,
        "Architecture": "amd64", "Os": "linux", "Size": 1 << 20,
    })
}

fn word(status: Status) -> &'static str {
    match status {
        Status::Created => "created",
        Status::Running => "running",
        Status::Restarting => "restarting",
        Status::Exited => "exited",
    }
}

fn state(made: &Made) -> Value {
    let mut state = json!({
        "Status": word(made.status), "Running": made.is_up(), "Paused": false,
        "Restarting": made.status == Status::Restarting, "OOMKilled": made.oom, "Dead": false,
        "Pid": u32::from(made.status == Status::Running) * 4242, "ExitCode": made.exit_code,
        "Error": made.error, "StartedAt": time(made.started), "FinishedAt": time(made.finished),
    });
    if let Some((healthy, streak)) = made.health {
        let status = if healthy { "healthy" } else { "unhealthy" };
        state["Health"] = json!({ "Status": status, "FailingStreak": streak, "Log": [] });
    }
    state
}
