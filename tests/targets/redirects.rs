//! Redirects: what is sent to their targets, and locations that violate the standards.

use tokio::io::AsyncWriteExt;

use super::*;
use crate::common::targets::read_request;

/// A secret that must be sent to the configured server only.
const SECRET: &str = "hunter2";

/// A server that redirects to `location` with this status, and responds with 200 for `/end`. It records the requests.
async fn redirecting(status: u16, location: impl Into<Vec<u8>>) -> Target {
    let location = location.into();
    Target::serve(move |mut stream, _, state| {
        let location = location.clone();
        async move {
            let request = read_request(&mut stream).await;
            let is_end = request.windows(5).any(|window| window == b"/end ");
            state.record(&request);
            let port = stream.local_addr().unwrap().port().to_string();
            let head = format!("HTTP/1.1 {status} x\r\nContent-Length: 0\r\nConnection: close\r\nLocation: ");
            let text =
                String::from_utf8(location.clone()).map(|text| text.replace("PORT", &port).into_bytes());
            let answer = match is_end {
                true => ok("fine"),
                false => [head.into_bytes(), text.unwrap_or(location), b"\r\n\r\n".to_vec()].concat(),
            };
            let _ = stream.write_all(&answer).await;
            let _ = stream.shutdown().await;
            Some(stream)
        }
    })
    .await
}

/// The options of a request with all kinds of secrets except a body.
fn with_secrets(url: &str, extra: &Value) -> Value {
    let mut options = json!({
        "url": url.replace("://", &format!("://user:{SECRET}@")), "tls_config": {"insecure_skip_verify": true},
        "headers": {"Cookie": format!("s={SECRET}"), "X-Api-Key": SECRET, "Accept": "text/plain", "User-Agent": "mine"},
        "http_headers": {"X-Token": {"values": [SECRET]}, "X-Secret": {"secrets": [SECRET]}},
    });
    options
        .as_object_mut()
        .unwrap()
        .extend(extra.as_object().unwrap().clone());
    options
}

/// Whether a request contains the secrets. It must contain all of them or none.
fn has_secrets(request: &str) -> bool {
    let request = request.to_ascii_lowercase();
    let names = [
        "authorization: basic",
        "cookie: ",
        "x-api-key: ",
        "x-token: ",
        "x-secret: ",
    ];
    let count = names.iter().filter(|name| request.contains(**name)).count();
    assert!(count == 0 || count == names.len(), "{request}");
    assert!(count > 0 || !request.contains(SECRET), "{request}");
    assert!(
        request.contains("accept: text/plain") && request.contains("user-agent: mine"),
        "{request}"
    );
    count > 0
}

#[tokio::test]
async fn secrets_stay_with_the_configured_server() {
    let identity = tls::self_signed(&["127.0.0.1"]);
    let end = Target::answering(ok("")).await;
    let secure_end = tls::in_front_of(&identity, end.address).await;
    let (here, port) = ("127.0.0.1", end.address.port());
    // To another host, and to another port of the same host.
    for place in [
        format!("http://localhost:{port}/x"),
        format!("http://{here}:{port}/x"),
    ] {
        for status in [301, 302, 303, 307, 308] {
            let target = redirecting(status, place.clone()).await;
            http(with_secrets(&target.url("/"), &json!({}))).await.succeeded();
            assert!(has_secrets(&target.received()[0]));
            assert!(
                !has_secrets(&end.received().pop().unwrap()),
                "{status} to {place}"
            );
        }
    }
    // From http to https on the same host, as from port 8080 to 8443.
    let target = redirecting(307, format!("https://{}/x", secure_end.address)).await;
    http(with_secrets(&target.url("/"), &json!({}))).await.succeeded();
    assert!(has_secrets(&end.received().pop().unwrap()));
    // To the same server, with a path and with a full URL.
    for place in ["/end", "http://127.0.0.1:PORT/end"] {
        let target = redirecting(307, place).await;
        http(with_secrets(&target.url("/"), &json!({}))).await.succeeded();
        assert!(
            target.received().iter().all(|request| has_secrets(request)),
            "{place}"
        );
    }
}

#[tokio::test]
async fn secrets_are_not_sent_after_a_redirect_through_another_server() {
    let target = Target::serve(|mut stream, number, state| async move {
        let request = String::from_utf8_lossy(&read_request(&mut stream).await).into_owned();
        state.record(request.as_bytes());
        let port = stream.local_addr().unwrap().port();
        // The same server under another name counts as another server.
        let place = match number {
            0 => format!("http://localhost:{port}/detour"),
            _ => format!("http://127.0.0.1:{port}/back"),
        };
        let answer = match number {
            0 | 1 => format!("HTTP/1.1 302 x\r\nLocation: {place}\r\nContent-Length: 0\r\n\r\n").into_bytes(),
            _ => ok("fine"),
        };
        let _ = stream.write_all(&answer).await;
        let _ = stream.shutdown().await;
        Some(stream)
    })
    .await;
    http(with_secrets(&target.url("/"), &json!({}))).await.succeeded();
    let sent: Vec<bool> = target
        .received()
        .iter()
        .map(|request| has_secrets(request))
        .collect();
    assert_eq!(sent, [true, false, false]);
}

#[tokio::test]
async fn a_body_stays_with_the_configured_server() {
    let end = Target::answering(ok("")).await;
    let elsewhere = format!("http://localhost:{}/x", end.address.port());
    let with_body = json!({"method": "POST", "body": SECRET});
    for status in [307, 308] {
        let target = redirecting(status, elsewhere.clone()).await;
        let ran = http(with_secrets(&target.url("/"), &with_body)).await;
        ran.failed(
            Reason::Protocol,
            &format!("{status} would send the request's body to {elsewhere}, which is another server"),
        );
        assert_eq!((ran.status(), end.accepted()), (Some(f64::from(status)), 0));
        // The same server gets it, with the method.
        let target = redirecting(status, "/end").await;
        http(with_secrets(&target.url("/"), &with_body)).await.succeeded();
        let second = target.received().pop().unwrap();
        assert!(
            second.starts_with("POST /end") && second.ends_with(SECRET),
            "{second}"
        );
    }
    // Other redirects change the method, so no body is sent.
    for status in [301, 302, 303] {
        let target = redirecting(status, elsewhere.clone()).await;
        http(with_secrets(&target.url("/"), &with_body)).await.succeeded();
        let second = end.received().pop().unwrap();
        assert!(
            second.starts_with("GET /x") && !second.contains(SECRET),
            "{second}"
        );
    }
    // Without a body, the redirect is followed.
    let target = redirecting(307, elsewhere.clone()).await;
    http(with_secrets(&target.url("/"), &json!({"method": "POST"})))
        .await
        .succeeded();
    assert!(end.received().pop().unwrap().starts_with("POST /x"));
}

#[tokio::test]
async fn malformed_locations_are_followed() {
    for (location, path) in [
        (&b"/a b/end"[..], "/a%20b/end"),
        ("/caf\u{e9}/end".as_bytes(), "/caf%C3%A9/end"),
        (b"/caf\xe9/end", "/caf%E9/end"),
        (b"/\xff\xfe?q=\xe9&r=/end", "/%FF%FE?q=%E9&r=/end"),
        (b"?lang=de&to=/end", "/start?lang=de&to=/end"),
        (b"  /end  ", "/end"),
        (b"/100%/end", "/100%/end"),
        (
            b"/x?a=`b`{c}|d^e\\f\"/end",
            "/x?a=%60b%60%7Bc%7D%7Cd%5Ee%5Cf%22/end",
        ),
        (b"\\a\\/end", "/%5Ca%5C/end"),
        (b"/a/%2e%2e/end", "/a/%2e%2e/end"),
        (b"/a/./b/../end", "/a/end"),
        (b"//127.0.0.1:PORT/end", "/end"),
        (b"HTTP://127.0.0.1:PORT/end", "/end"),
        (b"/end#part of \xe9", "/end"),
    ] {
        let target = redirecting(302, location).await;
        let ran = get(target.url("/start")).await;
        let shown = String::from_utf8_lossy(location);
        assert_eq!(ran.result, Some(Ok(())), "{shown}");
        let request = target.received().pop().unwrap();
        assert_eq!(request.split(' ').nth(1), Some(path), "{shown}");
    }
}

#[tokio::test]
async fn other_bytes_in_headers_are_tolerated() {
    let head = b"HTTP/1.1 200 Sch\xf6n\r\nContent-Length: 2\r\nServer: \xe9\xff\r\nSet-Cookie: a=\xe9\r\nX: caf\xc3\xa9\r\n\r\nok";
    let target = Target::answering(&head[..]).await;
    let matching = json!([{"header": "X", "regexp": "caf\u{e9}"}, {"header": "Server", "regexp": "."}]);
    http(json!({"url": target.url("/"), "fail_if_header_not_matches": matching}))
        .await
        .succeeded();
}
