//! Requests and responses: redirects, bodies, assertions, and their limits.

use super::*;

#[tokio::test]
async fn redirects_are_followed_within_the_limit() {
    let to = |place: &str| {
        format!("HTTP/1.1 302 Found\r\nLocation: {place}\r\nContent-Length: 0\r\n\r\n").into_bytes()
    };
    let target = Target::answering_each(vec![to("/b?c=d"), to("../e"), ok("end")]).await;
    get(target.url("/a/x")).await.succeeded();
    let lines: Vec<String> = target
        .received()
        .iter()
        .map(|request| request.lines().next().unwrap().to_owned())
        .collect();
    assert_eq!(
        lines,
        ["GET /a/x HTTP/1.1", "GET /b?c=d HTTP/1.1", "GET /e HTTP/1.1"]
    );

    let endless = Target::answering(to("/again?token=hunter2")).await;
    let ran = get(endless.url("/")).await;
    ran.failed(Reason::Limit, "more than 10 redirects");
    let Some(Err(problem)) = &ran.result else {
        unreachable!("it failed")
    };
    assert!(!problem.message().contains("hunter2"));
    assert_eq!((endless.accepted(), ran.status()), (11, Some(302.0)));
    http(json!({"url": endless.url("/"), "max_redirects": 0}))
        .await
        .failed(Reason::Limit, "more than 0 redirects");
    http(json!({"url": endless.url("/"), "follow_redirects": false}))
        .await
        .failed(Reason::Status, "the status is 302");
    http(json!({"url": endless.url("/"), "no_follow_redirects": true, "valid_status_codes": [302]}))
        .await
        .succeeded();
    endless.freed().await;
    for place in ["ftp://x/", "http://", "http:/end", "http://[::1"] {
        let target = Target::answering(to(place)).await;
        get(target.url("/"))
            .await
            .failed(Reason::Protocol, "redirects to a Location that can't be followed");
    }
}

#[tokio::test]
async fn assertions_apply_to_headers_and_bodies() {
    let body = r#"{"status": "ok", "queue": 12, "items": [1, 2, 3]}"#;
    let answer = format!(
        "HTTP/1.1 200 OK\r\nServer: demo/1.2\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let target = Target::answering(answer).await;
    let header = |regexp: &str, missing: bool| json!([{"header": "X-None", "regexp": regexp, "allow_missing": missing}]);
    for (option, value, failure) in [
        (
            "fail_if_body_matches_regexp",
            json!(["broken", "\"ok\""]),
            Some("the body matches \"\"ok\"\""),
        ),
        ("fail_if_body_matches_regexp", json!(["broken"]), None),
        ("fail_if_body_not_matches_regexp", json!(["\"ok\""]), None),
        (
            "fail_if_body_not_matches_regexp",
            json!(["ok", "fine"]),
            Some("does not match \"fine\""),
        ),
        (
            "fail_if_header_matches",
            json!([{"header": "server", "regexp": "demo"}]),
            Some("\"demo/1.2\", matches \"demo\""),
        ),
        (
            "fail_if_header_matches",
            header("x", false),
            Some("the response has no header x-none"),
        ),
        ("fail_if_header_matches", header("x", true), None),
        (
            "fail_if_header_not_matches",
            json!([{"header": "Server", "regexp": "^demo/\\d"}]),
            None,
        ),
        (
            "fail_if_header_not_matches",
            json!([{"header": "Server", "regexp": "nginx"}]),
            Some("no header server matches"),
        ),
        (
            "fail_if_body_json_matches_cel",
            json!("body.queue > 10"),
            Some("is true for the body"),
        ),
        ("fail_if_body_json_matches_cel", json!("body.queue > 20"), None),
        (
            "fail_if_body_json_not_matches_cel",
            json!("body.status == 'ok' && body.items.all(i, i < 4)"),
            None,
        ),
        (
            "fail_if_body_json_not_matches_cel",
            json!("body.status == 'fine'"),
            Some("is not true for the body"),
        ),
        (
            "fail_if_body_json_not_matches_cel",
            json!("body.none == 1"),
            Some("fails: "),
        ),
        (
            "fail_if_body_json_not_matches_cel",
            json!("body.status"),
            Some("not true or false"),
        ),
        ("valid_http_versions", json!(["HTTP/1.1"]), None),
        (
            "valid_http_versions",
            json!(["HTTP/2.0"]),
            Some("the HTTP version is HTTP/1.1, expected HTTP/2.0"),
        ),
        ("fail_if_not_ssl", json!(true), Some("did not come over TLS")),
        ("fail_if_ssl", json!(true), None),
    ] {
        let ran = http(json!({"url": target.url("/"), option: value})).await;
        match failure {
            None => ran.succeeded(),
            Some(text) => ran.failed(Reason::Assertion, text),
        };
        assert!(ran.report.response_time.is_some(), "{option}");
    }
    let html = Target::answering(ok("<html>")).await;
    let options = json!({"url": html.url("/"), "fail_if_body_json_matches_cel": "body.x == 1"});
    http(options)
        .await
        .failed(Reason::Assertion, "the body can't be read as JSON");
}

#[tokio::test]
async fn expensive_documents_fail_with_limit() {
    let many = format!("[{}0]", "0,".repeat(5000));
    let target = Target::answering(ok(&many)).await;
    let nested = "body.all(x, body.all(y, x == y))";
    let ran = http(json!({"url": target.url("/"), "fail_if_body_json_not_matches_cel": nested})).await;
    ran.failed(Reason::Limit, "s of processor time, or too much memory");
    let flat =
        http(json!({"url": target.url("/"), "fail_if_body_json_not_matches_cel": "body.all(x, x == 0)"}))
            .await;
    flat.succeeded();
}

#[tokio::test]
async fn bodies_are_bounded() {
    for extra in [json!({}), json!({"fail_if_body_matches_regexp": ["y"]})] {
        let endless = Target::endless("HTTP/1.1 200 OK\r\n\r\n").await;
        let mut options = json!({"url": endless.url("/"), "body_size_limit": "100KB"});
        options
            .as_object_mut()
            .unwrap()
            .extend(extra.as_object().unwrap().clone());
        http(options).await.failed(
            Reason::Limit,
            "the body is longer than 102400 bytes: raise body_size_limit",
        );
        endless.freed().await;
    }
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(&vec![b'a'; 2 << 20]).unwrap();
    let bomb = encoder.finish().unwrap();
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n",
        bomb.len()
    );
    let target = Target::answering([head.into_bytes(), bomb].concat()).await;
    let with = |limit: &str| {
        http(
            json!({"url": target.url("/"), "compression": "gzip", "body_size_limit": limit,
            "fail_if_body_not_matches_regexp": ["^a+$"]}),
        )
    };
    with("1MB").await.failed(Reason::Limit, "1048576 bytes");
    with("2MB").await.succeeded();
    assert!(target.received()[0].contains("accept-encoding: gzip"));
}

#[tokio::test]
async fn requests_are_as_configured() {
    let echo = Target::answering(ok("")).await;
    let directory = tempfile::tempdir().unwrap();
    let (token, body) = (directory.path().join("token"), directory.path().join("body"));
    std::fs::write(&token, "first\n").unwrap();
    std::fs::write(&body, "from a file").unwrap();
    let mut check = http_check(
        json!({
            "url": echo.url("/x"), "method": "POST", "bearer_token_file": token, "body_file": body,
            "headers": {"Host": "virtual.example", "User-Agent": "mine", "X-Key": "v"},
        }),
        &CheckContext::new("/proc".into()),
    );
    run!(check, LONG).succeeded();
    std::fs::write(&token, "second").unwrap();
    run!(check, LONG).succeeded();
    let received = echo.received();
    for wanted in [
        "POST /x HTTP/1.1",
        "host: virtual.example",
        "user-agent: mine",
        "x-key: v",
        "\r\n\r\nfrom a file",
    ] {
        assert!(received[0].contains(wanted), "{wanted}: {}", received[0]);
    }
    assert!(received[0].contains("authorization: Bearer first\r\n"));
    assert!(
        received[1].contains("authorization: Bearer second\r\n"),
        "a rotated secret is reloaded"
    );
    std::fs::write(&token, "third\r\nX-Other: fourth").unwrap();
    let ran = run!(check, LONG);
    ran.failed(
        Reason::Auth,
        "token contains a control character, such as a line break",
    )
    .without_response();
    assert!(!format!("{:?}", ran.result).contains("third"));
    std::fs::write(&token, "fifth").unwrap();
    std::fs::remove_file(&body).unwrap();
    make_pipe(&body);
    run!(check, LONG)
        .failed(Reason::Internal, "not a regular file")
        .without_response();
    std::fs::remove_file(&token).unwrap();
    run!(check, LONG)
        .failed(Reason::Auth, "reading the secret file")
        .without_response();
}

#[tokio::test]
async fn the_status_is_that_of_the_final_response() {
    let refusing = Target::refusing().await;
    let answer = format!("HTTP/1.1 302 x\r\nLocation: http://{refusing}/\r\nContent-Length: 0\r\n\r\n");
    let target = Target::answering(answer).await;
    let ran = get(target.url("/")).await;
    ran.failed(Reason::Refused, "").without_response();
    assert_eq!(
        ran.status(),
        Some(0.0),
        "the final response is missing; a redirect does not count"
    );
}
