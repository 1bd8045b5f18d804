use std::sync::Mutex;

use super::{
    super::asking::{asked, page_at, said, scrape},
    *,
};
use crate::host::http::odd::{Give, Server as Odd};

const EVERY: Duration = Duration::from_secs(10);
const WINDOW: Duration = Duration::from_secs(60);

/// Pages as text, read at moments ten seconds apart, and what they come to.
struct Replay {
    book: Book,
    asked: Vec<Asked>,
    at: Moment,
    config: Scrape,
}

impl Replay {
    fn new(asked: Vec<Asked>) -> Self {
        let url = "http://app.example/metrics".parse().unwrap();
        let at = Moment::ZERO + Duration::from_secs(1_000_000);
        Self { book: Book::new(WINDOW), asked, at, config: page_at(&url) }
    }

    /// One trigger, with `min_requests`.
    fn of(signal: &str, min_requests: u64) -> Self {
        Self::new(vec![asked(0, signal, scrape(WINDOW, min_requests), EVERY)])
    }

    /// A round in which these containers' pages said this.
    fn round(&mut self, pages: &[(&str, Result<&str, &str>)]) -> Vec<String> {
        let target = |name: &str| Target::page(format!("http://{name}/").parse().unwrap());
        let read = |page: &Result<&str, &str>| match page {
            Ok(text) => Ok(page::read(text, &self.config)),
            Err(why) => Err((*why).to_owned()),
        };
        let read = pages.iter().map(|(name, page)| (target(name), read(page)));
        let round = Round(Ok(read.collect()));
        self.at = self.at + EVERY;
        let samples = self.book.told(self.at, &round, &self.asked);
        assert!(samples.iter().all(|sample| sample.at == self.at));
        samples.iter().map(|sample| said(&sample.reading)).collect()
    }

    fn one(&mut self, page: &str) -> String {
        self.round(&[("app", Ok(page))]).remove(0)
    }
}

fn counts(good: u32, errors: u32) -> String {
    format!(
        "http_requests_total{{status=\"200\"}} {good}\nhttp_requests_total{{status=\"500\"}} {errors}\n"
    )
}

#[test]
fn an_error_rate_is_errors_over_all_within_the_window() {
    let mut replay = Replay::of("error_rate", 20);
    insta::assert_snapshot!(replay.one(&counts(1000, 50)), @"empty: the page was read once within 1m so far; a rate needs two readings");
    assert_eq!(replay.one(&counts(1075, 75)), "value 0.25");
    assert_eq!(replay.one(&counts(1175, 75)), "value 0.125");
    // The bad stretch leaves the window again.
    for step in 1..=6 {
        replay.one(&counts(1175 + step * 100, 75));
    }
    assert_eq!(replay.one(&counts(2000, 75)), "value 0");
}

#[test]
fn too_few_requests_are_missing_and_not_zero_percent() {
    let mut replay = Replay::of("error_rate", 20);
    replay.one(&counts(10, 0));
    insta::assert_snapshot!(replay.one(&counts(15, 4)), @"empty: 12 requests within 1m, fewer than min_requests = 20");
    let mut replay = Replay::of("error_rate", 0);
    replay.one(&counts(10, 0));
    insta::assert_snapshot!(replay.one(&counts(10, 0)), @"empty: no requests within 1m");
    assert_eq!(replay.one(&counts(11, 0)), "value 0");
    let mut replay = Replay::of("error_rate", 0);
    replay.one("# TYPE http_requests_total counter\n");
    insta::assert_snapshot!(replay.one("# TYPE http_requests_total counter\n"), @"empty: no request was counted yet (2 readings within 1m)");
}

#[test]
fn a_restarted_app_counts_on_from_zero() {
    let mut replay = Replay::of("error_rate", 20);
    replay.one(&counts(100_000, 100_000));
    replay.one(&counts(100_100, 100_000));
    // Restarted: 50 good and 50 bad ones since.
    assert_eq!(replay.one(&counts(50, 50)), format!("value {}", 50.0 / 200.0));
}

#[test]
fn containers_are_added_up_after_the_rate() {
    let mut replay = Replay::of("error_rate", 20);
    let (one, two) = (counts(5000, 1000), counts(7000, 1000));
    replay.round(&[("a", Ok(&one)), ("b", Ok(&two))]);
    let (one, two) = (counts(5080, 1000), counts(7000, 1020));
    assert_eq!(replay.round(&[("a", Ok(&one)), ("b", Ok(&two))]), ["value 0.2"]);
    // One does not answer: the other's number and its own past are there.
    let said = replay.round(&[("a", Ok(&one)), ("b", Err("refused"))]).remove(0);
    assert!(said.starts_with("value 0.3"), "{said}");
    // It is gone: only what runs counts.
    assert_eq!(replay.round(&[("a", Ok(&one))]), ["value 0"]);
    // None answers.
    let said = replay.round(&[("a", Err("refused")), ("b", Err("refused"))]).remove(0);
    insta::assert_snapshot!(said, @"failed: a:80: refused (and another page)");
}

fn latencies(fast: u32, slow: u32) -> String {
    let (name, all) = ("http_request_duration_seconds_bucket", fast + slow);
    format!("{name}{{le=\"1\"}} {fast}\n{name}{{le=\"2\"}} {all}\n{name}{{le=\"+Inf\"}} {all}\n")
}

#[test]
fn a_latency_is_the_histograms_quantile_within_the_window() {
    let mut replay = Replay::of("latency_p90", 20);
    replay.one(&latencies(1_000_000, 0));
    assert_eq!(replay.one(&latencies(1_000_080, 20)), "value 1.5");
    let mut replay = Replay::of("latency_p90", 20);
    replay.one(&latencies(0, 0));
    insta::assert_snapshot!(replay.one(&latencies(1, 0)), @"empty: 1 requests within 1m, fewer than min_requests = 20");
}

#[test]
fn every_trigger_on_a_page_gets_its_own_number_of_one_reading() {
    let mut short = asked(1, "error_rate", scrape(EVERY * 2, 0), EVERY);
    short.watch.trigger.every = EVERY;
    let mut replay = Replay::new(vec![
        asked(0, "error_rate", scrape(WINDOW, 0), EVERY),
        short,
        asked(2, "latency_p50", scrape(WINDOW, 0), EVERY),
        asked(3, "cpu", scrape(WINDOW, 0), EVERY),
    ]);
    let page = |good, errors| counts(good, errors) + &latencies(good, errors);
    replay.round(&[("a", Ok(&page(10_000, 1000)))]);
    replay.round(&[("a", Ok(&page(10_000, 1100)))]);
    replay.round(&[("a", Ok(&page(10_050, 1100)))]);
    let said = replay.round(&[("a", Ok(&page(10_100, 1100)))]);
    assert_eq!(said[0], "value 0.5");
    assert_eq!(said[1], "value 0");
    assert_eq!(said[2], "value 1");
    insta::assert_snapshot!(said[3], @"failed: a metrics page gives error rates and latencies, and no `cpu`: ask a source of the kind `prometheus`");
}

#[test]
fn a_page_with_only_the_counter_serves_error_rates_and_not_latencies() {
    let mut replay = Replay::new(vec![
        asked(0, "error_rate", scrape(WINDOW, 0), EVERY),
        asked(1, "latency_p50", scrape(WINDOW, 0), EVERY),
    ]);
    replay.one(&counts(100, 0));
    let said = replay.round(&[("app", Ok(&counts(200, 0)))]);
    assert_eq!(said[0], "value 0");
    insta::assert_snapshot!(said[1], @"failed: the page has none of `http_request_duration_seconds_bucket`, `http_server_requests_seconds_bucket`");
}

#[test]
fn nothing_is_kept_of_pages_that_are_gone() {
    let mut replay = Replay::of("error_rate", 0);
    for container in 0..100 {
        let (name, page) = (format!("c{container}"), counts(1, 1));
        replay.round(&[(&name, Ok(&page))]);
    }
    assert!(replay.book.pages.len() <= 7, "{}", replay.book.pages.len());
}

fn reader(config: Scrape) -> Reader {
    Reader::new(config, None, Docker::connect("unix:///nowhere").unwrap())
}

async fn read_once(give: Give, signal: &str) -> String {
    let odd = Odd::always(give).await;
    let config = Scrape { timeout: Duration::from_millis(300), ..page_at(&odd.url) };
    let round = reader(config).read().await;
    let (reading, text) = once(&round, &Signal::parse(signal));
    format!("{} | {text}", said(&reading)).replace(&place(&odd.url), "HOST")
}

#[tokio::test]
async fn a_page_that_cannot_be_had_says_why() {
    let signal = "error_rate";
    insta::assert_snapshot!(read_once(Give::Silence, signal).await, @"failed: HOST did not answer completely within 300ms | HOST did not answer completely within 300ms");
    insta::assert_snapshot!(read_once(Give::answer(503, "starting\nup"), signal).await, @"failed: HOST answers 503 for /: starting up | HOST answers 503 for /: starting up");
    insta::assert_snapshot!(read_once(Give::cut_off(&counts(1, 1)), signal).await, @"failed: HOST cut its answer off (end of file before message length reached) | HOST cut its answer off (end of file before message length reached)");
    insta::assert_snapshot!(read_once(Give::answer(200, "hello"), signal).await, @r#"failed: the page is no metrics page: none of its lines can be read (of 1), it begins with "hello" | the page is no metrics page: none of its lines can be read (of 1), it begins with "hello""#);
}

#[tokio::test]
async fn an_endless_page_is_not_read_for_ever() {
    let odd = Odd::always(Give::Endless).await;
    let config = Scrape { timeout: Duration::from_secs(60), ..page_at(&odd.url) };
    let round = reader(config).read().await;
    let (reading, _) = once(&round, &Signal::ErrorRate);
    insta::assert_snapshot!(said(&reading).replace(&place(&odd.url), "HOST"), @"failed: HOST answers with more than 8 MiB, which is not read further");
}

#[tokio::test]
async fn asked_once_a_page_tells_of_the_time_since_the_apps_start() {
    let page = counts(90, 10) + &latencies(90, 10);
    insta::assert_snapshot!(read_once(Give::answer(200, &page), "error_rate").await, @"value 0.1 | 1 of 1 page read; http_requests_total (by status) counts 100 requests since the app's start, error_rate over them is 10%");
    insta::assert_snapshot!(read_once(Give::answer(200, &page), "latency_p95").await, @"value 1.5 | 1 of 1 page read; http_request_duration_seconds counts 100 requests since the app's start, latency_p95 over them is 1.5s");
    insta::assert_snapshot!(read_once(Give::answer(200, &page), "availability").await, @"failed: a metrics page gives error rates and latencies, and no `availability`: ask a source of the kind `prometheus` | a metrics page gives error rates and latencies, and no `availability`: ask a source of the kind `prometheus`");
}

#[tokio::test]
async fn a_long_page_is_read_whole() {
    let page = "# a comment that makes it long\n".repeat(20_000) + &counts(3, 1);
    assert!(page.len() > LONG);
    assert!(read_once(Give::answer(200, &page), "error_rate").await.starts_with("value 0.25"));
}

#[tokio::test]
async fn a_page_is_asked_for_in_the_text_format() {
    let heard = Mutex::new(String::new());
    let odd = Odd::always(Give::answer(200, "")).await;
    reader(page_at(&odd.url)).read().await;
    *heard.lock().unwrap() = odd.heard().concat();
    let heard = heard.into_inner().unwrap();
    assert!(heard.contains("accept: text/plain;version=0.0.4"), "{heard}");
}
