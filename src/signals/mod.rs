//! Where numbers come from: a file for each kind of source. Gives samples, or says why not.

mod exposition;
mod quantile;
mod rates;
