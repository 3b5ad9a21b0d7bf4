//! Answers that come before the request was read, or sent. Health scripts behind xinetd, socat or nc answer as soon as
//! somebody connects, and close.

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::*;

/// How often each is tried: the faults of this kind show now and then.
const TRIES: usize = 40;

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok";

/// How a server ends that does not read.
#[derive(Clone, Copy, Debug)]
enum End {
    /// It closes its side, and the rest later.
    HalfClosed,
    /// It closes, so that what comes later is answered with a reset.
    Closed,
    /// It resets the connection when the request begins to come.
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
            // Before the request comes, the client may not know yet that there is a connection.
            let _ = stream.peek(&mut [0]).await;
            stream.set_zero_linger().unwrap();
        }
    }
    None
}

/// Answers after a pause, without reading anything.
async fn deaf(pause: Duration, way: End) -> Target {
    Target::serve(move |mut stream, _, _| async move {
        tokio::time::sleep(pause).await;
        let _ = stream.write_all(ANSWER).await;
        end(stream, way).await
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_before_the_request_is_an_answer_every_time() {
    for way in [End::HalfClosed, End::Closed, End::Reset] {
        for pause in [Duration::ZERO, Duration::from_millis(5)] {
            let target = deaf(pause, way).await;
            for number in 0..TRIES {
                let ran = get(target.url("/")).await;
                assert_eq!(ran.result, Some(Ok(())), "{way:?} after {pause:?}, run {number}");
                assert_eq!(ran.status(), Some(200.0));
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_before_the_request_was_sent_whole_is_an_answer() {
    // More than the system's buffers take, so that sending it fails or waits.
    let body = "x".repeat(16 << 20);
    for way in [End::HalfClosed, End::Closed, End::Reset] {
        let target = deaf(Duration::from_millis(5), way).await;
        for _ in 0..5 {
            let ran = http(json!({"url": target.url("/"), "method": "POST", "body": body})).await;
            assert_eq!(ran.result, Some(Ok(())), "{way:?}");
        }
    }
    // One that keeps the connection open, and never reads.
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
async fn an_answer_before_the_request_is_an_answer_over_tls() {
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
async fn a_body_that_a_reset_cut_off_is_not_whole() {
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
async fn a_proxy_that_refuses_before_it_reads_has_refused() {
    let proxy = Target::serve(|mut stream, _, _| async move {
        let _ = stream
            .write_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
            .await;
        end(stream, End::Closed).await
    })
    .await;
    for _ in 0..TRIES {
        let ran = http(json!({"url": "https://a.test/", "proxy_url": proxy.url("")})).await;
        ran.failed(Reason::Status, "it answered 403");
    }
}
