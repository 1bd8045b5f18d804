//! Taking the Unix socket and the TCP address, once, at start. A socket file
//! that a dead daemon left is replaced; one that answers, or anything that is
//! no socket, is not touched.

use std::{
    fs, io,
    net::SocketAddr,
    os::unix::{
        fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt},
        net::UnixStream,
    },
    path::{Path, PathBuf},
};

use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use tokio::net::{TcpListener, UnixListener};

use crate::api::ApiError;

/// Who may open the socket: its owner and its group. Who may open it may act.
const MODE: u32 = 0o660;

/// Connections that wait to be accepted.
const BACKLOG: i32 = 64;

/// The listening socket. Its file is removed when this is dropped, unless
/// another has taken the path meanwhile.
#[derive(Debug)]
pub struct Socket {
    pub(super) listener: UnixListener,
    pub(super) file: SocketFile,
}

#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    inode: (u64, u64),
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if inode(&self.path).is_ok_and(|now| now == self.inode) {
            // A file left behind is replaced at the next start.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Listens on the socket, readable and writable by owner and group. Call it
/// when the state directory's lock is held: then a socket that does not answer
/// is a dead daemon's. Must be called within a Tokio runtime.
pub fn bind_socket(path: &Path) -> Result<Socket, ApiError> {
    clear_the_way(path)?;
    let failed = |why: io::Error| match why.kind() {
        io::ErrorKind::AddrInUse => ApiError::AnotherDaemon { path: path.display().to_string() },
        _ => ApiError::Socket { path: path.display().to_string(), why },
    };
    listen(path).map_err(failed)
}

/// Listens on the TCP address.
pub async fn bind_tcp(address: SocketAddr) -> Result<TcpListener, ApiError> {
    TcpListener::bind(address).await.map_err(|why| ApiError::Listen { address, why })
}

/// The mode is set between `bind` and `listen`, so that nobody connects before.
fn listen(path: &Path) -> io::Result<Socket> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let fd = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    rustix::net::bind(&fd, &SocketAddrUnix::new(path)?)?;
    fs::set_permissions(path, fs::Permissions::from_mode(MODE))?;
    rustix::net::listen(&fd, BACKLOG)?;
    let listener = UnixListener::from_std(fd.into())?;
    Ok(Socket { listener, file: SocketFile { path: path.to_owned(), inode: inode(path)? } })
}

fn clear_the_way(path: &Path) -> Result<(), ApiError> {
    let name = || path.display().to_string();
    let failed = |why| ApiError::Socket { path: name(), why };
    let there = match fs::symlink_metadata(path) {
        Ok(there) => there,
        Err(why) if why.kind() == io::ErrorKind::NotFound => {
            return make_parent(path).map_err(failed);
        }
        Err(why) => return Err(failed(why)),
    };
    if !there.file_type().is_socket() {
        return Err(ApiError::NotASocket { path: name() });
    }
    match UnixStream::connect(path) {
        Ok(_) => Err(ApiError::AnotherDaemon { path: name() }),
        Err(why) if why.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path)
            .map_err(|why| match why.kind() {
                io::ErrorKind::PermissionDenied => ApiError::NotOurs { path: name() },
                _ => failed(why),
            }),
        Err(why) if why.kind() == io::ErrorKind::PermissionDenied => {
            Err(ApiError::NotOurs { path: name() })
        }
        Err(why) => Err(failed(why)),
    }
}

/// Under systemd the directory is there (`RuntimeDirectory=`); by hand it may
/// not be.
fn make_parent(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => {
            fs::DirBuilder::new().recursive(true).mode(0o755).create(parent)
        }
        _ => Ok(()),
    }
}

fn inode(path: &Path) -> io::Result<(u64, u64)> {
    let there = fs::symlink_metadata(path)?;
    Ok((there.dev(), there.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[tokio::test]
    async fn owner_and_group_may_open_the_socket_and_nobody_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run/rollbackd.sock");
        let socket = bind_socket(&path).unwrap();
        assert_eq!(mode(&path), 0o660);
        drop(socket);
        assert!(!path.exists(), "a clean stop leaves no file");
    }

    #[tokio::test]
    async fn a_dead_daemons_socket_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists(), "the listener left its file, as after SIGKILL");
        let _socket = bind_socket(&path).unwrap();
        UnixStream::connect(&path).unwrap();
    }

    #[tokio::test]
    async fn a_live_daemons_socket_is_refused_and_goes_on_answering() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let _first = bind_socket(&path).unwrap();
        let error = bind_socket(&path).unwrap_err().to_string();
        assert!(error.starts_with("another daemon answers on "), "{error}");
        UnixStream::connect(&path).unwrap();
    }

    #[tokio::test]
    async fn a_file_that_is_no_socket_is_never_removed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        fs::write(&path, "precious").unwrap();
        let error = bind_socket(&path).unwrap_err();
        assert!(matches!(error, ApiError::NotASocket { .. }), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    }

    #[tokio::test]
    async fn a_symlink_is_not_followed_to_somebody_elses_socket() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        std::os::unix::fs::symlink(dir.path().join("elsewhere"), &path).unwrap();
        let error = bind_socket(&path).unwrap_err();
        assert!(matches!(error, ApiError::NotASocket { .. }), "{error}");
    }

    #[tokio::test]
    async fn a_path_that_another_took_meanwhile_is_left_to_them() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let ours = bind_socket(&path).unwrap();
        fs::remove_file(&path).unwrap();
        let theirs = bind_socket(&path).unwrap();
        drop(ours);
        assert!(path.exists());
        drop(theirs);
    }
}
