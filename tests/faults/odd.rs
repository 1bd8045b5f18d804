//! Servers that answer as no good server would, and can become good ones.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

/// What a server does with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Does {
    /// Nothing, and the connection stays.
    Silence,
    /// Answers 200 with a page that is nothing of what was asked for.
    Lies,
    /// Answers a byte now and then, without end.
    Drips,
    /// Answers as much as is taken, without end.
    Endless,
    /// Answers as a server of its kind, with counters that grow.
    Well,
}

/// A server; dropped, it answers no more.
pub struct Odd {
    pub port: u16,
    does: Arc<Mutex<Does>>,
    over: Arc<AtomicBool>,
}

impl Odd {
    pub fn start(does: Does) -> Self {
        Self::at(0, does)
    }

    /// At this port.
    pub fn at(port: u16, does: Does) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (does, over) = (Arc::new(Mutex::new(does)), Arc::new(AtomicBool::new(false)));
        let (now, ends) = (Arc::clone(&does), Arc::clone(&over));
        let count = Arc::new(AtomicU64::new(0));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (now, ends, count) = (Arc::clone(&now), Arc::clone(&ends), Arc::clone(&count));
                if ends.load(Ordering::Relaxed) {
                    return;
                }
                let serve = move || {
                    let does = *now.lock().unwrap_or_else(PoisonError::into_inner);
                    // Whoever asked has had enough.
                    let _ = answer(stream, does, count.fetch_add(1, Ordering::Relaxed), &ends);
                };
                thread::Builder::new().stack_size(128 << 10).spawn(serve).unwrap();
            }
        });
        Self { port, does, over }
    }

    pub fn now(&self, does: Does) {
        *self.does.lock().unwrap_or_else(PoisonError::into_inner) = does;
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

impl Drop for Odd {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        // So that the listener ends.
        drop(TcpStream::connect(("127.0.0.1", self.port)));
    }
}

fn answer(mut stream: TcpStream, does: Does, n: u64, over: &AtomicBool) -> std::io::Result<()> {
    let mut asked = [0; 8192];
    let length = stream.read(&mut asked)?;
    let asked = String::from_utf8_lossy(&asked[..length]).into_owned();
    let endless = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n";
    match does {
        Does::Silence => {
            while !over.load(Ordering::Relaxed) && stream.read(&mut [0; 64])? > 0 {}
            Ok(())
        }
        Does::Drips => {
            stream.write_all(endless)?;
            while !over.load(Ordering::Relaxed) {
                stream.write_all(b"#")?;
                thread::sleep(Duration::from_millis(50));
            }
            Ok(())
        }
        Does::Endless => {
            stream.write_all(endless)?;
            while !over.load(Ordering::Relaxed) {
                stream.write_all("# endless\n".repeat(6553).as_bytes())?;
            }
            Ok(())
        }
        Does::Lies => whole(&mut stream, "<html><body>It works!</body></html>"),
        Does::Well if asked.contains("/metrics") => {
            let requests = 1000 + n * 50;
            whole(
                &mut stream,
                &format!(
                    "# TYPE http_requests_total counter\nhttp_requests_total{{code=\"200\"}} {requests}\n"
                ),
            )
        }
        Does::Well if asked.contains("/api/v1") => whole(
            &mut stream,
            r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1,"1"]}]}}"#,
        ),
        Does::Well => whole(&mut stream, "ok"),
    }
}

fn whole(stream: &mut TcpStream, body: &str) -> std::io::Result<()> {
    let length = body.len();
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes())?;
    stream.write_all(body.as_bytes())
}
