//! One connection to the engine: typed answers, events without gaps, the meaning of labels.
