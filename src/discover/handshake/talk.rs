//! One connection to a port. It is read-only: no login, no command that changes anything.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::choice::Handshake;
use super::http;
use super::recognize::{self, AMQP_HEADER, MAX_BYTES, POSTGRES_REQUEST, PostgresReply};
use crate::config::tls::TlsSettings;
use crate::discover::facts::{Greeter, Heard, Server};
use crate::model::Report;
use crate::net::network::Network;
use crate::net::run_recorder::RunRecorder;
use crate::net::tls::{TlsClient, TlsStream};

/// How long a connection may take from its start to its end.
const MAX_CONNECTION: Duration = Duration::from_secs(1);

/// How long an unknown server may take to greet before it is sent a request. Servers on this machine greet within milliseconds.
const GREETING_TIME: Duration = Duration::from_millis(100);

/// Connects to ports. All connections share the certificate authorities of the system.
#[derive(Clone, Debug, Default)]
pub struct Talker {
    network: Network,
}

impl Talker {
    /// Makes one connection, and closes it within `MAX_CONNECTION`. What was found until then counts.
    pub async fn ask(&self, address: SocketAddr, handshake: Handshake) -> Heard {
        let mut heard = Heard::Silent;
        match handshake {
            Handshake::Never => return Heard::NotAsked,
            Handshake::KnownSsh => return Heard::Server(Server::Greeter(Greeter::Ssh)),
            _ => {}
        }
        let _ = timeout(MAX_CONNECTION, self.talk(address, handshake, &mut heard)).await;
        heard
    }

    async fn talk(&self, address: SocketAddr, handshake: Handshake, heard: &mut Heard) {
        let Ok(mut stream) = TcpStream::connect(address).await else {
            *heard = Heard::Refused;
            return;
        };
        // Requests are small and need not wait for each other.
        let _ = stream.set_nodelay(true);
        let server = match handshake {
            Handshake::Never | Handshake::KnownSsh => None,
            Handshake::Listen => greeting(&mut stream).await,
            Handshake::Postgres => self.postgres(stream, address).await,
            Handshake::Redis => {
                let reply = request(&mut stream, b"PING\r\n", b"\r\n").await;
                recognize::redis(&reply)
            }
            Handshake::Memcached => {
                let reply = request(&mut stream, b"version\r\n", b"\r\n").await;
                recognize::memcached(&reply)
            }
            Handshake::Amqp => {
                let reply = request(&mut stream, &AMQP_HEADER, b"").await;
                recognize::amqp(&reply)
            }
            Handshake::Https => return self.https(stream, address, heard).await,
            Handshake::Http => match timeout(GREETING_TIME, greeting(&mut stream)).await {
                Ok(greeter) => greeter,
                Err(_) => return http::explore(stream, address, false, heard).await,
            },
        };
        if let Some(server) = server {
            *heard = Heard::Server(server);
        }
    }

    /// Asks for TLS. If the server agrees, the handshake is completed: PostgreSQL logs a handshake that is broken off, but not a
    /// client that leaves after it.
    async fn postgres(&self, mut stream: TcpStream, address: SocketAddr) -> Option<Server> {
        // The reply has one byte. Anything after it would be another server's.
        let reply = request(&mut stream, &POSTGRES_REQUEST, b"").await;
        if recognize::postgres(&reply)? == PostgresReply::Tls {
            let _ = self.tls(stream, address, &[]).await;
        }
        Some(Server::Postgres)
    }

    async fn https(&self, stream: TcpStream, address: SocketAddr, heard: &mut Heard) {
        let Some(stream) = self.tls(stream, address, &[b"http/1.1"]).await else {
            return;
        };
        *heard = Heard::Server(Server::Tls);
        http::explore(stream, address, true, heard).await;
    }

    /// A TLS handshake that accepts any certificate: nothing secret is sent, and the certificate is not for this address.
    async fn tls(&self, stream: TcpStream, address: SocketAddr, protocols: &[&[u8]]) -> Option<TlsStream> {
        let settings = TlsSettings {
            insecure_skip_verify: true,
            ..TlsSettings::default()
        };
        let mut client = TlsClient::new(&settings, protocols, &self.network.trust);
        let mut report = Report::default();
        let mut recorder = RunRecorder::new(&mut report);
        let host = address.ip().to_string();
        client.handshake(stream, address, &host, &mut recorder).await.ok()
    }
}

/// Reads the greeting of a server. `None` if it is not a known one. Waits until the server sends something. Greetings are sent at
/// once, and that of MySQL has no end of line.
async fn greeting(stream: &mut TcpStream) -> Option<Server> {
    let text = read(stream, b"").await;
    recognize::greeting(&text).map(Server::Greeter)
}

/// Sends a request and reads the beginning of its reply.
async fn request(stream: &mut TcpStream, bytes: &[u8], end: &[u8]) -> Vec<u8> {
    match stream.write_all(bytes).await {
        Ok(()) => read(stream, end).await,
        Err(_) => Vec::new(),
    }
}

/// Reads until `end`, or once if it is empty, at most [`MAX_BYTES`].
async fn read(stream: &mut TcpStream, end: &[u8]) -> Vec<u8> {
    let mut text = vec![0; MAX_BYTES];
    let mut length = 0;
    while length < MAX_BYTES {
        match stream.read(&mut text[length..]).await {
            Ok(count @ 1..) => length += count,
            _ => break,
        }
        if end.is_empty() || text[..length].windows(end.len()).any(|part| part == end) {
            break;
        }
    }
    text.truncate(length);
    text
}
