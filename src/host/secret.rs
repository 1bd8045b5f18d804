//! Secrets, read where they are used and never kept longer. Where they are is
//! named in errors; what they say is not.

use std::{
    env,
    io::{self, ErrorKind},
    path::{Path, PathBuf},
};

use secrecy::SecretString;
use tokio::io::AsyncReadExt;

/// A secret longer than this is another file by mistake.
const MAX_BYTES: u64 = 64 * 1024;

/// Why a secret could not be had.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// Neither the file nor a credential of its name can be read.
    #[error(
        "the secret {} cannot be read ({why}): make it readable for rollbackd, or give a systemd \
         credential of the name {}", path.display(), name(path)
    )]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        why: io::Error,
    },
    /// It is a directory, a pipe or a device.
    #[error("the secret {} is no regular file: write it into one", .0.display())]
    NotAFile(PathBuf),
    /// It says nothing.
    #[error("the secret {} is empty: write it into the file", .0.display())]
    Empty(PathBuf),
    /// It is more than a secret.
    #[error("the secret {} is longer than 64 KiB: is it the right file?", .0.display())]
    TooLong(PathBuf),
    /// It is no text.
    #[error("the secret {} is not UTF-8 text: is it the right file?", .0.display())]
    NotText(PathBuf),
}

/// Reads a secret: the file, else `$CREDENTIALS_DIRECTORY/<its name>` (a
/// systemd credential). One newline at the end is not part of it.
///
/// # Errors
/// [`SecretError`], which names the file and never what it says.
pub async fn read(path: &Path) -> Result<SecretString, SecretError> {
    let credentials = env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from);
    read_from(path, credentials.as_deref()).await
}

async fn read_from(path: &Path, credentials: Option<&Path>) -> Result<SecretString, SecretError> {
    let first = match text_of(path).await {
        // Not only when it is missing: a file for root alone beside a
        // credential is the usual case under systemd.
        Err(error @ SecretError::Unreadable { .. }) => error,
        read => return read,
    };
    let (Some(directory), Some(name)) = (credentials, path.file_name()) else {
        return Err(first);
    };
    match text_of(&directory.join(name)).await {
        Err(SecretError::Unreadable { why, .. }) if why.kind() == ErrorKind::NotFound => Err(first),
        read => read,
    }
}

async fn text_of(path: &Path) -> Result<SecretString, SecretError> {
    let unreadable = |why| SecretError::Unreadable { path: path.to_owned(), why };
    // Before it is opened: opening a pipe waits for its other end.
    if !tokio::fs::metadata(path).await.map_err(unreadable)?.is_file() {
        return Err(SecretError::NotAFile(path.to_owned()));
    }
    let file = tokio::fs::File::open(path).await.map_err(unreadable)?;
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).await.map_err(unreadable)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(SecretError::TooLong(path.to_owned()));
    }
    let mut text = String::from_utf8(bytes).map_err(|_| SecretError::NotText(path.to_owned()))?;
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    if text.is_empty() {
        return Err(SecretError::Empty(path.to_owned()));
    }
    Ok(SecretString::from(text))
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use secrecy::ExposeSecret;
    use tempfile::tempdir;

    use super::*;

    #[tokio::test]
    async fn one_newline_at_the_end_is_not_part_of_a_secret() {
        let dir = tempdir().unwrap();
        for (written, secret) in [
            ("s3cret\n", "s3cret"),
            ("s3cret\r\n", "s3cret"),
            ("s3cret", "s3cret"),
            ("a\n\n", "a\n"),
        ] {
            let path = dir.path().join("token");
            fs::write(&path, written).unwrap();
            assert_eq!(read_from(&path, None).await.unwrap().expose_secret(), secret);
        }
    }

    #[tokio::test]
    async fn a_credential_of_the_same_name_serves_where_the_file_is_missing() {
        let (dir, credentials) = (tempdir().unwrap(), tempdir().unwrap());
        let path = dir.path().join("token");
        fs::write(credentials.path().join("token"), "from systemd").unwrap();
        let read = read_from(&path, Some(credentials.path())).await.unwrap();
        assert_eq!(read.expose_secret(), "from systemd");

        fs::write(&path, "from the file").unwrap();
        let read = read_from(&path, Some(credentials.path())).await.unwrap();
        assert_eq!(read.expose_secret(), "from the file");
    }

    #[tokio::test]
    async fn an_error_names_the_file_and_never_what_it_says() {
        let dir = tempdir().unwrap();
        let path = dir.path().join("token");
        let say = |error: SecretError| {
            let text = format!("{error} {error:?}");
            assert!(!text.contains("hunter2"), "{text}");
            error.to_string().replace(&*dir.path().to_string_lossy(), "DIR")
        };
        insta::assert_snapshot!(say(read_from(&path, None).await.unwrap_err()), @"the secret DIR/token cannot be read (No such file or directory (os error 2)): make it readable for rollbackd, or give a systemd credential of the name token");
        fs::write(&path, b"hunter2\xff").unwrap();
        insta::assert_snapshot!(say(read_from(&path, None).await.unwrap_err()), @"the secret DIR/token is not UTF-8 text: is it the right file?");
        fs::write(&path, "hunter2".repeat(10_000)).unwrap();
        insta::assert_snapshot!(say(read_from(&path, None).await.unwrap_err()), @"the secret DIR/token is longer than 64 KiB: is it the right file?");
        fs::write(&path, "\n").unwrap();
        insta::assert_snapshot!(say(read_from(&path, None).await.unwrap_err()), @"the secret DIR/token is empty: write it into the file");
        insta::assert_snapshot!(say(read_from(dir.path(), None).await.unwrap_err()), @"the secret DIR is no regular file: write it into one");
    }

    #[tokio::test]
    async fn a_secret_never_shows_itself_in_debug_output() {
        let dir = tempdir().unwrap();
        let path = dir.path().join("token");
        fs::write(&path, "hunter2").unwrap();
        let secret = read_from(&path, None).await.unwrap();
        assert!(!format!("{secret:?}").contains("hunter2"));
    }
}
