//! What is said of each verdict, and with which exit code.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::api::samples;

fn says(verdict: Verdict, outcome: Option<Outcome>) -> Says {
    let revision = Some(RevisionNo(2));
    Says { revision, verdict, waits_for: None, reason: String::new(), rollback: None, outcome }
}

#[test]
fn every_verdict_has_the_contracts_exit_code() {
    let went = |outcome| code(&says(Verdict::RolledBack, Some(outcome))).0 as u8;
    assert_eq!(code(&says(Verdict::Good, None)).0 as u8, 0);
    assert_eq!(went(Outcome::Recovered), 6);
    assert_eq!((went(Outcome::NotRecovered), went(Outcome::Unverified)), (5, 5));
    let failed = says(Verdict::NotRolledBack, Some(Outcome::Failed));
    assert_eq!(code(&failed).0 as u8, 1);
    assert_eq!(code(&says(Verdict::Unknown, None)).0 as u8, 4);
}

#[test]
fn a_phase_is_one_line_that_can_be_searched_for() {
    let status = samples::status();
    let shop = &status.projects[0];
    let line = |project: &Project, says: &Says| {
        let head = about(&project.name, says.revision);
        format!("{head} {}: {}", phase(project, says), detail(project, says))
    };
    insta::assert_snapshot!(line(shop, &shop.verdict), @"shop r2 baking: 11m 2s of 30m observed");
    insta::assert_snapshot!(pending(shop), @"errors 12.4% above 5%, worker health not up 3 or more");
    let paused = Project { paused: true, pause_reason: Some("a fair".into()), ..shop.clone() };
    insta::assert_snapshot!(line(&paused, &shop.verdict), @"shop r2 paused: 11m 2s of 30m observed, and it stands still while paused (a fair)");
    let waits_for = Some(WaitsFor::Rollback);
    let rollback = Some(rollbackd_core::words::IncidentId(3));
    let reason = "backend to revision 1".to_owned();
    let back = Says { waits_for, rollback, reason, ..shop.verdict.clone() };
    insta::assert_snapshot!(line(shop, &back), @"shop r2 rolling-back: rollback 3, backend to revision 1");
}

#[test]
fn what_passes_by_itself_is_waited_for_and_nothing_else() {
    let failure = |exit, code: &str| Failure::new(exit, code, "", "");
    assert!(passes(&failure(Exit::Unreachable, "stopping")));
    assert!(passes(&failure(Exit::Failed, "unseen")));
    assert!(!passes(&failure(Exit::Refused, "refused")));
    assert!(!passes(&failure(Exit::Failed, "not_found")));
}
