//! Servers that are not PostgreSQL, or stop responding properly.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::common::targets::{Target, ok};

/// A login without a password, up to the point where statements are accepted.
const WELCOME: &[u8] = b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I";

fn url(target: &Target, mode: &str) -> String {
    format!("postgres://app:app-hunter2@{}/app?sslmode={mode}", target.address)
}

/// Answers the first message with `first`, and then sends `endless` repeatedly.
async fn answering(first: &'static [u8], endless: &'static [u8]) -> Target {
    Target::serve(move |mut stream, _, _| async move {
        let _ = stream.read(&mut [0; 4096]).await;
        let _ = stream.write_all(first).await;
        if !endless.is_empty() {
            if first.ends_with(b"I") {
                let _ = stream.read(&mut [0; 4096]).await;
            }
            while stream.write_all(&endless.repeat(1000)).await.is_ok() {}
        }
        Some(stream)
    })
    .await
}

#[tokio::test]
async fn servers_that_are_not_postgres() {
    let http = Target::answering(ok("hello")).await;
    let garbage = answering(&[0xff; 600], b"").await;
    // A length of 2 GB without data.
    let huge = answering(b"R\x7f\xff\xff\xff", b"").await;
    let short = answering(b"R\0\0\0\x01", b"").await;
    let early = answering(b"Z\0\0\0\x05I", b"").await;
    let text = "not a valid PostgreSQL response";
    for target in [&garbage, &huge, &short, &early] {
        for mode in ["disable", "prefer", "require"] {
            let ran = once(&url(target, mode), "").await;
            ran.failed(Reason::Protocol, text).without_response();
            hides(&ran, "hunter2");
            target.freed().await;
        }
    }
    drop(http);
    let confused = answering(b"R\0\0\0\x08\0\0\0\0D\0\0\0\x06\0\0", b"").await;
    once(&url(&confused, "disable"), "")
        .await
        .failed(Reason::Protocol, text);
    let kerberos = answering(b"R\0\0\0\x08\0\0\0\x07", b"").await;
    once(&url(&kerberos, "disable"), "").await.failed(
        Reason::Auth,
        "unsupported authentication method: enable password authentication on the server",
    );
    let error = answering(b"E", b"").await;
    once(&url(&error, "prefer"), "")
        .await
        .failed(Reason::Status, "the server responds with an error");
}

#[tokio::test]
async fn servers_that_refuse_close_or_hang() {
    let address = Target::refusing().await;
    once(&format!("postgres://app@{address}/app"), "").await.failed(
        Reason::Refused,
        &format!("connecting to {address}: Connection refused"),
    );
    once("postgres://app@name.invalid/app", "")
        .await
        .failed(Reason::Dns, "resolving name.invalid");
    for reset in [false, true] {
        let closing = Target::closing(reset).await;
        once(&url(&closing, "prefer"), "")
            .await
            .failed(Reason::Closed, "requesting TLS from 127.0.0.1");
        once(&url(&closing, "disable"), "")
            .await
            .failed(Reason::Closed, "logging in");
        closing.freed().await;
    }
    let silent = Target::silent().await;
    run!(postgres(&url(&silent, "prefer"), ""), SHORT).hung("waiting for 127.0.0.1:");
    run!(postgres(&url(&silent, "disable"), ""), SHORT).hung("logging in to postgres://127.0.0.1:");
    silent.freed().await;
    let welcoming = answering(WELCOME, b"").await;
    run!(postgres(&url(&welcoming, "disable"), ""), SHORT).hung("waiting for the response to SELECT 1");
    welcoming.freed().await;
    let full = Target::full().await;
    run!(postgres(&url(&full, "prefer"), ""), SHORT).hung("connecting to 127.0.0.1:");
    let cut = Target::serve(|mut stream, _, _| async move {
        let _ = stream.read(&mut [0; 4096]).await;
        let _ = stream.write_all(b"R\0\0\0\x08\0\0").await;
        let _ = stream.shutdown().await;
        Some(stream)
    })
    .await;
    once(&url(&cut, "disable"), "")
        .await
        .failed(Reason::Closed, "in the middle of a message");
    cut.freed().await;
}

#[tokio::test]
async fn endless_responses_end_at_the_limit() {
    // Session parameters, notices, and rows without an end.
    let parameter = b"S\0\0\0\x08a\0b\0";
    let notice = b"N\0\0\0\x15SINFO\0C00000\0Mx\0\0";
    for (first, endless) in [
        (&b"R\0\0\0\x08\0\0\0\0"[..], &parameter[..]),
        (WELCOME, &parameter[..]),
        (WELCOME, &notice[..]),
    ] {
        let target = answering(first, endless).await;
        let ran = once(&url(&target, "disable"), "").await;
        ran.failed(Reason::Limit, "it sent more than 262144 bytes");
        target.freed().await;
    }
    let malformed = answering(WELCOME, b"N\0\0\0\x08SINF").await;
    once(&url(&malformed, "disable"), "")
        .await
        .failed(Reason::Protocol, "not a valid PostgreSQL response");
    malformed.freed().await;
}
