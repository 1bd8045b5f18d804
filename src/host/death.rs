//! Where this program can be killed for a test: every durable boundary (a
//! commit, a spawn, a change of the engine) passes here, is counted, and in a
//! test build the n-th one ends the process. Other builds know nothing of it.
//!
//! With the feature `testing`, `ROLLBACKD_DIE_AT=n` makes the n-th boundary of
//! the process a SIGKILL of it, `ROLLBACKD_DIE_LOG=path` gets a line
//! `number name` for each boundary passed, and `arm` makes the n-th boundary
//! of one thread unwind with `Died`, for tests that die within their process.

/// Passes a durable boundary: `name` says what lies behind or before it, as
/// `docker.create before`.
#[cfg(not(feature = "testing"))]
#[inline]
pub fn boundary(_name: &str) {}

#[cfg(feature = "testing")]
pub use testing::{Armed, Died, arm, boundary, passed};

#[cfg(feature = "testing")]
mod testing {
    use std::{
        cell::{Cell, RefCell},
        env,
        fs::OpenOptions,
        io::Write,
        marker::PhantomData,
        panic,
        sync::{
            OnceLock,
            atomic::{AtomicU64, Ordering},
        },
    };

    use rustix::process::{Signal, getpid, kill_process};

    /// What [`arm`] makes a boundary unwind with: the boundary's name.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Died(pub String);

    /// Boundaries that this process has passed; one count for all threads.
    static PASSED: AtomicU64 = AtomicU64::new(0);

    thread_local! {
        /// How many boundaries this thread has left until it dies; 0: never.
        static LEFT: Cell<u64> = const { Cell::new(0) };
        /// The boundaries this thread has passed since it was last armed.
        static NAMES: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
    }

    /// Holds a thread armed; dropping it disarms.
    #[derive(Debug)]
    pub struct Armed(PhantomData<*const ()>);

    impl Drop for Armed {
        fn drop(&mut self) {
            LEFT.set(0);
        }
    }

    /// Makes the `n`-th boundary that this thread passes from now on unwind
    /// with [`Died`], once; 0 only counts. For futures that run on one thread.
    #[must_use = "dropping it disarms"]
    pub fn arm(n: u64) -> Armed {
        LEFT.set(n);
        NAMES.with_borrow_mut(Vec::clear);
        Armed(PhantomData)
    }

    /// The boundaries this thread has passed since it was last armed, in order.
    #[must_use]
    pub fn passed() -> Vec<String> {
        NAMES.with_borrow(Clone::clone)
    }

    /// Passes a durable boundary, and may not return.
    pub fn boundary(name: &str) {
        let number = PASSED.fetch_add(1, Ordering::SeqCst) + 1;
        log(number, name);
        if die_at() == Some(number) {
            // SIGKILL of oneself does not return; if it is refused, living on
            // is what the test will see.
            let _ = kill_process(getpid(), Signal::KILL);
        }
        NAMES.with_borrow_mut(|names| names.push(name.to_owned()));
        match LEFT.get() {
            0 => {}
            1 => {
                LEFT.set(0);
                // No panic message: this death is wanted.
                panic::resume_unwind(Box::new(Died(name.to_owned())));
            }
            left => LEFT.set(left - 1),
        }
    }

    fn die_at() -> Option<u64> {
        static AT: OnceLock<Option<u64>> = OnceLock::new();
        *AT.get_or_init(|| env::var("ROLLBACKD_DIE_AT").ok()?.parse().ok())
    }

    fn log(number: u64, name: &str) {
        let Some(path) = env::var_os("ROLLBACKD_DIE_LOG") else { return };
        // One write of one short line: lines of several threads do not mix.
        let line = format!("{number} {name}\n");
        if let Ok(mut file) = OpenOptions::new().create(true).append(true).open(path) {
            let _ = file.write_all(line.as_bytes());
        }
    }
}

#[cfg(all(test, feature = "testing"))]
mod tests {
    use std::{
        env, fs,
        os::unix::process::ExitStatusExt,
        panic::{AssertUnwindSafe, catch_unwind},
        process::{Command, Stdio},
    };

    use rustix::process::Signal;

    use super::*;

    fn three() {
        for name in ["one", "two", "three"] {
            boundary(name);
        }
    }

    #[test]
    fn the_armed_boundary_unwinds_with_its_name() {
        let _armed = arm(2);
        let died = catch_unwind(three).expect_err("the second boundary is a death");
        assert_eq!(died.downcast_ref(), Some(&Died("two".to_owned())));
        assert_eq!(passed(), ["one", "two"]);
    }

    #[test]
    fn a_death_happens_once() {
        let _armed = arm(1);
        assert!(catch_unwind(three).is_err());
        assert!(catch_unwind(three).is_ok());
    }

    #[test]
    fn a_dropped_guard_disarms() {
        drop(arm(1));
        assert!(catch_unwind(three).is_ok());
    }

    #[test]
    fn another_threads_death_is_not_mine() {
        let _armed = arm(1);
        std::thread::spawn(three).join().expect("that thread is not armed");
        assert!(catch_unwind(AssertUnwindSafe(three)).is_err());
    }

    /// Run by the next test, in a process that is told to die.
    #[test]
    fn whoever_is_not_told_to_die_lives() {
        three();
    }

    #[test]
    fn a_process_told_to_die_at_the_second_boundary_is_killed_there() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let status = Command::new(env::current_exe().unwrap())
            .args(["--exact", "host::death::tests::whoever_is_not_told_to_die_lives"])
            .env("ROLLBACKD_DIE_AT", "2")
            .env("ROLLBACKD_DIE_LOG", &log)
            .stdout(Stdio::null())
            .status()
            .unwrap();
        assert_eq!(status.signal(), Some(Signal::KILL.as_raw()));
        assert_eq!(fs::read_to_string(log).unwrap(), "1 one\n2 two\n");
    }

    #[test]
    fn zero_only_counts() {
        let _armed = arm(0);
        three();
        assert_eq!(passed().len(), 3);
    }
}
