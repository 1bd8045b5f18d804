//! What people are told, and how it reaches them: a notice becomes a message
//! (`message`), a message a letter a recipient in the outbox (`outbox`), and a
//! letter a mail (`email`). Nothing that was committed is lost on the way.

pub mod email;
mod known_bad;
mod layout;
pub mod message;
pub mod outbox;
mod smtp;
mod story;
#[cfg(test)]
mod tests;
mod wording;
