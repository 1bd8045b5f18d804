//! Where the loop can be made to hang for a test: what it would look like to
//! the rest of the program, which goes on. Other builds know nothing of it.
//!
//! With the feature `testing`, `ROLLBACKD_HANG_ON=path` makes the next pass
//! after that file has appeared never end. The file is removed first, so that
//! the program hangs once and not again at its next start.

/// Passes, or hangs for ever.
#[cfg(not(feature = "testing"))]
#[inline]
pub async fn here() {}

#[cfg(feature = "testing")]
pub use testing::here;

#[cfg(feature = "testing")]
mod testing {
    use std::{env, fs};

    /// Passes, or hangs for ever.
    pub async fn here() {
        let Some(path) = env::var_os("ROLLBACKD_HANG_ON") else { return };
        if fs::remove_file(path).is_ok() {
            tracing::warn!("daemon.hangs: a test wants it to");
            std::future::pending::<()>().await;
        }
    }
}
