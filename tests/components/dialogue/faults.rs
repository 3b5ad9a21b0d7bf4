//! With servers that hang, close, flood and lie.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixSocket;
use upkeep_exporter::model::Reason;

use super::{failed_due_to, once, shortly, told};
use crate::common::targets::Target;
use crate::common::targets::tls::{acceptor, self_signed};

/// A server that sends this at once, and then waits until the client closes.
async fn greeting(text: &'static [u8]) -> Target {
    Target::serve(move |mut stream, _, _| async move {
        let _ = stream.write_all(text).await;
        Some(stream)
    })
    .await
}

fn asking(target: &Target, steps: &str) -> String {
    format!(
        "kind: tcp, address: \"{}\", query_response: [{steps}]",
        target.address
    )
}

#[tokio::test]
async fn one_that_asks_is_answered_with_what_it_said() {
    let target = Target::serve(|mut stream, _, state| async move {
        let mut said = vec![0; 32];
        let count = stream.read(&mut said).await.unwrap();
        state.record(&said[..count]);
        let _ = stream
            .write_all(b":irc NOTICE * :hello\r\nPING :a1b2$1\r\n")
            .await;
        let count = stream.read(&mut said).await.unwrap();
        state.record(&said[..count]);
        let _ = stream.write_all(b":irc 001 prober\r\n").await;
        Some(stream)
    })
    .await;
    let steps =
        "{ send: NICK prober }, { expect: 'PING :([^ ]+)', send: 'PONG ${1} $$' }, { expect: '^:[^ ]+ 001' }";
    once(&asking(&target, steps)).await.succeeded();
    assert_eq!(target.received(), ["NICK prober\n", "PONG a1b2$1 $\n"]);
    target.freed().await;
}

#[tokio::test]
async fn one_that_hangs_is_told_with_what_it_said_before() {
    let target = greeting(b"554 hunter2 go away\r\n55").await;
    let steps = "{ expect: '^220', send: hunter2 }";
    let ran = shortly(&asking(&target, steps)).await;
    ran.hung(
        "query_response[0]: waiting for a line that matches /^220/; one line came: \"554 <sent> go away\"",
    );
    assert_eq!(failed_due_to(&ran), (0.0, 0.0));
    target.freed().await;
    let silent = Target::silent().await;
    let ran = shortly(&asking(&silent, steps)).await;
    ran.hung("query_response[0]: waiting for a line that matches /^220/; nothing came");
    silent.freed().await;
    let ran = shortly(&asking(&silent, "{ starttls: true }")).await;
    ran.hung("in the TLS handshake with 127.0.0.1:");
    silent.freed().await;
}

#[tokio::test]
async fn one_that_closes_is_told_apart_from_one_that_says_other_things() {
    let closing = Target::closing(false).await;
    let ran = once(&asking(&closing, "{ send: a }, { expect: b }")).await;
    ran.failed(
        Reason::Closed,
        "query_response[1]: it closed the connection; waiting for a line that matches /b/",
    )
    .unanswered();
    assert_eq!(failed_due_to(&ran), (1.0, 0.0));
    let resetting = Target::closing(true).await;
    let ran = once(&asking(&resetting, "{ send: a }, { expect: b }")).await;
    ran.failed(
        Reason::Closed,
        "query_response[1]: waiting for a line that matches /b/: Connection reset",
    );
    let target = Target::answering("c\r\nd").await;
    let ran = once(&asking(&target, "{ send: \"\\r\\n\\r\" }, { expect: b }")).await;
    ran.failed(
        Reason::Assertion,
        "no line matched /b/ before it closed the connection: 2 lines came, the last was \"d\"",
    );
    assert_eq!(failed_due_to(&ran), (1.0, 0.0));
}

#[tokio::test]
async fn what_comes_is_bounded() {
    for (text, told) in [
        (
            &b"garbage \xff\xfe\0 "[..],
            "it sent a line of more than 65536 bytes that begins with \"garbage \u{fffd}",
        ),
        (b"\n", "it sent more than 10000 lines"),
        (&[b'x'; 4000], "it sent a line of more than 65536 bytes"),
    ] {
        let target = Target::serve(move |mut stream, _, _| async move {
            while stream.write_all(text).await.is_ok() {}
            None
        })
        .await;
        let ran = once(&asking(&target, "{ expect: '^220' }")).await;
        ran.failed(Reason::Limit, told).unanswered();
        target.freed().await;
    }
    let lines = Target::serve(|mut stream, _, _| async move {
        let line = [&[b'x'; 5000][..], b"\r\n"].concat();
        while stream.write_all(&line).await.is_ok() {}
        None
    })
    .await;
    let ran = once(&asking(&lines, "{ expect: '^220' }")).await;
    ran.failed(Reason::Limit, "it sent more than 1048576 bytes");
    lines.freed().await;
}

#[tokio::test]
async fn what_was_in_the_clear_does_not_count_over_tls() {
    let acceptor = acceptor(&self_signed(&["127.0.0.1"]), &[], None);
    let target = Target::serve(move |mut stream, _, _| {
        let acceptor = acceptor.clone();
        async move {
            let _ = stream.write_all(b"220 go ahead\r\n250 injected\r\n").await;
            let mut stream = acceptor.accept(stream).await.ok()?;
            // Says nothing, and reads until the client closes.
            let _ = stream.read(&mut [0; 16]).await;
            None
        }
    })
    .await;
    let steps = "{ expect: '^220', starttls: true }, { expect: '^250' }";
    let keys = format!(
        "{}, tls_config: {{ insecure_skip_verify: true }}",
        asking(&target, steps)
    );
    let ran = shortly(&keys).await;
    ran.hung("query_response[1]: waiting for a line that matches /^250/; nothing came");
    let note = "14 bytes that came before TLS are left aside".to_owned();
    assert!(told(&ran).contains(&note), "{:?}", told(&ran));
    target.freed().await;
}

#[tokio::test]
async fn a_connection_comes_from_the_address_that_is_given() {
    let target = Target::serve(|mut stream, _, _| async move {
        let from = stream.peer_addr().unwrap().ip();
        let _ = stream.write_all(format!("{from}\n").as_bytes()).await;
        Some(stream)
    })
    .await;
    for source in ["127.0.0.2", "127.0.0.3"] {
        let keys = asking(&target, &format!("{{ expect: '^{source}$' }}"));
        once(&format!("{keys}, source_ip_address: {source}"))
            .await
            .succeeded();
    }
    let keys = asking(&target, "");
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
async fn sockets_that_are_missing_deaf_or_full_are_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("app.sock");
    let keys = format!("kind: unix, path: {}", path.display());
    let ran = once(&keys).await;
    ran.failed(Reason::Unreachable, "app.sock: No such file or directory")
        .unanswered();
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
    ran.hung("query_response[0]: waiting for a line that matches /x/; nothing came");
    // The queue, which has one place, still has the connection of the run that ended.
    shortly(&waiting).await.hung("connecting to /");
    drop(listener);
}
