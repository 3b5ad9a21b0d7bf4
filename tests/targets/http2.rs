//! HTTP/2: requests that the server did not process, and heads of every size.

use super::*;
use crate::common::targets::http2::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, RESET, STATUS_200, Script, field, frame,
    serve, serve_each,
};

/// A whole answer.
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

/// A farewell: the last stream that was processed, and why.
fn goaway(last: u8, code: u8) -> Vec<u8> {
    frame(GOAWAY, 0, 0, &[0, 0, 0, last, 0, 0, 0, code])
}

fn answering(answer: Vec<u8>, is_closing: bool) -> Script {
    Script {
        answer,
        is_closing,
        ..Script::default()
    }
}

#[tokio::test]
async fn a_request_that_was_not_processed_is_asked_once_more() {
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
        ("a farewell, and the end", answering(goaway(0, 0), true)),
        ("a farewell alone", answering(goaway(0, 0), false)),
        ("a farewell in two steps", answering(graceful.concat(), true)),
        ("a farewell before the request", greeting),
        ("refused", answering(refused.clone(), false)),
        ("refused, and the end", answering(refused, true)),
    ];
    let https = |target: &Target| json!({"url": format!("https://{}/", target.address), "method": "POST", "body": "x", "tls_config": {"ca": authority.pem()}});
    for (what, script) in unprocessed {
        let target = serve_each(Some(&identity), vec![script.clone(), fine()]).await;
        let ran = http(https(&target)).await;
        assert_eq!(ran.result, Some(Ok(())), "{what}");
        assert_eq!((ran.status(), target.accepted()), (Some(200.0), 2), "{what}");
        target.freed().await;
        // Once, not for ever.
        let target = serve_each(Some(&identity), vec![script]).await;
        let ran = http(https(&target)).await;
        assert!(matches!(ran.result, Some(Err(_))), "{what}: {:?}", ran.result);
        assert_eq!(target.accepted(), 2, "{what}");
        target.freed().await;
    }
    // What may have been processed is not asked again.
    let begun = [frame(HEADERS, END_HEADERS, 1, &[STATUS_200]), goaway(0, 0)];
    for (what, script) in [
        ("a farewell after the request", answering(goaway(1, 0), true)),
        ("cancelled", answering(cancelled, false)),
        ("the end", answering(Vec::new(), true)),
        ("an answer that breaks off", answering(begun.concat(), true)),
    ] {
        let target = serve_each(Some(&identity), vec![script, fine()]).await;
        let ran = http(https(&target)).await;
        assert!(matches!(ran.result, Some(Err(_))), "{what}: {:?}", ran.result);
        assert_eq!(target.accepted(), 1, "{what}");
    }
}

/// The same head by both versions of HTTP.
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
async fn the_limits_of_a_head_are_the_same_by_both_versions() {
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
