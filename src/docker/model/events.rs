//! The model's events, as the API gives them, and streams of them.

use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::{
    super::{error::DockerError, event},
    world::World,
};

impl World {
    /// Tells what happened to a container, with further attributes.
    pub(super) fn tell(&mut self, at: usize, action: &str, further: &[(&str, &str)]) {
        let made = &self.containers[at];
        let mut attributes = made.config["Labels"].as_object().cloned().unwrap_or_default();
        attributes.insert("image".into(), made.config["Image"].clone());
        attributes.insert("name".into(), made.name.clone().into());
        for (name, value) in further {
            attributes.insert((*name).into(), (*value).into());
        }
        let id = made.id.clone();
        self.record("container", action, &id, &Value::Object(attributes));
    }

    pub(super) fn record(&mut self, kind: &str, action: &str, id: &str, attributes: &Value) {
        let at = self.date();
        let nanos = i64::try_from(at.as_nanosecond()).unwrap_or(i64::MAX);
        self.log.push(json!({
            "Type": kind, "Action": action, "scope": "local",
            "Actor": { "ID": id, "Attributes": attributes },
            "time": at.as_second(), "timeNano": nanos,
        }));
        self.grew.send_replace(());
    }
}

/// An event in three words, for the story.
pub(super) fn told(event: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let name = &event["Actor"]["Attributes"]["name"];
    format!("{} {} {}", text(&event["Type"]), text(&event["Action"]), text(name))
}

/// An open stream of events.
pub(in super::super) struct Happenings {
    world: Arc<Mutex<World>>,
    grew: watch::Receiver<()>,
    cuts: u64,
    /// The next in the log.
    next: usize,
}

impl Happenings {
    pub(super) fn new(shared: Arc<Mutex<World>>, world: &World, since: Timestamp) -> Self {
        let early = |event: &&Value| event::time(event).is_some_and(|at| at < since);
        Self {
            grew: world.grew.subscribe(),
            cuts: world.cuts,
            next: world.log.iter().take_while(early).count(),
            world: shared,
        }
    }

    /// The next event's document, or why there is none any more.
    pub(in super::super) async fn next(&mut self) -> Result<Value, DockerError> {
        loop {
            {
                let world = self.world.lock().unwrap_or_else(PoisonError::into_inner);
                if world.cuts != self.cuts {
                    let why = "it ended the stream of events".to_owned();
                    return Err(DockerError::Unreachable { host: "model".to_owned(), why });
                }
                if let Some(event) = world.log.get(self.next) {
                    self.next += 1;
                    return Ok(event.clone());
                }
            }
            if self.grew.changed().await.is_err() {
                let why = "the model is gone".to_owned();
                return Err(DockerError::Unreachable { host: "model".to_owned(), why });
            }
        }
    }
}
