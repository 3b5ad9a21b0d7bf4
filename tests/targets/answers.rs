//! Connections that are refused, hang or end, and responses that are slow, wrong or not HTTP.

use super::*;
use crate::common::targets::http2::{self, DATA, END_HEADERS, END_STREAM, HEADERS, RESET, STATUS_200, frame};

#[tokio::test]
async fn a_valid_response_is_a_success() {
    let target = Target::answering(ok("hello")).await;
    let ran = get(target.url("/health?x=1#y")).await;
    ran.succeeded();
    assert_eq!((ran.status(), ran.not_after()), (Some(200.0), None));
    assert!(ran.phase("connect") > 0.0 && ran.phase("processing") > 0.0 && ran.phase("tls") == 0.0);
    let total: f64 = ["resolve", "connect", "tls", "processing", "transfer"]
        .map(|phase| ran.phase(phase))
        .iter()
        .sum();
    assert!(total <= ran.took.as_secs_f64());
    let request = target.received().remove(0).to_ascii_lowercase();
    assert!(request.starts_with("get /health?x=1 http/1.1\r\n"), "{request}");
    for header in [
        &format!("host: {}", target.address),
        "connection: close",
        "user-agent: upkeep_exporter/",
    ] {
        assert!(request.contains(header), "{request}");
    }
    target.freed().await;
}

#[tokio::test]
async fn announced_ends_are_exported() {
    let dates = |deprecation: &str, sunset: &str| {
        format!(
            "HTTP/1.1 200 OK\r\nDeprecation: {deprecation}\r\nSunset: {sunset}\r\nContent-Length: 0\r\n\r\n"
        )
    };
    let exported = |ran: &Ran| {
        ["deprecation", "sunset"]
            .map(|date| ran.value(&format!("upkeep_http_{date}_timestamp_seconds"), None))
    };
    let target = Target::answering(dates("@1688169599", "Sun, 30 Jun 2024 23:59:59 GMT")).await;
    let ran = get(target.url("/")).await;
    assert_eq!(
        exported(ran.succeeded()),
        [Some(1_688_169_599.0), Some(1_719_791_999.0)]
    );
    // Only the final response counts.
    let end = Target::answering(ok("end")).await;
    let redirect = format!(
        "HTTP/1.1 302 Found\r\nLocation: {}\r\nDeprecation: @1\r\nContent-Length: 0\r\n\r\n",
        end.url("/")
    );
    for answer in [redirect, dates("true", "tomorrow")] {
        let ran = get(Target::answering(answer).await.url("/")).await;
        assert_eq!(exported(ran.succeeded()), [None, None]);
    }
}

#[tokio::test]
async fn a_closed_port_refuses() {
    let address = Target::refusing().await;
    let ran = get(format!("http://{address}/")).await;
    ran.failed(
        Reason::Refused,
        &format!("connecting to {address}: Connection refused"),
    )
    .without_response();
    assert_eq!(ran.status(), Some(0.0));
    assert!(ran.phase("connect") > 0.0 && ran.phase("processing") == 0.0);
    let ran = tcp(json!({"address": address.to_string()})).await;
    ran.failed(Reason::Refused, "Connection refused")
        .without_response();
}

#[tokio::test]
async fn runs_that_hang_time_out_and_report_the_step() {
    let context = CheckContext::new("/proc".into());
    let full = Target::full().await;
    let ran = run!(http_check(json!({"url": full.url("/")}), &context), SHORT);
    ran.hung(&format!("connecting to {}", full.address));
    assert!(ran.phase("connect") >= 0.25, "the phase that hung is measured");
    run!(
        tcp_check(json!({"address": full.address.to_string()}), &context),
        SHORT
    )
    .hung("connecting to");

    let silent = Target::silent().await;
    let ran = run!(http_check(json!({"url": silent.url("/")}), &context), SHORT);
    ran.hung("waiting for the response");
    assert!(ran.phase("processing") >= 0.25);
    assert_eq!(ran.status(), Some(0.0));
    silent.freed().await;

    let address = silent.address.to_string();
    let ran = run!(
        tcp_check(json!({"address": address, "tls": true}), &context),
        SHORT
    );
    ran.hung(&format!("in the TLS handshake with {address}"));
    let ran = run!(
        http_check(json!({"url": format!("https://{address}/")}), &context),
        SHORT
    );
    ran.hung("in the TLS handshake with");
    silent.freed().await;

    let drip = vec![
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nh".to_vec(),
        Vec::new(),
    ];
    let target = Target::dripping([drip, vec![Vec::new(); 20]].concat(), Duration::from_millis(50)).await;
    let ran = run!(http_check(json!({"url": target.url("/")}), &context), SHORT);
    ran.hung("reading the body, 1 bytes so far");
    assert_eq!(ran.status(), Some(200.0));
    target.freed().await;

    let endless = Target::endless("HTTP/1.1 200 OK\r\n\r\n").await;
    let options = json!({"url": endless.url("/"), "body_size_limit": 0});
    run!(http_check(options, &context), SHORT).hung("reading the body, ");
    endless.freed().await;

    let head = vec![b"HTTP/1.1 200 OK\r\n".to_vec(), b"X: ".to_vec()];
    let target = Target::dripping(
        [head, vec![b"y".to_vec(); 1000]].concat(),
        Duration::from_millis(5),
    )
    .await;
    run!(http_check(json!({"url": target.url("/")}), &context), SHORT).hung("waiting for the response");
    target.freed().await;
}

#[tokio::test]
async fn connections_that_end_too_early_are_closed() {
    for reset in [false, true] {
        let target = Target::closing(reset).await;
        get(target.url("/"))
            .await
            .failed(Reason::Closed, &target.address.to_string())
            .without_response();
    }
    let short: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nshort";
    let chunked: &[u8] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n";
    for answer in [b"HTTP/1.1 200 O", short, chunked] {
        let target = Target::answering(answer).await;
        get(target.url("/"))
            .await
            .failed(Reason::Closed, "closed the connection before the end");
        target.freed().await;
    }
    let longer = Target::answering(&b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok, and more"[..]).await;
    http(json!({"url": longer.url("/"), "fail_if_body_matches_regexp": ["more"]}))
        .await
        .succeeded();
}

#[tokio::test]
async fn other_protocols_are_a_protocol_failure() {
    for answer in [
        "SSH-2.0-OpenSSH_9.2\r\n",
        "HTTP/9.9 200 OK\r\n\r\n",
        "HTTP/1.1 banana OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nbad header\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "\u{0}\u{0}\u{0}\u{0}\r\n\r\n",
    ] {
        let target = Target::answering(answer).await;
        get(target.url("/"))
            .await
            .failed(Reason::Protocol, "the response is not valid HTTP");
        target.freed().await;
    }
}

#[tokio::test]
async fn headers_are_bounded() {
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: y\r\n".repeat(200));
    let long = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "y".repeat(100_000));
    for answer in [many, long] {
        let target = Target::answering(answer).await;
        get(target.url("/")).await.failed(
            Reason::Limit,
            "the header has more than 100 fields or 65536 bytes",
        );
        target.freed().await;
    }
    let odd = Target::answering(&b"HTTP/1.1 200 OK\r\nX: caf\xe9\xff\r\nContent-Length: 0\r\n\r\n"[..]).await;
    get(odd.url("/")).await.succeeded();
    let options =
        json!({"url": odd.url("/"), "fail_if_header_not_matches": [{"header": "x", "regexp": "^caf..$"}]});
    http(options).await.succeeded();
}

#[tokio::test]
async fn statuses_are_judged() {
    for (answer, reason, text) in [
        (
            "500 Internal Server Error",
            Reason::Status,
            "the status is 500 Internal Server Error, expected 2xx",
        ),
        ("503 x", Reason::Status, "the status is 503 Service Unavailable"),
        ("404 Not Found", Reason::Status, "the status is 404"),
        ("304 Not Modified", Reason::Status, "the status is 304"),
        ("401 Unauthorized", Reason::Status, "the status is 401"),
        ("599 Odd", Reason::Status, "the status is 599, expected"),
    ] {
        // The body is shorter than announced. The status decides without waiting for the body.
        let target = Target::answering(format!("HTTP/1.1 {answer}\r\nContent-Length: 9\r\n\r\n")).await;
        let ran = get(target.url("/")).await;
        ran.failed(reason, text);
        assert!(
            ran.report.response_time.is_some(),
            "a response with a wrong status has a response time"
        );
        assert_eq!(ran.status(), answer[..3].parse().ok());
        target.freed().await;
    }
    let target = Target::answering("HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n").await;
    let with = json!({"url": target.url("/"), "basic_auth": {"username": "u", "password": "hunter2"}});
    http(with).await.failed(
        Reason::Auth,
        "the target refused the credentials: 401 Unauthorized",
    );
    let teapot = Target::answering("HTTP/1.1 418 x\r\nContent-Length: 0\r\n\r\n").await;
    http(json!({"url": teapot.url("/"), "valid_status_codes": [200, 418]}))
        .await
        .succeeded();
    http(json!({"url": teapot.url("/"), "valid_status_codes": [200, 204]}))
        .await
        .failed(Reason::Status, "expected 200 or 204");
}

#[tokio::test]
async fn responses_without_a_body_are_complete() {
    for answer in [
        &b"HTTP/1.1 204 No Content\r\n\r\n"[..],
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\n\r\nuntil the end",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Trailer: y\r\n\r\n",
    ] {
        let target = Target::answering(answer).await;
        get(target.url("/")).await.succeeded();
    }
    let head = Target::answering("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n").await;
    http(json!({"url": head.url("/"), "method": "HEAD"}))
        .await
        .succeeded();
    assert!(head.received()[0].starts_with("HEAD / "));
}

#[tokio::test]
async fn slow_targets_succeed() {
    let (two, six) = tokio::join!(
        Target::slow(Duration::from_secs(2)),
        Target::slow(Duration::from_secs(6))
    );
    let (short, long) = tokio::join!(get(two.url("/")), get(six.url("/")));
    for (ran, seconds) in [(short, 2.0), (long, 6.0)] {
        ran.succeeded();
        let time = ran.report.response_time.unwrap().as_secs_f64();
        assert!(time >= seconds && time < seconds + 1.5, "{time}");
        assert!((ran.phase("processing") - seconds).abs() < 1.5);
    }
}

#[tokio::test]
async fn every_change_of_a_flapping_target_is_found() {
    let bad = b"HTTP/1.1 500 x\r\nContent-Length: 0\r\n\r\n".to_vec();
    let target = Target::answering_each(vec![ok("1"), bad.clone(), ok("2"), bad, ok("3")]).await;
    let mut check = http_check(
        json!({"url": target.url("/")}),
        &CheckContext::new("/proc".into()),
    );
    for success in [true, false, true, false, true] {
        let ran = run!(check, LONG);
        assert_eq!(ran.result.unwrap().is_ok(), success);
    }
    assert_eq!(target.accepted(), 5, "every run makes a new connection");
    target.freed().await;
}

#[tokio::test]
async fn an_incomplete_http2_body_is_a_failure() {
    let authority = tls::Authority::new("test authority");
    let identity = authority.issue(&["127.0.0.1"], 2099);
    let head = || frame(HEADERS, END_HEADERS, 1, &[STATUS_200]);
    let request = |target: &Target| {
        http(
            json!({"url": format!("https://{}/", target.address), "tls_config": {"ca": authority.pem()},
            "fail_if_body_not_matches_regexp": ["fine"]}),
        )
    };
    let whole = http2::serve(&identity, vec![head(), frame(DATA, END_STREAM, 1, b"fine")]).await;
    request(&whole).await.succeeded();
    // RST_STREAM with NO_ERROR. The received part of the body would match.
    let cut = vec![head(), frame(DATA, 0, 1, b"fine"), frame(RESET, 0, 1, &[0; 4])];
    let cut = http2::serve(&identity, cut).await;
    request(&cut)
        .await
        .failed(Reason::Closed, "it reset the stream before the end of the body");
    cut.freed().await;
}

#[tokio::test]
async fn cookies_of_redirects_are_sent_and_configured_headers_only_once() {
    let moved = |cookie: &str| {
        let head = format!(
            "HTTP/1.1 302 Found\r\nLocation: /in\r\nSet-Cookie: {cookie}\r\nContent-Length: 0\r\n\r\n"
        );
        head.into_bytes()
    };
    let target = Target::answering_each(vec![moved("s=1; HttpOnly"), moved("s=2"), ok("in")]).await;
    let options = json!({"url": target.url("/"), "headers": {"User-Agent": "mine", "Cookie": "own=1"}});
    http(options).await.succeeded();
    let received = target.received();
    let sent = |name: &str| -> Vec<Vec<String>> {
        let of = |request: &String| {
            let request = request.to_ascii_lowercase();
            let lines = request.lines();
            let values = lines.filter_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
            values.map(str::to_owned).collect()
        };
        received.iter().map(of).collect()
    };
    assert_eq!(sent("user-agent"), [["mine"], ["mine"], ["mine"]]);
    assert_eq!(sent("cookie"), [["own=1"], ["own=1; s=1"], ["own=1; s=2"]]);
}
