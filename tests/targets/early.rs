//! Responses that arrive before the request was read or sent. Health scripts behind xinetd, socat or nc respond as soon as a
//! client connects, and then close the connection.

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::*;

/// How often every case is tried, because such faults occur only sometimes.
const TRIES: usize = 40;

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok";

/// How a server that does not read ends the connection.
#[derive(Clone, Copy, Debug)]
enum End {
    /// It closes its side first, and the other side later.
    HalfClosed,
    /// It closes both sides, so that later data causes a reset.
    Closed,
    /// It resets the connection when the request begins to arrive.
    Reset,
}

async fn end(mut stream: TcpStream, end: End) -> Option<TcpStream> {
    match end {
        End::HalfClosed => {
            let _ = stream.shutdown().await;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        End::Closed => {}
        End::Reset => {
            // Before the request arrives, the client may not know yet that it is connected.
            let _ = stream.peek(&mut [0]).await;
            stream.set_zero_linger().unwrap();
        }
    }
    None
}

/// A server that responds after a pause without reading anything.
async fn without_reading(pause: Duration, ending: End) -> Target {
    Target::serve(move |mut stream, _, _| async move {
        tokio::time::sleep(pause).await;
        let _ = stream.write_all(ANSWER).await;
        end(stream, ending).await
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_response_before_the_request_counts_every_time() {
    for ending in [End::HalfClosed, End::Closed, End::Reset] {
        for pause in [Duration::ZERO, Duration::from_millis(5)] {
            let target = without_reading(pause, ending).await;
            for number in 0..TRIES {
                let ran = get(target.url("/")).await;
                assert_eq!(
                    ran.result,
                    Some(Ok(())),
                    "{ending:?} after {pause:?}, run {number}"
                );
                assert_eq!(ran.status(), Some(200.0));
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_response_before_the_request_was_sent_completely_counts() {
    // Larger than the system's buffers, so that sending it fails or blocks.
    let body = "x".repeat(16 << 20);
    for ending in [End::HalfClosed, End::Closed, End::Reset] {
        let target = without_reading(Duration::from_millis(5), ending).await;
        for _ in 0..5 {
            let ran = http(json!({"url": target.url("/"), "method": "POST", "body": body})).await;
            assert_eq!(ran.result, Some(Ok(())), "{ending:?}");
        }
    }
    // A server that keeps the connection open and never reads.
    let target = Target::serve(|mut stream, _, _| async move {
        let _ = stream.write_all(ANSWER).await;
        tokio::time::sleep(LONG).await;
        None
    })
    .await;
    let ran = http(json!({"url": target.url("/"), "method": "POST", "body": body})).await;
    ran.succeeded();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_response_before_the_request_counts_over_tls() {
    let authority = tls::Authority::new("test authority");
    let acceptor = tls::acceptor(&authority.issue(&["127.0.0.1"], 2099), &[], None);
    let target = Target::serve(move |stream, _, _| {
        let acceptor = acceptor.clone();
        async move {
            let mut stream = acceptor.accept(stream).await.ok()?;
            let _ = stream.write_all(ANSWER).await;
            let _ = stream.shutdown().await;
            None
        }
    })
    .await;
    let url = format!("https://{}/", target.address);
    for _ in 0..TRIES {
        let ran = http(json!({"url": url, "tls_config": {"ca": authority.pem()}})).await;
        assert_eq!(ran.result, Some(Ok(())));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_ends_with_a_reset_is_incomplete() {
    let target = Target::serve(|mut stream, _, _| async move {
        let _ = stream
            .write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhalf")
            .await;
        end(stream, End::Reset).await
    })
    .await;
    for _ in 0..TRIES {
        let ran = get(target.url("/")).await;
        assert!(
            matches!(&ran.result, Some(Err(problem)) if problem.reason == Reason::Closed),
            "{:?}",
            ran.result
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_of_a_proxy_before_the_request_counts() {
    let proxy = Target::serve(|mut stream, _, _| async move {
        let _ = stream
            .write_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
            .await;
        end(stream, End::Closed).await
    })
    .await;
    for _ in 0..TRIES {
        let ran = http(json!({"url": "https://a.test/", "proxy_url": proxy.url("")})).await;
        ran.failed(Reason::Status, "it responded with 403");
    }
}
