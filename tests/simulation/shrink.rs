//! A failing life is made shorter: moves are left out as long as it still
//! breaks the same promise, then times are made shorter.

use crate::{
    life::{Life, Move},
    machine::{Played, play},
};

/// The most lives that are played to shrink one.
const PATIENCE: usize = 600;

/// The shortest life found that breaks the same promise.
pub fn shrink(life: &Life, promise: &str) -> Life {
    let mut search = Search { left: PATIENCE, promise };
    let mut best = life.clone();
    search.leave_out(&mut best);
    search.make_shorter(&mut best);
    search.leave_out(&mut best);
    best
}

/// A life, for a person who wants to know why it failed.
pub fn told(life: &Life) -> String {
    let played = play(life, true);
    let Played { broken, timeline, .. } = played;
    let broken = broken.map_or_else(
        || "nothing is broken".to_owned(),
        |broken| format!("{}: {}", broken.promise, broken.why),
    );
    format!("{broken}\n\n{life:#?}\n\n{timeline}\n\n{broken}")
}

struct Search<'a> {
    left: usize,
    promise: &'a str,
}

impl Search<'_> {
    fn fails(&mut self, life: &Life) -> bool {
        if self.left == 0 {
            return false;
        }
        self.left -= 1;
        play(life, false).broken.is_some_and(|broken| broken.promise == self.promise)
    }

    /// Zeller's ddmin over the moves.
    fn leave_out(&mut self, best: &mut Life) {
        let mut parts = 2;
        while best.moves.len() > 1 && self.left > 0 {
            let size = best.moves.len().div_ceil(parts);
            let shorter = (0..best.moves.len()).step_by(size).find_map(|from| {
                let mut moves = best.moves.clone();
                moves.drain(from..(from + size).min(moves.len()));
                let life = Life { rules: best.rules, moves };
                self.fails(&life).then_some(life)
            });
            match shorter {
                Some(life) => {
                    *best = life;
                    parts = parts.saturating_sub(1).max(2);
                }
                None if size == 1 => return,
                None => parts = (parts * 2).min(best.moves.len()),
            }
        }
    }

    fn make_shorter(&mut self, best: &mut Life) {
        for n in 0..best.moves.len() {
            while let Some(shorter) = half(best.moves[n]) {
                let mut life = best.clone();
                life.moves[n] = shorter;
                if !self.fails(&life) {
                    break;
                }
                *best = life;
            }
        }
    }
}

/// The same move for half the time.
fn half(one: Move) -> Option<Move> {
    let halved = |seconds: u64| (seconds > 1).then_some(seconds / 2);
    Some(match one {
        Move::Pass(seconds) => Move::Pass(halved(seconds)?),
        Move::EngineAway(seconds) => Move::EngineAway(halved(seconds)?),
        Move::Suspend(seconds) => Move::Suspend(halved(seconds)?),
        Move::Stop(away) => Move::Stop(halved(away)?),
        Move::Kill(away) => Move::Kill(halved(away)?),
        Move::KillAndLose(away) => Move::KillAndLose(halved(away)?),
        Move::DieAt(boundary, away) => Move::DieAt(boundary, halved(away)?),
        _ => return None,
    })
}
