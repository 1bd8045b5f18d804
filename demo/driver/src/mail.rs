//! A small real SMTP server that takes every mail, so that the demo can show
//! what would have reached a person.

use std::{
    io::{self, BufRead, BufReader, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};

use super::message::Message;

/// The server; it serves for as long as the demo runs.
pub(crate) struct MailSink {
    /// Its port on this machine.
    pub(crate) port: u16,
    arrived: Arc<Mutex<Vec<Message>>>,
}

impl MailSink {
    /// Starts it on a free port.
    pub(crate) fn start() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = listener.local_addr()?.port();
        let arrived = Arc::<Mutex<Vec<Message>>>::default();
        let inbox = Arc::clone(&arrived);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let inbox = Arc::clone(&inbox);
                // A conversation that breaks off is the sender's to repeat.
                thread::spawn(move || drop(converse(&stream, &inbox)));
            }
        });
        Ok(Self { port, arrived })
    }

    /// The mails so far, in the order of their arrival.
    pub(crate) fn arrived(&self) -> Vec<Message> {
        self.arrived.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn converse(stream: &TcpStream, inbox: &Mutex<Vec<Message>>) -> io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    let mut reader = BufReader::new(stream);
    let say = |text: &str| (&*stream).write_all(format!("{text}\r\n").as_bytes());
    say("220 demo ESMTP")?;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let verb = line.split_whitespace().next().unwrap_or_default().to_ascii_uppercase();
        match verb.as_str() {
            "EHLO" => say("250-demo\r\n250 8BITMIME")?,
            "HELO" | "MAIL" | "RCPT" | "RSET" | "NOOP" => say("250 OK")?,
            "DATA" => {
                say("354 go on")?;
                let message = Message::parse(&data(&mut reader)?);
                inbox.lock().unwrap_or_else(PoisonError::into_inner).push(message);
                say("250 taken")?;
            }
            "QUIT" => return say("221 bye"),
            _ => say("502 not known here")?,
        }
    }
}

/// The mail up to the lone dot, doubled dots undone.
fn data(reader: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut mail = Vec::new();
    loop {
        let mut line = Vec::new();
        if reader.read_until(b'\n', &mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if line == b".\r\n" {
            return Ok(mail);
        }
        mail.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
    }
}
