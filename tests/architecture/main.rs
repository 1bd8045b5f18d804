//! Holds the sources to the house's floors (`docs/developing.md`): imports go
//! down only, never to a room on the same floor; `lib.rs` holds only `mod`
//! lines; the core knows no `std`. Every path of every file is resolved, in
//! `use` items and in expressions, types and macros alike.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "tests fail by panicking")]

mod paths;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use syn::{Item, Visibility};

use crate::paths::{File, paths};

/// The floors, top to bottom. `rollbackd_core` is the ground.
const FLOORS: [&[&str]; 6] = [
    &["cli"],
    &["daemon"],
    &["rollback", "replay", "api"],
    &["signals", "engine", "notify"],
    &["docker", "store"],
    &["config", "host"],
];

fn floor(room: &str) -> Option<usize> {
    FLOORS.iter().position(|rooms| rooms.contains(&room))
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every source file below a folder, with the module path that it is. Files of
/// tests (`tests.rs` beside what they test) may stand on anything.
fn sources(folder: &Path) -> Vec<(PathBuf, Vec<String>)> {
    let mut found = Vec::new();
    let mut folders = vec![(folder.to_owned(), Vec::new())];
    while let Some((folder, module)) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let stem = path.file_stem().unwrap().to_str().unwrap().to_owned();
            let inner: Vec<String> = module.iter().cloned().chain([stem.clone()]).collect();
            if stem == "tests" {
                continue;
            } else if path.is_dir() {
                folders.push((path, inner));
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let is_root = ["mod", "lib", "main"].contains(&stem.as_str());
                found.push((path, if is_root { module.clone() } else { inner }));
            }
        }
    }
    found.sort();
    found
}

fn parse(path: &Path) -> syn::File {
    let text = fs::read_to_string(path).unwrap();
    syn::parse_file(&text).unwrap_or_else(|why| panic!("{}: {why}", path.display()))
}

/// What is wrong with one import, if anything.
fn fault(from: &str, to: &str) -> Option<String> {
    if from == to {
        return None;
    }
    let (Some(above), Some(below)) = (floor(from), floor(to)) else {
        return Some(format!("`{from}` or `{to}` is no room of the house: give it a floor"));
    };
    match above.cmp(&below) {
        std::cmp::Ordering::Less => None,
        std::cmp::Ordering::Equal => Some(format!("`{from}` and `{to}` are on the same floor")),
        std::cmp::Ordering::Greater => Some(format!("`{to}` is above `{from}`")),
    }
}

#[test]
fn imports_go_down_only() {
    let mut faults = BTreeSet::new();
    for (path, module) in sources(&root().join("src")) {
        let Some(room) = module.first() else { continue };
        let file = File { module: &module, own_names: &["crate", "rollbackd"] };
        for path_found in paths(&parse(&path), &file) {
            if let Some(why) = fault(room, &path_found) {
                let place = path.strip_prefix(root()).unwrap().display().to_string();
                faults.insert(format!("{place}: {why}"));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.into_iter().collect::<Vec<_>>().join("\n"));
}

#[test]
fn the_program_enters_by_the_command_line_only() {
    let file = File { module: &[], own_names: &["rollbackd"] };
    let rooms = paths(&parse(&root().join("src/main.rs")), &file);
    assert!(rooms.iter().all(|room| room == "cli"), "main.rs uses {rooms:?}");
}

#[test]
fn the_library_is_a_list_of_rooms() {
    let library = parse(&root().join("src/lib.rs"));
    for item in &library.items {
        let Item::Mod(module) = item else { panic!("lib.rs holds more than mod lines") };
        assert!(module.content.is_none(), "{} is written out in lib.rs", module.ident);
        let room = module.ident.to_string();
        assert!(floor(&room).is_some(), "`{room}` has no floor in tests/architecture");
    }
}

#[test]
fn nothing_is_re_exported_across_rooms() {
    for (path, module) in sources(&root().join("src")) {
        let Some(room) = module.first() else { continue };
        let parsed = parse(&path);
        let public = parsed.items.iter().filter_map(|item| match item {
            Item::Use(item) if matches!(item.vis, Visibility::Public(_)) => Some(item),
            _ => None,
        });
        for item in public {
            let file = File { module: &module, own_names: &["crate", "rollbackd"] };
            let alone =
                syn::File { shebang: None, attrs: vec![], items: vec![item.clone().into()] };
            let others: Vec<String> =
                paths(&alone, &file).into_iter().filter(|to| to != room).collect();
            assert!(others.is_empty(), "{}: re-exports from {others:?}", path.display());
        }
    }
}

#[test]
fn the_core_knows_nothing_of_the_world() {
    let core = root().join("core/src");
    let library = fs::read_to_string(core.join("lib.rs")).unwrap();
    assert!(library.contains("#![no_std]"), "core is no_std");
    for (path, module) in sources(&core) {
        let file = File { module: &module, own_names: &["std", "tokio", "rollbackd"] };
        let found = paths(&parse(&path), &file);
        // Tests of the core may use the standard library; they are left out.
        assert!(found.is_empty(), "{} uses std: {found:?}", path.display());
    }
}

#[test]
fn only_a_lower_floor_may_be_imported() {
    assert_eq!(fault("daemon", "store"), None);
    assert_eq!(fault("store", "store"), None);
    for (from, to) in [("store", "daemon"), ("engine", "notify"), ("host", "config")] {
        assert!(fault(from, to).is_some(), "{from} must not use {to}");
    }
    assert!(fault("daemon", "utils").is_some(), "a room without a floor is none");
}

#[test]
fn the_test_itself_sees_every_kind_of_path() {
    let text = r#"
        use crate::cli::Arguments;
        use crate::{daemon::{self, run}, host::clock::Clock};
        use super::super::api::serve;
        fn f(x: crate::store::Handle) -> rollbackd::notify::Message {
            let y = crate::signals::probe::ask();
            println!("{}", crate::engine::NAME);
            matches!(y, crate::rollback::Step::One)
        }
        #[cfg(test)]
        mod tests { use crate::replay::run; }
    "#;
    let module = ["config".to_owned(), "settings".to_owned()];
    let file = File { module: &module, own_names: &["crate", "rollbackd"] };
    let found = paths(&syn::parse_file(text).unwrap(), &file);
    let expected =
        ["api", "cli", "daemon", "engine", "host", "notify", "rollback", "signals", "store"];
    assert_eq!(found.into_iter().collect::<Vec<_>>(), expected);
}
