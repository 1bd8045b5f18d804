use url::Url;

use super::{super::super::asking::page_at, *};

fn wanted() -> Scrape {
    page_at(&Url::parse("http://app.example/").unwrap())
}

fn page(text: &str) -> Page {
    read(text, &wanted())
}

fn counted(metric: &Result<Metric, String>) -> Vec<(Tag, f64)> {
    metric.as_ref().unwrap().series.iter().map(|seen| (seen.tag, seen.value)).collect()
}

const PAGE: &str = r#"# HELP http_requests_total Requests.
# TYPE http_requests_total counter
http_requests_total{method="get",status="200"} 90
http_requests_total{method="get",status="404"} 6
http_requests_total{method="post",status="500"} 3
http_requests_total{method="post",status="503"} 1
http_requests_created{method="post",status="503"} 1.7e9
# TYPE http_request_duration_seconds histogram
http_request_duration_seconds_bucket{le="0.1"} 50
http_request_duration_seconds_bucket{le="+Inf"} 100
http_request_duration_seconds_sum 12.5
http_request_duration_seconds_count 100
process_open_fds 7
"#;

#[test]
fn requests_errors_and_buckets_are_told_apart() {
    let page = page(PAGE);
    let (good, error) = (Tag::Good, Tag::Error);
    assert_eq!(counted(&page.requests), [(good, 90.0), (good, 6.0), (error, 3.0), (error, 1.0)]);
    let buckets = [(Tag::Bucket(0.1), 50.0), (Tag::Bucket(f64::INFINITY), 100.0)];
    assert_eq!(counted(&page.latency), buckets);
    assert_eq!(page.requests.unwrap().name, "http_requests_total (by status)");
    assert_eq!(page.latency.unwrap().name, "http_request_duration_seconds");
}

#[test]
fn a_pattern_is_the_whole_status_with_any_character_where_it_says_so() {
    for (pattern, status, fits) in [
        ("5..", "500", true),
        ("5..", "5xx", true),
        ("5xx", "503", true),
        ("5..", "50", false),
        ("5..", "5000", false),
        ("5..", "404", false),
        ("5..|429", "429", true),
        ("5..|429", "428", false),
        ("500", "500", true),
        ("...", "200", true),
    ] {
        assert_eq!(is_error(pattern, status), fits, "{pattern} {status}");
    }
}

#[test]
fn a_counter_without_a_series_of_errors_has_none() {
    let page = page("http_requests_total{code=\"200\"} 7\n");
    assert_eq!(counted(&page.requests), [(Tag::Good, 7.0)]);
    assert_eq!(page.requests.unwrap().name, "http_requests_total (by code)");
}

#[test]
fn a_counter_that_is_declared_and_has_counted_nothing_is_there() {
    let declared = "# TYPE http_requests counter\n# TYPE http_server_requests_seconds histogram\n";
    for text in [&declared.replace("requests counter", "requests_total counter"), declared] {
        let page = page(text);
        assert_eq!(counted(&page.requests), []);
        assert_eq!(counted(&page.latency), []);
    }
}

#[test]
fn the_first_name_that_the_page_has_is_used_in_whatever_order_it_stands() {
    let both = "http_server_requests_seconds_count{status=\"200\"} 1\n\
                http_requests_total{status=\"200\"} 2\n\
                http_server_requests_seconds_count{status=\"500\"} 1\n";
    assert_eq!(counted(&page(both).requests), [(Tag::Good, 2.0)]);
    let second = "http_server_requests_seconds_count{status=\"200\"} 1\n";
    assert_eq!(counted(&page(second).requests), [(Tag::Good, 1.0)]);
}

#[test]
fn the_same_labels_are_the_same_series_in_any_order() {
    let keys = |text: &str| -> Vec<u64> {
        page(text).requests.unwrap().series.iter().map(|seen| seen.key).collect()
    };
    let first = keys("http_requests_total{status=\"200\",path=\"/\"} 1\n");
    assert_eq!(first, keys("http_requests_total{path=\"/\",status=\"200\"} 5\n"));
    assert_ne!(first, keys("http_requests_total{path=\"/a\",status=\"200\"} 5\n"));
}

#[test]
fn what_is_missing_is_named_with_what_is_nearest() {
    let text = "my_http_requests{status=\"200\"} 1\nhttp_requests_in_flight 2\n\
        http_client_requests_total 4\nprocess_cpu_seconds_total 4\nnot a line\n";
    let page = page(text);
    insta::assert_snapshot!(page.requests.unwrap_err(), @"the page has none of `http_requests_total`, `http_server_requests_seconds_count`; the nearest that it has: `http_client_requests_total`, `my_http_requests`, `http_requests_in_flight`; 1 of its lines cannot be read");
    insta::assert_snapshot!(page.latency.unwrap_err(), @"the page has none of `http_request_duration_seconds_bucket`, `http_server_requests_seconds_bucket`; 1 of its lines cannot be read");
}

#[test]
fn a_page_that_is_none_says_how_it_begins() {
    insta::assert_snapshot!(page("\n<!doctype html>\n<p>Welcome</p>").requests.unwrap_err(), @r#"the page is no metrics page: none of its lines can be read (of 2), it begins with "<!doctype html> <p>Welcome</p>""#);
    insta::assert_snapshot!(page("").requests.unwrap_err(), @"the page is empty; looked for `http_requests_total`, `http_server_requests_seconds_count`");
    insta::assert_snapshot!(page("{\"status\":\"up\"}").requests.unwrap_err(), @r#"the page is no metrics page: none of its lines can be read (of 1), it begins with "{\"status\":\"up\"}""#);
}

#[test]
fn a_counter_without_a_status_says_which_labels_it_has() {
    let text = "http_requests_total{method=\"get\",path=\"/\"} 1\n";
    insta::assert_snapshot!(page(text).requests.unwrap_err(), @"`http_requests_total` has no label for the status code (looked for `status`, `code`; it has `method`, `path`): write `status_label`");
    insta::assert_snapshot!(page("http_requests_total 1\n").requests.unwrap_err(), @"`http_requests_total` has no label for the status code (looked for `status`, `code`; it has none): write `status_label`");
}

#[test]
fn a_summary_and_an_open_histogram_cannot_be_used() {
    let summary = "# TYPE http_request_duration_seconds summary\n\
        http_request_duration_seconds{quantile=\"0.99\"} 0.3\n\
        http_request_duration_seconds_sum 3\nhttp_request_duration_seconds_count 10\n";
    insta::assert_snapshot!(page(summary).latency.unwrap_err(), @"`http_request_duration_seconds` is a summary, whose quantiles cannot be worked out over a window or added up: let the app count it as a histogram");
    let open = "http_request_duration_seconds_bucket{le=\"0.1\"} 1\n";
    insta::assert_snapshot!(page(open).latency.unwrap_err(), @r#"the histogram `http_request_duration_seconds` has no bucket with le="+Inf""#);
}

#[test]
fn a_page_with_too_many_series_is_refused_and_not_kept() {
    use std::fmt::Write as _;
    let mut text = String::new();
    for user in 0..=MOST_SERIES {
        writeln!(text, "http_requests_total{{status=\"200\",user=\"{user}\"}} 1").unwrap();
    }
    insta::assert_snapshot!(page(&text).requests.unwrap_err(), @"`http_requests_total` has more than 20000 series on one page");
}

#[test]
fn malformed_lines_are_passed_over() {
    let text = "http_requests_total{status=\"200\"} 1\nhttp_requests_total{status=\"500} 1\n\
        http_requests_total{status=\"502\"} NaN\nhttp_requests_total{status=\"503\"} 4\n";
    assert_eq!(counted(&page(text).requests), [(Tag::Good, 1.0), (Tag::Error, 4.0)]);
}
