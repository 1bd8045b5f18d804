//! Core, executor and store on the engine model, by lives drawn from a seed:
//! people and pullers deploy, sources lie, fall silent and recover, containers
//! and targets die, steps fail, commands and reloads come, the disk fills, the
//! engine goes away, clocks jump, the daemon is stopped and killed. Whatever
//! happens, the promises of `promises.rs` hold.
//!
//! `ROLLBACKD_SEED=n` plays one life and tells it, `ROLLBACKD_SEEDS=n` so many
//! instead of the few of every test run, from `ROLLBACKD_FROM=n` on. A life that breaks a promise is made as
//! short as it can be and printed with its time line.
#![cfg(feature = "testing")]
#![allow(missing_docs, unreachable_pub, clippy::unwrap_used, clippy::panic, clippy::print_stdout)]

mod account;
mod blamed;
mod brought_back;
mod cleared;
mod daemon;
#[path = "../support/dice.rs"]
mod dice;
mod judge;
mod life;
mod machine;
mod promises;
mod rules;
mod shrink;
mod sources;
mod timeline;
mod world;

use std::env;

use judge::Broken;
use life::{Dice, Life, Move};
use machine::{How, Played, decided_after_a_gap, play};
use rollbackd_core::fact::Fact;

/// How many moves a life has.
const MOVES: usize = 80;
/// How many lives every test run plays.
const LIVES: u64 = 8;

fn number(name: &str) -> Option<u64> {
    env::var(name).ok()?.parse().ok()
}

/// Plays a life; a broken promise fails the test with the shortest life found.
fn hold(life: &Life, name: &str) -> Played {
    let played = play(life, How::default());
    if let Some(broken) = &played.broken {
        println!("{name} broke {}: {}", broken.promise, broken.why);
        let shortest = shrink::shrink(life, How::default(), &played);
        panic!("{name}, made shorter:\n{}", shrink::told(&shortest));
    }
    played
}

#[test]
fn whatever_happens_the_promises_hold() {
    if let Some(seed) = number("ROLLBACKD_SEED") {
        let life = Life::drawn(seed, MOVES);
        let played = play(&life, How { traced: true, ..How::default() });
        println!("{}", played.timeline);
        assert!(played.broken.is_none(), "{:?}", played.broken);
        return;
    }
    let lives = number("ROLLBACKD_SEEDS").unwrap_or(LIVES);
    let (mut events, mut rollbacks) = (0, 0);
    let first = number("ROLLBACKD_FROM").unwrap_or(0);
    for seed in first..first + lives {
        let played = hold(&Life::drawn(seed, MOVES), &format!("ROLLBACKD_SEED={seed}"));
        events += played.events;
        rollbacks += played.rollbacks;
    }
    assert!(rollbacks > 0, "nothing was ever rolled back");
    println!("{lives} lives, {events} events, {rollbacks} rollbacks");
}

#[test]
fn the_same_events_give_the_same_facts() {
    for seed in 1000..1002 {
        let life = Life::drawn(seed, MOVES);
        let (once, again) = (play(&life, How::default()), play(&life, How::default()));
        assert_eq!(once.facts.len(), again.facts.len());
        assert_eq!(once.facts, again.facts, "ROLLBACKD_SEED={seed}");
        assert!(!once.facts.is_empty());
    }
}

/// A promise that is false on purpose: the shortest life that shows it.
#[test]
fn a_life_that_breaks_a_promise_is_made_as_short_as_it_can_be() {
    let never = |fact: &Fact| match fact {
        Fact::RollbackBegan(incident) if incident.breach().is_some() => {
            Err(Broken::new("nothing_is_ever_rolled_back", incident.service_names()))
        }
        _ => Ok(()),
    };
    let how = How { given: Some(never), ..How::default() };
    let first = number("ROLLBACKD_FROM").unwrap_or(0);
    let found = (first..first + 20).map(|seed| Life::drawn(seed, MOVES)).find_map(|life| {
        let played = play(&life, how);
        let early = played.moves <= life.moves.len();
        (early && played.broken.is_some()).then_some((life, played))
    });
    let (life, played) = found.expect("some life rolls back");
    let shortest = shrink::shrink(&life, how, &played);
    let told = shrink::told(&shortest);
    println!("{told}");
    assert!(shortest.life.moves.len() <= 6, "{told}");
    assert!(told.contains("Move::Deploy(") && told.contains("RollbackBegan"), "{told}");
}

/// Played twice: in one life the daemon is restarted from its checkpoint, in
/// the other nothing reaches it for the same time. Then the same is decided:
/// the same deployments are seen, the same rollbacks begin and end as they do,
/// the same are refused by the same guards, in each project in the same order.
/// When exactly may differ, for what nobody observed does not count towards a bake.
#[test]
fn a_restart_anywhere_equals_a_gap() {
    let mut compared = 0;
    let first = number("ROLLBACKD_FROM").unwrap_or(2000);
    for seed in first..first + number("ROLLBACKD_SEEDS").unwrap_or(3) {
        let mut dice = Dice(seed);
        let mut life = Life::drawn(seed, 36);
        // What kills the daemon by itself, at a boundary that depends on how it
        // started, would make two lives of it.
        life.moves.retain(|one| !matches!(one, Move::DieAt(..)));
        let moves = life.moves.split_at(life.moves.len() / 2);
        let away = dice.pick(&[2, 20, 60, 300]);
        let (restarted, one) = decided_after_a_gap(life.rules, moves, away, true);
        let (deaf, other) = decided_after_a_gap(life.rules, moves, away, false);
        compared += u32::from(restarted.is_some());
        assert_eq!(restarted, deaf, "seed {seed}, away {away} s:\n{one}\n=====\n{other}");
    }
    assert!(compared > 0, "nothing was compared");
}
