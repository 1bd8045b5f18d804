//! A failing life is made shorter: what came after the failure is cut off, then
//! moves are left out and times made shorter as long as the same promise is
//! still broken.

use crate::{
    life::{Life, Move},
    machine::{How, Played, play},
};

/// So many events, in all the lives that are played to shrink one: a minute or
/// two of an unoptimised build.
const PATIENCE: u64 = 500_000;

/// A life that breaks a promise, and how it has to be played to do so.
#[derive(Clone)]
pub struct Failing {
    pub life: Life,
    pub how: How,
    /// How many lives were played to find it.
    pub tried: u32,
}

/// The shortest life found that breaks the same promise as the one that was
/// played.
pub fn shrink(life: &Life, how: How, played: &Played) -> Failing {
    let promise = played.broken.as_ref().map_or("", |broken| broken.promise);
    let mut best = Failing { life: life.clone(), how, tried: 0 };
    if played.moves <= life.moves.len() {
        // It failed before its last day, which is not played any more.
        best.life.moves.truncate(played.moves);
        best.how.cut = true;
    }
    let mut search = Search { left: PATIENCE, promise };
    loop {
        let before = best.life.moves.clone();
        search.leave_out(&mut best);
        search.make_shorter(&mut best);
        if best.life.moves == before || search.left == 0 {
            return best;
        }
    }
}

/// A life, for a person who wants to know why it failed: first as it can be
/// pasted into a test, then what happened in it.
pub fn told(failing: &Failing) -> String {
    let Failing { life, how, tried } = failing;
    let Played { broken, timeline, .. } = play(life, How { traced: true, ..*how });
    let broken = broken.map_or_else(
        || "nothing is broken".to_owned(),
        |broken| format!("{}: {}", broken.promise, broken.why),
    );
    let cut = if how.cut { "it ends with the last move" } else { "with its last day" };
    let moves = life.moves.len();
    format!(
        "{broken}\n\n{}\n\n{timeline}\n\n{broken}\n({moves} moves, {cut}; {tried} shorter ones were tried)",
        life.pasted()
    )
}

struct Search<'a> {
    /// Events.
    left: u64,
    promise: &'a str,
}

impl Search<'_> {
    /// Is the promise broken with these moves, too? Then they are the best.
    fn take(&mut self, best: &mut Failing, mut moves: Vec<Move>) -> bool {
        if self.left == 0 {
            return false;
        }
        best.tried += 1;
        let life = Life { rules: best.life.rules, moves: moves.clone() };
        let played = play(&life, best.how);
        self.left = self.left.saturating_sub(played.events);
        let fails = played.broken.is_some_and(|broken| broken.promise == self.promise);
        if fails {
            moves.truncate(played.moves);
            best.life.moves = moves;
        }
        fails
    }

    /// Leaves out ever smaller parts, from the end to the beginning.
    fn leave_out(&mut self, best: &mut Failing) {
        let mut size = best.life.moves.len().div_ceil(2);
        while size > 0 {
            let mut to = best.life.moves.len();
            while to > 0 {
                let mut moves = best.life.moves.clone();
                moves.drain(to.saturating_sub(size)..to);
                self.take(best, moves);
                to = to.saturating_sub(size).min(best.life.moves.len());
            }
            size /= 2;
        }
    }

    /// Makes each move simpler as far as it goes.
    fn make_shorter(&mut self, best: &mut Failing) {
        for n in (0..best.life.moves.len()).rev() {
            while let Some(simpler) = best.life.moves.get(n).copied().and_then(simpler) {
                let mut moves = best.life.moves.clone();
                moves[n] = simpler;
                if !self.take(best, moves) {
                    break;
                }
            }
        }
    }
}

/// The same move for half the time, or with one container.
fn simpler(one: Move) -> Option<Move> {
    let halved = |seconds: u64| (seconds > 1).then_some(seconds / 2);
    Some(match one {
        Move::Pass(seconds) => Move::Pass(halved(seconds)?),
        Move::EngineAway(seconds) => Move::EngineAway(halved(seconds)?),
        Move::Suspend(seconds) => Move::Suspend(halved(seconds)?),
        Move::Stop(away) => Move::Stop(halved(away)?),
        Move::Kill(away) => Move::Kill(halved(away)?),
        Move::KillAndLose(away) => Move::KillAndLose(halved(away)?),
        Move::DieAt(boundary, away) => Move::DieAt(boundary, halved(away)?),
        Move::DeployBoth(image) => Move::Deploy(crate::life::Svc::Web, image, 1),
        Move::Deploy(svc, image, 2..) => Move::Deploy(svc, image, 1),
        _ => return None,
    })
}
