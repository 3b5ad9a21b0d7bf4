//! HTTP/2: requests that the server did not process, and headers of many sizes.

use super::*;
use crate::common::targets::http2::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, RESET, STATUS_200, Script, field, frame,
    serve, serve_each,
};

/// A complete response.
fn fine() -> Script {
    let frames = [
        frame(HEADERS, END_HEADERS, 1, &[STATUS_200]),
        frame(DATA, END_STREAM, 1, b"fine"),
    ];
    Script {
        answer: frames.concat(),
        ..Script::default()
    }
}

/// A GOAWAY frame with the last processed stream and an error code.
fn goaway(last: u8, code: u8) -> Vec<u8> {
    frame(GOAWAY, 0, 0, &[0, 0, 0, last, 0, 0, 0, code])
}

fn responding(answer: Vec<u8>, is_closing: bool) -> Script {
    Script {
        answer,
        is_closing,
        ..Script::default()
    }
}

#[tokio::test]
async fn a_request_that_was_not_processed_is_retried_once() {
    let authority = tls::Authority::new("test authority");
    let identity = authority.issue(&["127.0.0.1"], 2099);
    let refused = frame(RESET, 0, 1, &[0, 0, 0, 7]);
    let cancelled = frame(RESET, 0, 1, &[0, 0, 0, 8]);
    let greeting = Script {
        greeting: goaway(0, 0),
        is_closing: true,
        ..Script::default()
    };
    let graceful = [
        frame(GOAWAY, 0, 0, &[0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0]),
        goaway(0, 0),
    ];
    let unprocessed = [
        ("GOAWAY and close", responding(goaway(0, 0), true)),
        ("GOAWAY only", responding(goaway(0, 0), false)),
        ("GOAWAY in two steps", responding(graceful.concat(), true)),
        ("GOAWAY before the request", greeting),
        ("refused", responding(refused.clone(), false)),
        ("refused and close", responding(refused, true)),
    ];
    let https = |target: &Target| json!({"url": format!("https://{}/", target.address), "method": "POST", "body": "x", "tls_config": {"ca": authority.pem()}});
    for (what, script) in unprocessed {
        let target = serve_each(Some(&identity), vec![script.clone(), fine()]).await;
        let ran = http(https(&target)).await;
        assert_eq!(ran.result, Some(Ok(())), "{what}");
        assert_eq!((ran.status(), target.accepted()), (Some(200.0), 2), "{what}");
        target.freed().await;
        // Only one retry.
        let target = serve_each(Some(&identity), vec![script]).await;
        let ran = http(https(&target)).await;
        assert!(matches!(ran.result, Some(Err(_))), "{what}: {:?}", ran.result);
        assert_eq!(target.accepted(), 2, "{what}");
        target.freed().await;
    }
    // A request that may have been processed is not retried.
    let begun = [frame(HEADERS, END_HEADERS, 1, &[STATUS_200]), goaway(0, 0)];
    for (what, script) in [
        ("GOAWAY after the request", responding(goaway(1, 0), true)),
        ("cancelled", responding(cancelled, false)),
        ("close", responding(Vec::new(), true)),
        ("an incomplete response", responding(begun.concat(), true)),
    ] {
        let target = serve_each(Some(&identity), vec![script, fine()]).await;
        let ran = http(https(&target)).await;
        assert!(matches!(ran.result, Some(Err(_))), "{what}: {:?}", ran.result);
        assert_eq!(target.accepted(), 1, "{what}");
    }
}

/// The same headers over HTTP/1.1 and HTTP/2.
async fn both(identity: &tls::Identity, fields: &[(String, String)]) -> [Target; 2] {
    let lines: Vec<String> = fields
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"))
        .collect();
    let text = format!("HTTP/1.1 200 OK\r\n{}\r\nfine", lines.concat());
    let block: Vec<Vec<u8>> = fields.iter().map(|(name, value)| field(name, value)).collect();
    let block = [vec![STATUS_200], block.concat()].concat();
    let pieces: Vec<&[u8]> = block.chunks(16_000).collect();
    let mut frames = Vec::new();
    for (number, piece) in pieces.iter().enumerate() {
        let kind = if number == 0 { HEADERS } else { CONTINUATION };
        let flags = if number + 1 == pieces.len() {
            END_HEADERS
        } else {
            0
        };
        frames.push(frame(kind, flags, 1, piece));
    }
    frames.push(frame(DATA, END_STREAM, 1, b"fine"));
    [Target::answering(text).await, serve(identity, frames).await]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_limits_of_headers_are_the_same_in_both_versions() {
    let authority = tls::Authority::new("test authority");
    let identity = authority.issue(&["127.0.0.1"], 2099);
    let fields = |count: usize, length: usize| -> Vec<(String, String)> {
        (0..count)
            .map(|number| (format!("x-{number}"), "v".repeat(length)))
            .collect()
    };
    for (what, fields, is_fine) in [
        ("20 kB", fields(20, 1000), true),
        ("one field of 30 kB", fields(1, 30_000), true),
        ("one field of 65 kB", fields(1, 65_000), true),
        ("60 kB in 60 fields", fields(60, 1000), true),
        ("64 kB in 100 fields", fields(100, 640), true),
        ("100 fields", fields(100, 1), true),
        ("101 fields", fields(101, 1), false),
        ("66 kB in 100 fields", fields(100, 660), false),
        ("one field of 66 kB", fields(1, 66_000), false),
        ("90 kB", fields(90, 1000), false),
        ("300 kB", fields(90, 3400), false),
        ("one field of 600 kB", fields(1, 600_000), false),
        ("2 MB in 90 fields", fields(90, 23_000), false),
        ("20,000 fields", fields(20_000, 1), false),
    ] {
        let [one, two] = both(&identity, &fields).await;
        for url in [one.url("/"), format!("https://{}/", two.address)] {
            let ran = http(json!({"url": url, "tls_config": {"ca": authority.pem()}})).await;
            match is_fine {
                true => assert_eq!(ran.result, Some(Ok(())), "{what}, {url}"),
                false => {
                    let is_limit =
                        matches!(&ran.result, Some(Err(problem)) if problem.reason == Reason::Limit);
                    assert!(is_limit, "{what}, {url}: {:?}", ran.result);
                    ran.failed(
                        Reason::Limit,
                        "the header has more than 100 fields or 65536 bytes",
                    );
                }
            }
            assert!(ran.took < Duration::from_secs(5), "{what}: {:?}", ran.took);
        }
        one.freed().await;
        two.freed().await;
    }
}
