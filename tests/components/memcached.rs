//! The memcached check against real servers.

use std::time::Duration;

use rustix::process::Signal;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use upkeep_exporter::model::Reason;

use crate::common::memcached::Memcached;
use crate::common::ran::{LONG, Ran, SHORT, check, run};
use crate::common::targets::tls::Authority;

/// One run of a new check with these keys.
async fn once(address: &str, keys: &str) -> Ran {
    run!(
        check(&format!("kind: memcached, address: \"{address}\"{keys}")),
        LONG
    )
}

/// The value of a series of `upkeep_memcached_NAME`.
fn value(ran: &Ran, name: &str) -> Option<f64> {
    ran.value(&format!("upkeep_memcached_{name}"), None)
}

/// Sends commands to a server, and returns the first bytes of the response.
async fn command(address: &str, commands: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(commands.as_bytes()).await.unwrap();
    let mut response = vec![0; 4096];
    let read = stream.read(&mut response).await.unwrap();
    String::from_utf8_lossy(&response[..read]).into_owned()
}

#[tokio::test]
async fn a_server_is_up_with_its_metrics() {
    let server = Memcached::start(&["-m", "64", "-c", "100"]).await;
    assert_eq!(
        command(&server.address, "set a 0 0 3\r\nabc\r\n").await,
        "STORED\r\n"
    );
    assert!(command(&server.address, "get a\r\n").await.starts_with("VALUE a"));
    assert_eq!(command(&server.address, "get b\r\n").await, "END\r\n");
    let ran = once(&server.address, "").await;
    ran.succeeded();
    assert_eq!(ran.report.warning, None);
    let version = ran
        .report
        .samples
        .iter()
        .find(|sample| sample.family.name == "upkeep_memcached_version_info")
        .unwrap();
    assert!(version.labels[0].starts_with("1."), "{version:?}");
    for (name, expected) in [
        ("max_connections", 100.0),
        ("items", 1.0),
        ("memory_limit_bytes", 67_108_864.0),
        ("evictions_total", 0.0),
    ] {
        assert_eq!(value(&ran, name), Some(expected), "{name}");
    }
    for (result, expected) in [("hit", 1.0), ("miss", 1.0)] {
        let value = ran.value("upkeep_memcached_gets_total", Some(result));
        assert_eq!(value, Some(expected), "{result}");
    }
    assert!(value(&ran, "connections").unwrap() >= 1.0);
    assert!(value(&ran, "memory_used_bytes").unwrap() > 0.0);
    let ran = once(&server.address, ", metrics: false").await;
    ran.succeeded();
    assert_eq!(value(&ran, "items"), None);
}

#[tokio::test]
async fn a_value_is_written_read_and_deleted() {
    let server = Memcached::start(&[]).await;
    let keys = ", key: upkeep_check";
    once(&server.address, keys).await.succeeded();
    assert_eq!(command(&server.address, "get upkeep_check\r\n").await, "END\r\n");
    let socket = Memcached::on_socket().await;
    once(&socket.address, keys).await.succeeded();
}

#[tokio::test]
async fn tls_is_verified() {
    let authority = Authority::new("authority");
    let identity = authority.issue(&["127.0.0.1"], 2099);
    let files = tempfile::tempdir().unwrap();
    let path = |name: &str| files.path().join(name).display().to_string();
    std::fs::write(path("cert.pem"), &identity.certificate).unwrap();
    std::fs::write(path("key.pem"), &identity.key).unwrap();
    std::fs::write(path("ca.pem"), authority.pem()).unwrap();
    let certificate = format!("ssl_chain_cert={},ssl_key={}", path("cert.pem"), path("key.pem"));
    let server = Memcached::start(&["-Z", "-o", &certificate]).await;
    let trusting = format!(", tls: true, tls_config: {{ ca_file: \"{}\" }}", path("ca.pem"));
    let ran = once(&server.address, &format!("{trusting}, key: upkeep_check")).await;
    assert!(ran.succeeded().not_after().is_some());
    once(&server.address, ", tls: true").await.failed(Reason::Tls, "");
    let ran = once(&server.address, "").await;
    let problem = ran.result.unwrap().unwrap_err();
    assert!(
        matches!(problem.reason, Reason::Closed | Reason::Protocol),
        "{problem}"
    );
}

#[tokio::test]
async fn a_server_that_can_t_store_is_down() {
    // Without evictions, and with the least memory. Items of a size share pages, so these have sizes like the check's value.
    let server = Memcached::start(&["-M", "-m", "2"]).await;
    let commands: String = (0..40_000)
        .map(|index| {
            let value = "x".repeat(20 + index % 40);
            format!("set {index:012} 0 0 {} noreply\r\n{value}\r\n", value.len())
        })
        .collect();
    command(&server.address, &format!("{commands}version\r\n")).await;
    once(&server.address, ", key: upkeep_check").await.failed(
        Reason::Limit,
        "it responded to ms with \"SERVER_ERROR out of memory",
    );
    once(&server.address, "").await.succeeded();
}

#[tokio::test]
async fn connections_near_their_limit_are_a_warning_and_beyond_it_a_failure() {
    let server = Memcached::start(&["-c", "64", "-t", "1"]).await;
    let mut held = Vec::new();
    for _ in 0..40 {
        let mut stream = TcpStream::connect(&server.address).await.unwrap();
        stream.write_all(b"version\r\n").await.unwrap();
        let mut response = [0; 8];
        stream.read_exact(&mut response).await.unwrap();
        held.push(stream);
    }
    let ran = once(&server.address, ", max_connection_share: 0.5").await;
    let warning = ran.succeeded().report.warning.as_ref().unwrap();
    assert_eq!(warning.reason, Reason::Limit, "{warning}");
    assert!(
        warning.message().contains("of 64 connections are open"),
        "{warning}"
    );
    assert_eq!(value(&ran, "connection_ratio_limit"), Some(0.5));
    for _ in 0..40 {
        held.push(TcpStream::connect(&server.address).await.unwrap());
    }
    let ran = once(&server.address, "").await;
    ran.failed(Reason::Limit, "the server has no free connection");
}

#[tokio::test]
async fn each_failure_has_its_reason() {
    let mut server = Memcached::start(&[]).await;
    server.signal(Signal::STOP);
    let ran = run!(
        check(&format!("kind: memcached, address: \"{}\"", server.address)),
        SHORT
    );
    assert_eq!(ran.result, None);
    assert!(
        ran.report.step.ends_with("to version") && ran.report.step.contains("waiting for the response"),
        "{}",
        ran.report.step
    );
    server.kill();
    once(&server.address, "")
        .await
        .failed(Reason::Refused, "Connection refused");

    let login = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(login.path(), "me:secret\n").unwrap();
    let server = Memcached::start(&["-Y", login.path().to_str().unwrap()]).await;
    once(&server.address, "")
        .await
        .failed(Reason::Auth, "the server requires a login");
}

/// Sends these bytes to every client, and closes.
async fn sending(bytes: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 64];
            let _ = tokio::time::timeout(Duration::from_millis(100), stream.read(&mut request)).await;
            let _ = stream.write_all(bytes).await;
        }
    });
    address
}

#[tokio::test]
async fn responses_of_others_are_failures() {
    let endless: &'static [u8] = b"STAT a 1\r\n".repeat(10_000).leak();
    for (bytes, keys, reason, text) in [
        (&b""[..], "", Reason::Closed, "before the response to version"),
        (
            b"VERSION 1.6",
            "",
            Reason::Closed,
            "before the response to version",
        ),
        (
            b"HTTP/1.1 400 Bad Request\r\n\r\n",
            "",
            Reason::Protocol,
            "not the text protocol of memcached",
        ),
        (
            b"-ERR unknown command\n",
            "",
            Reason::Protocol,
            "not the text protocol",
        ),
        (
            b"VERSION 1\r\nSTAT\r\n",
            "",
            Reason::Protocol,
            "it responded to stats with \"STAT\"",
        ),
        (
            b"VERSION 1\r\nSTAT a 1\r\n",
            "",
            Reason::Closed,
            "before the response to stats",
        ),
        (
            b"VERSION 1\r\nERROR\r\n",
            ", metrics: false, key: k",
            Reason::Protocol,
            "does not support meta commands",
        ),
        (
            b"VERSION 1\r\nHD\r\nEN\r\nNF\r\n",
            ", metrics: false, key: k",
            Reason::Assertion,
            "is missing right after it was written",
        ),
        (
            b"VERSION 1\r\nHD\r\nVA 3 x\r\nabc\r\nHD\r\n",
            ", metrics: false, key: k",
            Reason::Assertion,
            "is not the one that was written",
        ),
        (
            b"VERSION 1\r\nHD\r\nVA x\r\n",
            ", metrics: false, key: k",
            Reason::Protocol,
            "it responded to mg with",
        ),
    ] {
        let address = sending(bytes).await;
        once(&address, keys).await.failed(reason, text);
    }
    let with_version: &'static [u8] = [&b"VERSION 1\r\n"[..], endless].concat().leak();
    let address = sending(with_version).await;
    once(&address, "")
        .await
        .failed(Reason::Limit, "it sent more than 65536 bytes");
}
