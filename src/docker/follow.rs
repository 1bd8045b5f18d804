//! The engine's events, for ever and without gaps: the stream is opened again
//! whenever it ends, from where it ended, and a silent engine is noticed.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use tokio::{
    sync::broadcast,
    time::{Instant, sleep, timeout},
};

use super::{
    Docker, Events,
    error::DockerError,
    event::{self, Happening},
};
use crate::host::clock::Clock;

/// First wait after the engine went away; doubled each time up to [`LONGEST`].
const SHORTEST: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_secs(5);
/// A stream that lived this long was a good one: waits begin anew.
const SETTLED: Duration = Duration::from_secs(10);
/// After this long without an event the engine is asked whether it is there.
const SILENCE: Duration = Duration::from_secs(15);

/// How long is waited for a better reason than that the stream ended.
const REASON: Duration = Duration::from_secs(1);

/// Where the stream has got to.
struct Place {
    /// The time of the last event, by the engine's clock; before the first
    /// one, the time at which following began.
    at: Timestamp,
    /// The events of that time: the engine tells them again.
    seen: Vec<Value>,
}

impl Docker {
    /// Follows the engine's events and never ends: `Up` when they flow, then
    /// the events, one `Down` with the reason when they stop, and again. Events
    /// of a gap are told after the `Up` as far as the engine remembers them (the
    /// last 256, and none from before its own restart). Who cannot keep up
    /// with the channel sees that it lagged.
    pub async fn follow(&self, clock: Clock, happenings: broadcast::Sender<Happening>) {
        // An error of `send` only says that nobody listens just now.
        let tell = |happening| drop(happenings.send(happening));
        let mut place = Place { at: clock.wall(), seen: Vec::new() };
        let (mut wait, mut down) = (SHORTEST, false);
        loop {
            let began = Instant::now();
            let why = match self.events(place.at).await {
                Err(error) => error,
                Ok(events) => {
                    tracing::info!("docker.up");
                    tell(Happening::Up);
                    down = false;
                    let cut = self.hear(events, &clock, &mut place, &tell).await;
                    self.reason(cut).await
                }
            };
            if began.elapsed() >= SETTLED {
                wait = SHORTEST;
            }
            if !down {
                tracing::warn!(%why, "docker.down");
                tell(Happening::Down(why.to_string()));
                down = true;
            }
            sleep(wait).await;
            wait = (wait * 2).min(LONGEST);
        }
    }

    /// Why the stream was cut: because the engine is away, if it is.
    async fn reason(&self, cut: DockerError) -> DockerError {
        match timeout(REASON, self.version()).await {
            Ok(Err(error)) => error,
            Ok(Ok(_)) | Err(_) => cut,
        }
    }

    /// Tells what the stream tells, until it ends: why.
    async fn hear(
        &self,
        mut events: Events,
        clock: &Clock,
        place: &mut Place,
        tell: &impl Fn(Happening),
    ) -> DockerError {
        loop {
            let event = match timeout(SILENCE, events.next()).await {
                Ok(Ok(event)) => event,
                Ok(Err(error)) => return error,
                Err(_) => match self.version().await {
                    Ok(_) => continue,
                    Err(error) => return error,
                },
            };
            if place.is_new(&event)
                && let Some(happening) = event::read(&event, clock)
            {
                tell(happening);
            }
        }
    }
}

impl Place {
    /// Remembers an event; `false` when it was told before the stream was cut.
    fn is_new(&mut self, event: &Value) -> bool {
        let Some(at) = event::time(event) else { return true };
        if at == self.at && self.seen.contains(event) {
            return false;
        }
        if at > self.at {
            self.at = at;
            self.seen.clear();
        }
        if at == self.at {
            self.seen.push(event.clone());
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_event_told_twice_is_heard_once() {
        let mut place = Place { at: Timestamp::UNIX_EPOCH, seen: Vec::new() };
        let event = |nanos: i64, id: &str| json!({ "timeNano": nanos, "Actor": { "ID": id } });
        assert!(place.is_new(&event(5, "a")));
        assert!(place.is_new(&event(7, "a")));
        assert!(place.is_new(&event(7, "b")));
        assert!(!place.is_new(&event(7, "a")));
        assert!(!place.is_new(&event(7, "b")));
        assert!(place.is_new(&event(8, "a")));
        assert_eq!(place.at, Timestamp::from_nanosecond(8).unwrap());
    }
}
