//! The state directory: made when missing, closed to others, and owned by one
//! daemon at a time through a lock that the kernel drops when the owner dies.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, Permissions},
    io::{self, Read, Seek, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{FlockOperation, OFlags, flock},
    io::Errno,
};

use super::error::StoreError;

/// A state directory that this process alone uses while this lives.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    /// Locked; closing it lets go.
    _lock: File,
}

impl Directory {
    /// Makes the directory when it is missing, and locks it.
    pub(super) fn take(path: &Path) -> Result<Self, StoreError> {
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(unusable(path))?;
        let lock_path = path.join("lock");
        let mut lock = private(&lock_path).map_err(unusable(&lock_path))?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                let mut pid = String::new();
                let pid = lock.read_to_string(&mut pid).ok().and_then(|_| pid.trim().parse().ok());
                return Err(StoreError::InUse { path: path.to_owned(), pid });
            }
            Err(error) => return Err(unusable(&lock_path)(error.into())),
        }
        // For the person who finds it locked; the lock itself does not need it.
        let noted = lock.set_len(0).and_then(|()| lock.rewind());
        noted
            .and_then(|()| writeln!(lock, "{}", std::process::id()))
            .map_err(unusable(&lock_path))?;
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    /// A file of the directory, made empty when missing, closed to others.
    pub(super) fn file(&self, name: &str) -> Result<PathBuf, StoreError> {
        let path = self.path.join(name);
        let file = private(&path).map_err(unusable(&path))?;
        let mode = file.metadata().map_err(unusable(&path))?.permissions().mode();
        if mode & 0o077 != 0 {
            fs::set_permissions(&path, Permissions::from_mode(0o600)).map_err(unusable(&path))?;
        }
        Ok(path)
    }

    /// Removes a file and what SQLite keeps beside it.
    pub(super) fn remove(&self, name: &str) -> Result<(), StoreError> {
        for suffix in ["", "-wal", "-shm", "-journal"] {
            let path = self.path.join(format!("{name}{suffix}"));
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(unusable(&path)(error));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// Opens a file for reading and writing, made 0600 when missing, never through
/// a symbolic link.
fn private(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(OFlags::NOFOLLOW.bits().cast_signed())
        .open(path)
}

fn unusable(path: &Path) -> impl Fn(io::Error) -> StoreError + use<> {
    let path = path.to_owned();
    move |source| match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            StoreError::Full { path: path.clone() }
        }
        _ => StoreError::Directory { path: path.clone(), source },
    }
}
