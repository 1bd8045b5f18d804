//! What this program needs of the machine: the clock, HTTP with limits on
//! everything, files, secrets. It knows nothing of what it is used for.

pub mod clock;
pub mod command;
pub mod death;
pub mod http;
pub mod secret;
