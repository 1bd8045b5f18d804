use std::sync::atomic::{AtomicU32, Ordering};

use proptest::prelude::*;
use url::Url;

use super::{
    super::asking::{asked, probe, probe_at, said},
    *,
};
use crate::host::http::odd::{Give, Server as Odd, nobody};

const EVERY: Duration = Duration::from_secs(15);
const WINDOW: Duration = Duration::from_secs(60);
const LIMIT: Duration = Duration::from_millis(300);

async fn probed(config: Probe) -> Probed {
    let place = place(&config.url);
    let mut probed = Prober::new(config).probe().await.unwrap();
    probed.failed = probed.failed.map(|why| why.replace(&place, "HOST"));
    probed
}

async fn why(url: &Url) -> String {
    probed(probe_at(url, LIMIT)).await.failed.unwrap_or_else(|| "well".into())
}

#[tokio::test]
async fn an_expected_answer_is_well_and_quick() {
    let odd = Odd::always(Give::answer(204, "")).await;
    let config = Probe { expect: vec![200, 204], ..probe_at(&odd.url, LIMIT) };
    let probed = probed(config).await;
    assert_eq!(probed.failed, None);
    assert!(probed.took > Duration::ZERO && probed.took < LIMIT);
}

#[tokio::test]
async fn a_refused_connection_is_a_failed_probe() {
    let probed = probed(probe_at(&nobody().await, LIMIT)).await;
    assert_eq!(probed.took, LIMIT);
    insta::assert_snapshot!(probed.failed.unwrap(), @"HOST refuses the connection: is it running, and is the port right?");
}

#[tokio::test]
async fn a_wrong_status_a_redirect_and_a_cut_off_answer_are_failed_probes() {
    let odd = Odd::always(Give::answer(503, "no")).await;
    insta::assert_snapshot!(why(&odd.url).await, @"HOST answers 503 and not 200");
    let odd = Odd::always(Give::headed(302, "location: /login", "")).await;
    insta::assert_snapshot!(why(&odd.url).await, @"HOST answers 302 and not 200");
    let odd = Odd::always(Give::cut_off("half")).await;
    insta::assert_snapshot!(why(&odd.url).await, @"HOST cut its answer off (end of file before message length reached)");
}

#[tokio::test]
async fn a_probe_without_an_answer_takes_its_whole_time_and_no_longer() {
    let odd = Odd::always(Give::Silence).await;
    let began = Instant::now();
    let probed = probed(probe_at(&odd.url, LIMIT)).await;
    assert!(began.elapsed() < LIMIT * 5);
    assert_eq!(probed.took, LIMIT);
    insta::assert_snapshot!(probed.failed.unwrap(), @"HOST did not answer completely within 300ms");
}

#[tokio::test]
async fn a_body_can_be_looked_into_and_an_endless_one_is_not_read_to_its_end() {
    let with = |url: &Url, text: &str| Probe {
        body_contains: Some(text.into()),
        timeout: Duration::from_secs(20),
        ..probe_at(url, LIMIT)
    };
    let odd = Odd::always(Give::answer(200, "{\"db\":\"up\"}")).await;
    assert_eq!(probed(with(&odd.url, "\"up\"")).await.failed, None);
    insta::assert_snapshot!(probed(with(&odd.url, "ready")).await.failed.unwrap(), @r#"HOST answers without `ready` in the body, which begins with "{\"db\":\"up\"}""#);
    let odd = Odd::always(Give::Endless).await;
    assert_eq!(probed(with(&odd.url, "round and")).await.failed, None);
    let plain = Probe { timeout: Duration::from_secs(20), ..probe_at(&odd.url, LIMIT) };
    assert_eq!(probed(plain).await.failed, None);
}

#[tokio::test]
async fn every_probe_makes_a_connection_of_its_own() {
    // It would keep the connection: the client does not.
    let keep = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok".to_vec();
    let odd = Odd::always(Give::Bytes(keep)).await;
    let prober = Prober::new(probe_at(&odd.url, LIMIT));
    for _ in 0..3 {
        assert_eq!(prober.probe().await.unwrap().failed, None);
    }
    assert_eq!(odd.heard().len(), 3);
}

#[tokio::test]
async fn a_secret_that_cannot_be_read_says_nothing_of_the_service() {
    let odd = Odd::always(Give::answer(200, "")).await;
    let secret = crate::config::settings::Secret { file: "/nowhere/token".into() };
    let auth = crate::config::settings::HttpAuth {
        bearer_token: Some(secret),
        ..crate::config::settings::HttpAuth::default()
    };
    let config = Probe { auth, ..probe_at(&odd.url, LIMIT) };
    let why = Prober::new(config).probe().await.unwrap_err();
    assert!(why.contains("/nowhere/token"), "{why}");
}

fn well(millis: u64) -> Result<Probed, String> {
    Ok(Probed { took: Duration::from_millis(millis), failed: None })
}

fn ill() -> Result<Probed, String> {
    Ok(Probed { took: LIMIT, failed: Some("refused".into()) })
}

/// Results fifteen seconds apart, and what the last of them comes to.
fn last(signal: &str, least: u64, results: Vec<Result<Probed, String>>) -> String {
    let asked = [asked(0, signal, probe(WINDOW, least), EVERY)];
    let mut probes = Probes::new(WINDOW);
    let mut at = Moment::ZERO + Duration::from_secs(1_000_000);
    let mut said_last = String::new();
    for result in results {
        at = at + EVERY;
        let samples = probes.told(at, result, &asked);
        assert_eq!((samples.len(), samples[0].at), (1, at));
        said_last = said(&samples[0].reading);
    }
    assert!(probes.all.len() <= 4);
    said_last
}

#[test]
fn a_window_holds_as_many_probes_as_intervals() {
    assert_eq!(last("availability", 0, vec![ill(), well(1), well(1), well(1)]), "value 0.75");
    assert_eq!(last("availability", 0, vec![ill(), well(1), well(1), well(1), well(1)]), "value 1");
    assert_eq!(last("error_rate", 0, vec![ill(), ill(), well(1), ill(), well(1)]), "value 0.5");
}

#[test]
fn one_probe_alone_says_nothing() {
    insta::assert_snapshot!(last("availability", 0, vec![ill()]), @"empty: 1 of the 2 probes that are needed within 1m have been sent so far");
    assert_eq!(last("availability", 0, vec![ill(), ill()]), "value 0");
}

#[test]
fn min_requests_counts_for_error_rates_and_latencies_when_it_is_written() {
    let four = || vec![well(1), well(1), well(1), well(1)];
    insta::assert_snapshot!(last("error_rate", 20, four()), @"empty: 4 of the 20 probes that are needed within 1m have been sent so far");
    assert_eq!(last("error_rate", 4, four()), "value 0");
    assert_eq!(last("availability", 20, four()), "value 1");
}

#[test]
fn latencies_are_quantiles_in_which_no_answer_is_as_slow_as_can_be() {
    let results = vec![well(100), well(200), ill(), well(200)];
    assert_eq!(last("latency_p50", 0, results.clone()), "value 0.2");
    assert_eq!(last("latency_p999", 0, results), format!("value {}", 0.2 + 0.1 * 0.997));
}

#[test]
fn a_probe_that_could_not_be_sent_is_missing_and_leaves_no_trace() {
    let failed = || Err("no secret".to_owned());
    assert_eq!(last("availability", 0, vec![well(1), well(1), failed()]), "failed: no secret");
    assert_eq!(last("availability", 0, vec![well(1), failed(), failed(), well(1)]), "value 1");
}

#[test]
fn a_signal_that_probes_do_not_give_says_so() {
    insta::assert_snapshot!(last("cpu", 0, vec![well(1), well(1)]), @"failed: probes give availability, error_rate and latencies, and no `cpu`: ask a source of the kind `prometheus`");
}

proptest! {
    #[test]
    fn error_rate_and_availability_are_shares_and_add_up(outcomes in prop::collection::vec(any::<bool>(), 2..12)) {
        let results = || outcomes.iter().map(|&good| if good { well(1) } else { ill() }).collect();
        let number = |said: String| said.trim_start_matches("value ").parse::<f64>().unwrap();
        let (errors, available) = (number(last("error_rate", 0, results())), number(last("availability", 0, results())));
        prop_assert!((0.0..=1.0).contains(&errors));
        prop_assert!((errors + available - 1.0).abs() < 1e-12);
    }
}

#[tokio::test]
async fn asked_once_a_probe_tells_how_it_went() {
    let calls = AtomicU32::new(0);
    let odd = Odd::start(move |_| match calls.fetch_add(1, Ordering::SeqCst) {
        0 => Give::answer(200, ""),
        _ => Give::answer(500, ""),
    })
    .await;
    let prober = Prober::new(probe_at(&odd.url, LIMIT));
    let (reading, text) = once(prober.probe().await, &Signal::Availability);
    assert_eq!(reading, Reading::Value(1.0));
    assert!(text.starts_with("the probe was answered as expected in "), "{text}");
    let (reading, text) = once(prober.probe().await, &Signal::Availability);
    assert_eq!(reading, Reading::Value(0.0));
    assert!(text.ends_with(" answers 500 and not 200"), "{text}");
}
