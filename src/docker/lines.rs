//! The stream of events as it arrives: one JSON document a line, each within a
//! bound.

use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde_json::Value;

/// Longest line that is read, in bytes; an event carries all labels of its
/// container, some kilobytes.
const LONGEST: usize = 1 << 20;

/// The lines of an answer that does not end.
pub(super) struct Lines {
    body: Incoming,
    begun: Vec<u8>,
}

impl Lines {
    pub(super) fn new(body: Incoming) -> Self {
        Self { body, begun: Vec::new() }
    }

    /// The next document. `Ok(None)` is the end of the stream; what is no JSON
    /// or too long is left out. Nothing is lost when the future is dropped.
    pub(super) async fn next(&mut self) -> Result<Option<Value>, hyper::Error> {
        loop {
            while let Some(end) = self.begun.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.begun.drain(..=end).collect();
                if let Ok(document) = serde_json::from_slice(&line) {
                    return Ok(Some(document));
                }
            }
            if self.begun.len() > LONGEST {
                self.begun.clear();
            }
            match self.body.frame().await {
                None => return Ok(None),
                Some(Err(error)) => return Err(error),
                Some(Ok(frame)) => {
                    if let Some(bytes) = frame.data_ref() {
                        self.begun.extend_from_slice(bytes);
                    }
                }
            }
        }
    }
}
