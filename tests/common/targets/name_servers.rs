//! Three name servers on port 53 of 127.0.0.1 to 127.0.0.3, over UDP and TCP. The queried name says how each of them misbehaves: the
//! second label is for the first server, the third label for the second server, and so on. They need a private network
//! ([`crate::common::stage`]).

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::JoinHandle;

/// The number of name servers.
pub const COUNT: usize = 3;
/// An address without a name server; its port is closed.
pub const CLOSED: &str = "127.0.0.99";

const A: u16 = 1;
const AAAA: u16 = 28;

/// A received query.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Asked {
    /// The server, counted from 0.
    pub server: usize,
    pub name: String,
    pub record: u16,
    pub is_tcp: bool,
    /// Whether it had an OPT record (RFC 6891).
    pub has_edns: bool,
}

/// The servers. Dropping this stops them.
pub struct NameServers {
    asked: Arc<Mutex<Vec<Asked>>>,
    tasks: Vec<JoinHandle<()>>,
}

impl NameServers {
    pub async fn start() -> Self {
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let mut tasks = Vec::new();
        for server in 0..COUNT {
            let address = address(server);
            let socket = Arc::new(UdpSocket::bind((address.as_str(), 53)).await.unwrap());
            let listener = TcpListener::bind((address.as_str(), 53)).await.unwrap();
            let log = asked.clone();
            tasks.push(tokio::spawn(async move {
                let mut query = [0; 1500];
                while let Ok((length, peer)) = socket.recv_from(&mut query).await {
                    let (query, socket, log) = (query[..length].to_vec(), socket.clone(), log.clone());
                    tokio::spawn(async move { in_datagrams(&socket, peer, server, &query, &log).await });
                }
            }));
            let log = asked.clone();
            tasks.push(tokio::spawn(async move {
                while let Ok((stream, _)) = listener.accept().await {
                    let log = log.clone();
                    tokio::spawn(async move { over_a_connection(stream, server, &log).await });
                }
            }));
        }
        Self { asked, tasks }
    }

    /// All queries for names that begin with this label.
    pub fn asked_by(&self, who: &str) -> Vec<Asked> {
        let asked = self.asked.lock().unwrap();
        let is_of = |asked: &&Asked| asked.name.split('.').next() == Some(who);
        asked.iter().filter(is_of).cloned().collect()
    }

    /// The servers that received a query for a name.
    pub fn servers_asked(&self, name: &str) -> BTreeSet<usize> {
        let asked = self.asked.lock().unwrap();
        let of_name = asked.iter().filter(|asked| asked.name == name);
        of_name.map(|asked| asked.server).collect()
    }
}

impl Drop for NameServers {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// The address of a server, and the address in its responses.
pub fn address(server: usize) -> String {
    format!("127.0.0.{}", server + 1)
}

/// How a server handles a query.
enum Reply {
    Nothing,
    /// A response with this code, and with the address if the code is `good`.
    Code(u8, bool),
    Truncated,
    Garbage,
}

fn reply(how: &str, is_tcp: bool) -> Reply {
    match how {
        "empty" => Reply::Code(0, false),
        "nx" => Reply::Code(3, false),
        "servfail" => Reply::Code(2, false),
        "refused" => Reply::Code(5, false),
        "notimp" => Reply::Code(4, false),
        "formerr" => Reply::Code(1, false),
        "silent" => Reply::Nothing,
        "garbage" => Reply::Garbage,
        "truncated" | "cutoff" if !is_tcp => Reply::Truncated,
        "cutoff" => Reply::Nothing,
        _ => Reply::Code(0, true),
    }
}

/// The response to a query and its delay; `None` if the server is silent.
async fn answer(server: usize, query: &[u8], is_tcp: bool, log: &Mutex<Vec<Asked>>) -> Option<Vec<u8>> {
    let (name, record) = super::dns::question(query);
    log.lock().unwrap().push(Asked {
        server,
        name: name.clone(),
        record,
        is_tcp,
        has_edns: query[11] == 1,
    });
    let label = name.split('.').nth(server + 1).unwrap_or("good");
    // If there are two, the first one is for A records.
    let how = match label.split_once('-') {
        Some((first, _)) if record == A => first,
        Some((_, second)) => second,
        None => label,
    };
    if let Some(pause) = how.strip_prefix("slow") {
        tokio::time::sleep(Duration::from_millis(pause.parse().unwrap())).await;
    }
    let end = 12 + query[12..].iter().position(|byte| *byte == 0)? + 5;
    let mut message = query[..2].to_vec();
    let head = |flags: u8, code: u8, answers: u8| [0x81 | flags, 0x80 | code, 0, 1, 0, answers, 0, 0, 0, 0];
    match reply(how, is_tcp) {
        Reply::Nothing => return None,
        Reply::Garbage => message.extend([0xff; 40]),
        Reply::Truncated => {
            message.extend(head(2, 0, 0));
            message.extend(&query[12..end]);
        }
        Reply::Code(code, is_known) => {
            // A name has only an IPv4 address, unless the word is for both families.
            let is_known = is_known && (record == A || (record == AAAA && label.contains('-')));
            message.extend(head(0, code, is_known.into()));
            message.extend(&query[12..end]);
            if is_known {
                message.extend([0xc0, 12]);
                message.extend(record.to_be_bytes());
                message.extend([0, 1, 0, 0, 0, 60]);
                let last = u8::try_from(server + 1).unwrap();
                match record {
                    A => message.extend([0, 4, 127, 0, 1, last]),
                    _ => message.extend([&[0, 16, 0xfd][..], &[0; 14], &[last]].concat()),
                }
            }
        }
    }
    Some(message)
}

async fn in_datagrams(
    socket: &UdpSocket,
    peer: SocketAddr,
    server: usize,
    query: &[u8],
    log: &Mutex<Vec<Asked>>,
) {
    if let Some(message) = answer(server, query, false, log).await {
        let _ = socket.send_to(&message, peer).await;
    }
}

async fn over_a_connection(mut stream: TcpStream, server: usize, log: &Mutex<Vec<Asked>>) {
    while let Ok(length) = stream.read_u16().await {
        let mut query = vec![0; length.into()];
        if stream.read_exact(&mut query).await.is_err() {
            return;
        }
        // A server without a response over TCP closes the connection.
        let Some(message) = answer(server, &query, true, log).await else {
            return;
        };
        let length = u16::try_from(message.len()).unwrap().to_be_bytes();
        if stream.write_all(&[&length[..], &message].concat()).await.is_err() {
            return;
        }
    }
}
