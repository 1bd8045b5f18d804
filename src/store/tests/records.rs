//! What is promised of records, of what rollbacks did to containers, and of
//! marks.

use rollbackd_core::words::{ContainerId, IncidentId, ProjectName};
use tempfile::TempDir;

use super::{super::Touch, Store, sql};
use crate::host::command::Group;

#[test]
fn records_are_replaced_found_and_forgotten_by_their_container() {
    let dir = TempDir::new().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    let [one, two] = ["one", "two"].map(ContainerId::new);
    let document = serde_json::json!({ "Config": { "Env": ["A=1"] }, "n": 0.1 });
    store.put_record(&one, &serde_json::json!({})).unwrap();
    store.put_record(&one, &document).unwrap();
    store.put_record(&two, &document).unwrap();
    store.touch(IncidentId(7), &[(one.clone(), Touch::Made), (two.clone(), Touch::Made)]).unwrap();
    store.forget_records(std::slice::from_ref(&one)).unwrap();
    assert_eq!(store.record(&one).unwrap(), Some(document));
    assert_eq!(store.record(&two).unwrap(), None);
    assert!(store.made(&one).unwrap() && !store.made(&two).unwrap());
}

#[test]
fn the_group_of_a_command_is_known_until_it_has_ended() {
    let dir = TempDir::new().unwrap();
    let (shop, other) = (ProjectName::new("shop"), ProjectName::new("other"));
    let group = |id| Group { id, started: u64::MAX / 2, boot: "b".into(), mark: "m".into() };
    let mut store = Store::open(dir.path()).unwrap();
    store.command_began(&shop, &group(1)).unwrap();
    store.command_began(&shop, &group(2)).unwrap();
    store.command_began(&other, &group(3)).unwrap();
    drop(store);
    let mut store = Store::open(dir.path()).unwrap();
    assert_eq!(store.command(&shop).unwrap(), Some(group(2)));
    store.command_ended(&shop).unwrap();
    store.command_ended(&shop).unwrap();
    assert_eq!(store.command(&shop).unwrap(), None);
    assert_eq!(store.command(&other).unwrap(), Some(group(3)));
}

#[test]
fn what_a_rollback_made_stays_made_by_it() {
    let dir = TempDir::new().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    let [one, two] = ["one", "two"].map(ContainerId::new);
    let (first, second) = (IncidentId(7), IncidentId(u64::MAX));
    store.touch(first, &[(one.clone(), Touch::Made), (two.clone(), Touch::Replaced)]).unwrap();
    store.touch(first, &[(one.clone(), Touch::Replaced)]).unwrap();
    store.touch(second, &[(one.clone(), Touch::Replaced)]).unwrap();
    assert_eq!(store.touched(&one, first).unwrap(), Some(Touch::Made));
    assert_eq!(store.touched(&one, second).unwrap(), Some(Touch::Replaced));
    assert_eq!(store.touched(&two, first).unwrap(), Some(Touch::Replaced));
    assert_eq!(store.touched(&two, second).unwrap(), None);
    assert!(store.made(&one).unwrap() && !store.made(&two).unwrap());
}

#[test]
fn the_image_with_which_a_mark_was_first_seen_is_the_one_that_counts() {
    let dir = TempDir::new().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    let image = |digit: &str| format!("sha256:{}", digit.repeat(64)).parse().unwrap();
    store.mark("hash a", image("1")).unwrap();
    store.mark("hash a", image("2")).unwrap();
    assert_eq!(store.marked("hash a").unwrap(), Some(image("1")));
    assert_eq!(store.marked("hash b").unwrap(), None);
}

#[test]
fn a_file_of_the_first_format_is_brought_to_the_newest_with_what_it_holds() {
    let dir = TempDir::new().unwrap();
    sql(&dir, "state.db", include_str!("../state-1.sql"));
    let document = serde_json::json!({ "n": 1 });
    let row = format!("INSERT INTO record VALUES ('one', '{document}')");
    // The mark of our files.
    sql(&dir, "state.db", &format!("{row}; PRAGMA application_id = {}", 0x7262_6b64));
    sql(&dir, "state.db", "PRAGMA user_version = 1");
    let mut store = Store::open(dir.path()).unwrap();
    let one = ContainerId::new("one");
    assert_eq!(store.record(&one).unwrap(), Some(document));
    store.touch(IncidentId(7), &[(one.clone(), Touch::Made)]).unwrap();
    assert!(store.made(&one).unwrap());
}
