//! `why`, asked over a real socket.

use rollbackd_core::moment::Moment;

use super::*;
use crate::api::{Then, Untold};

/// Answers the next question as the loop would.
async fn answer(house: &mut House, known: bool) {
    let question = house.questions.recv().await.unwrap();
    assert_eq!((question.project.as_str(), question.service.as_str()), ("shop", "backend"));
    let why = known.then(samples::core_why);
    question.answer.send(why).unwrap();
}

#[tokio::test]
async fn a_question_is_answered_by_the_loop_with_every_trigger_and_guard() {
    let mut house = house(samples::snapshot());
    let (address, _stop) = listen(&house).await;
    let (document, ()) =
        tokio::join!(document(address, "/v1/why/shop/backend"), answer(&mut house, true));
    has(&document, "project service at recorded revision standing says triggers");
    assert_eq!(document["at"], "2026-11-21T10:43:12Z");
    assert_eq!(document["recorded"], false);
    let errors = &document["triggers"][0];
    has(errors, "name signal source state value threshold at pending_since reason says guards");
    assert_eq!((&errors["holds_for"], &errors["value"]), (&60.0.into(), &0.124.into()));
    let names: Vec<&str> = errors["guards"].as_array().unwrap().iter().map(name).collect();
    assert!(names.contains(&"paused") && names.contains(&"nobody_to_blame"), "{names:?}");
    let paused = errors["guards"].as_array().unwrap().iter().find(|guard| name(guard) == "paused");
    assert_eq!(paused.unwrap()["passed"], false);
    assert!(paused.unwrap()["says"].as_str().unwrap().contains("database migration"));
}

fn name(guard: &Value) -> &str {
    guard["name"].as_str().unwrap()
}

#[tokio::test]
async fn an_unknown_service_is_told_with_the_known_ones() {
    let mut house = house(samples::snapshot());
    let (address, _stop) = listen(&house).await;
    let ((code, body), ()) =
        tokio::join!(ask(address, "GET", "/v1/why/shop/backend"), answer(&mut house, false));
    assert_eq!(code, 404);
    assert!(body.contains("there are: shop/backend, shop/postgres, shop/worker"), "{body}");
}

#[tokio::test]
async fn questions_that_the_loop_has_no_room_for_are_told_to_come_again() {
    let house = house(samples::snapshot());
    let (address, _stop) = listen(&house).await;
    let (answer, _answered) = oneshot::channel();
    let question = Question { project: "shop".into(), service: "backend".into(), answer };
    house.doors.questions.try_send(question).unwrap();
    let (code, body) = ask(address, "GET", "/v1/why/shop/backend").await;
    assert_eq!(code, 503);
    assert!(body.contains("busy"), "{body}");
}

async fn past(house: &mut House, told: Result<Then, Untold>) -> Moment {
    let question = house.pasts.recv().await.unwrap();
    question.answer.send(told).unwrap();
    question.at
}

#[tokio::test]
async fn a_past_moment_is_told_from_what_was_recorded() {
    let mut house = house(samples::snapshot());
    let (address, _stop) = listen(&house).await;
    let then = Then { why: samples::core_why(), other_configuration: true };
    let (document, at) = tokio::join!(
        document(address, "/v1/why/shop/backend?at=2026-11-21T11:33:12%2B01:00"),
        past(&mut house, Ok(then)),
    );
    assert_eq!(at, samples::before(600.0));
    assert_eq!(
        (&document["recorded"], &document["other_configuration"]),
        (&true.into(), &true.into())
    );
}

#[tokio::test]
async fn what_was_not_recorded_is_told_with_the_nearest_moments_that_were() {
    let mut house = house(samples::snapshot());
    let (address, _stop) = listen(&house).await;
    let (from, to) = (samples::before(700.5), samples::before(500.25));
    let mut said = Vec::new();
    for untold in [
        Untold::Away { from, to },
        Untold::Lost { from, to: Some(to) },
        Untold::Lost { from, to: None },
        Untold::TooOld(Some(to)),
        Untold::TooOld(None),
        Untold::Unknown(vec![("shop".into(), "web".into())]),
    ] {
        let ((code, body), _) = tokio::join!(
            ask(address, "GET", "/v1/why/shop/backend?at=2026-11-21T10:33:12Z"),
            past(&mut house, Err(untold)),
        );
        assert_eq!(code, 404, "{body}");
        let error: Value = serde_json::from_str(&body).unwrap();
        let part = |name: &str| error["error"][name].as_str().unwrap().to_owned();
        said.push(format!("{}: {}; {}", part("code"), part("message"), part("hint")));
    }
    insta::assert_snapshot!(said.join("\n"), @"
    not_recorded: nothing was recorded at 2026-11-21T10:33:12Z: rollbackd did not run from 2026-11-21T10:31:31Z to 2026-11-21T10:34:52Z; the nearest moments that can be asked about are 2026-11-21T10:31:31Z and 2026-11-21T10:34:52Z; a daemon that is killed has not written its last five seconds
    not_recorded: nothing was recorded at 2026-11-21T10:33:12Z: what happened from 2026-11-21T10:31:31Z to 2026-11-21T10:34:52Z could not be written down; the nearest moments that can be asked about are 2026-11-21T10:31:31Z and 2026-11-21T10:34:52Z
    not_recorded: nothing was recorded at 2026-11-21T10:33:12Z: what happens since 2026-11-21T10:31:31Z is not written down; the daemon's log says why: `journalctl -u rollbackd`
    not_recorded: nothing was recorded at 2026-11-21T10:33:12Z: that is before what is kept; the oldest moment that can be asked about is 2026-11-21T10:34:52Z
    not_recorded: nothing was recorded at 2026-11-21T10:33:12Z: nothing is recorded yet; ask again in a moment
    not_found: there was no shop/backend at 2026-11-21T10:33:12Z; there are: shop/web
    ");
}

#[tokio::test]
async fn what_has_not_come_yet_or_is_no_time_is_not_asked_about() {
    let house = house(samples::snapshot());
    let (address, _stop) = listen(&house).await;
    for at in ["2026-11-21T10:44:12Z", "noon", "03:12", ""] {
        let (code, body) = ask(address, "GET", &format!("/v1/why/shop/backend?at={at}")).await;
        assert_eq!(code, 400, "{body}");
        assert!(body.contains("bad_request"), "{body}");
    }
}
