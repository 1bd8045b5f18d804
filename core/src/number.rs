//! Numbers in the journal: JSON has no infinity, and an infinite value is a
//! value here (a container that never started), so those are written as words.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

#[derive(Serialize)]
#[serde(untagged)]
enum Written {
    Finite(f64),
    Word(&'static str),
}

/// Writes a number that may be infinite.
///
/// # Errors
/// Those of the serializer.
pub fn serialize<S: Serializer>(value: &Option<f64>, to: S) -> Result<S::Ok, S::Error> {
    let written = value.map(|value| match value {
        f64::INFINITY => Written::Word("inf"),
        f64::NEG_INFINITY => Written::Word("-inf"),
        finite => Written::Finite(finite),
    });
    written.serialize(to)
}

/// Reads what [`serialize`] wrote.
///
/// # Errors
/// Those of the deserializer, and a word that is no number.
pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<f64>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Read {
        Finite(f64),
        Word(alloc::string::String),
    }
    match Option::<Read>::deserialize(from)? {
        None => Ok(None),
        Some(Read::Finite(value)) => Ok(Some(value)),
        Some(Read::Word(word)) => word.parse().map(Some).map_err(|_| D::Error::custom("no number")),
    }
}
