//! What was recorded comes back for the moment that is asked about, and only what
//! has room is kept.

use rusqlite::Connection;
use tempfile::TempDir;

use super::{at, paused, sql};
use crate::store::{Cause, Chunk, Keyframe, Past, Store};
use rollbackd_core::moment::Moment;

const fn moment(nanos: u64) -> Moment {
    Moment::from_nanos(nanos)
}

fn keyframe(nanos: u64, cause: Cause, core: &str) -> Option<Keyframe> {
    Some(Keyframe { at: moment(nanos), cause, core: core.into() })
}

fn chunk(from: u64, until: u64, bytes: &[u8]) -> Option<Chunk> {
    Some(Chunk { from: moment(from), until: moment(until), bytes: bytes.into() })
}

#[allow(clippy::needless_pass_by_value, reason = "they are made where they are given")]
fn remember(store: &mut Store, chunk: Option<Chunk>, keyframe: Option<Keyframe>) {
    store.remember(chunk.as_ref(), keyframe.as_ref()).unwrap();
}

/// Recorded from 100 to 200 and, after a restart, from 300.
fn two_lives() -> (TempDir, Store) {
    let dir = TempDir::new().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    store.commit(&at(50), &[paused("before")], &[]).unwrap();
    remember(&mut store, None, keyframe(100, Cause::Start, "first"));
    store.commit(&at(110), &[paused("one")], &[]).unwrap();
    remember(&mut store, chunk(100, 150, b"a"), None);
    store.commit(&at(160), &[paused("two")], &[]).unwrap();
    remember(&mut store, chunk(150, 200, b"b"), None);
    drop(store);
    let mut store = Store::open(dir.path()).unwrap();
    remember(&mut store, chunk(250, 300, b"nobody's"), keyframe(300, Cause::Start, "second"));
    store.commit(&at(310), &[paused("three")], &[]).unwrap();
    remember(&mut store, chunk(300, 350, b""), None);
    (dir, store)
}

#[test]
fn a_moment_comes_with_its_keyframe_and_what_was_heard_and_committed_since() {
    let (dir, _store) = two_lives();
    let past = Past::open(dir.path()).unwrap();
    let span = past.span(moment(149)).unwrap().unwrap();
    assert_eq!((span.core.as_slice(), span.until), (b"first".as_slice(), moment(200)));
    assert_eq!(Some(span.chunks), chunk(100, 150, b"a").map(|only| vec![only]));
    assert_eq!(span.facts, [paused("one"), paused("two")], "and none of the next span");
    assert_eq!(span.next, Some((moment(300), Cause::Start)));
    assert_eq!(span.newest.as_deref(), Some(b"second".as_slice()));
    let whole = past.span(moment(200)).unwrap().unwrap();
    assert_eq!(whole.chunks.len(), 2);
    let newest = past.span(moment(350)).unwrap().unwrap();
    assert_eq!((newest.facts, newest.next, newest.newest), (vec![paused("three")], None, None));
}

#[test]
fn a_moment_that_is_not_recorded_is_known_by_what_lies_around_it() {
    let (dir, _store) = two_lives();
    let past = Past::open(dir.path()).unwrap();
    assert_eq!(past.span(moment(99)).unwrap(), None);
    assert_eq!(past.oldest().unwrap(), Some(moment(100)));
    let gap = past.span(moment(201)).unwrap().unwrap();
    assert_eq!((gap.until, gap.next), (moment(200), Some((moment(300), Cause::Start))));
    let soon = past.span(moment(351)).unwrap().unwrap();
    assert_eq!((soon.until, soon.next), (moment(350), None));
}

#[test]
fn the_oldest_spans_make_room_and_take_their_chunks_along() {
    let dir = TempDir::new().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    let large = vec![7; 20 * 1024 * 1024];
    for span in 1..=5 {
        let at = span * 100;
        let last = chunk(at - 100, at, &large).filter(|_| span > 1);
        remember(&mut store, last, keyframe(at, Cause::Again, "core"));
    }
    let past = Past::open(dir.path()).unwrap();
    assert_eq!(past.oldest().unwrap(), Some(moment(200)), "three of 20 MiB have room");
    assert_eq!(past.span(moment(250)).unwrap().unwrap().chunks.len(), 1);
    let count = |table: &str| -> i64 {
        let samples = Connection::open(dir.path().join("samples.db")).unwrap();
        samples.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
    };
    assert_eq!((count("keyframe"), count("heard")), (4, 3));
    let huge = vec![7; 70 * 1024 * 1024];
    remember(&mut store, chunk(500, 600, &huge), None);
    remember(&mut store, None, keyframe(600, Cause::Again, "core"));
    assert_eq!((count("keyframe"), count("heard")), (1, 0), "the newest is always kept");
}

#[test]
fn the_recording_of_another_state_tells_nothing_about_this_one() {
    let (dir, store) = two_lives();
    drop(store);
    sql(&dir, "state.db", "UPDATE identity SET id = 'another'");
    let past = Past::open(dir.path()).unwrap();
    assert_eq!((past.span(moment(150)).unwrap(), past.oldest().unwrap()), (None, None));
    let mut store = Store::open(dir.path()).unwrap();
    remember(&mut store, None, keyframe(400, Cause::Start, "mine"));
    assert_eq!(past.oldest().unwrap(), Some(moment(400)));
}

#[test]
fn a_recording_that_cannot_be_written_is_an_error_and_changes_nothing() {
    let (dir, mut store) = two_lives();
    sql(
        &dir,
        "samples.db",
        "CREATE TRIGGER full BEFORE INSERT ON heard BEGIN SELECT RAISE(ABORT, 'full'); END",
    );
    let lost = store.remember(chunk(350, 400, b"c").as_ref(), None);
    assert!(lost.is_err());
    let past = Past::open(dir.path()).unwrap();
    assert_eq!(past.span(moment(400)).unwrap().unwrap().until, moment(350));
}
