//! Recognizes servers by what they send. Pure; every byte is untrusted.

use crate::discover::facts::{Greeter, Server};

/// The longest text that is needed to recognize a server, in bytes. RabbitMQ's first frame starts with 8 known bytes.
pub const MAX_BYTES: usize = 512;

/// The request for TLS of PostgreSQL: its length, and a number (protocol-message-formats, "SSLRequest").
pub const POSTGRES_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

/// The header of AMQP 0-9-1 (section 4.2.2).
pub const AMQP_HEADER: [u8; 8] = *b"AMQP\x00\x00\x09\x01";

/// What PostgreSQL responds to [`POSTGRES_REQUEST`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PostgresReply {
    /// It expects a TLS handshake now.
    Tls,
    /// It has no TLS.
    Plain,
}

/// The response to [`POSTGRES_REQUEST`]: exactly one byte, or an error (`E`) of a server that is older than TLS.
pub fn postgres(reply: &[u8]) -> Option<PostgresReply> {
    match reply {
        b"S" => Some(PostgresReply::Tls),
        b"N" => Some(PostgresReply::Plain),
        _ => None,
    }
}

/// The response to `PING` (redis.io, "Redis serialization protocol").
pub fn redis(reply: &[u8]) -> Option<Server> {
    if reply.starts_with(b"+PONG\r\n") {
        return Some(Server::Redis {
            needs_password: false,
        });
    }
    reply
        .starts_with(b"-NOAUTH ")
        .then_some(Server::Redis { needs_password: true })
}

/// The response to `version` (memcached, doc/protocol.txt).
pub fn memcached(reply: &[u8]) -> Option<Server> {
    reply.starts_with(b"VERSION ").then_some(Server::Memcached)
}

/// The response to [`AMQP_HEADER`]: a method frame on channel 0 with `connection.start`.
pub fn amqp(reply: &[u8]) -> Option<Server> {
    let is_start = reply.get(..3) == Some(&[1, 0, 0][..]) && reply.get(7..11) == Some(&[0, 10, 0, 10][..]);
    is_start.then_some(Server::Amqp)
}

/// The greeting of a server that speaks first.
pub fn greeting(text: &[u8]) -> Option<Greeter> {
    let line = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let has = |word: &str| {
        line.windows(word.len())
            .any(|part| part.eq_ignore_ascii_case(word.as_bytes()))
    };
    if line.starts_with(b"SSH-") {
        return Some(Greeter::Ssh);
    }
    if line.starts_with(b"* OK") {
        return Some(Greeter::Imap);
    }
    if line.starts_with(b"+OK") {
        return Some(Greeter::Pop3);
    }
    if line.starts_with(b"220") {
        return Some(if has("smtp") || !has("ftp") {
            Greeter::Smtp
        } else {
            Greeter::Ftp
        });
    }
    // A packet: its length in three bytes, the number 0, and the version of the protocol (10), or an error (255) for clients that
    // the server does not accept.
    let is_mysql = matches!(text, [_, _, 0, 0, 10 | 255, ..]);
    is_mysql.then_some(Greeter::Mysql)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_servers_are_recognized() {
        for (text, expected) in [
            (&b"SSH-2.0-OpenSSH_10.0p2\r\n"[..], Some(Greeter::Ssh)),
            (b"220 mail.example.org ESMTP Postfix\r\n", Some(Greeter::Smtp)),
            (b"220 mail.example.org\r\n", Some(Greeter::Smtp)),
            (b"220 (vsFTPd 3.0.5)\r\n", Some(Greeter::Ftp)),
            (
                b"* OK [CAPABILITY IMAP4rev1] Dovecot ready.\r\n",
                Some(Greeter::Imap),
            ),
            (b"+OK Dovecot ready.\r\n", Some(Greeter::Pop3)),
            (b"J\0\0\0\n11.8.3-MariaDB\0", Some(Greeter::Mysql)),
            (
                b"E\0\0\0\xff\x6a\x04Host 'x' is not allowed",
                Some(Greeter::Mysql),
            ),
            (b"RFB 003.008\n", None),
            (b"HTTP/1.1 400 Bad Request\r\n", None),
            (b"", None),
        ] {
            assert_eq!(greeting(text), expected, "{}", String::from_utf8_lossy(text));
        }
        assert_eq!(postgres(b"S"), Some(PostgresReply::Tls));
        assert_eq!(postgres(b"N"), Some(PostgresReply::Plain));
        // Bytes after the reply were not requested: this is another server.
        assert_eq!(postgres(b"SSH-2.0-x"), None);
        assert_eq!(
            redis(b"+PONG\r\n"),
            Some(Server::Redis {
                needs_password: false
            })
        );
        let refused = b"-NOAUTH Authentication required.\r\n";
        assert_eq!(redis(refused), Some(Server::Redis { needs_password: true }));
        assert_eq!(redis(b"-ERR unknown command\r\n"), None);
        assert_eq!(memcached(b"VERSION 1.6.38\r\n"), Some(Server::Memcached));
        assert_eq!(memcached(b"ERROR\r\n"), None);
        let start = b"\x01\x00\x00\x00\x00\x02\x00\x00\x0a\x00\x0a\x00\x09";
        assert_eq!(amqp(start), Some(Server::Amqp));
        assert_eq!(amqp(b"AMQP\x00\x00\x09\x01"), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_accepted(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = (postgres(&bytes), redis(&bytes), memcached(&bytes), amqp(&bytes), greeting(&bytes));
        }
    }
}
