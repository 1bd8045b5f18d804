//! A way to the real engine that can be bad, so that the engine itself, which
//! others share, is left alone: it can be gone, hang, answer late, cut the
//! stream of events, and say other things than the engine does. The daemon makes
//! a connection for each request, so a connection is a request here.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::Shutdown,
    os::unix::net::{UnixListener, UnixStream},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use serde_json::Value;
use tempfile::TempDir;

const ENGINE: &str = "/var/run/docker.sock";

/// How requests get through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    /// As they are.
    Good,
    /// Each after this long.
    Late(Duration),
    /// Taken and held, and answers under way with them.
    Hangs,
}

/// What is answered instead of asking the engine, by the path of a GET.
pub type Instead = Box<dyn Fn(&str) -> Option<Value> + Send + Sync>;
/// What the engine's answer to a GET becomes.
pub type After = Box<dyn Fn(&str, Value) -> Value + Send + Sync>;

/// A connection that is open.
struct Open {
    /// It is the stream of events.
    events: bool,
    /// Writers take turns.
    writer: Arc<Mutex<UnixStream>>,
    /// To cut it without waiting for a writer.
    stream: UnixStream,
}

struct Inside {
    mood: Mutex<Mood>,
    open: Mutex<Vec<Open>>,
    says: Mutex<Option<Arc<(Instead, After)>>>,
    requests: AtomicU64,
}

/// It listens until it is dropped.
pub struct Proxy {
    directory: TempDir,
    inside: Arc<Inside>,
}

impl Proxy {
    pub fn start() -> Self {
        let directory = TempDir::with_prefix("rbtest-proxy-").unwrap();
        let listener = UnixListener::bind(directory.path().join("docker.sock")).unwrap();
        let inside = Arc::new(Inside {
            mood: Mutex::new(Mood::Good),
            open: Mutex::default(),
            says: Mutex::default(),
            requests: AtomicU64::new(0),
        });
        let serving = Arc::clone(&inside);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let inside = Arc::clone(&serving);
                // One that breaks off is what the daemon must live with.
                thread::spawn(move || inside.pass(&stream));
            }
        });
        Self { directory, inside }
    }

    /// What a configuration has under `[docker]`.
    pub fn table(&self) -> String {
        format!("[docker]\nhost = \"unix://{}\"", self.socket().display())
    }

    fn socket(&self) -> PathBuf {
        self.directory.path().join("docker.sock")
    }

    fn hidden(&self) -> PathBuf {
        self.directory.path().join("hidden.sock")
    }

    /// From now on.
    pub fn mood(&self, mood: Mood) {
        *locked(&self.inside.mood) = mood;
    }

    /// The engine stops: its socket is gone and every answer is cut.
    pub fn stop(&self) {
        std::fs::rename(self.socket(), self.hidden()).unwrap();
        self.inside.cut(|_| true);
    }

    /// It is there again.
    pub fn start_again(&self) {
        std::fs::rename(self.hidden(), self.socket()).unwrap();
    }

    /// Cuts the streams of events; how many there were.
    pub fn cut_events(&self) -> usize {
        self.inside.cut(|events| events)
    }

    /// Tells these events besides the engine's own.
    pub fn tell(&self, events: &[Value]) {
        let all: Vec<_> = {
            let open = locked(&self.inside.open);
            open.iter().filter(|one| one.events).map(|one| Arc::clone(&one.writer)).collect()
        };
        for event in events {
            for stream in &all {
                // One that was cut meanwhile hears no more.
                let _ = locked(stream).write_all(format!("{event}\n").as_bytes());
            }
        }
    }

    /// Says other things from now on.
    pub fn says(&self, instead: Instead, after: After) {
        *locked(&self.inside.says) = Some(Arc::new((instead, after)));
    }

    /// How many requests were made.
    pub fn requests(&self) -> u64 {
        self.inside.requests.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.inside.cut(|_| true);
    }
}

impl Inside {
    fn wait(&self) {
        let mut late = match *locked(&self.mood) {
            Mood::Late(by) => by,
            Mood::Good | Mood::Hangs => Duration::ZERO,
        };
        loop {
            thread::sleep(std::mem::take(&mut late));
            if *locked(&self.mood) != Mood::Hangs {
                return;
            }
            late = Duration::from_millis(20);
        }
    }

    fn cut(&self, which: impl Fn(bool) -> bool) -> usize {
        let mut open = locked(&self.open);
        let before = open.len();
        open.retain(|one| {
            if which(one.events) {
                // It may have been closed by the other side.
                let _ = one.stream.shutdown(Shutdown::Both);
            }
            !which(one.events)
        });
        before - open.len()
    }

    fn pass(&self, client: &UnixStream) -> Option<()> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        let head = head(client)?;
        let mut words = head.lines().next()?.split(' ');
        let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
        let events = path.contains("/events");
        let writer = Arc::new(Mutex::new(client.try_clone().ok()?));
        let stream = client.try_clone().ok()?;
        locked(&self.open).push(Open { events, writer: Arc::clone(&writer), stream });
        self.wait();
        let says = locked(&self.says).clone();
        if events {
            self.events(&head, client, &writer);
        } else if method == "GET"
            && let Some(says) = says
        {
            self.other(&head, &path, &says, client);
        } else {
            self.plain(&head, client);
        }
        let _ = client.shutdown(Shutdown::Both);
        locked(&self.open).retain(|one| !Arc::ptr_eq(&one.writer, &writer));
        Some(())
    }

    fn plain(&self, head: &str, client: &UnixStream) -> Option<()> {
        let engine = engine(head, client)?;
        self.copy(&engine, client)
    }

    fn copy(&self, mut from: &UnixStream, mut to: &UnixStream) -> Option<()> {
        let mut buffer = [0; 16 << 10];
        loop {
            let n = from.read(&mut buffer).ok().filter(|n| *n > 0)?;
            self.wait_while_it_hangs();
            to.write_all(&buffer[..n]).ok()?;
        }
    }

    /// Line by line, so that others can be told in between. To HTTP/1.0 the
    /// engine does not answer in chunks.
    fn events(&self, head: &str, client: &UnixStream, to: &Mutex<UnixStream>) -> Option<()> {
        let engine = engine(&head.replacen("HTTP/1.1", "HTTP/1.0", 1), client)?;
        for line in BufReader::new(engine).split(b'\n') {
            let mut line = line.ok()?;
            line.push(b'\n');
            self.wait_while_it_hangs();
            locked(to).write_all(&line).ok()?;
        }
        Some(())
    }

    fn other(
        &self,
        head: &str,
        path: &str,
        (instead, after): &(Instead, After),
        mut client: &UnixStream,
    ) -> Option<()> {
        let (status, said) = match instead(path) {
            Some(said) => ("HTTP/1.1 200 OK".to_owned(), said.to_string()),
            None => {
                let mut engine = engine(&head.replacen("HTTP/1.1", "HTTP/1.0", 1), client)?;
                let mut answer = String::new();
                engine.read_to_string(&mut answer).ok()?;
                let (head, body) = answer.split_once("\r\n\r\n")?;
                let status = head.lines().next()?.replacen("HTTP/1.0", "HTTP/1.1", 1);
                match serde_json::from_str(body) {
                    Ok(value) if status.contains(" 200 ") => {
                        (status, after(path, value).to_string())
                    }
                    _ => (status, body.to_owned()),
                }
            }
        };
        self.wait_while_it_hangs();
        let length = said.len();
        let answer = format!(
            "{status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{said}"
        );
        client.write_all(answer.as_bytes()).ok()
    }

    fn wait_while_it_hangs(&self) {
        while *locked(&self.mood) == Mood::Hangs {
            thread::sleep(Duration::from_millis(20));
        }
    }
}

/// The engine, asked; the rest of the request follows by itself.
fn engine(head: &str, client: &UnixStream) -> Option<UnixStream> {
    let mut engine = UnixStream::connect(Path::new(ENGINE)).ok()?;
    engine.write_all(head.as_bytes()).ok()?;
    let (mut from, to) = (client.try_clone().ok()?, engine.try_clone().ok()?);
    thread::spawn(move || {
        let _ = std::io::copy(&mut from, &mut &to);
        // The daemon does not want the rest of the answer.
        let _ = to.shutdown(Shutdown::Both);
    });
    Some(engine)
}

/// The head of a request, and what of its body came with it.
fn head(mut client: &UnixStream) -> Option<String> {
    let mut head = Vec::new();
    let mut buffer = [0; 16 << 10];
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        let n = client.read(&mut buffer).ok().filter(|n| *n > 0)?;
        head.extend_from_slice(&buffer[..n]);
    }
    // Bodies are JSON: text as well, but a character may be cut by the buffer.
    let mut rest = buffer;
    while std::str::from_utf8(&head).is_err() {
        let n = client.read(&mut rest[..1]).ok().filter(|n| *n > 0)?;
        head.extend_from_slice(&rest[..n]);
    }
    String::from_utf8(head).ok()
}

fn locked<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}
