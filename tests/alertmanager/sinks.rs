//! Receivers of notifications: a web server and a mail server that record all deliveries.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// One delivered notification.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The request's path, or `mail`.
    pub to: String,
    /// The `Authorization` header, or the argument of SMTP's `AUTH`.
    pub credentials: String,
    /// The request's body, or the mail with its header.
    pub body: String,
    /// When it arrived.
    pub at: Instant,
}

type Inbox = Arc<(Mutex<Vec<Delivery>>, Condvar)>;

/// Both servers, each on its own port.
pub struct Sinks {
    pub http: u16,
    pub smtp: u16,
    inbox: Inbox,
}

impl Sinks {
    pub fn start() -> Self {
        let inbox = Inbox::default();
        let http = serve(Arc::clone(&inbox), receive_request);
        let smtp = serve(Arc::clone(&inbox), receive_mail);
        Self { http, smtp, inbox }
    }

    /// Waits until deliveries to `to` satisfy `enough`, and returns all of them.
    ///
    /// # Panics
    /// If that does not happen within `patience`.
    pub fn wait(&self, to: &str, patience: Duration, enough: impl Fn(&[Delivery]) -> bool) -> Vec<Delivery> {
        let (inbox, arrived) = &*self.inbox;
        let deadline = Instant::now() + patience;
        let mut all = inbox.lock().expect("no receiver panics");
        loop {
            let found: Vec<Delivery> = all.iter().filter(|delivery| delivery.to == to).cloned().collect();
            if enough(&found) {
                return found;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(
                !left.is_zero(),
                "not delivered to {to} within {patience:?}; so far: {found:#?}"
            );
            all = arrived.wait_timeout(all, left).expect("no receiver panics").0;
        }
    }
}

/// Serves every connection in its own thread. The threads end with the test program.
fn serve(inbox: Inbox, receive: fn(TcpStream, &dyn Fn(Delivery)) -> std::io::Result<()>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    let port = listener
        .local_addr()
        .expect("a bound socket has an address")
        .port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let inbox = Arc::clone(&inbox);
            std::thread::spawn(move || {
                let deliver = |delivery: Delivery| {
                    inbox.0.lock().expect("no receiver panics").push(delivery);
                    inbox.1.notify_all();
                };
                // A broken connection delivers nothing; then the waiting test fails.
                let _ = receive(stream, &deliver);
            });
        }
    });
    port
}

fn receive_request(stream: TcpStream, deliver: &dyn Fn(Delivery)) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let to = line.split(' ').nth(1).unwrap_or_default().to_owned();
    let (mut credentials, mut length) = (String::new(), 0);
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim().split_once(": ") else {
            break;
        };
        match name.to_ascii_lowercase().as_str() {
            "authorization" => credentials = value.to_owned(),
            "content-length" => length = value.parse().unwrap_or(0),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let body = String::from_utf8_lossy(&body).into_owned();
    deliver(Delivery {
        to,
        credentials,
        body,
        at: Instant::now(),
    });
    reader
        .get_mut()
        .write_all(b"HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
}

/// The part of SMTP (RFC 5321, AUTH of RFC 4954) that a correct client needs.
fn receive_mail(stream: TcpStream, deliver: &dyn Fn(Delivery)) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    reader.get_mut().write_all(b"220 ready\r\n")?;
    let mut credentials = String::new();
    let mut line = String::new();
    while reader.read_line(&mut line)? > 0 {
        let verb = line
            .split_whitespace()
            .next()
            .unwrap_or_default()
            .to_ascii_uppercase();
        let answer = match verb.as_str() {
            "EHLO" => "250-localhost\r\n250 AUTH PLAIN\r\n",
            "AUTH" => {
                credentials = line.split_whitespace().last().unwrap_or_default().to_owned();
                "235 authenticated\r\n"
            }
            "DATA" => {
                reader.get_mut().write_all(b"354 continue\r\n")?;
                let body = read_mail(&mut reader)?;
                deliver(Delivery {
                    to: "mail".to_owned(),
                    credentials: credentials.clone(),
                    body,
                    at: Instant::now(),
                });
                "250 accepted\r\n"
            }
            "QUIT" => "221 bye\r\n",
            _ => "250 ok\r\n",
        };
        reader.get_mut().write_all(answer.as_bytes())?;
        line.clear();
    }
    Ok(())
}

fn read_mail(reader: &mut impl BufRead) -> std::io::Result<String> {
    let mut mail = String::new();
    while !mail.ends_with("\r\n.\r\n") {
        if reader.read_line(&mut mail)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(mail)
}
