//! A real SMTP server for tests: aiosmtpd, from the machine's Python where it
//! is installed (Debian: `python3-aiosmtpd`), else from a virtual environment
//! under `target/` that is made once. It ends with the test, however that ends.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::Duration,
};

use serde_json::{Value, json};

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// How the server is protected.
#[derive(Clone, Copy, Debug)]
pub enum Tls<'a> {
    None,
    /// By STARTTLS, required.
    Upgrade(&'a Authority),
    /// From the first byte.
    Always(&'a Authority),
}

/// How the server behaves.
#[derive(Clone, Copy, Debug)]
pub struct Options<'a> {
    /// Any free one unless written.
    pub port: Option<u16>,
    pub tls: Tls<'a>,
    /// Who must log in, with which password.
    pub login: Option<(&'a str, &'a str)>,
    /// It offers a login only over TLS.
    pub login_wants_tls: bool,
}

impl Default for Options<'_> {
    fn default() -> Self {
        Self { port: None, tls: Tls::None, login: None, login_wants_tls: false }
    }
}

/// A mail as the server took it.
#[derive(Clone, Debug)]
pub struct Mail {
    pub from: String,
    pub to: Vec<String>,
    /// Who was logged in.
    pub user: Option<String>,
    /// Headers and body.
    pub data: String,
}

impl Mail {
    /// A header, unfolded.
    pub fn header(&self, name: &str) -> Option<String> {
        let head = self.data.split("\r\n\r\n").next().unwrap_or_default();
        let head = head.replace("\r\n ", " ").replace("\r\n\t", " ");
        let prefix = format!("{}: ", name.to_lowercase());
        let found = head.lines().find(|line| line.to_lowercase().starts_with(&prefix))?;
        Some(found[prefix.len()..].to_owned())
    }
}

/// A server that runs.
#[derive(Debug)]
pub struct SmtpServer {
    child: Child,
    input: ChildStdin,
    events: Receiver<Value>,
    port: u16,
}

impl SmtpServer {
    /// Starts one and waits until it listens.
    pub fn start(options: Options<'_>) -> Self {
        let (tls, authority) = match options.tls {
            Tls::None => ("none", None),
            Tls::Upgrade(authority) => ("starttls", Some(authority)),
            Tls::Always(authority) => ("tls", Some(authority)),
        };
        let argument = json!({
            "port": options.port,
            "tls": tls,
            "cert": authority.map(|authority| authority.path("server.pem")),
            "key": authority.map(|authority| authority.path("server.key")),
            "user": options.login.map(|(user, _)| user),
            "password": options.login.map(|(_, password)| password),
            "login_wants_tls": options.login_wants_tls,
        });
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/smtp.py");
        let mut child = Command::new(python())
            .arg(script)
            .arg(argument.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let input = child.stdin.take().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (sender, events) = channel();
        thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if sender.send(serde_json::from_str(&line).unwrap()).is_err() {
                    return;
                }
            }
        });
        let mut server = Self { child, input, events, port: 0 };
        let listening = server.event("listening");
        server.port = listening.as_u64().unwrap().try_into().unwrap();
        server
    }

    /// Where it listens, on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What it refuses from now on: a recipient's address, `MAIL` or `DATA`,
    /// each with the answer. `DATA` with `hang` never answers.
    pub fn refuse(&mut self, answers: &[(&str, &str)]) {
        let answers: serde_json::Map<String, Value> =
            answers.iter().map(|&(what, answer)| (what.to_owned(), answer.into())).collect();
        writeln!(self.input, "{}", Value::Object(answers)).unwrap();
        self.event("ok");
    }

    /// Waits for the next mail.
    pub fn mail(&self) -> Mail {
        let mail = self.event("mail");
        let text = |value: &Value| value.as_str().map(str::to_owned);
        Mail {
            from: text(&mail["from"]).unwrap(),
            to: mail["to"].as_array().unwrap().iter().map(|to| text(to).unwrap()).collect(),
            user: text(&mail["user"]),
            data: text(&mail["data"]).unwrap(),
        }
    }

    /// Ends it; gives the mails that nobody has asked for.
    pub fn stop(mut self) -> usize {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        // The channel closes when the output ends.
        std::iter::from_fn(|| self.events.recv_timeout(PATIENCE).ok()).count()
    }

    fn event(&self, kind: &str) -> Value {
        let event = self.events.recv_timeout(PATIENCE).expect("the mail server says something");
        assert!(event.get(kind).is_some(), "expected {kind}: {event}");
        event[kind].clone()
    }
}

impl Drop for SmtpServer {
    fn drop(&mut self) {
        // It may have been stopped already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A certificate authority of the test's own, and a certificate by it for
/// 127.0.0.1.
#[derive(Debug)]
pub struct Authority(tempfile::TempDir);

impl Authority {
    /// Made with the `openssl` program.
    pub fn make() -> Self {
        let authority = Self(tempfile::tempdir().unwrap());
        let openssl = |arguments: &str| {
            let done = Command::new("openssl")
                .args(arguments.split(' '))
                .current_dir(authority.0.path())
                .output()
                .expect("the program openssl is installed");
            assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        };
        let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
        let constraints = "-addext basicConstraints=critical,CA:TRUE";
        openssl(&format!(
            "req -x509 {key} -keyout ca.key -out ca.pem -days 2 -subj /CN=test {constraints}"
        ));
        openssl(&format!("req {key} -keyout server.key -out server.csr -subj /CN=mail.test"));
        fs::write(authority.path("extensions"), "subjectAltName=IP:127.0.0.1\n").unwrap();
        openssl(
            "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out server.pem \
             -days 2 -extfile extensions",
        );
        authority
    }

    /// One of its files; `ca.pem` is the authority.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

/// A Python that has aiosmtpd.
fn python() -> PathBuf {
    let candidates = ["python3", "/usr/bin/python3"].map(PathBuf::from);
    if let Some(python) = candidates.into_iter().find(|python| has_aiosmtpd(python)) {
        return python;
    }
    let target = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let (lock, home) = (target.join("aiosmtpd.lock"), target.join("aiosmtpd"));
    let python = home.join("bin/python");
    // Tests run in processes of their own: one makes it, the others wait.
    let lock = File::create(lock).unwrap();
    lock.lock().unwrap();
    if !has_aiosmtpd(&python) {
        let run = |program: &Path, arguments: &[&str]| {
            let done = Command::new(program).args(arguments).output().unwrap();
            let said = String::from_utf8_lossy(&done.stderr);
            assert!(
                done.status.success(),
                "aiosmtpd cannot be installed; on Debian `apt-get install python3-aiosmtpd`: {said}"
            );
        };
        run(Path::new("python3"), &["-m", "venv", "--clear", &home.to_string_lossy()]);
        run(&python, &["-m", "pip", "install", "--quiet", "aiosmtpd==1.4.6"]);
    }
    python
}

fn has_aiosmtpd(python: &Path) -> bool {
    let mut ask = Command::new(python);
    ask.args(["-c", "import aiosmtpd.smtp"]).stdout(Stdio::null()).stderr(Stdio::null());
    ask.status().is_ok_and(|status| status.success())
}
