//! A way to the real engine on which answers can be changed: one request a
//! connection, as the daemon sends them.

use std::{
    io::{self, Read, Write},
    net::Shutdown,
    os::unix::net::{UnixListener, UnixStream},
    sync::{Arc, Mutex},
    thread,
};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::engine::host;

/// Changes the document that the answer to a path holds.
pub type Change = fn(&str, &mut Value);

/// The way; dropped, nobody gets through any more.
pub struct Proxy {
    folder: TempDir,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    asked: Mutex<Vec<String>>,
    change: Mutex<Option<Change>>,
    /// Lines that every stream of events begins with.
    events: Mutex<String>,
}

impl Proxy {
    /// Opens it; nothing is changed yet.
    pub fn open() -> Self {
        let folder = TempDir::with_prefix("rbtest-proxy-").unwrap();
        let listener = UnixListener::bind(folder.path().join("docker.sock")).unwrap();
        let shared = Arc::<Shared>::default();
        let of_all = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let shared = Arc::clone(&of_all);
                // Who hangs up in the middle is told nothing more.
                thread::spawn(move || drop(shared.pass(client)));
            }
        });
        Self { folder, shared }
    }

    /// Its address.
    pub fn host(&self) -> String {
        format!("unix://{}", self.folder.path().join("docker.sock").display())
    }

    /// Changes answers from now on, or no longer.
    pub fn change(&self, change: Option<Change>) {
        *self.shared.change.lock().unwrap() = change;
    }

    /// Begins every stream of events with these lines from now on.
    pub fn events(&self, lines: &str) {
        *self.shared.events.lock().unwrap() = lines.to_owned();
    }

    /// The paths that were asked for.
    pub fn asked(&self) -> Vec<String> {
        self.shared.asked.lock().unwrap().clone()
    }
}

impl Shared {
    fn pass(&self, mut client: UnixStream) -> io::Result<()> {
        let (head, mut rest) = head(&mut client)?;
        let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
        self.asked.lock().unwrap().push(path.clone());
        let mut engine = UnixStream::connect(host().trim_start_matches("unix://"))?;
        // To HTTP/1.0 the answer comes whole and ends with the connection.
        engine.write_all(head.replacen("HTTP/1.1", "HTTP/1.0", 1).as_bytes())?;
        let length = field(&head, "content-length").unwrap_or(0);
        while rest.len() < length {
            let mut part = [0; 4096];
            let read = client.read(&mut part)?;
            rest.extend_from_slice(&part[..read]);
        }
        engine.write_all(&rest)?;
        let (mut head, begun) = self::head(&mut engine)?;
        let mut body = io::Cursor::new(begun).chain(engine);
        let change = *self.change.lock().unwrap();
        let document = path.split('?').next().is_some_and(|path| path.ends_with("/json"));
        if let (Some(change), true, true) = (change, document, head.contains(" 200 ")) {
            let mut text = Vec::new();
            body.read_to_end(&mut text)?;
            let mut document: Value = serde_json::from_slice(&text)?;
            change(&path, &mut document);
            let text = document.to_string();
            write!(client, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{text}", text.len())?;
            return client.shutdown(Shutdown::Both);
        }
        if path.contains("/events") {
            head += &self.events.lock().unwrap();
        }
        client.write_all(head.as_bytes())?;
        io::copy(&mut body, &mut client)?;
        client.shutdown(Shutdown::Both)
    }
}

/// The head of a message, with its empty line, and what was read beyond it.
fn head(stream: &mut UnixStream) -> io::Result<(String, Vec<u8>)> {
    let mut read = Vec::new();
    loop {
        if let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") {
            let rest = read.split_off(end + 4);
            return Ok((String::from_utf8_lossy(&read).into_owned(), rest));
        }
        let mut part = [0; 4096];
        match stream.read(&mut part)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            more => read.extend_from_slice(&part[..more]),
        }
    }
}

fn field(head: &str, name: &str) -> Option<usize> {
    let fields = head.lines().filter_map(|line| line.split_once(':'));
    let mut values = fields.filter(|(key, _)| key.eq_ignore_ascii_case(name));
    values.next()?.1.trim().parse().ok()
}
