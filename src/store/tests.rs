//! What the store promises: nothing half-done, nothing twice, nothing lost that
//! was said to be stored, and nothing touched that is not ours.

use std::{collections::BTreeSet, fs, os::unix::fs::PermissionsExt, path::Path, time::Duration};

use proptest::{collection::vec, prelude::*};
use rollbackd_core::{
    effect::{Effect, News, Notice},
    fact::Fact,
    moment::Moment,
    ratio::Ratio,
    reading::Reading,
};
use rusqlite::Connection;
use tempfile::TempDir;

mod arbitrary;
mod recorded;
mod records;

use self::arbitrary::{VARIANTS, fact, incident, value, variant};
use super::{EffectId, Letter, Store, StoreError, open};
use crate::host::clock::Anchor;

fn at(nanos: u64) -> Anchor {
    Anchor {
        boot_id: "boot".into(),
        boot_nanos: nanos,
        wall_nanos: nanos,
        moment: Moment::from_nanos(nanos),
    }
}

fn paused(reason: &str) -> Fact {
    Fact::Paused {
        project: "shop".into(),
        until: None,
        reason: reason.into(),
        at: Moment::from_nanos(1),
    }
}

fn tell() -> Effect {
    let notice =
        Notice { at: Moment::from_nanos(7), project: "shop".into(), news: News::PauseEnded };
    Effect::Tell(notice)
}

fn letter(recipient: &str) -> Letter {
    Letter {
        recipient: recipient.into(),
        at: Moment::from_nanos(7),
        thread: Some("incident-1".into()),
        subject: "subject".into(),
        text: "text".into(),
        html: "<p>text</p>".into(),
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn sql(dir: &TempDir, file: &str, batch: &str) {
    Connection::open(dir.path().join(file)).unwrap().execute_batch(batch).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..Default::default() })]

    #[test]
    fn what_is_committed_comes_back_exactly_and_in_order(
        turns in vec((vec(fact(), 0..12), vec(incident(), 0..3)), 1..6),
    ) {
        let dir = TempDir::new().unwrap();
        let mut facts = Vec::new();
        let mut effects = Vec::new();
        let mut store = Store::open(dir.path()).unwrap();
        for (now, (some, told)) in (1..).zip(turns) {
            let told: Vec<Effect> = told.into_iter().map(|incident| Effect::Tell(Notice {
                at: Moment::from_nanos(now), project: "shop".into(), news: News::Began(incident),
            })).collect();
            let ids = store.commit(&at(now), &some, &told).unwrap();
            effects.extend(ids.into_iter().zip(told));
            facts.extend(some.into_iter().map(|fact| (Moment::from_nanos(now), fact)));
            // Reopened after every turn: as a daemon that is restarted.
            drop(store);
            store = Store::open(dir.path()).unwrap();
            let contents = store.contents().unwrap();
            prop_assert_eq!(&contents.facts, &facts);
            prop_assert_eq!(&contents.pending, &effects);
            prop_assert_eq!(contents.anchor, Some(at(now)));
        }
        prop_assert!(effects.is_sorted_by(|a, b| a.0 < b.0));
    }

    #[test]
    fn a_reading_survives_json(reading in value().prop_map(Reading::Value)) {
        let json = serde_json::to_string(&reading).unwrap();
        prop_assert_eq!(serde_json::from_str::<Reading>(&json).unwrap(), reading);
    }
}

#[test]
fn the_facts_that_are_tried_are_of_every_kind() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut seen = BTreeSet::new();
    for _ in 0..2000 {
        let tree = fact().new_tree(&mut runner).unwrap();
        seen.insert(variant(&proptest::strategy::ValueTree::current(&tree)));
    }
    assert_eq!(seen, (0..VARIANTS).collect());
}

#[test]
fn a_share_comes_back_as_a_share() {
    let share = Ratio::new(0.1 + 0.2).unwrap();
    let json = serde_json::to_string(&share).unwrap();
    assert_eq!(serde_json::from_str::<Ratio>(&json).unwrap(), share);
}

// --- all or nothing -------------------------------------------------------

#[test]
fn a_commit_that_fails_leaves_nothing_behind() {
    let dir = TempDir::new().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    store.commit(&at(1), &[paused("first")], &[]).unwrap();
    store
        .state
        .execute_batch(
            "CREATE TEMP TRIGGER no BEFORE INSERT ON effect
             BEGIN SELECT RAISE(ABORT, 'no'); END",
        )
        .unwrap();
    let refused = store.commit(&at(2), &[paused("second")], &[tell()]);
    assert!(matches!(refused, Err(StoreError::Failed { .. })), "{refused:?}");
    drop(store);

    let contents = Store::open(dir.path()).unwrap().contents().unwrap();
    assert_eq!(contents.facts, [(Moment::from_nanos(1), paused("first"))]);
    assert_eq!(contents.pending, []);
    assert_eq!(contents.anchor, Some(at(1)));
}

#[test]
fn what_was_committed_before_a_kill_is_there_and_what_was_not_is_not() {
    let dir = TempDir::new().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    let effects = store.commit(&at(1), &[paused("first")], &[tell()]).unwrap();
    store.state.execute_batch("BEGIN; INSERT INTO fact VALUES (9, 9, '', '', 'half')").unwrap();
    // What a killed process leaves: the files as they are, nobody closed them.
    let left = TempDir::new().unwrap();
    for file in ["state.db", "state.db-wal", "samples.db", "samples.db-wal"] {
        fs::copy(dir.path().join(file), left.path().join(file)).unwrap();
    }
    let contents = Store::open(left.path()).unwrap().contents().unwrap();
    assert_eq!(contents.facts, [(Moment::from_nanos(1), paused("first"))]);
    assert_eq!(contents.pending, [(effects[0], tell())]);
}

#[test]
fn a_full_disk_is_named_and_what_was_stored_stays() {
    let dir = TempDir::new().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    store.commit(&at(1), &[paused("kept")], &[]).unwrap();
    let pages: u32 = store.state.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
    store.state.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(())).unwrap();
    let full = store.commit(&at(2), &[paused(&"x".repeat(100_000))], &[]).unwrap_err();
    assert!(matches!(full, StoreError::Full { .. }), "{full:?}");
    let said = full.to_string().replace(&dir.path().display().to_string(), "DIR");
    insta::assert_snapshot!(said, @"the disk is full: DIR/state.db could not be written; free some space there");
    let contents = store.contents().unwrap();
    assert_eq!(contents.facts, [(Moment::from_nanos(1), paused("kept"))]);
}

#[test]
fn a_file_that_an_operator_locks_is_named_and_works_again_afterwards() {
    let dir = TempDir::new().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    store.state.busy_timeout(Duration::ZERO).unwrap();
    let operator = Connection::open(dir.path().join("state.db")).unwrap();
    operator.execute_batch("BEGIN IMMEDIATE").unwrap();
    let locked = store.commit(&at(1), &[paused("a")], &[]).unwrap_err();
    assert!(matches!(locked, StoreError::Locked { .. }), "{locked:?}");
    operator.execute_batch("ROLLBACK").unwrap();
    store.commit(&at(1), &[paused("a")], &[]).unwrap();
}

#[test]
fn an_effect_is_pending_until_it_is_acknowledged_and_its_number_is_never_used_again() {
    let dir = TempDir::new().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    let ids = store.commit(&at(1), &[], &[tell(), tell()]).unwrap();
    store.acknowledge(ids[0]).unwrap();
    store.acknowledge(ids[0]).unwrap();
    drop(store);
    let mut store = Store::open(dir.path()).unwrap();
    assert_eq!(store.contents().unwrap().pending, [(ids[1], tell())]);
    store.acknowledge(ids[1]).unwrap();
    store.state.execute_batch("DELETE FROM effect").unwrap();
    assert!(store.commit(&at(2), &[], &[tell()]).unwrap()[0] > ids[1]);
}

#[test]
fn what_is_long_done_with_is_removed_at_the_next_start_and_what_waits_is_not() {
    let dir = TempDir::new().unwrap();
    let day = 24 * 3600 * 1_000_000_000_u64;
    let mut store = Store::open(dir.path()).unwrap();
    let old = store.commit(&at(day), &[], &[tell(), tell(), tell()]).unwrap();
    store.acknowledge(old[0]).unwrap();
    store.post(old[1], &[letter("ops@example.com")]).unwrap();
    store.commit(&at(100 * day), &[], &[]).unwrap();
    drop(store);
    let store = Store::open(dir.path()).unwrap();
    let mut left = store.state.prepare("SELECT id FROM effect ORDER BY id").unwrap();
    let left: Vec<i64> =
        left.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap();
    assert_eq!(left, [old[1], old[2]].map(|id| id.get().cast_signed()));
    assert_eq!(store.due(Moment::from_nanos(day), 9).unwrap().len(), 1);
}

// --- whose directory ------------------------------------------------------

#[test]
fn a_second_daemon_on_the_same_directory_is_refused_until_the_first_ends() {
    let dir = TempDir::new().unwrap();
    let first = Store::open(dir.path()).unwrap();
    let second = Store::open(dir.path()).unwrap_err();
    assert!(matches!(second, StoreError::InUse { .. }), "{second:?}");
    let said = second.to_string().replace(&dir.path().display().to_string(), "DIR");
    let said = said.replace(&std::process::id().to_string(), "PID");
    insta::assert_snapshot!(said, @"another rollbackd (process PID) uses the state directory DIR; stop it first, or give this one a `state_dir` of its own");
    drop(first);
    Store::open(dir.path()).unwrap();
}

#[test]
fn nobody_else_can_read_what_is_stored() {
    let dir = TempDir::new().unwrap();
    let state = dir.path().join("made/when/missing");
    let mut store = Store::open(&state).unwrap();
    store.commit(&at(1), &[paused("a")], &[]).unwrap();
    store.checkpoint(&at(1), b"windows").unwrap();
    assert_eq!(mode(&state), 0o700);
    let mut files = 0;
    for file in fs::read_dir(&state).unwrap() {
        let path = file.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
        files += 1;
    }
    assert!(files >= 5, "the write-ahead logs are there too: {files}");
    drop(store);

    fs::set_permissions(state.join("state.db"), fs::Permissions::from_mode(0o644)).unwrap();
    let _store = Store::open(&state).unwrap();
    assert_eq!(mode(&state.join("state.db")), 0o600);
}

#[test]
fn a_directory_that_cannot_be_made_is_one_sentence_with_a_remedy() {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("file"), "").unwrap();
    let refused = Store::open(&dir.path().join("file/state")).unwrap_err();
    let said = refused.to_string().replace(&dir.path().display().to_string(), "DIR");
    insta::assert_snapshot!(said, @"the state directory cannot be used: DIR/file/state: Not a directory (os error 20); let `state_dir` name a directory that rollbackd may write");
}

#[test]
fn a_state_file_that_is_a_symbolic_link_is_not_followed() {
    let dir = TempDir::new().unwrap();
    let elsewhere = dir.path().join("elsewhere");
    fs::write(&elsewhere, "precious").unwrap();
    let state = dir.path().join("state");
    fs::create_dir(&state).unwrap();
    std::os::unix::fs::symlink(&elsewhere, state.join("state.db")).unwrap();
    let refused = Store::open(&state).unwrap_err();
    assert!(matches!(refused, StoreError::Directory { .. }), "{refused:?}");
    assert_eq!(fs::read(&elsewhere).unwrap(), b"precious");
}

// --- files that are not as they should be ---------------------------------

/// Opens, and asserts that `state.db` is byte for byte what it was.
fn refused_untouched(dir: &TempDir) -> StoreError {
    let path = dir.path().join("state.db");
    let before = fs::read(&path).unwrap();
    let refused = Store::open(dir.path()).unwrap_err();
    assert!(fs::read(&path).unwrap() == before, "the file was changed");
    refused
}

#[test]
fn a_file_of_a_newer_version_is_refused_and_not_touched() {
    let dir = TempDir::new().unwrap();
    drop(Store::open(dir.path()).unwrap());
    sql(&dir, "state.db", "PRAGMA user_version = 7");
    let refused = refused_untouched(&dir);
    assert!(matches!(refused, StoreError::Newer { found: 7, .. }), "{refused:?}");
    let said = refused.to_string().replace(&dir.path().display().to_string(), "DIR");
    insta::assert_snapshot!(said, @"DIR/state.db was written by a newer rollbackd (format 7, this one knows 3); install that version again, or move the file aside to start anew");
}

#[test]
fn a_damaged_file_is_refused_and_not_touched() {
    let dir = TempDir::new().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    for now in 1..200 {
        store.commit(&at(now), &[paused(&"reason ".repeat(40))], &[tell()]).unwrap();
    }
    drop(store);
    let path = dir.path().join("state.db");
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2 / 4096 * 4096;
    bytes[middle..middle + 4096].fill(0xa5);
    fs::write(&path, bytes).unwrap();
    let refused = refused_untouched(&dir);
    assert!(matches!(refused, StoreError::Damaged { .. }), "{refused:?}");
}

#[test]
fn a_file_that_is_no_database_is_refused_and_not_touched() {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("state.db"), "not a database at all ".repeat(99)).unwrap();
    let refused = refused_untouched(&dir);
    assert!(matches!(refused, StoreError::Damaged { .. }), "{refused:?}");
    let said = refused.to_string().replace(&dir.path().display().to_string(), "DIR");
    insta::assert_snapshot!(said, @"DIR/state.db is damaged: file is not a database; put a backup back, or move the file aside to start anew (revisions and history begin again then)");
}

#[test]
fn a_database_of_another_program_is_refused_and_not_touched() {
    let dir = TempDir::new().unwrap();
    sql(&dir, "state.db", "CREATE TABLE theirs (id); PRAGMA user_version = 1");
    let refused = refused_untouched(&dir);
    assert!(matches!(refused, StoreError::Foreign { .. }), "{refused:?}");
}

#[test]
fn a_fact_that_cannot_be_read_is_named_by_its_row_and_not_quoted() {
    let dir = TempDir::new().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    store.commit(&at(1), &[paused("a"), paused("b")], &[]).unwrap();
    drop(store);
    sql(&dir, "state.db", r#"UPDATE fact SET fact = '{"hunter2": 1}' WHERE id = 2"#);
    let said = Store::open(dir.path()).unwrap().contents().unwrap_err().to_string();
    assert!(said.contains("fact 2 cannot be read") && !said.contains("hunter2"), "{said}");
}

// --- samples may be lost --------------------------------------------------

#[test]
fn a_checkpoint_comes_back_and_its_anchor_counts_when_it_is_the_later_one() {
    let dir = TempDir::new().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    store.commit(&at(5), &[], &[]).unwrap();
    store.checkpoint(&at(9), b"windows").unwrap();
    drop(store);
    let mut store = Store::open(dir.path()).unwrap();
    let contents = store.contents().unwrap();
    assert_eq!(contents.checkpoint.as_deref(), Some(&b"windows"[..]));
    assert_eq!(contents.anchor, Some(at(9)));
    store.commit(&at(12), &[], &[]).unwrap();
    assert_eq!(store.contents().unwrap().anchor, Some(at(12)));
}

#[test]
fn lost_or_damaged_samples_cost_the_windows_and_nothing_else() {
    let dir = TempDir::new().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    store.commit(&at(5), &[paused("kept")], &[]).unwrap();
    store.checkpoint(&at(9), b"windows").unwrap();
    drop(store);
    fs::write(dir.path().join("samples.db"), "torn apart ".repeat(500)).unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    let contents = store.contents().unwrap();
    assert_eq!(contents.facts.len(), 1);
    assert_eq!((contents.checkpoint, contents.anchor), (None, Some(at(5))));
    store.checkpoint(&at(10), b"again").unwrap();
    assert_eq!(mode(&dir.path().join("samples.db")), 0o600);
}

#[test]
fn a_checkpoint_of_another_state_is_not_taken() {
    let dir = TempDir::new().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    let before = store.identity().to_owned();
    store.checkpoint(&at(9), b"windows").unwrap();
    drop(store);
    fs::remove_file(dir.path().join("state.db")).unwrap();
    let store = Store::open(dir.path()).unwrap();
    assert_ne!(store.identity(), before);
    assert_eq!(store.contents().unwrap().checkpoint, None);
}

// --- letters --------------------------------------------------

#[test]
fn posting_twice_makes_one_letter_a_recipient_and_acknowledges_the_effect() {
    let dir = TempDir::new().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    let effect = store.commit(&at(1), &[], &[tell()]).unwrap()[0];
    store.post(effect, &[letter("a@example.com"), letter("b@example.com")]).unwrap();
    store.post(effect, &[letter("b@example.com"), letter("c@example.com")]).unwrap();
    let due = store.due(Moment::ZERO, 9).unwrap();
    let to: Vec<&str> = due.iter().map(|queued| queued.letter.recipient.as_str()).collect();
    assert_eq!(to, ["a@example.com", "b@example.com", "c@example.com"]);
    assert_eq!(due[0].letter, letter("a@example.com"));
    assert!(due.iter().all(|queued| queued.effect == effect && queued.attempts == 0));
    assert_eq!(store.contents().unwrap().pending, []);
}

#[test]
fn a_letter_for_an_effect_that_is_not_in_the_journal_is_refused() {
    let dir = TempDir::new().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    store.post(EffectId(99), &[letter("a@example.com")]).unwrap_err();
    assert_eq!(store.due(Moment::ZERO, 9).unwrap(), []);
}

#[test]
fn a_letter_waits_until_it_is_due_and_is_gone_once_delivered_or_abandoned() {
    let dir = TempDir::new().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    let effect = store.commit(&at(1), &[], &[tell()]).unwrap()[0];
    store.post(effect, &[letter("a@example.com"), letter("b@example.com")]).unwrap();
    assert_eq!(store.next_due().unwrap(), Some(Moment::ZERO));
    let due = store.due(Moment::ZERO, 9).unwrap();
    let later = Moment::from_nanos(500);
    store.failed(due[0].id, later, "connection refused").unwrap();
    store.abandoned(due[1].id, "no such mailbox").unwrap();
    assert_eq!(store.next_due().unwrap(), Some(later));
    assert_eq!(store.due(Moment::from_nanos(499), 9).unwrap(), []);
    let outbox = store.outbox().unwrap();
    assert_eq!((outbox.waiting, outbox.abandoned), (1, 1));
    assert_eq!(outbox.last_error.as_deref(), Some("connection refused"));
    drop(store);

    let mut store = Store::open(dir.path()).unwrap();
    let due = store.due(later, 9).unwrap();
    assert_eq!((due.len(), due[0].attempts), (1, 1));
    store.delivered(due[0].id).unwrap();
    assert_eq!((store.due(later, 9).unwrap().len(), store.next_due().unwrap()), (0, None));
    let why: String = store
        .state
        .query_row("SELECT error FROM letter WHERE state = 'abandoned'", [], |row| row.get(0))
        .unwrap();
    assert_eq!(why, "no such mailbox");
}

// --- the thread -----------------------------------------------------------

#[tokio::test]
async fn a_closed_store_answers_so_and_lets_go_of_the_directory() {
    let dir = TempDir::new().unwrap();
    let opened = open(dir.path()).unwrap();
    let other = opened.handle.clone();
    let effects = opened.handle.commit(at(1), vec![paused("a")], vec![tell()]).await.unwrap();
    other.post(effects[0], vec![letter("a@example.com")]).await.unwrap();
    opened.handle.close().await;
    let closed = other.commit(at(2), vec![paused("b")], vec![]).await;
    assert!(matches!(closed, Err(StoreError::Closed)), "{closed:?}");

    let again = open(dir.path()).unwrap();
    assert_eq!(again.facts, [(Moment::from_nanos(1), paused("a"))]);
    assert_eq!(again.handle.identity(), other.identity());
    assert_eq!(again.handle.due(Moment::ZERO, 9).await.unwrap().len(), 1);
}

#[cfg(feature = "testing")]
#[test]
fn a_death_beside_a_commit_leaves_all_of_it_or_nothing() {
    use crate::host::death::arm;
    for (boundary, stored) in [(1, 0), (2, 1)] {
        let dir = TempDir::new().unwrap();
        let mut store = Store::open(dir.path()).unwrap();
        let dying = std::panic::AssertUnwindSafe(|| {
            let _armed = arm(boundary);
            store.commit(&at(1), &[paused("a")], &[tell()])
        });
        std::panic::catch_unwind(dying).unwrap_err();
        drop(store);
        let contents = Store::open(dir.path()).unwrap().contents().unwrap();
        assert_eq!((contents.facts.len(), contents.pending.len()), (stored, stored));
    }
}
