//! Reading the configuration's file: a file and nothing else, so that nobody
//! waits for a pipe, and the reason when it cannot be had.

use std::{
    fs::OpenOptions,
    io::{self, Read as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use super::{Rejected, problem::Findings};

/// The text of a configuration file.
///
/// # Errors
/// One problem in line 1 that says why it cannot be read.
pub fn read(path: &Path) -> Result<String, Rejected> {
    let bytes = bytes(path).map_err(|(what, hint)| {
        unreadable(path, format!("the configuration cannot be read: {what}"), hint)
    })?;
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let line = error.as_bytes()[..at].iter().filter(|byte| **byte == b'\n').count() + 1;
        let message = format!("the configuration is no UTF-8 text: see line {line}");
        unreadable(path, message, "save it as UTF-8")
    })
}

fn unreadable(path: &Path, message: String, hint: &str) -> Rejected {
    let findings = Findings::new(path, "", false);
    findings.error(0..0, message, hint);
    Rejected { problems: findings.into_problems(), text: String::new() }
}

type Why = (String, &'static str);

fn bytes(path: &Path) -> Result<Vec<u8>, Why> {
    // Opened like this, a pipe that nobody writes to does not keep us waiting.
    let nonblocking = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or_default();
    let opened = OpenOptions::new().read(true).custom_flags(nonblocking).open(path);
    let mut file = opened.map_err(|error| why(&error))?;
    let kind = file.metadata().map_err(|error| why(&error))?.file_type();
    if !kind.is_file() && !kind.is_dir() {
        let what = "this is a pipe or a device, and no file".to_owned();
        return Err((what, "write it to a file, and name that: it is read again at each reload"));
    }
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(|error| why(&error))?;
    Ok(bytes)
}

fn why(error: &io::Error) -> Why {
    match error.kind() {
        io::ErrorKind::NotFound => (
            "there is no such file".to_owned(),
            "name one with --config or $ROLLBACKD_CONFIG; the commented reference is config/rollbackd.toml",
        ),
        io::ErrorKind::IsADirectory => (
            "this is a directory".to_owned(),
            "name the file in it: --config DIRECTORY/rollbackd.toml",
        ),
        io::ErrorKind::PermissionDenied => {
            ("it may not be read".to_owned(), "let the user that rollbackd runs as read it")
        }
        _ => (error.to_string(), "see that it is a file that can be read"),
    }
}
