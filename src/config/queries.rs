//! Where the queries of a file are written, so that what a server says of one
//! is told at its place in the file.

use std::{collections::BTreeMap, ops::Range};

use rollbackd_core::words::{ProjectName, TriggerId};

use super::{Loaded, Problem, Severity, literal};

/// The place of each trigger's query.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Queries(BTreeMap<(ProjectName, TriggerId), Range<usize>>);

impl Queries {
    pub(super) fn add(&mut self, project: &ProjectName, trigger: &TriggerId, span: Range<usize>) {
        self.0.insert((project.clone(), trigger.clone()), span);
    }
}

impl Loaded {
    /// An error at a trigger's query: at the line and the column within it (both
    /// from 1, the column in bytes, as Prometheus counts them), else at all of
    /// it. `None`: that trigger has no query in the file.
    #[must_use]
    pub fn at_query(
        &self,
        project: &ProjectName,
        trigger: &TriggerId,
        query: &str,
        place: Option<(usize, usize)>,
        (message, hint): (String, String),
    ) -> Option<Problem> {
        let span = self.queries.0.get(&(project.clone(), trigger.clone()))?.clone();
        let literal = self.text.get(span.clone())?;
        let within = place
            .and_then(|place| byte(query, place))
            .and_then(|at| literal::place_of(literal, query, at))
            .map(|within| span.start + within.start..span.start + within.end);
        let span = within.unwrap_or(span);
        let file = &self.config.path;
        Some(Problem::at(file, &self.text, Severity::Error, span, message, hint))
    }
}

/// The byte of a text at a line and a column.
fn byte(text: &str, (line, column): (usize, usize)) -> Option<usize> {
    let mut start = 0;
    for (index, one) in text.split('\n').enumerate() {
        if index + 1 == line {
            let within = column.checked_sub(1)?;
            return (within <= one.len()).then_some(start + within);
        }
        start += one.len() + 1;
    }
    None
}
