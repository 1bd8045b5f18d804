use super::{
    asking::{asked, needs, page_at, probe, probe_at, prometheus_at, query, said, scrape},
    *,
};
use crate::host::http::odd::{Give, Server as Odd, nobody};

const EVERY: Duration = Duration::from_millis(50);
const LONG: Duration = Duration::from_secs(10);
const NUMBER: &str = r#"{"status":"success","data":{"resultType":"scalar","result":[1,"7"]}}"#;

async fn take(taken: &mut mpsc::Receiver<Sample>) -> Sample {
    tokio::time::timeout(LONG, taken.recv()).await.expect("samples come").expect("and go on")
}

#[tokio::test]
async fn equal_questions_are_asked_once_and_everybody_gets_the_sample() {
    let odd = Odd::always(Give::answer(200, NUMBER)).await;
    let (needs, mut taken) = needs(Some(Source::Prometheus(prometheus_at(&odd.url, LONG))));
    let all = (0..20).map(|trigger| asked(trigger, "queue", query("up"), EVERY));
    let running = start(all.collect(), &needs);
    let mut moments = Vec::new();
    for _ in 0..3 {
        let mut round = Vec::new();
        for _ in 0..20 {
            round.push(take(&mut taken).await);
        }
        assert!(round.iter().all(|sample| sample.at == round[0].at));
        assert!(round.iter().all(|sample| sample.reading == Reading::Value(7.0)));
        let triggers: std::collections::BTreeSet<_> = round.iter().map(|s| s.trigger).collect();
        assert_eq!(triggers.len(), 20);
        moments.push(round[0].at);
    }
    assert!(moments.is_sorted());
    let asked = odd.heard().len();
    running.stop().await;
    assert!((3..=6).contains(&asked), "asked {asked} times");
}

#[tokio::test]
async fn different_queries_and_intervals_are_different_questions() {
    let odd = Odd::always(Give::answer(200, NUMBER)).await;
    let (needs, mut taken) = needs(Some(Source::Prometheus(prometheus_at(&odd.url, LONG))));
    let all = vec![
        asked(0, "queue", query("a"), EVERY),
        asked(1, "queue", query("b"), EVERY),
        asked(2, "queue", query("a"), EVERY * 2),
    ];
    let running = start(all, &needs);
    assert_eq!(running.0.len(), 3);
    let mut seen = std::collections::BTreeSet::new();
    while seen.len() < 3 {
        seen.insert(take(&mut taken).await.trigger);
    }
}

#[tokio::test]
async fn a_source_that_hangs_delays_no_other() {
    let (well, ill) =
        (Odd::always(Give::answer(200, NUMBER)).await, Odd::always(Give::Silence).await);
    let (mut needs, mut taken) = needs(Some(Source::Prometheus(prometheus_at(&well.url, LONG))));
    needs.sources.insert("ill".into(), Source::Prometheus(prometheus_at(&ill.url, LONG)));
    let hangs = Ask::Prometheus { source: "ill".into(), query: "up".into() };
    let _running =
        start(vec![asked(0, "queue", query("up"), EVERY), asked(1, "queue", hangs, EVERY)], &needs);
    for _ in 0..10 {
        assert_eq!(take(&mut taken).await.trigger, TriggerIx(0));
    }
    assert!(ill.heard().len() >= 3, "it is asked at its moments all the same");
}

#[tokio::test]
async fn stopped_or_dropped_nothing_is_asked_any_more() {
    let odd = Odd::always(Give::answer(200, "")).await;
    let (needs, mut taken) = needs(Some(Source::Probe(probe_at(&odd.url, LONG))));
    let one = || vec![asked(0, "availability", probe(EVERY * 4, 0), EVERY)];
    let running = start(one(), &needs);
    take(&mut taken).await;
    running.stop().await;
    let asked_before = odd.heard().len();
    let running = start(one(), &needs);
    take(&mut taken).await;
    drop(running);
    drop(needs);
    // The last sender is gone: no task is left that could send.
    let rest = async { while taken.recv().await.is_some() {} };
    tokio::time::timeout(LONG, rest).await.expect("every task has ended");
    assert!(odd.heard().len() > asked_before);
}

#[tokio::test]
async fn the_end_of_a_task_is_noticed() {
    let (needs, taken) = needs(Some(Source::Probe(probe_at(&nobody().await, LONG))));
    let mut running = start(vec![asked(0, "availability", probe(EVERY, 0), EVERY)], &needs);
    drop(taken);
    let why = tokio::time::timeout(LONG, running.ended()).await.unwrap();
    assert_eq!(why, "a source's task has ended: nobody takes its samples");
    let mut idle = start(Vec::new(), &needs);
    assert!(tokio::time::timeout(EVERY, idle.ended()).await.is_err(), "nothing to end");
}

#[tokio::test]
async fn a_page_is_read_once_for_all_its_triggers_and_gives_numbers_with_the_second() {
    let reads = std::sync::atomic::AtomicU32::new(1);
    let odd = Odd::start(move |_| {
        let n = reads.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        let page = format!(
            "http_requests_total{{code=\"200\"}} {}\nhttp_requests_total{{code=\"500\"}} {}\n",
            10_000 + n * 75,
            10_000 + n * 25
        );
        Give::answer(200, &page)
    })
    .await;
    let (needs, mut taken) = needs(Some(Source::Scrape(page_at(&odd.url))));
    let window = EVERY * 10;
    let _running = start(
        vec![
            asked(0, "error_rate", scrape(window, 20), EVERY),
            asked(1, "error_rate", scrape(window / 2, 20), EVERY),
            asked(2, "latency_p99", scrape(window, 20), EVERY),
        ],
        &needs,
    );
    let first = take(&mut taken).await;
    assert!(said(&first.reading).starts_with("empty: the page was read once"), "{first:?}");
    let mut last = BTreeMap::new();
    while !(0..2).all(|trigger| {
        matches!(last.get(&TriggerIx(trigger)), Some(Reading::Value(value)) if (value - 0.25_f64).abs() < 1e-9)
    }) {
        let sample = take(&mut taken).await;
        last.insert(sample.trigger, sample.reading);
    }
    let third = last.get(&TriggerIx(2)).map(said).unwrap_or_default();
    assert!(third.starts_with("failed: the page has none of"), "{third}");
    let samples = taken.len();
    assert!(odd.heard().len() <= 20 + samples, "one reading for all of them");
}

#[tokio::test]
async fn probes_that_are_refused_are_an_availability_of_zero() {
    let url = nobody().await;
    let (needs, mut taken) = needs(Some(Source::Probe(probe_at(&url, LONG))));
    let _running = start(vec![asked(0, "availability", probe(EVERY * 10, 0), EVERY)], &needs);
    let first = take(&mut taken).await;
    assert!(said(&first.reading).starts_with("empty: 1 of the 2 probes"), "{first:?}");
    assert_eq!(take(&mut taken).await.reading, Reading::Value(0.0));
}

#[tokio::test]
async fn a_source_that_does_not_exist_is_said_and_nothing_breaks() {
    let (needs, mut taken) = needs(None);
    let trigger = asked(0, "queue", query("up"), EVERY);
    let _running = start(vec![trigger.clone()], &needs);
    let why = said(&take(&mut taken).await.reading);
    assert!(why.starts_with("failed: the configuration has no source"), "{why}");
    assert_eq!(said(&ask_once(&trigger, &needs).await.reading), why);
}

#[tokio::test]
async fn asked_once_each_kind_tells_a_person_what_it_was_answered() {
    let place = |url: &url::Url| crate::host::http::place(url);
    let prom = Odd::always(Give::answer(200, NUMBER)).await;
    let (with, _taken) = needs(Some(Source::Prometheus(prometheus_at(&prom.url, LONG))));
    let answered = ask_once(&asked(0, "queue", query("up"), EVERY), &with).await;
    assert_eq!(
        (said(&answered.reading).as_str(), answered.text.as_str()),
        ("value 7", "queue is 7")
    );

    let gone = nobody().await;
    let (with, _taken) = needs(Some(Source::Scrape(page_at(&gone))));
    let answered = ask_once(&asked(0, "error_rate", scrape(EVERY, 0), EVERY), &with).await;
    assert!(matches!(answered.reading, Reading::Missing(Missing::Failed(_))));
    assert_eq!(
        answered.text,
        format!("{} refuses the connection: is it running, and is the port right?", place(&gone))
    );

    let odd = Odd::always(Give::answer(500, "")).await;
    let (with, _taken) = needs(Some(Source::Probe(probe_at(&odd.url, LONG))));
    let answered = ask_once(&asked(0, "availability", probe(EVERY, 0), EVERY), &with).await;
    assert_eq!(answered.reading, Reading::Value(0.0));
    assert_eq!(
        answered.text,
        format!("the probe failed: {} answers 500 and not 200", place(&odd.url))
    );
}
