//! Grpc checks with servers that are not gRPC, hang, or send malformed responses.

use std::convert::Infallible;
use std::future::pending;

use bytes::Bytes;
use futures_util::stream;
use http_body_util::StreamBody;
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::AsyncWriteExt;
use upkeep_exporter::model::Reason;

use super::{code, once, probed, shortly, trusting};
use crate::common::targets::http2::{
    DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, RESET, STATUS_200, Script, field, frame, serve_each,
};
use crate::common::targets::tls::{Authority, serve};
use crate::common::targets::{Target, ok};

/// A plain HTTP/2 server that responds with this body and gRPC status. Without a status, it never responds.
async fn responding(body: &'static [u8], status: Option<&'static str>) -> Target {
    Target::serve(move |stream, _, state| async move {
        let service = service_fn(move |request: Request<Incoming>| {
            let received = format!("{} {} {:?}", request.method(), request.uri(), request.headers());
            state.record(received.as_bytes());
            async move {
                let Some(status) = status else { pending().await };
                let trailers =
                    HeaderMap::from_iter([("grpc-status".parse().unwrap(), status.parse().unwrap())]);
                let frames = [Frame::data(Bytes::from_static(body)), Frame::trailers(trailers)];
                let frames = frames.map(Ok::<_, Infallible>);
                let response = Response::builder()
                    .header("content-type", "application/grpc")
                    .body(StreamBody::new(stream::iter(frames)));
                Ok::<_, Infallible>(response.unwrap())
            }
        });
        // The client may end the connection in any way.
        let _ = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
            .serve_connection(TokioIo::new(stream), service)
            .await;
        None
    })
    .await
}

fn at(target: &Target) -> String {
    format!("address: \"{}\"", target.address)
}

#[tokio::test]
async fn other_servers_are_a_protocol_failure() {
    let http1 = Target::answering(ok("hello")).await;
    let ran = once(&at(&http1)).await;
    ran.failed(Reason::Protocol, "(is it a gRPC port?)")
        .without_response();
    assert_eq!(
        (code(&ran), probed(&ran, "probe_grpc_status_code", "")),
        (None, 14.0)
    );
    http1.freed().await;
    let garbage = Target::answering(vec![0xff; 5000]).await;
    let ran = once(&at(&garbage)).await;
    assert!(
        matches!(&ran.result, Some(Err(problem)) if problem.reason == Reason::Protocol || problem.reason == Reason::Limit),
        "{:?}",
        ran.result
    );
    garbage.freed().await;
    let authority = Authority::new("authority");
    let identity = authority.issue(&["127.0.0.1"], 2099);
    let web = serve(&identity, &["h2"], None).await;
    let ran = once(&format!("{}, {}", at(&web), trusting(&authority))).await;
    ran.failed(
        Reason::Protocol,
        "the server responds with HTTP/2, but not gRPC: there is no content type",
    );
    web.freed().await;
    let old = serve(&identity, &[], None).await;
    let ran = once(&format!("{}, {}", at(&old), trusting(&authority))).await;
    ran.failed(
        Reason::Protocol,
        "the server does not offer HTTP/2 (ALPN h2), which gRPC needs",
    );
    old.freed().await;
    let old = serve(&identity, &["http/1.1"], None).await;
    let ran = once(&format!("{}, {}", at(&old), trusting(&authority))).await;
    ran.failed(Reason::Tls, "TLS handshake with");
    old.freed().await;
}

#[tokio::test]
async fn responses_are_bounded_and_validated() {
    let target = responding(b"\0\0\0\0\x02\x08\x01", Some("0")).await;
    once(&at(&target)).await.succeeded();
    let received = target.received().concat();
    for part in [
        "POST http://127.0.0.1:",
        "/grpc.health.v1.Health/Check",
        "\"content-type\": \"application/grpc\"",
        "\"te\": \"trailers\"",
    ] {
        assert!(received.contains(part), "{part}: {received}");
    }
    target.freed().await;
    for (body, reason, text) in [
        (
            &b"\0\0"[..],
            Reason::Protocol,
            "the response ends with 2 bytes, which are not a message",
        ),
        (b"\x01\0\0\0\0", Reason::Protocol, "the response is compressed"),
        (
            b"\0\0\0\0\x01\x08",
            Reason::Protocol,
            "the response is not a HealthCheckResponse",
        ),
        (&[0; 5000], Reason::Limit, "the response has more than 4096 bytes"),
    ] {
        let target = responding(body, Some("0")).await;
        once(&at(&target)).await.failed(reason, text);
        target.freed().await;
    }
}

#[tokio::test]
async fn servers_that_hang_or_flood_are_disconnected() {
    let authority = Authority::new("authority");
    for (target, step) in [
        (responding(b"", None).await, "requesting the health of the server"),
        (Target::silent().await, "requesting the health of the server"),
    ] {
        let ran = shortly(&at(&target)).await;
        ran.hung(step);
        assert_eq!(probed(&ran, "probe_grpc_status_code", ""), 4.0);
        target.freed().await;
    }
    let silent = Target::silent().await;
    let ran = shortly(&format!("{}, {}", at(&silent), trusting(&authority))).await;
    ran.hung("in the TLS handshake with 127.0.0.1:");
    silent.freed().await;
    let closing = Target::closing(false).await;
    once(&at(&closing))
        .await
        .failed(Reason::Closed, ", waiting for the response: ")
        .without_response();
    let refusing = Target::refusing().await;
    let ran = once(&format!("address: \"{refusing}\"")).await;
    ran.failed(Reason::Refused, "Connection refused");
    assert_eq!(probed(&ran, "probe_grpc_status_code", ""), 14.0);
    // Sends settings and then endless pings: frames of type 6 with eight bytes (RFC 9113, section 6.7).
    let flooding = Target::serve(|mut stream, _, _| async move {
        let _ = stream.write_all(b"\0\0\0\x04\0\0\0\0\0").await;
        let ping = b"\0\0\x08\x06\0\0\0\0\0abcdefgh";
        let (mut reading, mut writing) = stream.split();
        let drain = async {
            let _ = tokio::io::copy(&mut reading, &mut tokio::io::sink()).await;
        };
        let flood = async { while writing.write_all(&ping.repeat(1000)).await.is_ok() {} };
        tokio::join!(drain, flood);
        None
    })
    .await;
    let ran = once(&at(&flooding)).await;
    assert!(matches!(ran.result, Some(Err(_))), "{}", ran.report.step);
    flooding.freed().await;
}

#[tokio::test]
async fn a_call_that_was_not_processed_is_retried_once() {
    let head = [vec![STATUS_200], field("content-type", "application/grpc")].concat();
    let serving = [
        frame(HEADERS, END_HEADERS, 1, &head),
        frame(DATA, 0, 1, b"\0\0\0\0\x02\x08\x01"),
        frame(HEADERS, END_HEADERS | END_STREAM, 1, &field("grpc-status", "0")),
    ];
    let script = |answer: Vec<u8>| Script {
        answer,
        is_closing: true,
        ..Script::default()
    };
    let goaway = |last: u8| frame(GOAWAY, 0, 0, &[0, 0, 0, last, 0, 0, 0, 0]);
    let refused = frame(RESET, 0, 1, &[0, 0, 0, 7]);
    for (answer, is_retried) in [(goaway(0), true), (refused, true), (goaway(1), false)] {
        let target = serve_each(None, vec![script(answer), script(serving.concat())]).await;
        let ran = once(&at(&target)).await;
        assert_eq!(ran.result == Some(Ok(())), is_retried, "{:?}", ran.result);
        assert_eq!(target.accepted(), if is_retried { 2 } else { 1 });
        target.freed().await;
    }
}
