//! What the engine says has happened.

use jiff::Timestamp;
use rollbackd_core::{
    moment::Moment,
    words::{ContainerId, ProjectName, ServiceName},
};
use serde_json::Value;

use super::labels::{Place, place};
use crate::host::clock::Clock;

/// One thing from the stream of events, or of the stream itself.
#[derive(Clone, Debug, PartialEq)]
pub enum Happening {
    /// The engine answers, and events flow from now on. What happened before is
    /// not known: look.
    Up,
    /// The engine does not answer, or the stream was cut: why.
    Down(String),
    /// Something happened to a container.
    Container(ContainerEvent),
    /// An image was deleted, untagged, tagged or pulled.
    Images,
}

/// Something that happened to a container.
#[derive(Clone, Debug, PartialEq)]
pub struct ContainerEvent {
    /// When, as the engine dates it.
    pub at: Moment,
    /// The container.
    pub id: ContainerId,
    /// Its name at that time.
    pub name: String,
    /// The Compose project of its labels.
    pub project: Option<ProjectName>,
    /// The Compose service of its labels.
    pub service: Option<ServiceName>,
    /// Made by `docker compose run`.
    pub one_off: bool,
    /// What happened.
    pub what: What,
}

/// What happened to a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// It was made.
    Create,
    /// It started.
    Start,
    /// Somebody asked the engine to send it a signal.
    Kill,
    /// It ended, with this code.
    Die(i64),
    /// It was killed for memory.
    OutOfMemory,
    /// Somebody asked the engine to stop it, and it has stopped.
    Stop,
    /// It was given another name.
    Rename,
    /// It was removed.
    Destroy,
    /// Its health changed.
    Health,
    /// Anything else.
    Other,
}

/// When an event happened, by the engine's clock.
pub(super) fn time(event: &Value) -> Option<Timestamp> {
    let nanos = event["timeNano"].as_i64().filter(|nanos| *nanos > 0);
    match nanos {
        Some(nanos) => Timestamp::from_nanosecond(i128::from(nanos)).ok(),
        None => Timestamp::from_second(event["time"].as_i64()?).ok(),
    }
}

/// Reads one document of the stream; `None` for what nobody here asks about.
pub(super) fn read(event: &Value, clock: &Clock) -> Option<Happening> {
    match event["Type"].as_str()? {
        "image" => Some(Happening::Images),
        "container" => {
            let (action, actor) = (event["Action"].as_str()?, &event["Actor"]);
            if action.starts_with("exec_") {
                return None;
            }
            let attributes = &actor["Attributes"];
            let Place { project, service, one_off, .. } = place(attributes);
            Some(Happening::Container(ContainerEvent {
                at: time(event).map_or_else(|| clock.now(), |at| clock.moment_of(at)),
                id: ContainerId::new(actor["ID"].as_str()?),
                name: attributes["name"].as_str().unwrap_or_default().to_owned(),
                project,
                service,
                one_off,
                what: what(action, attributes),
            }))
        }
        _ => None,
    }
}

fn what(action: &str, attributes: &Value) -> What {
    match action {
        "create" => What::Create,
        "start" => What::Start,
        "kill" => What::Kill,
        "die" => {
            let code = attributes["exitCode"].as_str().and_then(|code| code.parse().ok());
            What::Die(code.unwrap_or(-1))
        }
        "oom" => What::OutOfMemory,
        "stop" => What::Stop,
        "rename" => What::Rename,
        "destroy" => What::Destroy,
        // `health_status: healthy`
        health if health.starts_with("health_status") => What::Health,
        _ => What::Other,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn heard(event: &Value) -> Option<Happening> {
        read(event, &Clock::resume(None))
    }

    #[test]
    fn a_death_carries_its_code_and_its_place() {
        let event = json!({
            "Type": "container", "Action": "die", "timeNano": 1_700_000_000_000_000_000_i64,
            "Actor": { "ID": "abc", "Attributes": { "name": "shop-web-1", "exitCode": "137",
                "com.docker.compose.project": "shop", "com.docker.compose.service": "web" } },
        });
        let Some(Happening::Container(event)) = heard(&event) else { panic!("it is heard") };
        assert_eq!(event.what, What::Die(137));
        assert_eq!(event.project, Some("shop".into()));
        assert_eq!(event.service, Some("web".into()));
        assert_eq!(event.name, "shop-web-1");
    }

    #[test]
    fn health_checks_are_not_heard_but_their_changes_are() {
        let of = |action: &str| {
            heard(&json!({ "Type": "container", "Action": action, "Actor": { "ID": "a" } }))
        };
        assert_eq!(of("exec_start: curl localhost"), None);
        let Some(Happening::Container(event)) = of("health_status: unhealthy") else {
            panic!("it is heard")
        };
        assert_eq!(event.what, What::Health);
    }

    #[test]
    fn an_event_of_the_future_is_something_else_and_no_error() {
        let of = |kind: &str| {
            heard(&json!({ "Type": kind, "Action": "levitate", "Actor": { "ID": "a" } }))
        };
        assert!(
            matches!(of("container"), Some(Happening::Container(event)) if event.what == What::Other)
        );
        assert_eq!(of("wormhole"), None);
        assert_eq!(heard(&Value::Null), None);
    }
}
