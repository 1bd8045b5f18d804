//! A container as the engine describes it, read leniently: a word this version
//! does not know is a missing reading, never a failure of the whole answer.

use std::{fmt, net::IpAddr, time::Duration};

use jiff::Timestamp;
use rollbackd_core::{
    revision::{ContainerState, Health},
    words::{ContainerId, ImageId, ProjectName, ServiceName},
};
use serde_json::Value;

use super::{
    error::DockerError,
    labels::{Place, place},
};

/// How long the engine waits after SIGTERM where nobody said otherwise.
const STOP_TIMEOUT: i64 = 10;

/// A container, from its inspect document.
#[derive(Clone, PartialEq)]
pub struct Container {
    /// Its identity.
    pub id: ContainerId,
    /// Its name, without the leading slash.
    pub name: String,
    /// The Compose project of its labels.
    pub project: Option<ProjectName>,
    /// The Compose service of its labels.
    pub service: Option<ServiceName>,
    /// Its number among the service's containers; 1 where the label is missing.
    pub number: u32,
    /// Made by `docker compose run`.
    pub one_off: bool,
    /// The image it runs; `None` where the engine says what is no digest.
    pub image_id: Option<ImageId>,
    /// The reference it was created by.
    pub image: String,
    /// What it is doing.
    pub state: ContainerState,
    /// The code of its last exit.
    pub exit_code: i64,
    /// Its last exit was a kill for memory.
    pub oom_killed: bool,
    /// What its health check says.
    pub health: Health,
    /// How many health checks in a row have failed.
    pub failing_streak: u32,
    /// How often its restart policy restarted it.
    pub restarts: u64,
    /// Its restart policy restarts it after an exit with code 0.
    pub restarts_always: bool,
    /// When it was created.
    pub created: Option<Timestamp>,
    /// When it last started.
    pub started: Option<Timestamp>,
    /// When it last ended.
    pub finished: Option<Timestamp>,
    /// Its addresses in its networks, in the networks' order.
    pub addresses: Vec<IpAddr>,
    /// The whole document, exactly as the engine gave it.
    pub document: Value,
}

impl Container {
    /// Reads an inspect document. Lenient: what is missing or odd is read as
    /// not known; only a document without an ID is an error.
    ///
    /// # Errors
    /// [`DockerError::Unreadable`] without an ID.
    pub fn read(document: Value) -> Result<Self, DockerError> {
        let Some(id) = document["Id"].as_str() else {
            let why = "a container without an ID".to_owned();
            return Err(DockerError::Unreadable { call: "docker.container", why });
        };
        let (config, state) = (&document["Config"], &document["State"]);
        let Place { project, service, number, one_off } = place(&config["Labels"]);
        let exit_code = state["ExitCode"].as_i64().unwrap_or(0);
        let policy = document["HostConfig"]["RestartPolicy"]["Name"].as_str();
        Ok(Self {
            id: ContainerId::new(id),
            name: text(&document["Name"]).trim_start_matches('/').to_owned(),
            project,
            service,
            number,
            one_off,
            image_id: document["Image"].as_str().and_then(|id| id.parse().ok()),
            image: text(&config["Image"]).to_owned(),
            state: state_of(state, exit_code),
            exit_code,
            oom_killed: state["OOMKilled"].as_bool().unwrap_or(false),
            health: health_of(&state["Health"]["Status"]),
            failing_streak: number_of(&state["Health"]["FailingStreak"]),
            restarts: document["RestartCount"].as_u64().unwrap_or(0),
            restarts_always: matches!(policy, Some("always" | "unless-stopped")),
            created: time(&document["Created"]),
            started: time(&state["StartedAt"]),
            finished: time(&state["FinishedAt"]),
            addresses: addresses(&document["NetworkSettings"]),
            document,
        })
    }

    /// How long it is given after SIGTERM: its own stop timeout, else the
    /// engine's 10 seconds. `None`: for as long as it takes.
    #[must_use]
    pub fn stop_grace(&self) -> Option<Duration> {
        let seconds = self.document["Config"]["StopTimeout"].as_i64().unwrap_or(STOP_TIMEOUT);
        u64::try_from(seconds).ok().map(Duration::from_secs)
    }

    /// How many cores it may use; `None`: all of the host's.
    #[must_use]
    pub fn cpu_limit(&self) -> Option<f64> {
        let host = &self.document["HostConfig"];
        let positive = |name: &str| host[name].as_f64().filter(|value| *value > 0.0);
        if let Some(nanos) = positive("NanoCpus") {
            return Some(nanos / 1e9);
        }
        Some(positive("CpuQuota")? / positive("CpuPeriod").unwrap_or(100_000.0))
    }

    /// How many bytes of memory it may use; `None`: all of the host's.
    #[must_use]
    pub fn memory_limit(&self) -> Option<u64> {
        self.document["HostConfig"]["Memory"].as_u64().filter(|bytes| *bytes > 0)
    }
}

impl fmt::Debug for Container {
    /// Without the document: it holds the environment, and that holds secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Container")
            .field("name", &self.name)
            .field("id", &self.id)
            .field("service", &self.service)
            .field("number", &self.number)
            .field("image", &self.image)
            .field("image_id", &self.image_id)
            .field("state", &self.state)
            .field("health", &self.health)
            .field("restarts", &self.restarts)
            .finish_non_exhaustive()
    }
}

/// A time as the engine writes it; its year 1 means never.
pub(super) fn time(value: &Value) -> Option<Timestamp> {
    let at: Timestamp = value.as_str()?.parse().ok()?;
    (at > Timestamp::UNIX_EPOCH).then_some(at)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn number_of(value: &Value) -> u32 {
    value.as_u64().and_then(|number| u32::try_from(number).ok()).unwrap_or(0)
}

fn state_of(state: &Value, exit_code: i64) -> ContainerState {
    match text(&state["Status"]) {
        "created" => ContainerState::Created,
        "running" | "paused" => ContainerState::Running,
        "restarting" => ContainerState::Restarting,
        "exited" => ContainerState::Exited(exit_code),
        _ => ContainerState::Other,
    }
}

fn health_of(status: &Value) -> Health {
    match text(status) {
        "starting" => Health::Starting,
        "healthy" => Health::Healthy,
        "unhealthy" => Health::Unhealthy,
        "" | "none" => Health::None,
        _ => Health::Unknown,
    }
}

fn addresses(settings: &Value) -> Vec<IpAddr> {
    let networks = settings["Networks"].as_object().into_iter().flatten();
    networks
        .flat_map(|(_, network)| [&network["IPAddress"], &network["GlobalIPv6Address"]])
        .filter_map(|address| address.as_str()?.parse().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_document_is_kept_whole() {
        let document = json!({
            "Id": "abc", "Name": "/shop-web-1", "FieldOfTheFuture": { "a": [1, 2.5, null] },
            "State": { "Status": "exited", "ExitCode": 137, "OOMKilled": true,
                       "StartedAt": "2026-01-02T03:04:05.678901234Z",
                       "FinishedAt": "0001-01-01T00:00:00Z" },
        });
        let container = Container::read(document.clone()).unwrap();
        assert_eq!(container.document, document);
        assert_eq!(container.name, "shop-web-1");
        assert_eq!(container.state, ContainerState::Exited(137));
        assert!(container.oom_killed);
        assert_eq!(container.started, Some("2026-01-02T03:04:05.678901234Z".parse().unwrap()));
        assert_eq!(container.finished, None);
    }

    #[test]
    fn a_word_of_the_future_is_not_known_and_no_error() {
        let container = Container::read(json!({
            "Id": "abc", "Image": "blake3:1234",
            "State": { "Status": "hibernating", "Health": { "Status": "thriving" } },
        }))
        .unwrap();
        assert_eq!(container.state, ContainerState::Other);
        assert_eq!(container.health, Health::Unknown);
        assert_eq!(container.image_id, None);
    }

    #[test]
    fn an_address_that_is_empty_is_none() {
        let container = Container::read(json!({ "Id": "a", "NetworkSettings": { "Networks": {
            "back": { "IPAddress": "172.20.0.3", "GlobalIPv6Address": "" },
            "front": { "IPAddress": "", "GlobalIPv6Address": "fd00::3" },
        }}}))
        .unwrap();
        let expected: [IpAddr; 2] = ["172.20.0.3".parse().unwrap(), "fd00::3".parse().unwrap()];
        assert_eq!(container.addresses, expected);
    }

    #[test]
    fn limits_are_its_own_or_none() {
        let limits = |host: Value| {
            let container = Container::read(json!({ "Id": "a", "HostConfig": host })).unwrap();
            (container.cpu_limit(), container.memory_limit())
        };
        assert_eq!(
            limits(json!({ "NanoCpus": 1_500_000_000, "Memory": 64 })),
            (Some(1.5), Some(64))
        );
        assert_eq!(limits(json!({ "CpuQuota": 50_000, "CpuPeriod": 100_000 })), (Some(0.5), None));
        assert_eq!(limits(json!({ "NanoCpus": 0, "CpuQuota": -1, "Memory": 0 })), (None, None));
    }

    #[test]
    fn the_environment_is_not_in_debug_output() {
        let document = json!({ "Id": "a", "Config": { "Env": ["PASSWORD=hunter2"] } });
        assert!(!format!("{:?}", Container::read(document).unwrap()).contains("hunter2"));
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 12, 4, |inner| {
            prop::collection::vec(inner, 0..4).prop_map(Value::from)
        })
    }

    proptest! {
        #[test]
        fn no_odd_field_fails_the_whole(odd in any_json(), at in 0..8usize) {
            let path = ["/Name", "/Config", "/State", "/State/Status", "/State/Health",
                "/HostConfig/RestartPolicy", "/NetworkSettings/Networks", "/Image"][at];
            let mut document = json!({ "Id": "a", "Name": "/a", "Image": "", "Config": {},
                "State": { "Status": "running", "Health": {} },
                "HostConfig": { "RestartPolicy": {} }, "NetworkSettings": { "Networks": {} } });
            *document.pointer_mut(path).unwrap() = odd;
            prop_assert!(Container::read(document).is_ok());
        }
    }
}
