//! Waiting for facts, never for time.

use std::{
    thread,
    time::{Duration, Instant},
};

/// How long anything may take before a test gives up: far more than it needs
/// on a machine that is busy with other tests.
pub const LIMIT: Duration = Duration::from_secs(75);

/// Asks until there is an answer.
pub fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + LIMIT;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "{what}: not within {} s", LIMIT.as_secs());
        thread::sleep(Duration::from_millis(100));
    }
}
