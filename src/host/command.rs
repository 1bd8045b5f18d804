//! Running a command of somebody else's: in a process group of its own, within
//! a time limit, its output bounded and its secrets masked. What it starts is
//! ended with it, and no such command outlives the program that began it
//! without a note by which the next start finds it.
//!
//! A command is *held* first: its process is there and waits for a word. Only
//! when its group is written down is it told to go; if the program dies before
//! that, the held process ends without having done anything.

mod group;
mod kept;

pub use group::Group;

use std::{
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    process::{Child, ChildStdin},
    task::JoinHandle,
    time::timeout,
};

use self::kept::Kept;
use super::death::boundary;

/// What holds the process until it is told to go. The command itself reads
/// nothing.
const HOLD: &str = "read -r go || exit 125; exec \"$@\" </dev/null";
/// How long a group that was asked to end may take before it is killed.
const GRACE: Duration = Duration::from_secs(10);
/// How long output may still come when the whole group has ended: somebody who
/// left the group may hold the pipe for ever.
const LAST_WORDS: Duration = Duration::from_millis(500);
/// The variable by which what a command started is recognised when the command
/// itself is gone.
const MARK: &str = "ROLLBACKD_COMMAND";

/// A command to run. Not `Debug`: it holds secrets.
#[derive(Clone)]
pub struct Command {
    words: Vec<String>,
    dir: Option<PathBuf>,
    variables: Vec<(String, String)>,
    secrets: Vec<String>,
    limit: Duration,
    grace: Duration,
}

/// How a command ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// It ended with code 0.
    pub ok: bool,
    /// As `exit code 1` or `signal 9`.
    pub how: String,
    /// What it printed, bounded and masked.
    pub out: String,
    /// What it complained of, likewise.
    pub err: String,
}

/// Why a command could not be run to its end. Each is a sentence.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// There are no words.
    #[error("there is no command to run")]
    Nothing,
    /// The system refused.
    #[error("`{command}` cannot be run: {why}")]
    Refused {
        /// The command's first words.
        command: String,
        /// What the system said.
        why: std::io::Error,
    },
    /// It took too long and was ended, with all that it had started.
    #[error("`{command}` was not done after {} and was ended{}", humantime::format_duration(*.limit), said(.err))]
    Late {
        /// The command's first words.
        command: String,
        /// How long it had.
        limit: Duration,
        /// What it had complained of until then.
        err: String,
    },
}

fn said(err: &str) -> String {
    let last = err.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default().trim();
    if last.is_empty() { String::new() } else { format!("; its last words: {last}") }
}

impl Command {
    /// A command with its arguments, for at most this long.
    #[must_use]
    pub fn new(words: Vec<String>, limit: Duration) -> Self {
        let (dir, variables, secrets) = (None, Vec::new(), Vec::new());
        Self { words, dir, variables, secrets, limit, grace: GRACE }
    }

    /// Runs it in this directory.
    #[must_use]
    pub fn dir(mut self, dir: &Path) -> Self {
        self.dir = Some(dir.to_owned());
        self
    }

    /// Adds a variable to the environment that it inherits.
    #[must_use]
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Texts that are masked in what it prints.
    #[must_use]
    pub fn secrets(mut self, secrets: Vec<String>) -> Self {
        self.secrets = secrets;
        self
    }

    /// How long its group may take to end when it is asked to.
    #[must_use]
    pub const fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// Its process, which does nothing yet. `mark` is found in the environment
    /// of all that it will start. Dropped, all of it is killed.
    ///
    /// # Errors
    ///
    /// When the system refuses.
    pub fn hold(self, mark: &str) -> Result<Held, CommandError> {
        if self.words.is_empty() {
            return Err(CommandError::Nothing);
        }
        let refused = |why| CommandError::Refused { command: self.shown(), why };
        boundary("spawn before");
        let mut process = tokio::process::Command::new("/bin/sh");
        process
            .args(["-c", HOLD, "sh"])
            .args(&self.words)
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .env(MARK, mark)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        if let Some(dir) = &self.dir {
            process.current_dir(dir);
        }
        let mut child = process.spawn().map_err(refused)?;
        let group = child.id().and_then(|id| Group::of(id, mark));
        let gone = || std::io::Error::other("it ended at once");
        let group = group.ok_or_else(|| refused(gone()))?;
        let (out, err) = (Tap::open(child.stdout.take()), Tap::open(child.stderr.take()));
        let go = child.stdin.take();
        boundary("spawn after");
        Ok(Held { command: self, group: Guarded(group), child, go, out, err })
    }

    /// Its first words, without what may be secret in the others.
    fn shown(&self) -> String {
        self.words.iter().take(2).map(String::as_str).collect::<Vec<_>>().join(" ")
    }
}

/// A command whose process waits to be told to go.
pub struct Held {
    command: Command,
    group: Guarded,
    child: Child,
    go: Option<ChildStdin>,
    out: Tap,
    err: Tap,
}

impl Held {
    /// The group, to be written down before [`Held::run`].
    #[must_use]
    pub const fn group(&self) -> &Group {
        &self.group.0
    }

    /// Lets it run to its end. Whatever of its group is left then is ended too.
    ///
    /// # Errors
    ///
    /// When it took too long, and all of it was ended.
    pub async fn run(mut self) -> Result<Ended, CommandError> {
        let limit = self.command.limit;
        let refused =
            |command: &Command, why| CommandError::Refused { command: command.shown(), why };
        if let Some(mut go) = self.go.take() {
            go.write_all(b"go\n").await.map_err(|why| refused(&self.command, why))?;
        }
        boundary("spawn released");
        let ended = timeout(limit, self.child.wait()).await;
        self.group.0.end(self.command.grace).await;
        let status = match ended {
            Ok(status) => status.map_err(|why| refused(&self.command, why))?,
            Err(_) => {
                // It is dead by now; this only takes its last word.
                let _ = timeout(LAST_WORDS, self.child.wait()).await;
                let err = self.err.close(&self.command.secrets).await;
                return Err(CommandError::Late { command: self.command.shown(), limit, err });
            }
        };
        let secrets = &self.command.secrets;
        let (out, err) = (self.out.close(secrets).await, self.err.close(secrets).await);
        Ok(Ended { ok: status.success(), how: how(status), out, err })
    }
}

fn how(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "an unknown end".to_owned(),
    }
}

/// A group that is killed when it is dropped: no future that is given up leaves
/// a command running.
struct Guarded(Group);

impl Drop for Guarded {
    fn drop(&mut self) {
        self.0.kill();
    }
}

/// One pipe of a command, read all the time so that it never stands still.
struct Tap {
    kept: Arc<Mutex<Kept>>,
    reader: JoinHandle<()>,
}

impl Tap {
    fn open(pipe: Option<impl AsyncRead + Unpin + Send + 'static>) -> Self {
        let kept = Arc::new(Mutex::new(Kept::default()));
        let keep = kept.clone();
        let reader = tokio::spawn(async move {
            let Some(mut pipe) = pipe else { return };
            let mut buffer = vec![0; 16 * 1024];
            while let Ok(read @ 1..) = pipe.read(&mut buffer).await {
                if let Ok(mut kept) = keep.lock() {
                    kept.push(&buffer[..read]);
                }
            }
        });
        Self { kept, reader }
    }

    /// What came, once the pipe is closed or shortly after.
    async fn close(&mut self, secrets: &[String]) -> String {
        if timeout(LAST_WORDS, &mut self.reader).await.is_err() {
            self.reader.abort();
        }
        self.kept.lock().map(|kept| kept.text(secrets)).unwrap_or_default()
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

#[cfg(test)]
mod tests;
