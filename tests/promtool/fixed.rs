//! Cases that stay: those that ever differed, each with what differed, and the
//! corners of the rule that a person should be able to look up. What is written
//! beside them is what Prometheus says.

use std::time::Duration;

use rollbackd_core::settings::Condition;

use crate::{
    compare,
    seen::State,
    series::{Case, Pace, Query, Rule},
};

/// A rule with its `for` in milliseconds, and its series.
fn case(query: Query, condition: Condition, hold: u64, series: &[&str]) -> Case {
    let rule = Rule { query, condition, hold: Duration::from_millis(hold) };
    Case { rule, series: series.iter().map(|&values| values.to_owned()).collect() }
}

/// Compares, and gives a letter for each of the first evaluations: `-` inactive,
/// `p` pending, `F` firing.
fn states(pace: Pace, case: &Case, evaluations: usize) -> String {
    let compared = compare(pace, std::slice::from_ref(case), Rule::clone);
    if let Some(difference) = compared.differences.first() {
        panic!("{difference}");
    }
    let letter = |state| match state {
        State::Inactive => '-',
        State::Pending => 'p',
        State::Firing => 'F',
    };
    compared.theirs[0].iter().take(evaluations).map(|seen| letter(seen.state)).collect()
}

const QUARTER: Pace = Pace::of(15_000, 15_000);
const ABOVE: Condition = Condition::Above(0.05);

fn plain(hold: u64, values: &str) -> Case {
    case(Query::Plain, ABOVE, hold, &[values])
}

#[test]
fn it_fires_at_the_first_evaluation_that_is_at_least_its_for_later() {
    assert_eq!(states(QUARTER, &plain(30_000, "0 1 1 1 1 0 1 0"), 8), "-ppFF-p-");
    assert_eq!(states(QUARTER, &plain(30_001, "0 1 1 1 1 0 1 0"), 8), "-pppF-p-");
    assert_eq!(states(QUARTER, &plain(1, "0 1 1 0 1 0"), 6), "-pF-p-");
    assert_eq!(states(QUARTER, &plain(0, "0 1 1 0 1 0"), 6), "-FF-F-");
}

#[test]
fn the_threshold_itself_does_not_breach_and_the_next_number_does() {
    let (on, next) = (0.05_f64, 0.05_f64.next_up());
    let values = format!("{on} {next} {on} {next}");
    assert_eq!(states(QUARTER, &plain(0, &values), 4), "-F-F");
    let below = case(Query::Plain, Condition::Below(0.05), 0, &[&values]);
    assert_eq!(states(QUARTER, &below, 4), "----");
    let least = case(Query::Plain, Condition::AtLeast(0.05), 0, &[&values]);
    assert_eq!(states(QUARTER, &least, 4), "FFFF");
}

#[test]
fn infinity_is_a_value_and_nan_and_a_stale_marker_are_none() {
    assert_eq!(
        states(QUARTER, &plain(15_000, "inf inf -inf inf inf nan inf inf stale inf inf"), 11),
        "pF-pF-pF-pF"
    );
    let below = case(Query::Plain, Condition::Below(0.0), 15_000, &["-inf -inf nan inf -inf -inf"]);
    assert_eq!(states(QUARTER, &below, 6), "pF--pF");
}

#[test]
fn a_gap_is_the_last_value_for_as_long_as_prometheus_looks_back() {
    // Five minutes are twenty evaluations: the last value still counts at its end.
    assert_eq!(states(QUARTER, &plain(30_000, "1 _x38 0"), 24), "ppFFFFFFFFFFFFFFFFFFF---");
    assert_eq!(states(QUARTER, &plain(30_000, "1 0 _x37 1"), 24), "p-----------------------");
}

#[test]
fn an_error_rate_without_requests_is_none_and_errors_without_requests_are_infinite() {
    let ratio = Query::Ratio(Duration::from_secs(30));
    let rule = |errors, all| case(ratio, ABOVE, 15_000, &[errors, all]);
    // 0/0 while nobody asks: it clears at once.
    let idle = rule("0 1 2 3 3 3 3 4 5 6", "0 10 20 30 30 30 30 40 50 60");
    assert_eq!(states(QUARTER, &idle, 10), "-pFFF--pFF");
    let odd = rule("0 1 2 3 3 3", "5x6");
    assert_eq!(states(QUARTER, &odd, 6), "-pFFF-");
}

#[test]
fn a_counter_that_begins_anew_does_not_resolve_what_is_firing() {
    let rate = Query::Rate(Duration::from_secs(45));
    let resets =
        case(rate, Condition::Above(1.0), 30_000, &["0 60 120 180 0 60 120 5 60 60 60 60 60"]);
    assert_eq!(states(QUARTER, &resets, 13), "-ppFFFFFFFF--");
}

#[test]
fn an_evaluation_between_two_values_sees_the_earlier_one() {
    let pace = Pace::of(10_000, 25_000);
    assert_eq!(states(pace, &plain(20_000, "0 1 0 1 1 0"), 13), "---pp---ppFFF");
}
