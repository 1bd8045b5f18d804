//! The packages, each used as its users do: the Debian package on a machine
//! with systemd as its first process (in a container, with the host's engine),
//! the tarball, and the image beside a project.
#![expect(clippy::disallowed_methods, reason = "tests have deadlines of their own")]
#![allow(
    clippy::new_without_default,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    dead_code,
    missing_docs,
    unreachable_pub,
    reason = "tests fail by panicking, and their support is nobody's library"
)]

#[path = "../support/mod.rs"]
mod support;

#[path = "../support/smtp.rs"]
mod smtp;

mod host;
mod machine;
mod made;
mod portable;
