//! Dialogues with servers that hang, close, flood or send wrong data.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixSocket;
use upkeep_exporter::model::Reason;

use super::{debug_log, failed_due_to, once, shortly};
use crate::common::targets::Target;
use crate::common::targets::tls::{acceptor, self_signed};

/// A server that sends this text at once, and then waits until the client closes.
async fn greeting(text: &'static [u8]) -> Target {
    Target::serve(move |mut stream, _, _| async move {
        let _ = stream.write_all(text).await;
        Some(stream)
    })
    .await
}

fn keys_for(target: &Target, steps: &str) -> String {
    format!(
        "kind: tcp, address: \"{}\", query_response: [{steps}]",
        target.address
    )
}

#[tokio::test]
async fn groups_of_a_line_are_sent_back() {
    let target = Target::serve(|mut stream, _, state| async move {
        let mut line = vec![0; 32];
        let count = stream.read(&mut line).await.unwrap();
        state.record(&line[..count]);
        let _ = stream
            .write_all(b":irc NOTICE * :hello\r\nPING :a1b2$1\r\n")
            .await;
        let count = stream.read(&mut line).await.unwrap();
        state.record(&line[..count]);
        let _ = stream.write_all(b":irc 001 prober\r\n").await;
        Some(stream)
    })
    .await;
    let steps =
        "{ send: NICK prober }, { expect: 'PING :([^ ]+)', send: 'PONG ${1} $$' }, { expect: '^:[^ ]+ 001' }";
    once(&keys_for(&target, steps)).await.succeeded();
    assert_eq!(target.received(), ["NICK prober\n", "PONG a1b2$1 $\n"]);
    target.freed().await;
}

#[tokio::test]
async fn a_timeout_reports_what_was_received() {
    let target = greeting(b"554 hunter2 go away\r\n55").await;
    let steps = "{ expect: '^220', send: hunter2 }";
    let ran = shortly(&keys_for(&target, steps)).await;
    ran.hung(
        "query_response[0]: waiting for a line that matches /^220/; received one line: \"554 <sent> go away\"",
    );
    assert_eq!(failed_due_to(&ran), (0.0, 0.0));
    target.freed().await;
    let silent = Target::silent().await;
    let ran = shortly(&keys_for(&silent, steps)).await;
    ran.hung("query_response[0]: waiting for a line that matches /^220/; received nothing");
    silent.freed().await;
    let ran = shortly(&keys_for(&silent, "{ starttls: true }")).await;
    ran.hung("in the TLS handshake with 127.0.0.1:");
    silent.freed().await;
}

#[tokio::test]
async fn closing_resetting_and_wrong_servers_are_distinguished() {
    let closing = Target::closing(false).await;
    let ran = once(&keys_for(&closing, "{ send: a }, { expect: b }")).await;
    ran.failed(
        Reason::Closed,
        "query_response[1]: the server closed the connection; waiting for a line that matches /b/",
    )
    .without_response();
    assert_eq!(failed_due_to(&ran), (1.0, 0.0));
    let resetting = Target::closing(true).await;
    let ran = once(&keys_for(&resetting, "{ send: a }, { expect: b }")).await;
    ran.failed(
        Reason::Closed,
        "query_response[1]: waiting for a line that matches /b/: Connection reset",
    );
    let target = Target::answering("c\r\nd").await;
    let ran = once(&keys_for(&target, "{ send: \"\\r\\n\\r\" }, { expect: b }")).await;
    ran.failed(
        Reason::Assertion,
        "no line matched /b/ before the server closed the connection: received 2 lines, the last was \"d\"",
    );
    assert_eq!(failed_due_to(&ran), (1.0, 0.0));
}

#[tokio::test]
async fn received_data_is_bounded() {
    for (text, expected) in [
        (
            &b"garbage \xff\xfe\0 "[..],
            "the server sent a line of more than 65536 bytes that begins with \"garbage \u{fffd}",
        ),
        (b"\n", "the server sent more than 10000 lines"),
        (&[b'x'; 4000], "the server sent a line of more than 65536 bytes"),
    ] {
        let target = Target::serve(move |mut stream, _, _| async move {
            while stream.write_all(text).await.is_ok() {}
            None
        })
        .await;
        let ran = once(&keys_for(&target, "{ expect: '^220' }")).await;
        ran.failed(Reason::Limit, expected).without_response();
        target.freed().await;
    }
    let lines = Target::serve(|mut stream, _, _| async move {
        let line = [&[b'x'; 5000][..], b"\r\n"].concat();
        while stream.write_all(&line).await.is_ok() {}
        None
    })
    .await;
    let ran = once(&keys_for(&lines, "{ expect: '^220' }")).await;
    ran.failed(Reason::Limit, "it sent more than 1048576 bytes");
    lines.freed().await;
}

#[tokio::test]
async fn input_before_tls_is_discarded() {
    let acceptor = acceptor(&self_signed(&["127.0.0.1"]), &[], None);
    let target = Target::serve(move |mut stream, _, _| {
        let acceptor = acceptor.clone();
        async move {
            let _ = stream.write_all(b"220 go ahead\r\n250 injected\r\n").await;
            let mut stream = acceptor.accept(stream).await.ok()?;
            // Sends nothing, and reads until the client closes.
            let _ = stream.read(&mut [0; 16]).await;
            None
        }
    })
    .await;
    let steps = "{ expect: '^220', starttls: true }, { expect: '^250' }";
    let keys = format!(
        "{}, tls_config: {{ insecure_skip_verify: true }}",
        keys_for(&target, steps)
    );
    let ran = shortly(&keys).await;
    ran.hung("query_response[1]: waiting for a line that matches /^250/; received nothing");
    let line = "discarding 14 bytes received before TLS".to_owned();
    assert!(debug_log(&ran).contains(&line), "{:?}", debug_log(&ran));
    target.freed().await;
}

#[tokio::test]
async fn a_connection_uses_the_configured_source_address() {
    let target = Target::serve(|mut stream, _, _| async move {
        let from = stream.peer_addr().unwrap().ip();
        let _ = stream.write_all(format!("{from}\n").as_bytes()).await;
        Some(stream)
    })
    .await;
    for source in ["127.0.0.2", "127.0.0.3"] {
        let keys = keys_for(&target, &format!("{{ expect: '^{source}$' }}"));
        once(&format!("{keys}, source_ip_address: {source}"))
            .await
            .succeeded();
    }
    let keys = keys_for(&target, "");
    once(&format!("{keys}, source_ip_address: 192.0.2.1"))
        .await
        .failed(
            Reason::Unreachable,
            "source_ip_address 192.0.2.1 is not an address of this machine",
        );
    once(&format!("{keys}, source_ip_address: \"::1\"")).await.failed(
        Reason::Unreachable,
        "has no address that ::1 (source_ip_address) can reach",
    );
    let refusing = Target::refusing().await;
    once(&format!(
        "kind: tcp, address: \"{refusing}\", source_ip_address: 127.0.0.2"
    ))
    .await
    .failed(Reason::Refused, "Connection refused");
}

#[tokio::test]
async fn missing_refusing_and_full_sockets_are_distinguished() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("app.sock");
    let keys = format!("kind: unix, path: {}", path.display());
    let ran = once(&keys).await;
    ran.failed(Reason::Unreachable, "app.sock: No such file or directory")
        .without_response();
    assert_eq!(failed_due_to(&ran), (0.0, 0.0));
    let socket = UnixSocket::new_stream().unwrap();
    socket.bind(&path).unwrap();
    once(&keys)
        .await
        .failed(Reason::Refused, "app.sock: Connection refused");
    let socket = UnixSocket::new_stream().unwrap();
    let full = dir.path().join("full.sock");
    socket.bind(&full).unwrap();
    let listener = socket.listen(0).unwrap();
    let keys = format!("kind: unix, path: {}", full.display());
    let waiting = format!("{keys}, query_response: [{{ expect: x }}]");
    let ran = shortly(&waiting).await;
    ran.hung("query_response[0]: waiting for a line that matches /x/; received nothing");
    // The listen queue has one slot, which the connection of the previous run still occupies.
    shortly(&waiting).await.hung("connecting to /");
    drop(listener);
}
