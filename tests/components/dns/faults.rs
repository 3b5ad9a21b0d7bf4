//! Name servers that are stopped, silent, or use another protocol.

use rustix::process::Signal;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use upkeep_exporter::model::Reason;

use super::once;
use crate::common::knot::Knot;
use crate::common::ran::{SHORT, check, run};
use crate::common::targets::Target;

const NAME: &str = "query_name: example.org, query_type: SOA";
const TCP: &str = "query_name: example.org, query_type: SOA, transport_protocol: tcp";

/// Runs a check of this server and cancels it after a short time.
macro_rules! cut_off {
    ($server:expr, $keys:expr) => {
        run!(
            check(&format!("kind: dns, server: \"{}\", {}", $server, $keys)),
            SHORT
        )
    };
}

#[tokio::test]
async fn a_stopped_server_times_out_and_an_ended_one_refuses() {
    let mut knot = Knot::start().await;
    knot.signal(Signal::STOP);
    let waiting = format!("waiting for the response of {}", knot.address);
    for keys in [NAME, TCP] {
        cut_off!(knot.address, keys).hung(&waiting);
    }
    knot.signal(Signal::CONT);
    for keys in [NAME, TCP] {
        once(knot.address, keys).await.succeeded();
    }
    knot.kill();
    once(knot.address, NAME)
        .await
        .failed(Reason::Refused, "over UDP: Connection refused")
        .without_response();
    once(knot.address, TCP)
        .await
        .failed(Reason::Refused, "Connection refused")
        .without_response();
}

/// A server that reads a query over a connection, sends the result of `answer`, and closes its side.
async fn answering(answer: fn(Vec<u8>) -> Vec<u8>) -> Target {
    Target::serve(move |mut stream, _, _| async move {
        let mut question = vec![0; usize::from(stream.read_u16().await.ok()?)];
        stream.read_exact(&mut question).await.ok()?;
        stream.write_all(&answer(question)).await.ok()?;
        stream.shutdown().await.ok()?;
        Some(stream)
    })
    .await
}

#[tokio::test]
async fn over_a_connection_any_other_message_is_a_failure() {
    let silent = Target::silent().await;
    cut_off!(silent.address, TCP).hung("waiting for the response of 127.0.0.1");
    silent.freed().await;
    for reset in [false, true] {
        let closing = Target::closing(reset).await;
        once(closing.address, TCP)
            .await
            .failed(Reason::Closed, "querying 127.0.0.1")
            .without_response();
        closing.freed().await;
    }
    let short = answering(|_| vec![0, 3, 1, 2, 3]).await;
    once(short.address, TCP).await.failed(
        Reason::Protocol,
        "the response is not a DNS message: it has only 3 bytes",
    );
    let incomplete = answering(|_| vec![1, 0, 1, 2, 3]).await;
    once(incomplete.address, TCP).await.failed(
        Reason::Closed,
        "it closed the connection before the response was complete",
    );
    let garbage = answering(|_| [&[0, 200][..], &[0xff; 200]].concat()).await;
    once(garbage.address, TCP)
        .await
        .failed(Reason::Protocol, "not a DNS message");
    let other = answering(|mut question| {
        // Another id, in an otherwise valid response.
        question[0] ^= 1;
        question[2] |= 0x80;
        let length = u16::try_from(question.len()).unwrap().to_be_bytes();
        [&length[..], &question].concat()
    })
    .await;
    once(other.address, TCP)
        .await
        .failed(Reason::Protocol, "the response does not match the query");
    other.freed().await;
}

#[tokio::test]
async fn unusable_source_addresses_are_reported() {
    for keys in [NAME, TCP] {
        once("127.0.0.1", &format!("{keys}, source_ip_address: 192.0.2.1"))
            .await
            .failed(
                Reason::Unreachable,
                "source_ip_address 192.0.2.1 is not an address of this machine",
            );
        once("127.0.0.1", &format!("{keys}, source_ip_address: \"::1\""))
            .await
            .failed(Reason::Dns, "127.0.0.1 has no IPv6 address");
    }
}

#[tokio::test]
async fn a_cancelled_run_closes_its_socket() {
    let silent = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().unwrap();
    let clients = |address: std::net::SocketAddr| {
        let peer = format!("0100007F:{:04X} ", address.port());
        let sockets = std::fs::read_to_string("/proc/self/net/udp").unwrap();
        let remote = |line: &&str| {
            line.split_whitespace()
                .nth(2)
                .is_some_and(|part| part == peer.trim_end())
        };
        sockets.lines().filter(remote).count()
    };
    let mut asking = check(&format!("kind: dns, server: \"{address}\", {NAME}"));
    let mut report = upkeep_exporter::model::Report::default();
    let mut running = Box::pin(asking.run(&mut report));
    assert!(tokio::time::timeout(SHORT, &mut running).await.is_err());
    assert_eq!(clients(address), 1);
    drop(running);
    assert_eq!(clients(address), 0);
}
