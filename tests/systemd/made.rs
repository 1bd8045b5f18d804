//! What is made once and used by every test: the packages, and the machine's
//! file system. Tests are processes of their own: one makes it, the others wait.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::SystemTime,
};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// What the machine is made of, besides Debian's smallest set.
const PACKAGES: &str = "systemd,systemd-sysv,dbus";

/// Where it lies, apart from what `cargo` makes.
fn place() -> PathBuf {
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or(Path::new(ROOT).join("target"), PathBuf::from);
    let place = target.join("machine");
    fs::create_dir_all(&place).unwrap();
    place
}

/// Held while something is made.
fn lock() -> File {
    let lock = File::create(place().join("lock")).unwrap();
    lock.lock().unwrap();
    lock
}

fn run(command: &mut Command) {
    let done = command.stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    let out = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success(), "{command:?}: {out}{said}");
}

/// The Debian package of the program under test, in two versions. Made anew
/// when anything that it is made of has changed.
pub fn debian_packages() -> [PathBuf; 2] {
    let _lock = lock();
    let newest = newest(&[
        Path::new(env!("CARGO_BIN_EXE_rollbackd")),
        &Path::new(ROOT).join("Cargo.toml"),
        &Path::new(ROOT).join("systemd"),
        &Path::new(ROOT).join("package"),
    ]);
    [1, 2].map(|revision| {
        let package = place().join(format!("rollbackd-{revision}.deb"));
        if fs::metadata(&package).and_then(|made| made.modified()).is_ok_and(|made| made > newest) {
            return package;
        }
        // Beside, and then in place: an interrupted one is not taken for whole.
        let fresh = place().join("fresh.deb");
        run(Command::new("sh")
            .arg("package/deb.sh")
            .arg("dev")
            .arg(&fresh)
            .args(["--no-strip", "--fast", "--deb-revision", &revision.to_string()])
            .current_dir(ROOT));
        fs::rename(fresh, &package).unwrap();
        package
    })
}

fn newest(paths: &[&Path]) -> SystemTime {
    let changed = |path: &Path| fs::metadata(path).unwrap().modified().unwrap();
    let inside = |path: &Path| -> Vec<PathBuf> {
        let entries = fs::read_dir(path).into_iter().flatten();
        entries.map(|entry| entry.unwrap().path()).collect()
    };
    let one = |path: &&Path| {
        let inside = inside(path);
        let inside: Vec<&Path> = inside.iter().map(PathBuf::as_path).collect();
        let deeper = if inside.is_empty() { changed(path) } else { newest(&inside) };
        deeper.max(changed(path))
    };
    paths.iter().map(one).max().unwrap()
}

/// The machine's file system, as a tar archive: this machine's release, so that
/// the program finds the C library that it was built for. `None` where
/// debootstrap cannot be had.
pub fn file_system() -> Option<PathBuf> {
    let _lock = lock();
    let release = release();
    let archive = place().join(format!("{release}.tar"));
    if archive.is_file() {
        return Some(archive);
    }
    if Command::new("debootstrap").arg("--version").output().is_err() {
        return None;
    }
    let (tree, fresh) = (place().join("tree"), place().join("fresh.tar"));
    drop(fs::remove_dir_all(&tree));
    run(Command::new("debootstrap")
        .args(["--variant=minbase", &format!("--include={PACKAGES}"), &release])
        .arg(&tree));
    for unneeded in ["var/cache/apt/archives", "var/lib/apt/lists", "usr/share/locale"] {
        drop(fs::remove_dir_all(tree.join(unneeded)));
    }
    run(Command::new("tar").arg("-C").arg(&tree).arg("-cf").arg(&fresh).arg("."));
    fs::rename(fresh, &archive).unwrap();
    fs::remove_dir_all(&tree).unwrap();
    Some(archive)
}

fn release() -> String {
    let about = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let named = about.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="));
    named.unwrap_or("bookworm").trim_matches('"').to_owned()
}

/// The static program: `$ROLLBACKD_TEST_STATIC`, else what `make static` makes.
pub fn static_program() -> PathBuf {
    if let Some(path) = std::env::var_os("ROLLBACKD_TEST_STATIC") {
        return path.into();
    }
    run(Command::new("make").args(["-s", "static"]).current_dir(ROOT));
    let target = std::env::var("CARGO_TARGET_DIR").unwrap_or_else(|_| format!("{ROOT}/target"));
    let hosts = fs::read_dir(format!("{target}/static")).unwrap();
    let programs = hosts.map(|host| host.unwrap().path().join("debug/rollbackd"));
    programs.into_iter().find(|program| program.is_file()).expect("make static makes a program")
}
