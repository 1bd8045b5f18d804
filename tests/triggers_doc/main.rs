//! `docs/triggers.md` and the program cannot disagree: each plot of the document
//! is made here by driving the core, and each time that stands beside a plot is
//! what the core did. `ROLLBACKD_WRITE_PLOTS=1 cargo test --features testing
//! --test triggers_doc` makes the plots, and the words beside them, anew.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]
#![allow(missing_docs, unreachable_pub, reason = "a test is read by nobody else")]

mod blame;
mod outcome;
mod scene;
mod sources;
mod times;
mod unseen;
#[path = "../../core/tests/world/mod.rs"]
mod world;

use std::{collections::BTreeSet, fs, path::PathBuf};

use scene::Told;

const AGAIN: &str = "ROLLBACKD_WRITE_PLOTS=1 cargo test --features testing --test triggers_doc";
/// The most that a plot may take: a page shows many.
const MOST: usize = 6 << 10;

type Scenario = (&'static str, fn() -> Told);

const SCENARIOS: &[Scenario] = &[
    ("for", times::held_for),
    ("share", times::share),
    ("gaps", unseen::gaps),
    ("gaps-long", unseen::long_gap),
    ("blind", unseen::blind),
    ("blind-breach", unseen::blind_breach),
    ("window", sources::window),
    ("min-requests", sources::min_requests),
    ("grace", times::grace),
    ("health", times::health),
    ("grace-dependency", times::grace_of_a_dependency),
    ("restart", unseen::restart),
    ("suspended", unseen::suspended),
    ("clock-set-back", unseen::clock_set_back),
    ("clearing", times::clearing),
    ("two-levels", times::two_levels),
    ("blame", blame::blamed),
    ("blame-nobody", blame::nobody),
    ("blame-older", blame::older),
    ("blame-worse", blame::worse),
    ("blame-pending", blame::pending),
    ("blame-chain", blame::chain),
    ("blame-chain-clean", blame::chain_clean),
    ("blame-blames", blame::blames),
    ("blame-dependency", blame::careful),
    ("blame-always", blame::always),
    ("blame-others", blame::others),
    ("group", blame::group),
    ("known-bad", outcome::known_bad_again),
    ("known-bad-pulled", outcome::known_bad_pulled),
    ("verification", outcome::verification),
    ("acquittal", outcome::acquittal),
    ("standing", outcome::standing),
    ("standing-unproven", outcome::standing_unproven),
];

fn docs() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs")
}

fn document() -> String {
    fs::read_to_string(docs().join("triggers.md")).unwrap()
}

/// The plots that the document shows: name, words for those who cannot see it,
/// and the text of the section it stands in.
fn shown(document: &str) -> Vec<(String, String, String)> {
    let sections = document.split("\n## ");
    let images = sections.flat_map(|section| {
        section.split("![").skip(1).filter_map(move |image| {
            let (words, rest) = image.split_once("](plots/")?;
            let (name, _) = rest.split_once(".svg)")?;
            // Without the words of its images, which the program writes itself.
            let lines = section.lines().filter(|line| !line.starts_with("!["));
            let flat = lines.flat_map(str::split_whitespace).collect::<Vec<_>>().join(" ");
            Some((name.to_owned(), words.to_owned(), flat))
        })
    });
    images.collect()
}

/// Is it said, and whole: `fires at 3m` is not said by "fires at 3m 45s".
fn is_said(section: &str, phrase: &str) -> bool {
    let (section, phrase) = (section.to_lowercase(), phrase.to_lowercase());
    let goes_on = |rest: &str| {
        let mut next = rest.chars();
        match next.next() {
            Some(' ') => next.next().is_some_and(|c| c.is_ascii_digit()),
            first => first.is_some_and(|c| c.is_ascii_digit()),
        }
    };
    section.match_indices(&phrase).any(|(at, found)| !goes_on(&section[at + found.len()..]))
}

/// Are the plots to be made anew?
fn writes() -> bool {
    std::env::var_os("ROLLBACKD_WRITE_PLOTS").is_some()
}

/// Puts the words for those who cannot see a plot into the document.
fn write_words(document: &str, name: &str, words: &str) -> String {
    let Some((before, after)) = document.split_once(&format!("](plots/{name}.svg)")) else {
        return document.to_owned();
    };
    let start = before.rfind("![").unwrap();
    format!("{}![{words}](plots/{name}.svg){after}", &before[..start])
}

#[test]
fn each_plot_is_what_the_program_makes_now() {
    let (mut document, mut stale) = (document(), Vec::new());
    for (name, scenario) in SCENARIOS {
        let plot = scenario().plot;
        let svg = plot.svg();
        assert!(svg.len() <= MOST, "{name}.svg has {} bytes", svg.len());
        let path = docs().join("plots").join(format!("{name}.svg"));
        if writes() {
            fs::write(&path, &svg).unwrap();
            document = write_words(&document, name, &plot.title);
        } else if fs::read_to_string(&path).unwrap_or_default() != svg {
            stale.push(*name);
        }
    }
    if writes() {
        fs::write(docs().join("triggers.md"), document).unwrap();
    }
    assert!(
        stale.is_empty(),
        "the program draws {stale:?} otherwise now: look at why, then {AGAIN}"
    );
}

#[test]
fn every_plot_is_shown_once_and_every_shown_plot_is_made() {
    let made: BTreeSet<String> = SCENARIOS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(made.len(), SCENARIOS.len(), "two scenarios of one name");
    if writes() {
        return;
    }
    let images = shown(&document());
    let in_document: BTreeSet<String> = images.iter().map(|(name, ..)| name.clone()).collect();
    assert_eq!(in_document, made);
    assert_eq!(images.len(), in_document.len(), "a plot is shown twice");
    let files = fs::read_dir(docs().join("plots")).unwrap();
    let files: BTreeSet<String> = files
        .map(|file| file.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    assert_eq!(files, made, "docs/plots holds what no scenario makes, or lacks what one makes");
}

#[test]
fn what_the_document_says_of_a_plot_is_what_the_program_did() {
    if writes() {
        return;
    }
    let images = shown(&document());
    let mut wrong = Vec::new();
    for (name, scenario) in SCENARIOS {
        let Some((_, words, section)) = images.iter().find(|(shown, ..)| shown == name) else {
            wrong.push(format!("{name}: is not shown"));
            continue;
        };
        let told = scenario();
        if *words != told.plot.title {
            wrong.push(format!("{name}: is not shown with the words that it says: {AGAIN}"));
        }
        for says in told.says.iter().filter(|says| !is_said(section, says)) {
            wrong.push(format!("{name}: its section does not say \"{says}\""));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
