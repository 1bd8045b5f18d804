//! What this program needs of the machine: the clock, commands and HTTP with
//! limits on everything, secrets. It knows nothing of what it is used for.

pub mod clock;
pub mod command;
pub mod death;
pub mod hang;
pub mod http;
pub mod limits;
pub mod secret;
