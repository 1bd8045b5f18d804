//! A metrics page as a web application of five routes has it: 20 counters of
//! requests and 60 of histograms, all of which grow.

use std::{
    fmt::Write as _,
    io::{Read, Write as _},
    net::{Ipv4Addr, TcpListener, TcpStream},
    thread,
    time::Instant,
};

const ROUTES: usize = 5;
/// How many of a thousand requests are answered so.
const CODES: [(u16, f64); 4] = [(200, 960.0), (302, 20.0), (404, 15.0), (500, 5.0)];
const BOUNDS: [&str; 12] =
    ["0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "+Inf"];

/// Serves it for as long as this process lives; gives its port.
pub(crate) fn serve() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let began = Instant::now();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || answer(stream, began));
        }
    });
    port
}

/// Answers on one connection until the other end closes it.
fn answer(mut stream: TcpStream, began: Instant) {
    let mut head = Vec::new();
    let mut part = [0; 4096];
    while let Ok(read @ 1..) = stream.read(&mut part) {
        head.extend_from_slice(&part[..read]);
        if !head.ends_with(b"\r\n\r\n") {
            continue;
        }
        head.clear();
        let page = page(began.elapsed().as_secs_f64());
        let answer = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {}\r\n\r\n{page}",
            page.len()
        );
        if stream.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

/// The page after so many seconds: each route has 50 requests a second.
fn page(seconds: f64) -> String {
    let requests = seconds * 50.0;
    let mut page = String::from("# TYPE http_requests_total counter\n");
    for route in 0..ROUTES {
        for (code, share) in CODES {
            let count = (requests * share / 1000.0).floor();
            writeln!(page, "http_requests_total{{route=\"/r{route}\",code=\"{code}\"}} {count}")
                .unwrap();
        }
    }
    page.push_str("# TYPE http_request_duration_seconds histogram\n");
    for route in 0..ROUTES {
        let labels = format!("route=\"/r{route}\"");
        for (place, bound) in BOUNDS.iter().enumerate() {
            let share = (place + 1) as f64 / BOUNDS.len() as f64;
            let count = (requests * share).floor();
            let name = "http_request_duration_seconds_bucket";
            writeln!(page, "{name}{{{labels},le=\"{bound}\"}} {count}").unwrap();
        }
    }
    page
}
