//! A small name server on UDP that knows a few names and counts queries.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};

use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

/// The response for a name.
#[derive(Clone)]
pub enum Answer {
    Addresses(Vec<IpAddr>),
    /// SERVFAIL.
    Failure,
    /// No response.
    Silence,
    /// These addresses for queries of IPv4 addresses, and no response to other queries.
    SilenceButForIp4(Vec<IpAddr>),
}

pub struct NameServer {
    pub address: SocketAddr,
    names: Arc<Mutex<HashMap<String, Answer>>>,
    asked: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl NameServer {
    pub async fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let names: Arc<Mutex<HashMap<String, Answer>>> = Arc::default();
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let (known, log) = (names.clone(), asked.clone());
        let task = tokio::spawn(async move {
            let mut query = [0; 1500];
            while let Ok((length, peer)) = socket.recv_from(&mut query).await {
                let (name, record) = question(&query[..length]);
                log.lock().unwrap().push(name.clone());
                let answer = known.lock().unwrap().get(&name).cloned();
                if let Some(reply) = reply(&query[..length], record, answer) {
                    let _ = socket.send_to(&reply, peer).await;
                }
            }
        });
        Self {
            address,
            names,
            asked,
            task,
        }
    }

    pub fn set(&self, name: &str, answer: Answer) {
        self.names.lock().unwrap().insert(name.to_owned(), answer);
    }

    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The name and type of a query (RFC 1035, section 4.1.2).
pub fn question(query: &[u8]) -> (String, u16) {
    let (mut at, mut labels) = (12, Vec::new());
    while query[at] != 0 {
        let length = usize::from(query[at]);
        labels.push(String::from_utf8_lossy(&query[at + 1..at + 1 + length]).to_ascii_lowercase());
        at += 1 + length;
    }
    (
        labels.join("."),
        u16::from_be_bytes([query[at + 1], query[at + 2]]),
    )
}

/// The response: the question and the answer (section 4.1.1). Unknown names do not exist.
fn reply(query: &[u8], record: u16, answer: Option<Answer>) -> Option<Vec<u8>> {
    let end = 12 + query[12..].iter().position(|byte| *byte == 0)? + 5;
    let (code, addresses) = match answer {
        None => (3, Vec::new()),
        Some(Answer::Failure) => (2, Vec::new()),
        Some(Answer::Silence) => return None,
        Some(Answer::SilenceButForIp4(_)) if record != 1 => return None,
        Some(Answer::Addresses(addresses) | Answer::SilenceButForIp4(addresses)) => (0, addresses),
    };
    let wanted = |ip: &&IpAddr| matches!((ip, record), (IpAddr::V4(_), 1) | (IpAddr::V6(_), 28));
    let addresses: Vec<&IpAddr> = addresses.iter().filter(wanted).collect();
    let mut reply = query[..2].to_vec();
    reply.extend([
        0x81,
        0x80 | code,
        0,
        1,
        0,
        u8::try_from(addresses.len()).unwrap(),
        0,
        0,
        0,
        0,
    ]);
    reply.extend(&query[12..end]);
    for address in addresses {
        let bytes = match address {
            IpAddr::V4(address) => address.octets().to_vec(),
            IpAddr::V6(address) => address.octets().to_vec(),
        };
        reply.extend([0xc0, 12]);
        reply.extend(record.to_be_bytes());
        reply.extend([0, 1, 0, 0, 14, 16, 0, u8::try_from(bytes.len()).unwrap()]);
        reply.extend(bytes);
    }
    Some(reply)
}
