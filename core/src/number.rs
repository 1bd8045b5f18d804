//! How a value is stored. JSON has no infinity and would read one back as
//! nothing at all; so an infinite value is stored as the word `inf` or `-inf`.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A number or a word.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Stored {
    Finite(f64),
    Word(Word),
}

#[derive(Clone, Copy, Serialize, Deserialize)]
enum Word {
    #[serde(rename = "inf")]
    Above,
    #[serde(rename = "-inf")]
    Below,
}

impl From<f64> for Stored {
    fn from(value: f64) -> Self {
        match value {
            f64::INFINITY => Self::Word(Word::Above),
            f64::NEG_INFINITY => Self::Word(Word::Below),
            _ => Self::Finite(value),
        }
    }
}

impl From<Stored> for f64 {
    fn from(stored: Stored) -> Self {
        match stored {
            Stored::Finite(value) => value,
            Stored::Word(Word::Above) => Self::INFINITY,
            Stored::Word(Word::Below) => Self::NEG_INFINITY,
        }
    }
}

pub(crate) fn serialize<S: Serializer>(value: &f64, to: S) -> Result<S::Ok, S::Error> {
    Stored::from(*value).serialize(to)
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    Stored::deserialize(from).map(f64::from)
}

/// The same for the last values of a trigger, of which some may be missing.
pub(crate) mod recent {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::Word;
    use crate::view::RECENT;

    type Recent = [Option<f32>; RECENT];

    #[derive(Clone, Copy, Serialize, Deserialize)]
    #[serde(untagged)]
    enum Stored {
        /// A narrow number is short when it is written.
        Finite(f32),
        Word(Word),
    }

    pub(crate) fn serialize<S: Serializer>(values: &Recent, to: S) -> Result<S::Ok, S::Error> {
        let stored = |value| match value {
            f32::INFINITY => Stored::Word(Word::Above),
            f32::NEG_INFINITY => Stored::Word(Word::Below),
            _ => Stored::Finite(value),
        };
        values.map(|value| value.map(stored)).serialize(to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Recent, D::Error> {
        let value = |stored| match stored {
            Stored::Finite(value) => value,
            Stored::Word(Word::Above) => f32::INFINITY,
            Stored::Word(Word::Below) => f32::NEG_INFINITY,
        };
        let stored = <[Option<Stored>; RECENT]>::deserialize(from)?;
        Ok(stored.map(|seen| seen.map(value)))
    }
}

/// The same for a value that may be missing.
pub(crate) mod option {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::Stored;

    #[allow(clippy::ref_option, reason = "serde's signature")]
    pub(crate) fn serialize<S: Serializer>(value: &Option<f64>, to: S) -> Result<S::Ok, S::Error> {
        value.map(Stored::from).serialize(to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<f64>, D::Error> {
        Ok(Option::<Stored>::deserialize(from)?.map(f64::from))
    }
}
