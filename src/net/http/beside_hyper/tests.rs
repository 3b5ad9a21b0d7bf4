//! What the client for HTTP/1.1 accepts and sends, compared with hyper.

use http::Uri;
use proptest::prelude::*;

use super::*;
use crate::net::http::limits::{MAX_HEAD_BYTES, MAX_HEADERS};

fn get() -> Request<Bytes> {
    Request::new(Bytes::new())
}

/// What this client makes of a response, which hyper must agree with.
fn agreed(response: &[u8], last: Last, request: &Request<Bytes>) -> Outcome {
    let whole = vec![Bytes::copy_from_slice(response)];
    let (theirs, _) = theirs(
        Script {
            pieces: whole.clone(),
            last,
        },
        request.clone(),
    );
    let (ours_whole, _) = ours(Script { pieces: whole, last }, request.clone());
    assert_eq!(ours_whole, theirs, "{}", String::from_utf8_lossy(response));
    if last != Last::Hangs {
        let pieces = response.chunks(1).map(Bytes::copy_from_slice).collect();
        let (ours, _) = ours(Script { pieces, last }, request.clone());
        assert_eq!(
            ours,
            theirs,
            "byte by byte: {}",
            String::from_utf8_lossy(response)
        );
    }
    theirs
}

#[test]
fn responses_are_read_as_hyper_reads_them() {
    let fails = |reason| Some(End::Fails(reason));
    for (response, body, failure) in [
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine and more",
            "fine",
            None,
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 4, 4\r\ncontent-length: 4\r\n\r\nfine",
            "fine",
            None,
        ),
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nmore", "", None),
        ("HTTP/1.0 200 OK\r\n\r\nuntil the end", "until the end", None),
        ("HTTP/1.1 200\n\nfine", "fine", None),
        ("\r\n\r\nHTTP/1.1 200 OK\r\n\r\nfine", "fine", None),
        (
            "HTTP/1.1 204 No Content\r\nContent-Length: 4\r\n\r\nfine",
            "",
            None,
        ),
        (
            "HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n",
            "",
            None,
        ),
        ("HTTP/1.1 101 Switching Protocols\r\n\r\nother", "", None),
        (
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\nHTTP/1.1 200 OK\r\n\r\nfine",
            "fine",
            None,
        ),
        (
            "HTTP/1.1 200 OK\r\nA : b\r\nC: d\r\n  e\r\n\te \r\n\r\nfine",
            "fine",
            None,
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n3 \t;a=\"b\"\r\none\r\n0A\r\n2345678901\r\n0\r\n\r\nmore",
            "one2345678901",
            None,
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, Chunked\r\n\r\n1\r\na\r\n000;b\r\nTrailer: c\r\nD: e\r\n\r\n",
            "a",
            None,
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\n\r\n0\r\n",
            "0\r\n",
            None,
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfine",
            "fine",
            fails(Reason::Closed),
        ),
        ("HTTP/1.1 200 OK\r\nContent-Le", "", fails(Reason::Closed)),
        ("", "", fails(Reason::Closed)),
        ("HTTP/1.1 100 Continue\r\n\r\n", "", fails(Reason::Closed)),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n",
            "one",
            fails(Reason::Closed),
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n0\r\n",
            "one",
            fails(Reason::Closed),
        ),
        ("SSH-2.0-OpenSSH_9.2\r\n", "", fails(Reason::Protocol)),
        ("HTTP/2 200\r\n\r\n", "", fails(Reason::Protocol)),
        ("HTTP/1.1 20 OK\r\n\r\n", "", fails(Reason::Protocol)),
        ("HTTP/1.1 099 OK\r\n\r\n", "", fails(Reason::Protocol)),
        ("HTTP/1.1 200 OK\r\nA\r\n\r\n", "", fails(Reason::Protocol)),
        ("HTTP/1.1 200 OK\r\nA: \0\r\n\r\n", "", fails(Reason::Protocol)),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: +4\r\n\r\nfine",
            "",
            fails(Reason::Protocol),
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\nfine",
            "",
            fails(Reason::Protocol),
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nfine",
            "",
            fails(Reason::Protocol),
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\nfine",
            "",
            fails(Reason::Protocol),
        ),
        (
            "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "",
            fails(Reason::Protocol),
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\r\n",
            "",
            fails(Reason::Protocol),
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n",
            "",
            fails(Reason::Protocol),
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\nabc",
            "",
            fails(Reason::Protocol),
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3 4\r\nabc",
            "",
            fails(Reason::Protocol),
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;a\nabc",
            "",
            fails(Reason::Protocol),
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n",
            "abc",
            fails(Reason::Protocol),
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000000\r\na",
            "",
            fails(Reason::Protocol),
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA b\r\n\r\n",
            "",
            fails(Reason::Protocol),
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: b\nC: d\r\n\r\n",
            "",
            fails(Reason::Protocol),
        ),
    ] {
        let outcome = agreed(response.as_bytes(), Last::Closes, &get());
        assert_eq!(String::from_utf8_lossy(&outcome.body), body, "{response}");
        assert_eq!(outcome.failure, failure, "{response}");
    }
}

#[test]
fn methods_without_a_body_have_none() {
    let response = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine";
    for (method, body) in [(Method::GET, "fine"), (Method::HEAD, ""), (Method::CONNECT, "")] {
        let mut request = get();
        *request.method_mut() = method;
        let outcome = agreed(response, Last::Hangs, &request);
        assert_eq!((outcome.failure, outcome.body), (None, body.as_bytes().to_vec()));
    }
}

#[test]
fn trailers_are_kept_and_folded_values_are_one_line() {
    let response =
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nA: b \r\n \t c\r\n\r\n0\r\nX: y\r\n\r\n";
    let outcome = agreed(response, Last::Hangs, &get());
    assert_eq!(
        outcome.head.as_deref(),
        Some("HTTP/1.1 200\ntransfer-encoding: \"chunked\"\na: \"b c\"\n")
    );
    assert_eq!(outcome.trailers.as_deref(), Some("x: \"y\"\n"));
}

/// How many responses are compared with hyper.
const PROPTEST_CASES: u32 = 4000;

/// The reason of the problem, or the length of the body.
fn limited(response: &str) -> Result<usize, Reason> {
    let outcome = agreed(response.as_bytes(), Last::Closes, &get());
    match outcome.failure {
        None => Ok(outcome.body.len()),
        Some(End::Fails(reason)) => Err(reason),
        Some(End::Waits) => panic!("it closes"),
    }
}

#[test]
fn responses_are_bounded() {
    let fields = |count: usize| format!("HTTP/1.1 200 OK\r\n{}\r\nfine", "A: b\r\n".repeat(count));
    assert_eq!(limited(&fields(MAX_HEADERS)), Ok(4));
    assert_eq!(limited(&fields(MAX_HEADERS + 1)), Err(Reason::Limit));
    let long = |bytes: usize| {
        let start = "HTTP/1.1 200 OK\r\nA: ";
        format!(
            "{start}{}\r\n\r\nfine",
            "b".repeat(bytes - start.len() - "\r\n\r\n".len())
        )
    };
    assert_eq!(limited(&long(MAX_HEAD_BYTES)), Ok(4));
    assert_eq!(limited(&long(MAX_HEAD_BYTES + 1)), Err(Reason::Limit));
    // Interim responses do not count.
    let interim = "HTTP/1.1 103 Early Hints\r\n\r\n";
    let interim = interim.repeat(MAX_HEAD_BYTES / interim.len() + 1);
    assert_eq!(limited(&format!("{interim}HTTP/1.1 200 OK\r\n\r\nfine")), Ok(4));
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let extended = |bytes: usize| format!("{chunked}1;{}\r\na\r\n0\r\n\r\n", "b".repeat(bytes));
    assert_eq!(limited(&extended((16 << 10) - 1)), Ok(1));
    assert_eq!(limited(&extended(16 << 10)), Err(Reason::Protocol));
    let trailed = |bytes: usize| {
        format!(
            "{chunked}0\r\nA: {}\r\n\r\n",
            "b".repeat(bytes - "A: \r\n\r\n".len())
        )
    };
    assert_eq!(limited(&trailed(MAX_HEAD_BYTES - 1)), Ok(0));
    assert_eq!(limited(&trailed(MAX_HEAD_BYTES)), Err(Reason::Protocol));
    let trailers = |count: usize| format!("{chunked}0\r\n{}\r\n", "A: b\r\n".repeat(count));
    assert_eq!(limited(&trailers(MAX_HEADERS)), Ok(0));
    assert_eq!(limited(&trailers(MAX_HEADERS + 1)), Err(Reason::Protocol));
}

#[test]
fn requests_are_those_of_hyper() {
    let request =
        |method: Method, uri: &'static str, fields: &[(&'static str, &'static str)], body: Vec<u8>| {
            let mut request = Request::new(Bytes::from(body));
            *request.method_mut() = method;
            *request.uri_mut() = Uri::from_static(uri);
            for (name, value) in fields {
                request.headers_mut().append(*name, value.parse().unwrap());
            }
            request
        };
    for request in [
        request(Method::GET, "/", &[], vec![]),
        request(
            Method::GET,
            "/a/b?c=%20&d",
            &[
                ("host", "a:80"),
                ("X-Two", "1"),
                ("accept", "*/*"),
                ("x-two", "2"),
            ],
            vec![],
        ),
        request(Method::GET, "http://host/a?b", &[], vec![]),
        request(Method::POST, "/", &[("host", "a")], b"body".to_vec()),
        request(Method::POST, "/", &[("host", "a")], vec![]),
        request(Method::PUT, "/", &[("content-length", "4")], b"body".to_vec()),
        request(Method::POST, "/", &[("transfer-encoding", "chunked")], vec![]),
        request(
            Method::from_bytes(b"PURGE").unwrap(),
            "/",
            &[],
            vec![b'x'; 300_000],
        ),
    ] {
        let script = Script {
            pieces: vec![Bytes::from_static(
                b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
            )],
            last: Last::Hangs,
        };
        let (_, ours) = ours(script.clone(), request.clone());
        let (_, theirs) = theirs(script, request);
        assert_eq!(String::from_utf8_lossy(&ours), String::from_utf8_lossy(&theirs));
    }
}

/// Parts of responses, most of them valid.
fn parts() -> impl Strategy<Value = Vec<u8>> {
    let starts = prop_oneof![
        8 => Just("HTTP/1.1 200 OK\r\n"),
        1 => Just("HTTP/1.0 404\r\n"),
        1 => Just("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 500 No\n"),
        1 => Just("HTTP/1.1 204 \r\n"),
        1 => Just("\r\nHTTP/1.1 101 \x01\r\n"),
    ];
    let fields = prop_oneof![
        Just("Content-Length: 11\r\n"),
        Just("content-length:5,5\r\n"),
        Just("Transfer-Encoding: chunked\r\n"),
        Just("Transfer-encoding : gzip ,chunked\n"),
        Just("A: b\r\n c\r\n"),
        Just("Set-Cookie:\r\n"),
        Just("Connection: close\r\n"),
    ];
    let bodies = prop_oneof![
        Just("hello world"),
        Just("5\r\nhello\r\n6 ;x\r\n world\r\n0\r\n\r\n"),
        Just("B\r\nhello world\r\n00\r\nA: b\r\nC:d\r\n\r\nmore"),
        Just(""),
    ];
    (
        starts,
        prop::collection::vec(fields, 0..4),
        prop_oneof![9 => Just("\r\n"), 1 => Just("\n")],
        bodies,
    )
        .prop_map(|(start, fields, end, body)| [start, &fields.concat(), end, body].concat().into_bytes())
}

/// A change of a response: the bytes from here to there are replaced.
fn change() -> impl Strategy<Value = (prop::sample::Index, usize, Vec<u8>)> {
    let bytes = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..3),
        prop::sample::select(vec![
            "\r",
            "\n",
            "\r\n",
            " ",
            "\t",
            ";",
            ":",
            ",",
            "0",
            "f",
            "-",
            "\0",
            "HTTP/1.1 "
        ])
        .prop_map(|text| text.as_bytes().to_vec()),
    ];
    (any::<prop::sample::Index>(), 0..3_usize, bytes)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(PROPTEST_CASES))]

    #[test]
    fn any_response_is_read_as_hyper_reads_it(
        choices in any::<[u8; 2]>(),
        response in parts(),
        changes in prop::collection::vec(change(), 0..4),
    ) {
        let mut input = response;
        for (at, removed, added) in changes {
            let at = at.index(input.len() + 1);
            input.splice(at..(at + removed).min(input.len()), added);
        }
        input.splice(0..0, choices);
        let (ours, theirs) = fuzz(&input);
        prop_assert_eq!(ours, theirs, "{}", String::from_utf8_lossy(&input));
    }
}
