//! Everything people see, as they see it.

use std::time::Duration;

use anstream::adapter::strip_str;
use jiff::tz::TimeZone;

use super::*;
use crate::{api::samples, cli::out::Reader};

/// A person in UTC, a second after the snapshot was made.
pub(in crate::cli) fn reader(width: usize) -> Reader {
    let now = samples::clock().wall() + Duration::from_secs(1);
    Reader { zone: TimeZone::UTC, now, utf8: true, width }
}

fn plain(text: &str) -> String {
    strip_str(text).to_string()
}

#[test]
fn status_of_a_bad_night() {
    insta::assert_snapshot!(plain(&status::status(&samples::status(), &reader(120))), @r"
    rollbackd 0.1.0 at 10:43:12, mode act: 1 of 2 watched services armed

    shop  r2 baking, 11m 2s of 30m observed, deployed 10:32:10 (11m ago)
      backend   armed, back to r1  shop:latest 1a1a1a1a1a1a  10:31:05 (12m ago)
        door is blind
        errors  pending    12.4%  above 5%                    ▁▁▁▁▄▇█  since 10:42:02 (1m ago)
        slow    ok         230ms  above 2s                      ▂▂·▂▂
        door    blind       100%  below 99%                       ██·
          http://127.0.0.1:9090 refused the connection; is the server up?, last value 10:41:37 (1m ago)
        health  ok             0  3 or more                   ▁▁▁▁▁▁▁
      postgres  unarmed            postgres:16 9f9f9f9f9f9f  2026-11-19 05:56 (2d ago)
        no trigger
      worker    unarmed            registry.example.com/shop/worker:2026-11-21 2b2b2b2b2b2b  10:43:09 (4s ago)
        no revision to return to: r1 lacks its image (image 3c3c3c3c3c3c was removed)
        health  breached  not up  3 or more                       ▁▁█  since 10:43:09 (4s ago)
        queue   grace         12  above 100                            41s of grace left

    billing  no revision recorded yet
      rollback 9 runs: rollbackd history 9
      `rollbackd deploy` is at work since 10:42:32 (41s ago), until 11:27:32 at the latest: nothing is rolled back
      a deployment is under way since 10:42:41 (32s ago)
      paused until 11:40:12 (in 56m): database migration
      mode observe: rollbackd decides and tells, and touches nothing
      app       unarmed            billing:7 9f9f9f9f9f9f    2026-11-19 05:56 (2d ago)
        no trigger
    ");
}

#[test]
fn status_on_a_narrow_terminal() {
    insta::assert_snapshot!(plain(&status::status(&samples::status(), &reader(80))), @r"
    rollbackd 0.1.0 at 10:43:12, mode act: 1 of 2 watched services armed

    shop  r2 baking, 11m 2s of 30m observed, deployed 10:32:10 (11m ago)
      backend   armed, back to r1  shop:latest 1a1a1a1a1a1a  10:31:05 (12m ago)
        door is blind
        errors  pending    12.4%  above 5%                    ▁▁▁▁▄▇█
          since 10:42:02 (1m ago)
        slow    ok         230ms  above 2s                      ▂▂·▂▂
        door    blind       100%  below 99%                       ██·
          http://127.0.0.1:9090 refused the connection; is the server up?, last
          value 10:41:37 (1m ago)
        health  ok             0  3 or more                   ▁▁▁▁▁▁▁
      postgres  unarmed
        postgres:16 9f9f9f9f9f9f  2026-11-19 05:56 (2d ago)
        no trigger
      worker    unarmed
        registry.example.com/shop/worker:2026-11-21 2b2b2b2b2b2b  10:43:09 (4s ago)
        no revision to return to: r1 lacks its image (image 3c3c3c3c3c3c was
        removed)
        health  breached  not up  3 or more                       ▁▁█
          since 10:43:09 (4s ago)
        queue   grace         12  above 100
          41s of grace left

    billing  no revision recorded yet
      rollback 9 runs: rollbackd history 9
      `rollbackd deploy` is at work since 10:42:32 (41s ago), until 11:27:32 at the
      latest: nothing is rolled back
      a deployment is under way since 10:42:41 (32s ago)
      paused until 11:40:12 (in 56m): database migration
      mode observe: rollbackd decides and tells, and touches nothing
      app       unarmed
        billing:7 9f9f9f9f9f9f  2026-11-19 05:56 (2d ago)
        no trigger
    ");
}

#[test]
fn status_without_utf8_is_ascii() {
    let ascii = Reader { utf8: false, ..reader(200) };
    let text = plain(&status::status(&samples::status(), &ascii));
    assert!(text.is_ascii(), "{text}");
}

#[test]
fn what_is_wrong_as_a_whole_comes_first() {
    let mut status = samples::status();
    status.projects.clear();
    status.engine = Some("/var/run/docker.sock: connection refused".into());
    status.engine_away_since = Some(samples::clock().wall() - Duration::from_secs(40));
    status.trouble = Some("state cannot be written: the disk is full".into());
    status.behind = 12.0;
    insta::assert_snapshot!(plain(&status::status(&status, &reader(80))), @r"
    rollbackd 0.1.0 at 10:43:12, mode act: nothing is watched
    ! the engine does not answer since 10:42:32 (41s ago): /var/run/docker.sock:
    connection refused
    ! state cannot be written: the disk is full
    ! samples are read 12s late
    ");
}

#[test]
fn nothing_is_wider_than_the_terminal() {
    for width in [72, 80, 100, 132] {
        let text = plain(&status::status(&samples::status(), &reader(width)));
        let widest = text.lines().map(|line| line.chars().count()).max();
        assert!(widest <= Some(width), "{width}: {widest:?}\n{text}");
    }
}

#[test]
fn colours_only_repeat_what_words_say() {
    let text = status::status(&samples::status(), &reader(120));
    assert_ne!(text, plain(&text));
    let breached = text.lines().find(|line| line.contains("not up")).unwrap();
    assert!(breached.contains("\x1b[31m"), "{breached:?}");
}

#[test]
fn revisions_and_what_each_deployment_changed() {
    let text = revisions::revisions(&samples::revisions(), &reader(160));
    insta::assert_snapshot!(plain(&text), @r"
    shop
    REVISION  STANDING  DEPLOYED                   CAN BE RETURNED TO                  SERVICES
    r2 runs   baking    10:32:10 (11m ago)         no: image 1a1a1a1a1a1a was removed  backend* shop:latest 1a1a1a1a1a1a
                                                                                       postgres postgres:16 9f9f9f9f9f9f
    r1        good      2026-11-19 05:56 (2d ago)  yes                                 backend shop:latest 9e9e9e9e9e9e
                                                                                       postgres postgres:16 9f9f9f9f9f9f
    ");
    insta::assert_snapshot!(revisions::revisions(&[], &reader(80)), @"No revision is recorded yet: one is when what runs has settled.");
}

#[test]
fn history_is_one_line_an_incident() {
    let text = history::history(&[samples::refusal(), samples::incident()], &reader(160));
    insta::assert_snapshot!(plain(&text), @r"
    ID  BEGAN               WHERE         WHAT      WHY                     OUTCOME    TOOK
    8   10:33:12 (10m ago)  shop/backend  r2 -> r1  errors 12.4%, above 5%  refused
    7   08:43:01 (2h ago)   shop/backend  r2 -> r1  errors 12.4%, above 5%  recovered  1m 6s
    ");
    insta::assert_snapshot!(history::history(&[], &reader(80)), @"Nothing was rolled back yet.");
}

#[test]
fn one_incident_whole() {
    insta::assert_snapshot!(plain(&incident::incident(&samples::incident(), &reader(80))), @r"
    rollback 7  shop  r2 -> r1  recovered
      began     08:43:01 (2h ago)
      cause     errors of backend: 12.4%, above 5%
      also      slow
      reason    errors is at 0.2% again
      services  backend shop:latest 1a1a1a1a1a1a -> shop:latest 9e9e9e9e9e9e

      08:42:01  pending
      08:43:01  breach
      08:43:01  decided
      08:43:01  retag backend     done in 40ms, left shop:latest: web uses it too
      08:43:01  recreate backend  done in 1.7s, 2 attempts
      08:43:02  wait for backend  done in 1.2s
      08:43:04  verify            done in 1m 3s
      08:44:07  ended, recovered

      phases    detect 1m, decide 5ms, act 3s, verify 1m 3s
    ");
}

#[test]
fn one_that_runs() {
    let mut running = samples::incident();
    (running.ended_at, running.outcome) = (None, None);
    running.reason.clear();
    running.steps.truncate(2);
    let last = running.steps.last_mut().unwrap();
    (last.ended_at, last.outcome) = (None, None);
    running.phases = Default::default();
    insta::assert_snapshot!(plain(&incident::incident(&running, &reader(80))), @r"
    rollback 7  shop  r2 -> r1  runs
      began     08:43:01 (2h ago)
      cause     errors of backend: 12.4%, above 5%
      also      slow
      services  backend shop:latest 1a1a1a1a1a1a -> shop:latest 9e9e9e9e9e9e

      08:42:01  pending
      08:43:01  breach
      08:43:01  decided
      08:43:01  retag backend     done in 40ms, left shop:latest: web uses it too
      08:43:01  recreate backend  runs, 2 attempts
    ");
}

#[test]
fn a_refusal_says_which_guard() {
    insta::assert_snapshot!(plain(&incident::incident(&samples::refusal(), &reader(80))), @r"
    refusal 8  shop  r2 -> r1  refused
      began     10:33:12 (10m ago)
      cause     errors of backend: 12.4%, above 5%
      reason    cooldown: r2 was rolled back from 8m ago, and 15m must pass
      services  backend shop:latest 1a1a1a1a1a1a -> shop:latest 9e9e9e9e9e9e

      08:42:01  pending
      08:43:01  breach
      10:33:12  decided
    ");
}

#[test]
fn a_dry_run_prints_the_exact_steps() {
    insta::assert_snapshot!(plain(&plan::plan(&samples::incident(), &reader(80))), @r"
    shop  r2 -> r1
      backend  shop:latest 1a1a1a1a1a1a -> shop:latest 9e9e9e9e9e9e

      1. tell              people are told, within 10s
      2. retag backend     shop:latest names image 9e9e9e9e9e9e again, if backend
                           alone uses that tag, within 30s
      3. recreate backend  1 container of backend as recorded, image 9e9e9e9e9e9e;
                           the old stops, then the new starts, within 2m
      4. wait for backend  backend must run, and be healthy where there is a check,
                           within 1m
      5. discard           the containers of backend that were kept aside are
                           removed, within 1m
      6. verify            the signals must be back, and stay, within 10m
    ");
}

#[test]
fn the_question_says_what_would_be_replaced_by_what() {
    let target = "shop/backend".parse().unwrap();
    insta::assert_snapshot!(plan::question(&target, &samples::incident()), @"Roll back shop/backend from r2 (shop:latest 1a1a1a1a1a1a) to r1 (shop:latest 9e9e9e9e9e9e)?");
}
