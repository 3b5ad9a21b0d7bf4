//! TLS, and servers that are not Redis.

use std::collections::BTreeSet;
use std::fs;

use upkeep_exporter::model::Reason;

use super::{labelled, once};
use crate::common::ran::{LONG, SHORT, check, run};
use crate::common::redis::Redis;
use crate::common::servers::free_port;
use crate::common::targets::Target;
use crate::common::targets::tls::{Authority, Identity, self_signed};

/// A server with a TLS port in addition to its plain one.
struct Secured {
    redis: Redis,
    tls_port: u16,
    files: tempfile::TempDir,
}

impl Secured {
    async fn start(identity: &Identity, authority: &Authority, clients: bool) -> Self {
        let files = tempfile::tempdir().unwrap();
        let path = |name: &str| files.path().join(name).display().to_string();
        fs::write(path("cert.pem"), &identity.certificate).unwrap();
        fs::write(path("key.pem"), &identity.key).unwrap();
        fs::write(path("ca.pem"), authority.pem()).unwrap();
        let tls_port = free_port();
        let lines = [
            format!("tls-port {tls_port}"),
            format!("tls-cert-file {}", path("cert.pem")),
            format!("tls-key-file {}", path("key.pem")),
            format!("tls-ca-cert-file {}", path("ca.pem")),
            format!("tls-auth-clients {}", if clients { "yes" } else { "no" }),
        ];
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        Self {
            redis: Redis::start(&lines).await,
            tls_port,
            files,
        }
    }

    /// The keys of a check that trusts the authority.
    fn keys(&self, scheme: &str, more: &str) -> String {
        let ca = self.files.path().join("ca.pem");
        format!(
            "url: \"{scheme}://127.0.0.1:{}/1\", tls_config: {{ ca_file: \"{}\"{more} }}",
            self.tls_port,
            ca.display()
        )
    }
}

#[tokio::test]
async fn tls_is_verified() {
    let authority = Authority::new("authority");
    let server = Secured::start(&authority.issue(&["127.0.0.1"], 2099), &authority, false).await;
    for scheme in ["rediss", "valkeys"] {
        let ran = once(&server.keys(scheme, "")).await;
        assert_eq!(labelled(ran.succeeded(), "keys", "1"), Some(0.0));
        assert!(ran.not_after().is_some());
    }
    let mut ids = BTreeSet::new();
    let untrusted = format!("url: \"rediss://127.0.0.1:{}\"", server.tls_port);
    once(&untrusted)
        .await
        .failed(Reason::Tls, "issuer (CN=authority) is not trusted");
    let mut kept = check(&format!("kind: redis, {}", server.keys("rediss", "")));
    for _ in 0..3 {
        run!(kept, LONG).succeeded();
        assert_eq!(server.redis.clients(), 1);
        let line = server.redis.cli(&["CLIENT", "LIST"]);
        ids.insert(line.split(' ').next().unwrap().to_owned());
    }
    assert_eq!(ids.len(), 1, "a TLS connection is reused too");
    drop(kept);
    let plain = format!("url: \"redis://127.0.0.1:{}\"", server.tls_port);
    once(&plain)
        .await
        .failed(Reason::Closed, "PING: ")
        .failed(Reason::Closed, "for a TLS port, use rediss://");
    // Without TLS, the server waits for the end of a command, unless a random byte happens to end it.
    let secured = format!("kind: redis, url: \"rediss://127.0.0.1:{}\"", server.redis.port());
    let ran = run!(check(&secured), SHORT);
    match &ran.result {
        None => drop(ran.hung("in the TLS handshake with 127.0.0.1:")),
        Some(_) => drop(ran.failed(Reason::Tls, "TLS handshake with 127.0.0.1:")),
    }
    server.redis.left().await;
}

#[tokio::test]
async fn invalid_certificates_are_reported() {
    let authority = Authority::new("authority");
    let expired = Secured::start(&authority.issue(&["127.0.0.1"], 2021), &authority, false).await;
    let ran = once(&expired.keys("rediss", "")).await;
    ran.failed(Reason::Tls, "the certificate expired on ");
    assert!(ran.not_after().is_some(), "the expiry is reported anyway");
    let own = Secured::start(&self_signed(&["127.0.0.1"]), &authority, false).await;
    once(&own.keys("rediss", ""))
        .await
        .failed(Reason::Tls, "is self-signed");
    once(&own.keys("rediss", ", insecure_skip_verify: true"))
        .await
        .succeeded();
}

#[tokio::test]
async fn a_server_that_requires_a_client_certificate() {
    let authority = Authority::new("authority");
    let server = Secured::start(&authority.issue(&["127.0.0.1"], 2099), &authority, true).await;
    once(&server.keys("rediss", "")).await.failed(
        Reason::Tls,
        "the server requires a client certificate: set tls_config.cert_file",
    );
    let client = authority.issue(&["client"], 2099);
    let path = |name: &str| server.files.path().join(name).display().to_string();
    fs::write(path("client.pem"), &client.certificate).unwrap();
    fs::write(path("client.key"), &client.key).unwrap();
    let more = format!(
        ", cert_file: \"{}\", key_file: \"{}\"",
        path("client.pem"),
        path("client.key")
    );
    once(&server.keys("rediss", &more)).await.succeeded();
}

fn url(target: &Target) -> String {
    format!("url: \"redis://{}\"", target.address)
}

#[tokio::test]
async fn servers_that_are_not_redis() {
    once(&format!("url: \"redis://{}\"", Target::refusing().await))
        .await
        .failed(Reason::Refused, "Connection refused")
        .without_response();
    once("url: \"redis://nobody.invalid\"")
        .await
        .failed(Reason::Dns, "nobody.invalid")
        .without_response();
    for (target, reason, text) in [
        (
            Target::serve(|mut stream, _, _| async move {
                use tokio::io::AsyncWriteExt;
                let _ = stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n").await;
                Some(stream)
            })
            .await,
            Reason::Protocol,
            "the response is not the Redis protocol",
        ),
        (
            Target::closing(false).await,
            Reason::Closed,
            "the server closed the connection before its response",
        ),
        (Target::closing(true).await, Reason::Closed, "PING: "),
        (
            Target::serve(|mut stream, _, _| async move {
                use tokio::io::AsyncWriteExt;
                let _ = stream.write_all(b"$999999999\r\n").await;
                while stream.write_all(&[b'x'; 16 << 10]).await.is_ok() {}
                Some(stream)
            })
            .await,
            Reason::Limit,
            "it sent more than 1048576 bytes",
        ),
        (
            Target::serve(|mut stream, _, _| async move {
                use tokio::io::AsyncWriteExt;
                let _ = stream.write_all(b":17\r\n:18\r\n").await;
                Some(stream)
            })
            .await,
            Reason::Protocol,
            "PING: the response is not valid for this Redis command",
        ),
    ] {
        once(&url(&target)).await.failed(reason, text);
        target.freed().await;
    }
}

#[tokio::test]
async fn a_server_that_sends_nothing() {
    let target = Target::silent().await;
    for (scheme, step) in [
        ("redis", "waiting for the response of 127.0.0.1:"),
        ("rediss", "in the TLS handshake with 127.0.0.1:"),
    ] {
        let mut check = check(&format!("kind: redis, url: \"{scheme}://{}\"", target.address));
        run!(check, SHORT).hung(step);
        target.freed().await;
    }
}
