use std::time::Duration;

use super::{
    super::asking::{prometheus_at, said},
    *,
};
use crate::{
    config::settings::{HttpAuth, Secret},
    host::http::odd::{Give, Server as Odd, nobody},
};

const LONG: Duration = Duration::from_secs(10);

fn server(url: &Url, timeout: Duration) -> Server {
    Server::new("prom".into(), prometheus_at(url, timeout))
}

fn own() -> Signal {
    Signal::Own("queue".into())
}

/// What an answer is read as, the server's address left out.
async fn reading_of(give: Give) -> String {
    let odd = Odd::always(give).await;
    let told = server(&odd.url, LONG).ask("up", &own()).await;
    said(&told.reading).replace(&place(&odd.url), "HOST")
}

async fn result(result: &str) -> String {
    let body = format!(r#"{{"status":"success","data":{result}}}"#);
    reading_of(Give::answer(200, &body)).await
}

async fn vector(series: &str) -> String {
    result(&format!(r#"{{"resultType":"vector","result":[{series}]}}"#)).await
}

#[tokio::test]
async fn one_series_or_a_scalar_is_a_value_also_an_infinite_one() {
    let one = |value: &str| format!(r#"{{"metric":{{}},"value":[1435781451.781,"{value}"]}}"#);
    assert_eq!(vector(&one("0.125")).await, "value 0.125");
    assert_eq!(vector(&one("1e-3")).await, "value 0.001");
    assert_eq!(vector(&one("+Inf")).await, "value inf");
    assert_eq!(vector(&one("-Inf")).await, "value -inf");
    assert_eq!(result(r#"{"resultType":"scalar","result":[1435781451.781,"7"]}"#).await, "value 7");
}

#[tokio::test]
async fn nothing_and_nan_are_empty_and_say_what_to_do() {
    insta::assert_snapshot!(vector("").await, @"empty: the query's result is empty; where that means zero, write `(...) or vector(0)`");
    insta::assert_snapshot!(vector(r#"{"metric":{},"value":[1,"NaN"]}"#).await, @"empty: the query's result is NaN, as 0/0 is: no requests in its range?");
    insta::assert_snapshot!(result(r#"{"resultType":"scalar","result":[1,"NaN"]}"#).await, @"empty: the query's result is NaN, as 0/0 is: no requests in its range?");
}

#[tokio::test]
async fn several_series_are_named_and_no_number_is_made_up() {
    let one = |code: u32| {
        let metric = format!(r#""__name__":"hits","job":"web","code":"{code}""#);
        format!(r#"{{"metric":{{{metric}}},"value":[1,"1"]}}"#)
    };
    insta::assert_snapshot!(vector(&[one(200), one(500)].join(",")).await, @r#"failed: the query's result is 2 series and not one: hits{code="200", job="web"}, hits{code="500", job="web"}; aggregate them, as in `sum(...)` or `max(...)`"#);
    let many: Vec<_> = (200..209).map(one).collect();
    insta::assert_snapshot!(vector(&many.join(",")).await, @r#"failed: the query's result is 9 series and not one: hits{code="200", job="web"}, hits{code="201", job="web"}, hits{code="202", job="web"}, …; aggregate them, as in `sum(...)` or `max(...)`"#);
}

#[test]
fn several_series_are_aggregated_as_their_signal_can_be() {
    let of = |signal: &str| aggregation(&Signal::parse(signal));
    let signals = ["error_rate", "latency_p999", "availability", "memory", "restarts", "queue"];
    insta::assert_snapshot!(signals.map(of).join("\n"), @r"
    aggregate both sides of the ratio: `sum(...) / sum(...)`
    aggregate the buckets, `histogram_quantile(0.999, sum by (le) (...))`, or take the slowest with `max(...)`
    aggregate them with `avg(...)`, or take the worst with `min(...)`
    take the fullest with `max(...)`
    aggregate them with `sum(...)`
    aggregate them, as in `sum(...)` or `max(...)`
    ");
}

#[test]
fn the_place_that_a_server_names_is_understood() {
    assert_eq!(place_in("2:23: parse error: unexpected identifier"), Some((2, 23)));
    for words in ["", "parse error: at 1:2", "found duplicate series", "12", "1:", "1:x: no"] {
        assert_eq!(place_in(words), None, "{words}");
    }
}

#[tokio::test]
async fn results_that_are_no_number_fail() {
    insta::assert_snapshot!(result(r#"{"resultType":"matrix","result":[{"metric":{},"values":[[1,"1"]]}]}"#).await, @"failed: the query's result is a range of values, and a trigger needs one number; put it into `rate(...)` or `avg_over_time(...)`");
    insta::assert_snapshot!(result(r#"{"resultType":"string","result":[1,"hello"]}"#).await, @"failed: the query's result is a text, and a trigger needs a number; take the quotes away");
    insta::assert_snapshot!(result(r#"{"resultType":"streams","result":[]}"#).await, @"failed: HOST answers with a result of the kind `streams`");
    insta::assert_snapshot!(vector(r#"{"metric":{},"histogram":[1,{"count":"2"}]}"#).await, @"failed: the query's result is a native histogram, and a trigger needs a number; put it into `histogram_quantile(...)`");
    insta::assert_snapshot!(vector(r#"{"metric":{},"value":[1,"lots"]}"#).await, @r#"failed: HOST answers with an unreadable result (invalid value: string "lots", expected a float value inside a quoted JSON string)"#);
    insta::assert_snapshot!(result("{}").await, @"failed: HOST answers without a result");
}

#[tokio::test]
async fn a_refused_query_is_told_in_the_servers_own_words() {
    let body = r#"{"status":"error","errorType":"bad_data","error":"invalid parameter \"query\": 1:4: parse error: unexpected end of input"}"#;
    insta::assert_snapshot!(reading_of(Give::answer(400, body)).await, @r#"failed: HOST does not understand the query: 1:4: parse error: unexpected end of input"#);
    let body = r#"{"status":"error","errorType":"execution","error":"found duplicate series"}"#;
    insta::assert_snapshot!(reading_of(Give::answer(422, body)).await, @"failed: HOST cannot work the query out (422 execution): found duplicate series");
    let body = r#"{"status":"error","errorType":"timeout","error":"query timed out in expression evaluation"}"#;
    insta::assert_snapshot!(reading_of(Give::answer(503, body)).await, @"failed: HOST cannot work the query out (503 timeout): query timed out in expression evaluation");
    let long =
        format!(r#"{{"status":"error","errorType":"bad_data","error":"{}"}}"#, "x\\n".repeat(5000));
    let said = reading_of(Give::answer(400, &long)).await;
    assert!(said.len() < 500 && !said.contains('\n'), "{said}");
}

#[tokio::test]
async fn answers_of_others_say_what_is_likely_wrong() {
    insta::assert_snapshot!(reading_of(Give::answer(401, "Unauthorized")).await, @"failed: HOST lets nobody in without the right login (401): see `bearer_token_file`, or `user` and `password_file`");
    insta::assert_snapshot!(reading_of(Give::answer(404, "404 page not found")).await, @"failed: HOST has no Prometheus API there (404): is `url` its base address?");
    insta::assert_snapshot!(reading_of(Give::answer(502, "<html>\n<h1>Bad Gateway</h1>")).await, @"failed: HOST answers 502: <html> <h1>Bad Gateway</h1>");
    insta::assert_snapshot!(reading_of(Give::answer(500, "")).await, @"failed: HOST answers 500");
    insta::assert_snapshot!(reading_of(Give::headed(307, "location: https://prom.example/", "")).await, @"failed: HOST redirects to https://prom.example/ (307): write that server's address as `url`");
    insta::assert_snapshot!(reading_of(Give::answer(200, "<!doctype html>")).await, @"failed: HOST does not answer as a Prometheus server does (expected value at line 1 column 1): is `url` its base address?");
    insta::assert_snapshot!(reading_of(Give::answer(200, r#"{"status":"success","data":{"resu"#)).await, @"failed: HOST does not answer as a Prometheus server does (EOF while parsing a string at line 1 column 33): is `url` its base address?");
}

#[tokio::test]
async fn a_server_that_cannot_answer_is_a_clear_sentence() {
    insta::assert_snapshot!(reading_of(Give::Endless).await, @"failed: HOST answers with more than 1 MiB, which is not read further; aggregate them, as in `sum(...)` or `max(...)`");
    insta::assert_snapshot!(reading_of(Give::cut_off(r#"{"status":"#)).await, @"failed: HOST cut its answer off (end of file before message length reached)");
    let url = nobody().await;
    let told = server(&url, LONG).ask("up", &own()).await;
    insta::assert_snapshot!(said(&told.reading).replace(&place(&url), "HOST"), @"failed: HOST refuses the connection: is it running, and is the port right?");
    let odd = Odd::always(Give::Silence).await;
    let told = server(&odd.url, Duration::from_millis(100)).ask("up", &own()).await;
    insta::assert_snapshot!(said(&told.reading).replace(&place(&odd.url), "HOST"), @"failed: HOST did not answer completely within 100ms");
}

#[tokio::test]
async fn warnings_are_kept_and_the_value_is_used() {
    let body = r#"{"status":"success","warnings":["PromQL info: metric might not be a counter"],
        "data":{"resultType":"scalar","result":[1,"7"]}}"#;
    let odd = Odd::always(Give::answer(200, body)).await;
    let told = server(&odd.url, LONG).ask("up", &own()).await;
    assert_eq!(told.reading, Reading::Value(7.0));
    assert_eq!(told.warnings, ["PromQL info: metric might not be a counter"]);
}

#[tokio::test]
async fn the_query_arrives_as_it_was_written_below_the_base_path() {
    let odd = Odd::always(Give::answer(200, "{}")).await;
    let url = odd.url.join("/prom/").unwrap();
    let query = "sum(rate(x{code=~\"5..\"}[1m])) / 2 + 1 & \"ü\"";
    server(&url, LONG).ask(query, &own()).await;
    let long = format!("{query} or {}", "y".repeat(LONG_QUERY));
    server(&url, LONG).ask(&long, &own()).await;
    let heard = odd.heard();
    let (method, rest) = heard[0].split_once(' ').unwrap();
    let asked = url.join(rest.split_once(' ').unwrap().0).unwrap();
    assert_eq!((method, asked.path()), ("GET", "/prom/api/v1/query"));
    let pairs: Vec<_> = asked.query_pairs().into_owned().collect();
    assert_eq!(pairs[0], ("query".into(), query.into()));
    assert_eq!(pairs[1], ("timeout".into(), "10000ms".into()));
    assert!(heard[1].starts_with("POST /prom/api/v1/query HTTP/1.1\r\n"), "{}", heard[1]);
    let (_, form) = heard[1].split_once("\r\n\r\n").unwrap();
    let pairs: Vec<_> = url::form_urlencoded::parse(form.as_bytes()).into_owned().collect();
    assert_eq!(pairs[0], ("query".into(), long));
}

#[tokio::test]
async fn a_token_is_read_for_each_request_and_a_missing_one_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let token = dir.path().join("token");
    let odd = Odd::always(Give::answer(200, "{}")).await;
    let auth =
        HttpAuth { bearer_token: Some(Secret { file: token.clone() }), ..HttpAuth::default() };
    let server = Server::new("prom".into(), Prometheus { auth, ..prometheus_at(&odd.url, LONG) });
    let why = said(&server.ask("up", &own()).await.reading);
    assert!(why.contains("token cannot be read"), "{why}");
    assert_eq!(odd.heard().len(), 0);
    for secret in ["one", "two"] {
        std::fs::write(&token, format!("{secret}\n")).unwrap();
        server.ask("up", &own()).await;
        let last = odd.heard().pop().unwrap();
        assert!(last.contains(&format!("authorization: Bearer {secret}\r\n")), "{last}");
    }
}
