//! The core as it was at a past moment: a keyframe, and everything that it was
//! given since, given to it again. Every turn is dropped and nothing is decided
//! anew: what was committed then is applied, from the store's own facts.

use rollbackd_core::{
    fact::Fact,
    moment::Moment,
    reducer::{Core, Turn},
};

use super::recording::{Heard, Reader, Unreadable};
use crate::store::Chunk;

/// Makes the core of a moment from the last keyframe before it, the chunks since
/// and the facts since, both from the first.
///
/// # Errors
///
/// When they do not fit together, or another version wrote them.
pub fn core_at(
    keyframe: &[u8],
    chunks: &[Chunk],
    facts: &[Fact],
    at: Moment,
) -> Result<Core, Unreadable> {
    let mut core: Core = serde_json::from_slice(keyframe).map_err(|_| Unreadable)?;
    let (mut reader, mut turn, mut facts) = (Reader::default(), Turn::default(), facts.iter());
    for chunk in chunks.iter().take_while(|chunk| chunk.from <= at) {
        for heard in reader.read(chunk)? {
            match heard {
                Heard::Event(now, _) if now > at => return Ok(core),
                Heard::Event(now, event) => {
                    turn.clear();
                    core.handle(now, event, &mut turn);
                }
                Heard::Dropped => core.dropped(),
                Heard::Committed(count) => {
                    for _ in 0..count {
                        core.apply(facts.next().ok_or(Unreadable)?);
                    }
                }
            }
        }
    }
    Ok(core)
}
