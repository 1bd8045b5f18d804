//! What people see: text made from the JSON documents and a [`Reader`], pure,
//! readable without colours and without UTF-8. One file a document.
//!
//! [`Reader`]: crate::cli::out::Reader

pub(super) mod history;
pub(super) mod incident;
pub(super) mod plan;
pub(super) mod revisions;
mod spark;
pub(super) mod status;
pub(super) mod style;
mod table;
pub(super) mod why;
pub(super) mod words;

#[cfg(test)]
pub(super) mod tests;
