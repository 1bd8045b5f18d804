//! What people are sent, for each kind of news.

use std::time::Duration;

use jiff::tz::TimeZone;
use rollbackd_core::{
    effect::{News, Notice},
    incident::{Breach, Cause, Incident, IncidentKind, Outcome, ServiceChange, StepRun},
    moment::Moment,
    plan::{Does, Fault, Plan, Step},
    settings::{Condition, Order},
    signal::Signal,
    words::{ImageId, IncidentId, RevisionNo},
};

use super::message::{Letterhead, Message};
use crate::host::clock::Clock;

/// 2026-11-21 08:30:00 UTC, and so many seconds.
fn at(seconds: f64) -> Moment {
    Moment::from_nanos(1_795_249_800_000_000_000) + Duration::from_secs_f64(seconds)
}

fn write(news: News) -> Message {
    let letterhead = Letterhead::new(Clock::manual(at(900.0)), TimeZone::UTC, "server1");
    letterhead.write(&Notice { at: at(600.0), project: "shop".into(), news })
}

/// As a mail program shows it.
fn show(message: &Message) -> String {
    format!("Subject: {}\n\n{}", message.subject, message.text)
}

fn breach() -> Breach {
    Breach {
        trigger: "errors".into(),
        name: "errors".into(),
        service: "backend".into(),
        signal: Signal::ErrorRate,
        condition: Condition::Above(0.05),
        value: Some(0.124),
        pending_since: at(240.0),
        at: at(540.0),
    }
}

fn image(digit: char) -> ImageId {
    format!("sha256:{}", digit.to_string().repeat(64)).parse().unwrap()
}

fn step(name: &str, does: Does) -> Step {
    Step { name: name.into(), does, limit: Duration::from_secs(600) }
}

fn run(name: &str, kind: &str, from: f64, to: f64) -> StepRun {
    StepRun {
        name: name.into(),
        kind: kind.into(),
        began_at: at(from),
        ended_at: Some(at(to)),
        attempts: 1,
        outcome: Some(Ok(())),
        output: String::new(),
    }
}

/// A rollback of one service that has just begun.
fn begun() -> Incident {
    let recreate = Does::Recreate {
        service: "backend".into(),
        records: vec!["c0ffee".into()],
        image: image('a'),
        replaces: None,
        order: Order::StopFirst,
        drain: Duration::ZERO,
        start_timeout: Duration::from_secs(60),
    };
    let retag = Does::Retag {
        service: "backend".into(),
        along: Vec::new(),
        reference: "shop:latest".into(),
        image: image('a'),
    };
    let steps = vec![
        step("tell people that it begins", Does::Tell),
        step("retag aaaaaaaaaaaa as shop:latest", retag),
        step("recreate backend", recreate),
        step("wait until healthy", Does::WaitHealthy { services: vec!["backend".into()] }),
        step("remove what was replaced", Does::Discard { services: vec!["backend".into()] }),
        step("verify", Does::Verify),
        step("tell people how it ended", Does::Tell),
    ];
    Incident {
        id: IncidentId(7),
        kind: IncidentKind::Rollback,
        project: "shop".into(),
        services: vec![ServiceChange {
            name: "backend".into(),
            from_image: "shop:latest".into(),
            from_id: image('b'),
            to_image: "shop:latest".into(),
            to_id: image('a'),
        }],
        from: RevisionNo(2),
        to: Some(RevisionNo(1)),
        cause: Cause::Breach(breach()),
        joined: vec![],
        began_at: at(540.2),
        ended_at: None,
        acted: None,
        outcome: None,
        reason: String::new(),
        steps: vec![],
        plan: Plan { steps, undo: vec![] },
    }
}

/// The same, ended.
fn over(outcome: Outcome, reason: &str) -> Box<Incident> {
    let mut incident = begun();
    incident.outcome = Some(outcome);
    incident.reason = reason.into();
    incident.acted = Some((at(540.3), at(544.48)));
    incident.ended_at = Some(at(600.0));
    incident.steps = vec![
        run("tell people that it begins", "tell", 540.2, 540.2),
        run("retag aaaaaaaaaaaa as shop:latest", "retag", 540.3, 540.34),
        run("recreate backend", "recreate", 540.34, 540.76),
        run("wait until healthy", "wait-healthy", 540.76, 544.4),
        run("remove what was replaced", "discard", 544.4, 544.48),
        run("verify", "verify", 544.48, 600.0),
    ];
    Box::new(incident)
}

fn ended(outcome: Outcome, reason: &str, todo: &[&str]) -> Message {
    let todo = todo.iter().map(|&line| line.to_owned()).collect();
    write(News::Ended { incident: over(outcome, reason), outcome, todo })
}

#[test]
fn a_container_that_does_not_come_up_is_told_in_words() {
    let breach = Breach {
        signal: Signal::Health,
        condition: Condition::AtLeast(3.0),
        value: Some(f64::INFINITY),
        ..breach()
    };
    let message = show(&write(News::Alert { breach, reason: "observed only".into() }));
    assert!(message.starts_with("Subject: [rollbackd] shop/backend: alert, health not up\n"));
    assert!(message.contains("\nshop/backend does not come up.\n"), "{message}");
    assert!(message.contains("last value   not up\n"), "{message}");
    assert!(!message.contains("inf"), "{message}");
}

#[test]
fn an_alert_says_what_breached_and_why_nothing_was_rolled_back() {
    let reason = "no deployment of backend is in its bake, so none is blamed".into();
    insta::assert_snapshot!(show(&write(News::Alert { breach: breach(), reason })), @r"
Subject: [rollbackd] shop/backend: alert, error_rate 12.4% > 5%

What happened
-------------
error_rate of shop/backend was above 5% for 5m.

  trigger      errors
  last value   12.4%
  threshold    above 5%
  since        2026-11-21 08:34:00 UTC
  breached at  2026-11-21 08:39:00 UTC

What was done
-------------
Nothing was rolled back: no deployment of backend is in its bake, so none is blamed.

Is it over
----------
Not when this was written: the last value was 12.4% at 2026-11-21 08:39:00 UTC.

What you must do now
--------------------
Look at shop/backend. `rollbackd rollback shop/backend` goes back by hand, with `--dry-run` it only shows the steps.

-- 
rollbackd on server1. `rollbackd status` shows how things are now.
");
}

#[test]
fn a_blind_trigger_says_what_its_source_said() {
    let news = News::Blind {
        service: "backend".into(),
        trigger: "errors".into(),
        reason: "connection refused".into(),
    };
    insta::assert_snapshot!(show(&write(news)), @r"
Subject: [rollbackd] shop/backend: blind, no data for errors

What happened
-------------
The trigger errors of shop/backend gets no usable data.

  source said  connection refused
  told at      2026-11-21 08:40:00 UTC

What was done
-------------
Nothing: a trigger without data neither calls for a rollback nor confirms that a deployment is good.

Is it over
----------
Not when this was written (2026-11-21 08:40:00 UTC).

What you must do now
--------------------
See that its source answers: `rollbackd check --live` asks each source once and shows what it said.

-- 
rollbackd on server1. `rollbackd status` shows how things are now.
");
}

#[test]
fn a_beginning_says_what_goes_back_to_what_and_why() {
    insta::assert_snapshot!(show(&write(News::Began(Box::new(begun())))), @r"
Subject: [rollbackd] shop/backend: rolling back r2 -> r1 (error_rate 12.4% > 5%)

What happened
-------------
error_rate of shop/backend was above 5% for 5m.

  trigger      errors
  last value   12.4%
  threshold    above 5%
  since        2026-11-21 08:34:00 UTC
  breached at  2026-11-21 08:39:00 UTC

What was done
-------------
It has begun, at 2026-11-21 08:39:00 UTC:

  backend  shop:latest (bbbbbbbbbbbb) -> shop:latest (aaaaaaaaaaaa)

The steps:

  1. retag aaaaaaaaaaaa as shop:latest
  2. recreate backend
  3. wait until healthy
  4. remove what was replaced
  5. verify

Is it over
----------
No. You will be told how it ends; once the images run, the signals have 10m to be back.

What you must do now
--------------------
Nothing yet. A deployment of shop now would take over.

-- 
rollbackd on server1, incident 7. `rollbackd history 7` shows it whole.
");
}

#[test]
fn a_recovery_says_what_was_done_how_long_it_took_and_what_is_left_to_do() {
    let todo = "`shop:latest` in the registry, or your next build, may still be the bad image \
                (bbbbbbbbbbbb): publish a good one before the next `docker compose pull`.";
    let message =
        ended(Outcome::Recovered, "back within its threshold: errors is at 0.2%", &[todo]);
    insta::assert_snapshot!(show(&message), @r"
Subject: [rollbackd] shop/backend: recovered, r1 runs again

What happened
-------------
error_rate of shop/backend was above 5% for 5m.

  trigger      errors
  last value   12.4%
  threshold    above 5%
  since        2026-11-21 08:34:00 UTC
  breached at  2026-11-21 08:39:00 UTC

What was done
-------------
  backend  shop:latest (bbbbbbbbbbbb) -> shop:latest (aaaaaaaaaaaa)

The steps, from 2026-11-21 08:39:00 UTC:

  1. retag aaaaaaaaaaaa as shop:latest: done in 40ms
  2. recreate backend: done in 420ms
  3. wait until healthy: done in 3.6s
  4. remove what was replaced: done in 80ms
  5. verify: done in 56s

Is it over
----------
Yes: r1 runs and the signals are back. Back within its threshold: errors is at 0.2%.

  detect    5m
  decide    200ms
  act       4.3s
  verify    56s
  in all    6m
  ended at  2026-11-21 08:40:00 UTC

What you must do now
--------------------
`shop:latest` in the registry, or your next build, may still be the bad image (bbbbbbbbbbbb): publish a good one before the next `docker compose pull`.

-- 
rollbackd on server1, incident 7. `rollbackd history 7` shows it whole.
");
}

#[test]
fn the_other_outcomes_are_told_apart_by_their_subjects_and_by_is_it_over() {
    let outcomes = [
        (Outcome::Unverified, "no data to judge by: errors"),
        (Outcome::NotRecovered, "not back in time: errors is at 13%"),
        (Outcome::Failed, "recreate backend: port 80 is taken; what ran before runs again"),
        (Outcome::Refused, "somebody deployed backend meanwhile: what they deployed stays"),
    ];
    let told = outcomes.map(|(outcome, reason)| {
        let message = ended(outcome, reason, &["Look at it.", "Then look again."]);
        let over = message.text.split("Is it over\n----------\n").nth(1).unwrap().to_owned();
        let over = over.split("\n\n").next().unwrap().to_owned();
        format!("{}\n  {over}", message.subject)
    });
    insta::assert_snapshot!(told.join("\n"), @r"
[rollbackd] shop/backend: r1 runs again, unverified
  Probably: r1 runs, but nothing says whether that helped. No data to judge by: errors.
[rollbackd] shop/backend: NOT recovered, r1 runs but the signals are not back
  No: r1 runs, and that did not help; r2 is acquitted. Not back in time: errors is at 13%.
[rollbackd] shop/backend: rollback FAILED, r1 does not run
  No: r1 does not run. Recreate backend: port 80 is taken; what ran before runs again.
[rollbackd] shop/backend: rollback stopped, it did not run to its end
  Not by rollbackd: it stopped, and leaves things as they are. Somebody deployed backend meanwhile: what they deployed stays.
");
}

#[test]
fn a_failure_says_which_step_failed_how_often_and_what_it_said() {
    let mut incident = over(Outcome::Failed, "recreate backend: port 80 is taken");
    incident.steps.truncate(3);
    let failed = &mut incident.steps[2];
    failed.outcome = Some(Err(Fault::World));
    failed.attempts = 3;
    failed.output = "Bind for 0.0.0.0:80 failed:\n port is already allocated".into();
    let news = News::Ended { incident, outcome: Outcome::Failed, todo: vec![] };
    let text = write(news).text;
    let done = text.split("What was done").nth(1).unwrap().split("Is it over").next().unwrap();
    insta::assert_snapshot!(done, @r"
-------------
  backend  shop:latest (bbbbbbbbbbbb) -> shop:latest (aaaaaaaaaaaa)

The steps, from 2026-11-21 08:39:00 UTC:

  1. retag aaaaaaaaaaaa as shop:latest: done in 40ms
  2. recreate backend: FAILED after 420ms, 3 attempts (Bind for 0.0.0.0:80 failed: port is already allocated)
");
}

#[test]
fn a_refusal_says_what_held_it_back_and_how_to_go_back_by_hand() {
    let mut incident = begun();
    incident.kind = IncidentKind::Refused;
    incident.reason = "shop is paused (database maintenance)".into();
    let second = Breach {
        name: "p99".into(),
        signal: Signal::parse("latency_p99"),
        value: Some(f64::INFINITY),
        ..breach()
    };
    incident.joined = vec![second];
    insta::assert_snapshot!(show(&write(News::Refused(Box::new(incident)))), @r"
Subject: [rollbackd] shop/backend: NOT rolled back (error_rate 12.4% > 5%)

What happened
-------------
error_rate of shop/backend was above 5% for 5m.

  trigger      errors
  last value   12.4%
  threshold    above 5%
  since        2026-11-21 08:34:00 UTC
  breached at  2026-11-21 08:39:00 UTC

Meanwhile there breached besides:

  p99  latency_p99 inf > 50ms, at 2026-11-21 08:39:00 UTC

What was done
-------------
Nothing was rolled back: shop is paused (database maintenance).

What would have gone back:

  backend  shop:latest (bbbbbbbbbbbb) -> shop:latest (aaaaaaaaaaaa)

Is it over
----------
No. When what held it back is over and the signal is still bad, it is decided again.

What you must do now
--------------------
Decide: `rollbackd rollback shop/backend` goes back by hand, and only a missing target or a running rollback can refuse that.

-- 
rollbackd on server1, incident 7. `rollbackd history 7` shows it whole.
");
}

#[test]
fn a_refusal_without_a_target_does_not_offer_one() {
    let mut incident = begun();
    incident.services.clear();
    incident.to = None;
    incident.reason = "there is no revision to return to".into();
    let message = write(News::Refused(Box::new(incident)));
    assert!(!message.text.contains("rollbackd rollback"), "{}", message.text);
    assert!(message.text.contains("deploy a good version"), "{}", message.text);
}

#[test]
fn the_end_of_a_pause_is_told() {
    insta::assert_snapshot!(show(&write(News::PauseEnded)), @r"
Subject: [rollbackd] shop: the pause is over

What happened
-------------
The pause of shop ended at 2026-11-21 08:40:00 UTC.

What was done
-------------
rollbackd acts on it again. A signal that is still bad is decided now.

Is it over
----------
Yes.

What you must do now
--------------------
Nothing; or `rollbackd pause shop --for 1h` if you are not done.

-- 
rollbackd on server1. `rollbackd status` shows how things are now.
");
}

#[test]
fn a_target_that_does_not_run_is_told_with_what_comes_next() {
    let mut incident = over(Outcome::Failed, "");
    incident.ended_at = None;
    incident.steps.truncate(4);
    incident.steps[3].outcome = Some(Err(Fault::Target));
    let why = "backend exited with code 1 three times".into();
    let news = News::TargetFailed { incident, revision: RevisionNo(1), why };
    insta::assert_snapshot!(show(&write(news)), @r"
Subject: [rollbackd] shop/backend: r1 does not run, trying an older one

What happened
-------------
Revision 1, to which shop/backend was to go back, did not run: backend exited with code 1 three times.

  told at  2026-11-21 08:40:00 UTC

What was done
-------------
Revision 1 is marked bad, and the next revision back is tried.

The steps, from 2026-11-21 08:39:00 UTC:

  1. retag aaaaaaaaaaaa as shop:latest: done in 40ms
  2. recreate backend: done in 420ms
  3. wait until healthy: FAILED after 3.6s

Is it over
----------
No. You will be told how it ends.

What you must do now
--------------------
Nothing yet.

-- 
rollbackd on server1, incident 7. `rollbackd history 7` shows it whole.
");
}

#[test]
fn going_back_by_hand_and_forward_again_are_named_as_such() {
    let subject = |cause| {
        let incident = Incident { cause, ..begun() };
        write(News::Began(Box::new(incident))).subject
    };
    let person = |reason: &str, forward| Cause::Person { reason: reason.into(), forward };
    let subjects = [
        subject(person("", false)),
        subject(person("customers\r\nBcc: everybody@example.com", false)),
        subject(person("fixed", true)),
        subject(Cause::NotRecovered { incident: IncidentId(6) }),
    ];
    insta::assert_snapshot!(subjects.join("\n"), @r"
[rollbackd] shop/backend: rolling back r2 -> r1 (by hand)
[rollbackd] shop/backend: rolling back r2 -> r1 (by hand: customers Bcc: everybody@example.com)
[rollbackd] shop/backend: going forward r2 -> r1 (by hand: fixed)
[rollbackd] shop/backend: going forward r2 -> r1 (incident 6 did not help)
");
}

#[test]
fn a_breach_that_two_services_share_is_under_the_one_that_breached() {
    let mut incident = begun();
    let mut web = incident.services[0].clone();
    web.name = "web".into();
    incident.services.push(web);
    assert!(write(News::Began(Box::new(incident.clone()))).subject.contains("shop/backend:"));
    incident.cause = Cause::Person { reason: String::new(), forward: false };
    assert!(write(News::Began(Box::new(incident))).subject.contains("] shop:"));
}

#[test]
fn all_messages_of_an_incident_are_one_thread_and_others_stand_alone() {
    let began = write(News::Began(Box::new(begun())));
    let end = ended(Outcome::Recovered, "", &[]);
    assert_eq!(began.thread.as_deref(), Some("incident-7"));
    assert_eq!(began.thread, end.thread);
    assert_eq!(write(News::PauseEnded).thread, None);
}

#[test]
fn what_others_wrote_is_text_in_the_html_and_never_markup() {
    let evil = "<script>alert(1)</script> & `<b>` \"quoted\"";
    let mut incident = begun();
    incident.cause = Cause::Person { reason: evil.into(), forward: false };
    incident.services[0].from_image = "<img src=x>".into();
    let html = write(News::Began(Box::new(incident))).html;
    assert!(!html.contains("<script") && !html.contains("<img") && !html.contains("<b>"), "{html}");
    assert!(html.contains("&lt;script&gt;"), "{html}");
}

#[test]
fn the_html_says_what_the_text_says() {
    let message = ended(Outcome::Recovered, "back within its threshold", &["Use `docker pull`."]);
    insta::assert_snapshot!(message.html.replace("><", ">\n<"), @r#"
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<title>shop/backend: recovered, r1 runs again</title>
</head>
<body style="margin:0;padding:16px;background:#ffffff;color:#1f2328;font:16px/1.5 system-ui,-apple-system,'Segoe UI',Roboto,sans-serif">
<div style="max-width:640px;margin:0 auto">
<h1 style="margin:0 0 16px;padding:4px 0 4px 12px;border-left:4px solid #2e7d32;font-size:18px;line-height:1.35">shop/backend: recovered, r1 runs again</h1>
<h2 style="margin:20px 0 6px;font-size:14px;color:#57606a">What happened</h2>
<p style="margin:0 0 8px">error_rate of shop/backend was above 5% for 5m.</p>
<table style="margin:0 0 8px;border-collapse:collapse;font-size:15px">
<tr>
<td style="padding:2px 12px 2px 0;vertical-align:top;color:#57606a">trigger</td>
<td style="padding:2px 0;overflow-wrap:anywhere">errors</td>
</tr>
<tr>
<td style="padding:2px 12px 2px 0;vertical-align:top;color:#57606a">last value</td>
<td style="padding:2px 0;overflow-wrap:anywhere">12.4%</td>
</tr>
<tr>
<td style="padding:2px 12px 2px 0;vertical-align:top;color:#57606a">threshold</td>
<td style="padding:2px 0;overflow-wrap:anywhere">above 5%</td>
</tr>
<tr>
<td style="padding:2px 12px 2px 0;vertical-align:top;color:#57606a">since</td>
<td style="padding:2px 0;overflow-wrap:anywhere">2026-11-21 08:34:00 UTC</td>
</tr>
<tr>
<td style="padding:2px 12px 2px 0;vertical-align:top;color:#57606a">breached at</td>
<td style="padding:2px 0;overflow-wrap:anywhere">2026-11-21 08:39:00 UTC</td>
</tr>
</table>
<h2 style="margin:20px 0 6px;font-size:14px;color:#57606a">What was done</h2>
<table style="margin:0 0 8px;border-collapse:collapse;font-size:15px">
<tr>
<td style="padding:2px 12px 2px 0;vertical-align:top;color:#57606a">backend</td>
<td style="padding:2px 0;overflow-wrap:anywhere">shop:latest (bbbbbbbbbbbb) -&gt; shop:latest (aaaaaaaaaaaa)</td>
</tr>
</table>
<p style="margin:0 0 8px">The steps, from 2026-11-21 08:39:00 UTC:</p>
<ol style="margin:0 0 8px;padding-left:24px">
<li>retag aaaaaaaaaaaa as shop:latest: done in 40ms</li>
<li>recreate backend: done in 420ms</li>
<li>wait until healthy: done in 3.6s</li>
<li>remove what was replaced: done in 80ms</li>
<li>verify: done in 56s</li>
</ol>
<h2 style="margin:20px 0 6px;font-size:14px;color:#57606a">Is it over</h2>
<p style="margin:0 0 8px">Yes: r1 runs and the signals are back. Back within its threshold.</p>
<table style="margin:0 0 8px;border-collapse:collapse;font-size:15px">
<tr>
<td style="padding:2px 12px 2px 0;vertical-align:top;color:#57606a">detect</td>
<td style="padding:2px 0;overflow-wrap:anywhere">5m</td>
</tr>
<tr>
<td style="padding:2px 12px 2px 0;vertical-align:top;color:#57606a">decide</td>
<td style="padding:2px 0;overflow-wrap:anywhere">200ms</td>
</tr>
<tr>
<td style="padding:2px 12px 2px 0;vertical-align:top;color:#57606a">act</td>
<td style="padding:2px 0;overflow-wrap:anywhere">4.3s</td>
</tr>
<tr>
<td style="padding:2px 12px 2px 0;vertical-align:top;color:#57606a">verify</td>
<td style="padding:2px 0;overflow-wrap:anywhere">56s</td>
</tr>
<tr>
<td style="padding:2px 12px 2px 0;vertical-align:top;color:#57606a">in all</td>
<td style="padding:2px 0;overflow-wrap:anywhere">6m</td>
</tr>
<tr>
<td style="padding:2px 12px 2px 0;vertical-align:top;color:#57606a">ended at</td>
<td style="padding:2px 0;overflow-wrap:anywhere">2026-11-21 08:40:00 UTC</td>
</tr>
</table>
<h2 style="margin:20px 0 6px;font-size:14px;color:#57606a">What you must do now</h2>
<p style="margin:0 0 8px">Use <code style="font-family:ui-monospace,Menlo,Consolas,monospace;font-size:90%;background:#f6f8fa;padding:1px 4px;overflow-wrap:anywhere">docker pull</code>.</p>
<p style="margin:24px 0 0;padding-top:8px;border-top:1px solid #d0d7de;font-size:13px;color:#57606a">rollbackd on server1, incident 7. `rollbackd history 7` shows it whole.</p>
</div>
</body>
</html>
"#);
}

#[test]
fn the_test_message_and_trouble_have_the_same_four_parts() {
    let letterhead = Letterhead::new(Clock::manual(at(900.0)), TimeZone::UTC, "server1");
    let trouble = letterhead.trouble(
        "the disk is full: /var/lib/rollbackd/state.db could not be written",
        "Free some space there.",
    );
    insta::assert_snapshot!(show(&letterhead.test()) + "\n" + &show(&trouble), @r"
Subject: [rollbackd] test message from server1

What happened
-------------
Somebody asked for a test message (`rollbackd test-notify`).

What was done
-------------
This message was sent; nothing else.

Is it over
----------
Yes. If you read this, messages reach you.

What you must do now
--------------------
Nothing.

-- 
rollbackd on server1. `rollbackd status` shows how things are now.

Subject: [rollbackd] rollbackd on server1 cannot act: the disk is full: /var/lib/rollbackd/state.db could not be written

What happened
-------------
the disk is full: /var/lib/rollbackd/state.db could not be written

What was done
-------------
Nothing: while this lasts, rollbackd rolls nothing back.

Is it over
----------
No. It is tried again with every sample.

What you must do now
--------------------
Free some space there.

-- 
rollbackd on server1. `rollbackd status` shows how things are now.
");
}
