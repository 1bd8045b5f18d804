//! When a question is asked: at fixed moments, whether or not earlier answers
//! have come, with a bound on how many are waited for. Answers are told in the
//! order of their moments.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};

use futures_util::{StreamExt, stream::FuturesOrdered};
use rollbackd_core::{moment::Moment, reading::Sample};
use tokio::sync::mpsc;

use crate::host::clock::Clock;

/// Most answers that one question waits for at once.
const IN_FLIGHT: u32 = 32;

/// The fixed moments of a question: every `every`, at a phase of its own that
/// is the same after each start, so that many questions are not one burst.
pub(super) struct Moments {
    clock: Clock,
    every: Duration,
    next: Moment,
}

impl Moments {
    /// The moments of the question that `who` identifies, from now on.
    pub(super) fn new(clock: Clock, every: Duration, who: &impl Hash) -> Self {
        let every = every.max(Duration::from_millis(1));
        let mut hasher = DefaultHasher::new();
        who.hash(&mut hasher);
        let phase = hasher.finish() % nanos(every);
        let next = Self::after(clock.now(), every, phase);
        Self { clock, every, next }
    }

    /// Waits for the next moment and gives it; a moment that is past already
    /// is left out. Dropped while it waits, it has given nothing.
    pub(super) async fn next(&mut self) -> Moment {
        tokio::time::sleep(self.next.since(self.clock.now())).await;
        let (due, now) = (self.next, self.clock.now());
        let phase = due.as_nanos() % nanos(self.every);
        self.next = Self::after(now.max(due), self.every, phase);
        // A timer is a little late; only when it was more than that does the
        // sample get another moment than the fixed one.
        let slack = Duration::from_millis(5).max(self.every / 100);
        if now.since(due) <= slack { due } else { now }
    }

    /// The first moment of the grid after `from`.
    fn after(from: Moment, every: Duration, phase: u64) -> Moment {
        let (from, every) = (from.as_nanos(), nanos(every));
        let steps = from.saturating_sub(phase) / every + 1;
        Moment::from_nanos(steps.saturating_mul(every).saturating_add(phase))
    }
}

/// Asks at every moment and sends what `told` makes of each answer, until
/// nobody takes samples any more. An answer is `None` when too many earlier
/// ones are still waited for, so that it was not asked; `limit` is the longest
/// that one may take.
pub(super) async fn ask_at<Answer, Asking: Future<Output = Answer>>(
    mut moments: Moments,
    limit: Duration,
    mut ask: impl FnMut(Moment) -> Asking,
    mut told: impl FnMut(Moment, Option<Answer>) -> Vec<Sample>,
    samples: mpsc::Sender<Sample>,
) {
    let fit = limit.as_nanos() / moments.every.as_nanos() + 2;
    let most = u32::try_from(fit).unwrap_or(IN_FLIGHT).min(IN_FLIGHT) as usize;
    let mut in_flight = FuturesOrdered::new();
    let mut waiting = 0;
    loop {
        tokio::select! {
            Some((at, answer)) = in_flight.next() => {
                if Option::is_some(&answer) {
                    waiting -= 1;
                }
                for sample in told(at, answer) {
                    if samples.send(sample).await.is_err() {
                        return;
                    }
                }
            }
            at = moments.next() => {
                let asking = (waiting < most).then(|| ask(at));
                waiting += usize::from(asking.is_some());
                in_flight.push_back(async move {
                    match asking {
                        Some(asking) => (at, Some(asking.await)),
                        None => (at, None),
                    }
                });
            }
        }
    }
}

fn nanos(every: Duration) -> u64 {
    u64::try_from(every.as_nanos()).unwrap_or(u64::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use rollbackd_core::{reading::Reading, words::TriggerIx};

    use super::*;

    const EVERY: Duration = Duration::from_millis(20);

    #[tokio::test]
    async fn moments_lie_on_a_grid_whose_phase_belongs_to_the_question() {
        let clock = Clock::resume(None);
        let phase = |at: Moment| at.as_nanos() % nanos(EVERY);
        let mut first = Moments::new(clock.clone(), EVERY, &"one");
        let expected = phase(first.next);
        assert_eq!(phase(Moments::new(clock.clone(), EVERY, &"one").next), expected);
        assert_ne!(phase(Moments::new(clock.clone(), EVERY, &"two").next), expected);

        let mut last = clock.now();
        let mut on_time = 0;
        for _ in 0..10 {
            let at = first.next().await;
            assert!(at > last);
            on_time += usize::from(phase(at) == expected);
            last = at;
        }
        assert!(on_time > 0);
    }

    #[test]
    fn a_hundred_questions_are_spread_over_the_interval() {
        let (clock, every) = (Clock::resume(None), Duration::from_secs(10));
        let mut tenths = [0; 10];
        for question in 0..100 {
            let next = Moments::new(clock.clone(), every, &question).next;
            tenths[(next.as_nanos() % nanos(every) / nanos(every / 10)) as usize] += 1;
        }
        assert!(tenths.iter().all(|&count| (1..=25).contains(&count)), "{tenths:?}");
    }

    fn sample(at: Moment, value: f64) -> Sample {
        Sample { trigger: TriggerIx(0), at, reading: Reading::Value(value) }
    }

    #[tokio::test]
    async fn a_slow_answer_delays_no_question_and_answers_keep_their_order() {
        let (send, mut receive) = mpsc::channel(100);
        let clock = Clock::resume(None);
        let moments = Moments::new(clock, EVERY, &0);
        let (asked, mut asked_at) = mpsc::unbounded_channel();
        let mut count = 0;
        let ask = move |at| {
            asked.send(at).unwrap();
            count += 1;
            let slow = count == 1;
            async move {
                if slow {
                    tokio::time::sleep(EVERY * 6).await;
                }
                slow
            }
        };
        let told = |at, slow: Option<bool>| {
            vec![sample(at, f64::from(u8::from(slow.expect("there is room"))))]
        };
        let asking = tokio::spawn(ask_at(moments, EVERY * 8, ask, told, send));
        let first = receive.recv().await.unwrap();
        assert_eq!(first.reading, Reading::Value(1.0));
        assert!(asked_at.len() >= 4, "only {} were asked meanwhile", asked_at.len());
        let mut last = first.at;
        assert_eq!(asked_at.recv().await, Some(first.at));
        for _ in 0..4 {
            let next = receive.recv().await.unwrap();
            assert!(next.at > last);
            assert_eq!(asked_at.recv().await, Some(next.at));
            last = next.at;
        }
        drop(receive);
        tokio::time::timeout(Duration::from_secs(5), asking).await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_source_that_never_answers_is_asked_a_bounded_number_of_times() {
        let (send, mut receive) = mpsc::channel(100);
        let moments = Moments::new(Clock::resume(None), EVERY, &0);
        let gone = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let seen = std::sync::Arc::clone(&gone);
        let ask = move |_| {
            seen.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            tokio::time::sleep(EVERY * 20)
        };
        let told = |at, answer: Option<()>| vec![sample(at, f64::from(u8::from(answer.is_some())))];
        let asking = tokio::spawn(ask_at(moments, EVERY * 2, ask, told, send));
        // It may take two intervals: four are waited for at once, no more.
        for expected in [1.0, 1.0, 1.0, 1.0, 0.0] {
            assert_eq!(receive.recv().await.unwrap().reading, Reading::Value(expected));
        }
        asking.abort();
        assert!(gone.load(std::sync::atomic::Ordering::SeqCst) >= 4);
    }
}
