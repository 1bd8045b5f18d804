//! What can go wrong with the state directory, by cause: each sentence says
//! what is the matter, where, and what to do. None ever quotes what is stored.

use std::{
    io,
    path::{Path, PathBuf},
};

use rusqlite::ErrorCode;

/// Why something could not be stored or read back.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The directory or a file in it cannot be made, opened or written.
    #[error(
        "the state directory cannot be used: {}: {source}; let `state_dir` name a directory that rollbackd may write", path.display()
    )]
    Directory {
        /// What could not be used.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another daemon holds the directory's lock.
    #[error(
        "another rollbackd{} uses the state directory {}; stop it first, or give this one a `state_dir` of its own", process(*.pid), path.display()
    )]
    InUse {
        /// The state directory.
        path: PathBuf,
        /// The process that holds it, as far as it said so.
        pid: Option<u32>,
    },
    /// The file was written by a version that knows more.
    #[error(
        "{} was written by a newer rollbackd (format {found}, this one knows {known}); install that version again, or move the file aside to start anew", path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// The format found in it.
        found: u32,
        /// The newest format this version knows.
        known: u32,
    },
    /// The file is a database, but not one of ours.
    #[error(
        "{} is the database of another program; let `state_dir` name a directory of rollbackd's own", path.display()
    )]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be trusted any more. It was not changed.
    #[error(
        "{} is damaged: {what}; put a backup back, or move the file aside to start anew (revisions and history begin again then)", path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// No space is left.
    #[error(
        "the disk is full: {} could not be written; free some space there", path.display()
    )]
    Full {
        /// The file.
        path: PathBuf,
    },
    /// The file must not be written.
    #[error(
        "{} cannot be written; check its owner, its permissions and that its disk is not mounted read-only", path.display()
    )]
    ReadOnly {
        /// The file.
        path: PathBuf,
    },
    /// Another program holds the file.
    #[error(
        "{} is locked by another program; close the program that has it open (an `sqlite3` shell, a backup)", path.display()
    )]
    Locked {
        /// The file.
        path: PathBuf,
    },
    /// Anything else that SQLite or the disk said.
    #[error("{} could not be used: {what}; check the disk and the system's log", path.display())]
    Failed {
        /// The file.
        path: PathBuf,
        /// What was said.
        what: String,
    },
    /// The daemon is stopping, or the thread that owns the files has ended.
    #[error("the store is closed; start rollbackd again")]
    Closed,
}

impl StoreError {
    /// By its cause, what SQLite said of a file.
    pub(super) fn of(path: &Path, error: &rusqlite::Error) -> Self {
        let path = path.to_owned();
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full { path },
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => {
                Self::ReadOnly { path }
            }
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Locked { path },
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                Self::Damaged { path, what: error.to_string() }
            }
            _ => Self::Failed { path, what: error.to_string() },
        }
    }
}

fn process(pid: Option<u32>) -> String {
    pid.map(|pid| format!(" (process {pid})")).unwrap_or_default()
}
