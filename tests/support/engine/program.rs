//! The one program of all images: `run` (also without a word) ends on SIGTERM,
//! `stubborn` does not, `exit N` ends at once, `sleep S N` after a while,
//! `check` is a health check that passes, `eat` takes memory without end,
//! `hold` a little of it, `spin` computes, `serve PORT STEP` serves a metrics
//! page whose counters grow with each reading.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

const SOURCE: &str = include_str!("app.c");

/// It in a tar, as `/app`; built once a build.
pub fn tar() -> PathBuf {
    static TAR: OnceLock<PathBuf> = OnceLock::new();
    TAR.get_or_init(built).clone()
}

fn built() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("engine-programs");
    let (tar, source) = (folder.join("app.tar"), folder.join("app.c"));
    if tar.exists() && fs::read_to_string(&source).is_ok_and(|built| built == SOURCE) {
        return tar;
    }
    // Several tests may build it at once: each its own, and one rename wins.
    let own = folder.join(std::process::id().to_string());
    fs::create_dir_all(&own).expect("the build folder can be written");
    fs::write(own.join("app.c"), SOURCE).expect("the build folder can be written");
    let made = |command: &mut Command| {
        let status = command.current_dir(&own).status().expect("gcc and tar are installed");
        assert!(status.success(), "the program of the test images could not be built");
    };
    made(Command::new("gcc").args(["-static", "-Os", "-s", "-o", "app", "app.c"]));
    made(Command::new("tar").args(["--owner=0", "--group=0", "-cf", "app.tar", "app"]));
    for file in ["app", "app.tar", "app.c"] {
        fs::rename(own.join(file), folder.join(file)).expect("both are in one folder");
    }
    drop(fs::remove_dir_all(&own));
    tar
}

/// It as a file of this machine.
pub fn file() -> PathBuf {
    tar().with_file_name("app")
}
