//! The numbers of a source whose answers are given instead of asked for: worked
//! out over a trigger's window as ever. For what explains `window` and
//! `min_requests`, and for tests.

use std::time::Duration;

use rollbackd_core::{moment::Moment, reading::Sample};

use super::{
    Asked, longest_window,
    probe::{Probed, Probes},
    scrape::{Book, Round},
};
use crate::config::settings::Scrape;

/// What a trigger reads from pages of one app.
#[must_use]
pub fn from_pages(
    asked: &Asked,
    source: &Scrape,
    pages: impl IntoIterator<Item = (Moment, String)>,
) -> Vec<Sample> {
    let asked = std::slice::from_ref(asked);
    let mut book = Book::new(longest_window(asked));
    let told = |(at, page): (Moment, String)| book.told(at, &Round::given(&page, source), asked);
    pages.into_iter().flat_map(told).collect()
}

/// What a trigger reads from probes, each answered as expected at once, or not
/// at all.
#[must_use]
pub fn from_probes(asked: &Asked, probes: impl IntoIterator<Item = (Moment, bool)>) -> Vec<Sample> {
    let asked = std::slice::from_ref(asked);
    let mut all = Probes::new(longest_window(asked));
    let told = |(at, answered): (Moment, bool)| {
        let failed = (!answered).then(|| "no answer".to_owned());
        let took = Duration::from_millis(20);
        all.told(at, Ok(Probed { took, failed }), asked)
    };
    probes.into_iter().flat_map(told).collect()
}
