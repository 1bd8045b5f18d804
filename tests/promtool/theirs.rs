//! What Prometheus makes of cases: its rules over their series, by promtool.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    promtool::{Bench, Said, ask, millis},
    seen::{Seen, State},
    series::{Case, EVALUATIONS, Pace, Rule},
};

/// What each case's query yielded at each evaluation; `None` is nothing.
pub type Values = Vec<Vec<Option<f64>>>;

/// Evaluates the cases' rules: what each saw, and in which state each was.
/// Neighbours with the same rule share it.
pub fn evaluate(pace: Pace, cases: &[Case]) -> (Values, Vec<Vec<Seen>>) {
    let (mut rules, mut series) = (Vec::new(), Vec::new());
    let mut last: Option<Rule> = None;
    for (number, case) in cases.iter().enumerate() {
        if last != Some(case.rule) {
            rules.push(case.rule);
            last = Some(case.rule);
        }
        let name = format!("series_{}", rules.len() - 1);
        for (part, values) in case.series.iter().enumerate() {
            let labels = format!("{name}{{case=\"{number}\",part=\"{part}\"}}");
            series.push((labels, values.clone()));
        }
    }
    let everything = "{__name__=~\"value|ALERTS|ALERTS_FOR_STATE\"}".to_owned();
    let answers = ask(&Bench {
        every: pace.every,
        between: pace.between,
        series,
        rules: rules.iter().enumerate().flat_map(|(n, rule)| written(n, rule)).collect(),
        asks: pace.evaluations().map(|at| (everything.clone(), at)).collect(),
    });
    let evaluations = usize::try_from(EVALUATIONS).unwrap();
    let mut values = vec![vec![None; evaluations]; cases.len()];
    let mut seen = vec![vec![Seen::CALM; evaluations]; cases.len()];
    for (n, answer) in answers.iter().enumerate() {
        for said in answer {
            let case: usize = said.labels["case"].parse().unwrap();
            take(said, &mut values[case][n], &mut seen[case][n]);
        }
    }
    for seen in &mut seen {
        fired(pace, seen);
    }
    (values, seen)
}

/// The rule that records what the query yields, and the one that alerts.
fn written(n: usize, rule: &Rule) -> [Value; 2] {
    let query = rule.query.text(&format!("series_{n}"));
    let alert = format!("{query} {}", rule.compared());
    [
        json!({ "record": "value", "expr": query }),
        json!({ "alert": "breach", "expr": alert, "for": millis(rule.hold) }),
    ]
}

fn take(said: &Said, value: &mut Option<f64>, seen: &mut Seen) {
    match said.labels["__name__"].as_str() {
        "value" => assert_eq!(value.replace(said.value), None, "a case has one value"),
        "ALERTS" => {
            assert_eq!(seen.state, State::Inactive, "an alert is in one state");
            seen.state = match said.labels["alertstate"].as_str() {
                "pending" => State::Pending,
                "firing" => State::Firing,
                other => panic!("an alert is {other}"),
            };
        }
        "ALERTS_FOR_STATE" => seen.since = Some(Duration::from_secs_f64(said.value)),
        other => panic!("nobody asked for {other}"),
    }
}

/// When each breach began to be one: the first evaluation that says so.
fn fired(pace: Pace, seen: &mut [Seen]) {
    let mut firing = None;
    for (at, seen) in pace.evaluations().zip(seen) {
        firing = (seen.state == State::Firing).then(|| firing.unwrap_or(at));
        seen.fired = firing;
    }
}
