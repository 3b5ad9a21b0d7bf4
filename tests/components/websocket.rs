//! Tests of the websocket check with a real server and with servers that break the rules.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use upkeep_exporter::model::{Reason, Report};

use crate::common::ran::{LONG, Ran, check};
use crate::common::targets::tls::Authority;
use crate::common::targets::{Target, ok};
use crate::common::websocket::Websocket;

/// Runs a new check with these keys once, like a probe.
async fn within(limit: Duration, keys: &str) -> Ran {
    let mut check = check(&format!("kind: websocket, {keys}"));
    let mut report = Report {
        probe: Some(Vec::new()),
        ..Report::default()
    };
    let started = Instant::now();
    let result = tokio::time::timeout(limit, check.run(&mut report)).await.ok();
    Ran {
        result,
        report,
        took: started.elapsed(),
    }
}

async fn once(url: &str, keys: &str) -> Ran {
    within(LONG, &format!("url: \"{url}\"{keys}")).await
}

/// The value of a probe sample.
fn probed(ran: &Ran, name: &str, label: &str) -> Option<f64> {
    let mut samples = ran.report.probe.as_ref().unwrap().iter();
    let found =
        samples.find(|sample| sample.family.name == name && sample.labels.iter().all(|value| value == label));
    found.map(|sample| sample.value)
}

/// The status, whether the connection was upgraded, and whether a step failed.
fn series(ran: &Ran) -> [f64; 3] {
    let status = probed(ran, "probe_websocket_status_code", "");
    assert_eq!(ran.value("upkeep_websocket_status_code", None), status);
    ["status_code", "connection_upgraded", "failed_due_to_regex"]
        .map(|name| probed(ran, &format!("probe_websocket_{name}"), "").unwrap())
}

/// The phases that have a duration.
fn phases(ran: &Ran) -> Vec<&'static str> {
    let all = ["resolve", "connect", "tls", "processing", "transfer"];
    let has = |phase: &&str| probed(ran, "probe_websocket_duration_seconds", phase).is_some();
    all.into_iter().filter(has).collect()
}

#[tokio::test]
async fn a_dialogue_of_messages_succeeds() {
    let server = Websocket::start(None).await;
    let ws = |path: &str| format!("ws://{}", server.at(path));
    let ran = once(&ws("/"), "").await;
    ran.succeeded();
    assert_eq!(series(&ran), [101.0, 1.0, 0.0]);
    assert_eq!(phases(&ran), ["resolve", "connect", "processing"]);
    let ran = once(
        &ws("/hello"),
        r#", query_response: [{ expect: "(?s)^hello .*client (\\d+)$", send: "I am ${1}" }, { expect: "^I am 17$" }]"#,
    )
    .await;
    ran.succeeded();
    assert_eq!(series(&ran), [101.0, 1.0, 0.0]);
    assert_eq!(phases(&ran), ["resolve", "connect", "processing", "transfer"]);
    for (path, steps) in [
        ("/binary", r#"{ expect: "^.\\x16ok$" }"#),
        ("/pieces", "{ expect: \"^one two three$\" }"),
        ("/ping", "{ expect: \"^pong came$\" }"),
        ("/kind", r#"{ send: "é\n" }, { expect: "^text 'é\\\\n'$" }"#),
        (
            "/kind",
            r#"{ send: !!binary 0hYv }, { expect: "^binary b'\\\\xd2\\\\x16/'$" }"#,
        ),
        ("/query?a=b%2fc", "{ expect: \"^/query[?]a=b%2fc$\" }"),
    ] {
        once(&ws(path), &format!(", query_response: [{steps}]"))
            .await
            .succeeded();
    }
    // The server sees a regular end.
    assert!(!server.log().contains("Error"), "{}", server.log());
}

#[tokio::test]
async fn headers_and_credentials_are_sent() {
    let server = Websocket::start(None).await;
    let ws = |path: &str| format!("ws://{}", server.at(path));
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("key");
    std::fs::write(&file, "from-file\n").unwrap();
    let keys = format!(
        r#", headers: {{ X-Key: {{ files: [{}] }}, Origin: {{ values: ["https://a.example"] }}, Host: {{ values: [b.example] }} }},
        query_response: [{{ expect: "(?is)host: b.example.*user-agent: upkeep_exporter/.*origin: https://a.example.*x-key: from-file" }}]"#,
        file.display()
    );
    once(&ws("/headers"), &keys).await.succeeded();
    let keys = r#", headers: { Sec-WebSocket-Protocol: { values: ["chat, mqtt"] } }, query_response: [{ expect: "^mqtt$" }]"#;
    once(&ws("/protocol"), keys).await.succeeded();
    once(
        &ws("/auth"),
        ", http_config: { basic_auth: { username: me, password: s3cret } }",
    )
    .await
    .succeeded();
    once(&ws("/token"), ", http_config: { bearer_token: abc }")
        .await
        .succeeded();
    let ran = once(
        &ws("/auth"),
        ", http_config: { basic_auth: { username: me, password: other } }",
    )
    .await;
    ran.failed(Reason::Auth, "the status is 401 Unauthorized, expected 101");
    assert_eq!(series(&ran), [401.0, 0.0, 0.0]);
    let ran = once(&ws("/auth"), "").await;
    ran.failed(Reason::Status, "401 Unauthorized");
    let ran = once(&ws("/moved"), "").await;
    ran.failed(Reason::Status, "302 Found");
}

#[tokio::test]
async fn tls_is_verified() {
    let authority = Authority::new("authority");
    let server = Websocket::start(Some(&authority.issue(&["127.0.0.1"], 2099))).await;
    let url = format!("wss://{}", server.at("/hello"));
    let ca = authority.pem().replace('\n', "\\n");
    let keys = format!(
        ", http_config: {{ tls_config: {{ ca: \"{ca}\" }} }}, query_response: [{{ expect: \"^hello\" }}]"
    );
    let ran = once(&url, &keys).await;
    ran.succeeded();
    assert!(ran.not_after().is_some());
    assert!(probed(&ran, "probe_ssl_earliest_cert_expiry", "").is_some());
    let ran = once(&url, "").await;
    ran.failed(Reason::Tls, "");
    assert_eq!(series(&ran), [0.0, 0.0, 0.0]);
    assert_eq!(phases(&ran), ["resolve", "connect", "processing"]);
}

#[tokio::test]
async fn messages_that_are_wrong_fail_the_check() {
    let server = Websocket::start(None).await;
    let ws = |path: &str| format!("ws://{}", server.at(path));
    let ran = once(&ws("/hello"), ", query_response: [{ expect: \"^bye\" }]").await;
    ran.failed(
        Reason::Assertion,
        "query_response[0]: received \"hello prober\\nyou are client 17\", which does not match /^bye/",
    );
    assert_eq!(series(&ran), [101.0, 1.0, 1.0]);
    assert_eq!(phases(&ran), ["resolve", "connect", "processing", "transfer"]);
    let ran = once(&ws("/close"), ", query_response: [{ expect: x }]").await;
    ran.failed(
        Reason::Closed,
        "the server closed the connection; waiting for a message",
    );
    assert_eq!(series(&ran), [101.0, 1.0, 1.0]);
    let ran = once(&ws("/large"), ", query_response: [{ expect: x }]").await;
    ran.failed(Reason::Limit, "it sent a message of more than 1048576 bytes");
    // Long enough for the upgrade on a busy machine.
    let limit = Duration::from_secs(8);
    let ran = within(
        limit,
        &format!("url: \"{}\", query_response: [{{ expect: x }}]", ws("/")),
    )
    .await;
    assert_eq!(ran.result, None);
    let step = "query_response[0]: waiting for a message that matches /x/; received nothing";
    assert_eq!(ran.report.step, step);
    assert_eq!(series(&ran), [101.0, 1.0, 1.0]);
}

/// Answers an upgrade request with these bytes. `KEY` stands for the accepted key.
async fn upgrading(response: &'static [u8], frames: &'static [u8]) -> Target {
    Target::serve(move |mut stream, _, _| async move {
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            request.push(stream.read_u8().await.ok()?);
        }
        let request = String::from_utf8(request).ok()?;
        let key = request
            .lines()
            .find_map(|line| line.strip_prefix("sec-websocket-key: "))?;
        let response = String::from_utf8_lossy(response).replace("KEY", &derive_accept_key(key.as_bytes()));
        stream
            .write_all(&[response.as_bytes(), frames].concat())
            .await
            .ok()?;
        stream.shutdown().await.ok()?;
        Some(stream)
    })
    .await
}

#[tokio::test]
async fn servers_that_break_the_rules_have_a_reason() {
    const SWITCH: &[u8] =
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                            Sec-WebSocket-Accept: KEY\r\n\r\n";
    let steps = ", query_response: [{ expect: ^fine$ }]";
    for (frames, expected) in [
        // In the same packet as the response, and in two frames.
        (&b"\x81\x04fine"[..], None),
        (b"\x01\x02fi\x80\x02ne", None),
        (b"", Some((Reason::Closed, "closed the connection"))),
        (b"\x88\x00", Some((Reason::Closed, "closed the connection"))),
        (b"\x81\x04fi", Some((Reason::Closed, "closed the connection"))),
        // Masked, with a reserved bit, with an unknown code, and not UTF-8.
        (b"\x81\x84\0\0\0\0fine", Some((Reason::Protocol, "masked"))),
        (b"\xc1\x04fine", Some((Reason::Protocol, "eserved"))),
        (b"\x83\x04fine", Some((Reason::Protocol, "opcode"))),
        (b"\x81\x02\xff\xfe", Some((Reason::Protocol, "UTF-8"))),
        // 2^40 bytes are announced.
        (
            b"\x81\x7f\0\0\x01\0\0\0\0\0fine",
            Some((Reason::Limit, "more than 1048576 bytes")),
        ),
    ] {
        let target = upgrading(SWITCH, frames).await;
        let ran = once(&target.url("/").replace("http", "ws"), steps).await;
        match expected {
            None => drop(ran.succeeded()),
            Some((reason, part)) => drop(ran.failed(reason, part)),
        }
        assert_eq!(series(&ran)[..2], [101.0, 1.0], "{frames:?}");
    }
    for (response, reason, part, status) in [
        (
            &b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"[..],
            Reason::Status,
            "200 OK",
            200.0,
        ),
        (
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
              Sec-WebSocket-Accept: AAAA\r\n\r\n",
            Reason::Protocol,
            "Sec-WebSocket-Accept does not match",
            101.0,
        ),
        (
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: KEY\r\n\r\n",
            Reason::Protocol,
            "no header upgrade",
            101.0,
        ),
        (
            b"SSH-2.0-OpenSSH_9.2\r\n",
            Reason::Protocol,
            "not valid HTTP",
            0.0,
        ),
        (b"", Reason::Closed, "closed the connection", 0.0),
    ] {
        let target = upgrading(response, b"").await;
        let ran = once(&target.url("/").replace("http", "ws"), steps).await;
        ran.failed(reason, part);
        assert_eq!(series(&ran), [status, 0.0, 0.0], "{response:?}");
    }
    let target = Target::answering(ok("fine")).await;
    let ran = once(&target.url("/").replace("http", "ws"), "").await;
    ran.failed(Reason::Status, "200 OK");
    let refusing = Target::refusing().await;
    let ran = once(&format!("ws://{refusing}/"), "").await;
    ran.failed(Reason::Refused, "");
    assert_eq!(phases(&ran), ["resolve", "processing"]);
    let ran = once("ws://nonexistent.invalid/", "").await;
    ran.failed(Reason::Dns, "");
    assert_eq!(phases(&ran), [""; 0]);
}
