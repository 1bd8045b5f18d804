//! What a source says at one moment: a number, or why there is none.

use alloc::string::String;
use core::fmt;

use serde::{Deserialize, Serialize};

use crate::{moment::Moment, words::TriggerIx};

/// A number, or why there is none. Never NaN as a number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Reading {
    /// A usable number; it may be infinite.
    Value(#[serde(with = "crate::number")] f64),
    /// No usable number.
    Missing(Missing),
}

impl Reading {
    /// NaN is missing; anything else is a value.
    #[must_use]
    pub fn of(value: f64) -> Self {
        if value.is_nan() {
            Self::Missing(Missing::Empty("the answer is NaN (0/0)".into()))
        } else {
            Self::Value(value)
        }
    }
}

/// Why a source gave no usable number. The text is one sentence for a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Missing {
    /// The source answered that there is nothing: an empty result, NaN, fewer
    /// requests than `min_requests`.
    Empty(String),
    /// The source did not answer, or what it answered cannot be used.
    Failed(String),
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Empty(why) | Self::Failed(why)) = self;
        f.pad(why)
    }
}

/// One reading of one trigger's signal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// Which trigger asked.
    pub trigger: TriggerIx,
    /// When it was asked for, not when it was answered.
    pub at: Moment,
    /// What was answered.
    pub reading: Reading,
}
