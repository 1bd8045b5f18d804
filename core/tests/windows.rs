//! A trigger's window against the plainest possible reading of its rules: all
//! samples kept, everything worked out again from the beginning each time.
#![allow(missing_docs)]

mod world;

use std::time::Duration;

use proptest::prelude::*;
use rollbackd_core::{
    moment::Moment,
    ratio::Ratio,
    reading::Reading,
    settings::{Clear, Condition, Hold, TriggerSettings},
    watch::Watch,
};
use world::{at, empty, errors, secs, unanswered};

#[derive(Clone, Copy, Debug)]
enum Said {
    Value(f64),
    Empty,
    Failed,
}

/// Steps of time and what was said at each: flaps, values on the threshold,
/// infinities, gaps.
fn samples() -> impl Strategy<Value = Vec<(u64, Said)>> {
    let value = prop_oneof![
        Just(0.0),
        Just(0.05),
        Just(0.050_000_001),
        Just(0.2),
        Just(0.9),
        Just(f64::INFINITY),
        Just(f64::NEG_INFINITY),
        0.0..0.1,
    ];
    let said = prop_oneof![
        12 => value.prop_map(Said::Value),
        1 => Just(Said::Empty),
        1 => Just(Said::Failed),
    ];
    let step = prop_oneof![8 => Just(15_u64), 1 => 1_u64..60, 1 => 60_u64..400];
    prop::collection::vec((step, said), 1..120)
}

fn feed(watch: &mut Watch, at: Moment, said: Said) {
    let reading = match said {
        Said::Value(value) => Reading::of(value),
        Said::Empty => empty(),
        Said::Failed => unanswered(),
    };
    watch.feed(at, &reading);
}

/// Prometheus's `for`, from the whole past: since when the condition holds.
fn holds_since(past: &[(Moment, f64)], max_gap: Duration) -> Option<Moment> {
    let mut since = None;
    let mut last: Option<Moment> = None;
    for (at, value) in past {
        let gap = last.is_some_and(|last| at.since(last) > max_gap);
        if *value <= 0.05 || gap {
            since = None;
        }
        if *value > 0.05 {
            since = since.or(Some(*at));
        }
        last = Some(*at);
    }
    since
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn for_is_what_the_whole_past_says(samples in samples(), span in prop_oneof![Just(0_u64), Just(60), Just(300)]) {
        let trigger = TriggerSettings { hold: Hold::For(secs(span)), grace: secs(0), ..errors() };
        let mut watch = Watch::new(trigger, at(0));
        let (mut now, mut past) = (at(0), Vec::new());
        for (step, said) in samples {
            now = now + secs(step);
            feed(&mut watch, now, said);
            let Said::Value(value) = said else { continue };
            past.push((now, value));
            let since = holds_since(&past, secs(45));
            let breached = since.filter(|since| now.since(*since) >= secs(span));
            prop_assert_eq!(watch.breach(now).map(|(since, _)| since), breached);
            prop_assert_eq!(watch.is_pending(), since.is_some() && breached.is_none());
        }
    }

    #[test]
    fn with_no_gap_allowed_an_empty_answer_clears_and_a_failed_one_does_not(samples in samples()) {
        let trigger = TriggerSettings { max_gap: secs(0), grace: secs(0), ..errors() };
        let mut watch = Watch::new(trigger, at(0));
        let (mut now, mut active): (Moment, Option<Moment>) = (at(0), None);
        for (step, said) in samples {
            now = now + secs(step);
            feed(&mut watch, now, said);
            match said {
                Said::Value(value) if value > 0.05 => active = active.or(Some(now)),
                Said::Value(_) | Said::Empty => active = None,
                Said::Failed => continue,
            }
            let firing = active.filter(|since| now.since(*since) >= secs(60));
            prop_assert_eq!(watch.breach(now).map(|(since, _)| since), firing);
        }
    }

    #[test]
    fn share_is_what_the_whole_past_says(samples in samples(), percent in 1_u8..=100) {
        let share = f64::from(percent) / 100.0;
        let hold = Hold::Share { share: Ratio::new(share).unwrap(), within: secs(180) };
        let trigger = TriggerSettings { hold, grace: secs(0), ..errors() };
        let mut watch = Watch::new(trigger, at(0));
        let (mut now, mut past, mut breached) = (at(0), Vec::<(Moment, bool)>::new(), false);
        for (step, said) in samples {
            now = now + secs(step);
            feed(&mut watch, now, said);
            let Said::Value(value) = said else { continue };
            if past.last().is_some_and(|(last, _)| now.since(*last) > secs(45)) {
                (past, breached) = (Vec::new(), false);
            }
            past.push((now, value > 0.05));
            let from = now - secs(180);
            let first = past.iter().rposition(|(at, _)| *at <= from);
            let within = &past[first.unwrap_or(0)..];
            let bad = within.iter().filter(|(_, bad)| *bad).count();
            let enough = bad as f64 >= share * within.len() as f64;
            breached = match value > 0.05 {
                true => breached || (first.is_some() && enough),
                false => breached && enough && bad > 0,
            };
            // The window is bounded: a burst costs span, and then it waits longer.
            if within.len() <= 16 {
                prop_assert_eq!(watch.breach(now).is_some(), breached);
            } else if watch.breach(now).is_some() != breached {
                return Ok(());
            }
        }
    }

    #[test]
    fn a_breach_is_over_only_past_its_line_for_its_time(samples in samples(), lasts in prop_oneof![Just(0_u64), Just(30), Just(100)], line in prop_oneof![Just(None), Just(Some(0.03))]) {
        let clear = Clear { line, lasts: secs(lasts) };
        let trigger = TriggerSettings { clear, grace: secs(0), ..errors() };
        let mut watch = Watch::new(trigger, at(0));
        let (mut now, mut past) = (at(0), Vec::<(Moment, f64)>::new());
        let mut breached = false;
        for (step, said) in samples {
            now = now + secs(step);
            feed(&mut watch, now, said);
            let Said::Value(value) = said else { continue };
            if past.last().is_some_and(|(last, _)| now.since(*last) > secs(45)) {
                (past, breached) = (Vec::new(), false);
            }
            past.push((now, value));
            let cleared = |value: f64| line.map_or(value <= 0.05, |line| value < line);
            let calm = past.iter().rev().take_while(|(_, value)| cleared(*value));
            let calm = calm.last().map(|(since, _)| now.since(*since));
            if breached && calm.is_some_and(|calm| calm >= secs(lasts)) {
                (past, breached) = (Vec::new(), false);
            } else {
                let since = holds_since(&past, secs(45));
                breached |= since.is_some_and(|since| now.since(since) >= secs(60));
            }
            prop_assert_eq!(watch.breach(now).is_some(), breached);
        }
    }

    #[test]
    fn a_checkpoint_changes_nothing(samples in samples(), cut in 0_usize..120) {
        let share = Hold::Share { share: Ratio::new(0.5).unwrap(), within: secs(120) };
        for hold in [Hold::For(secs(60)), share] {
            let clear = Clear { line: Some(0.03), lasts: secs(40) };
            let trigger = TriggerSettings { hold, clear, grace: secs(0), ..errors() };
            let mut straight = Watch::new(trigger.clone(), at(0));
            let mut restarted = Watch::new(trigger.clone(), at(0));
            let mut now = at(0);
            for (n, (step, said)) in samples.iter().enumerate() {
                now = now + secs(*step);
                if n == cut {
                    let kept = serde_json::to_string(restarted.window()).unwrap();
                    restarted = Watch::new(trigger.clone(), now);
                    restarted.restore(serde_json::from_str(&kept).unwrap(), now);
                }
                feed(&mut straight, now, *said);
                feed(&mut restarted, now, *said);
                prop_assert_eq!(straight.breach(now), restarted.breach(now));
            }
        }
    }
}

#[test]
fn feeding_allocates_nothing() {
    let share = Hold::Share { share: Ratio::new(0.8).unwrap(), within: secs(300) };
    for hold in [Hold::For(secs(300)), share] {
        let trigger = TriggerSettings { hold, condition: Condition::Above(0.05), ..errors() };
        let mut watch = Watch::new(trigger, at(0));
        let mut now = at(0);
        let info = allocation_counter::measure(|| {
            for n in 0..10_000_u32 {
                now = now + secs(15);
                watch.feed(now, &Reading::Value(f64::from(n % 7) / 50.0));
            }
        });
        assert_eq!(info.count_total, 0);
    }
}

#[test]
fn a_share_without_enough_samples_says_how_many_it_has() {
    let hold = Hold::Share { share: Ratio::new(0.8).unwrap(), within: secs(60) };
    let trigger = TriggerSettings { hold, grace: secs(0), ..errors() };
    let mut watch = Watch::new(trigger, at(0));
    let mut said = Vec::new();
    for (n, value) in [0.2, 0.0, 0.2, 0.2, 0.2, 0.2].into_iter().enumerate() {
        let now = at(15 * (n as u64 + 1));
        watch.feed(now, &Reading::Value(value));
        let view = watch.view(now);
        said.push((view.state.as_str(), view.reason.unwrap_or_default()));
    }
    let so_far = |n: u8| ("pending", format!("{n} of 5 samples so far"));
    let decided = ("breached", String::new());
    assert_eq!(said[..4], [so_far(1), so_far(2), so_far(3), so_far(4)]);
    assert_eq!(said[4..], [decided.clone(), decided]);
    let now = at(15 * 6 + 400);
    watch.feed(now, &Reading::Value(0.0));
    let after_a_gap = watch.view(now);
    assert_eq!(after_a_gap.state.as_str(), "ok");
    assert_eq!(after_a_gap.reason.as_deref(), Some("1 of 5 samples so far"));
}
