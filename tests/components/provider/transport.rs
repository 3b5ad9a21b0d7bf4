//! Servers that misbehave: they hang, send too much or garbage, redirect, close, or have wrong certificates.

use tokio::io::AsyncWriteExt;

use super::*;
use crate::common::proxies::Proxy;
use crate::common::targets::tls::{self, Authority};
use crate::common::targets::{ok, proxy};

#[tokio::test]
async fn a_server_that_hangs_is_an_outage_before_the_deadline() {
    let server = Target::silent().await;
    let mut check = check(&keys("openai", &server, ""));
    let mut report = Report {
        deadline: Some(tokio::time::Instant::now() + Duration::from_secs(1)),
        ..Report::default()
    };
    let result = tokio::time::timeout(LONG, check.run(&mut report)).await.unwrap();
    assert_eq!(result, Ok(()));
    let warning = report.warning.unwrap();
    assert_eq!(warning.reason, Reason::Timeout);
    assert!(
        warning.message().contains("while listing the models at"),
        "{warning}"
    );
    server.freed().await;
}

#[tokio::test]
async fn a_cancelled_run_closes_its_connections() {
    let silent = Target::silent().await;
    let endless = Target::endless("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await;
    let slow = Target::dripping(
        vec![b"HTTP/1.1 200 OK\r\n".to_vec(); 100],
        Duration::from_millis(50),
    )
    .await;
    for server in [&silent, &endless, &slow] {
        let ran = run!(check(&keys("openai", server, "")), SHORT);
        // An endless body may reach its limit first.
        if ran.result.is_none() {
            assert!(
                ran.report.step.starts_with("listing the models at"),
                "{}",
                ran.report.step
            );
        }
        server.freed().await;
    }
}

#[tokio::test]
async fn a_response_is_bounded() {
    let endless = Target::endless("HTTP/1.1 200 OK\r\n\r\n").await;
    let ran = once("openai", &endless, "").await;
    ran.failed(Reason::Limit, "the response has more than 4194304 bytes");
    let headers = Target::endless("HTTP/1.1 200 OK\r\nX: ").await;
    let ran = once("openai", &headers, "").await;
    ran.failed(Reason::Protocol, "the response is not HTTP");
}

#[tokio::test]
async fn garbage_is_not_taken_for_a_list() {
    for (answer, text) in [
        (
            b"SSH-2.0-OpenSSH_9.6\r\n\r\n".to_vec(),
            "the response is not HTTP",
        ),
        (
            ok("<html>welcome</html>"),
            "the response is not one of the API of openai: check base_url",
        ),
        (ok(""), "the response is not one of the API of openai"),
        (
            ok("{\"data\": 7}"),
            "the response is not one of the API of openai",
        ),
        (ok("[\u{0}"), "the response is not one of the API of openai"),
    ] {
        let server = Target::answering(answer).await;
        let ran = once("openai", &server, "").await;
        ran.failed(Reason::Protocol, text);
        assert_eq!((state(&ran), key_valid(&ran)), ("unexpected", None));
        assert!(ran.report.catalog.is_none());
        server.freed().await;
    }
}

#[tokio::test]
async fn a_connection_that_ends_early_or_is_refused_is_an_outage() {
    for reset in [false, true] {
        let server = Target::closing(reset).await;
        let ran = once("openai", &server, "").await;
        warning(&ran, Reason::Closed);
        assert_eq!(state(&ran), "unavailable");
    }
    let cut = Target::answering("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{").await;
    warning(&once("openai", &cut, "").await, Reason::Closed);
    let address = Target::refusing().await;
    let keys =
        format!("kind: provider, provider: openai, base_url: \"http://{address}/v1\", api_key: \"{KEY}\"");
    let ran = run!(check(&keys), LONG);
    assert!(warning(&ran, Reason::Refused).contains(&format!("{address}, connecting")));
    let keys = format!(
        "kind: provider, provider: openai, base_url: \"https://provider.invalid\", api_key: \"{KEY}\""
    );
    let ran = run!(check(&keys), LONG);
    warning(&ran, Reason::Dns);
}

#[tokio::test]
async fn a_redirect_is_not_followed_so_nobody_else_gets_the_key() {
    let other = openai(KEY, &["gpt-5"]).await;
    for status in [301, 302, 303, 307, 308] {
        let location = format!("Location: {}", other.url("/models"));
        let server = provider(move |_| Reply::new(status, "").with(&location)).await;
        let ran = once("openai", &server, "").await;
        ran.failed(
            Reason::Status,
            &format!("status {status}: redirects are not followed"),
        );
    }
    assert_eq!(other.accepted(), 0);
}

#[tokio::test]
async fn certificates_are_verified() {
    let server = openai(KEY, &["gpt-5"]).await;
    let authority = Authority::new("provider authority");
    let front = tls::in_front_of(&authority.issue(&["localhost"], 2100), server.address).await;
    let dir = tempfile::tempdir().unwrap();
    let ca = dir.path().join("ca.pem");
    std::fs::write(&ca, authority.pem()).unwrap();
    let keys = |more: &str| {
        format!(
            "kind: provider, provider: openai, base_url: \"https://localhost:{}\", api_key: \"{KEY}\"{more}",
            front.address.port()
        )
    };
    let trusting = keys(&format!(", tls_config: {{ ca_file: {} }}", ca.display()));
    let ran = run!(check(&trusting), LONG);
    passed(&ran);
    assert_eq!((state(&ran), key_valid(&ran)), ("valid", Some(1.0)));
    assert!(ran.not_after().is_some(), "the certificate is reported");
    let seen = server.received().len();
    let ran = run!(check(&keys("")), LONG);
    ran.failed(Reason::Tls, "is not trusted");
    let wrong_name = trusting.replace("localhost", "127.0.0.1");
    let ran = run!(check(&wrong_name), LONG);
    ran.failed(Reason::Tls, "the certificate is not valid for 127.0.0.1");
    assert_eq!(
        server.received().len(),
        seen,
        "no key without a verified certificate"
    );
    let plain = Target::serve(|mut stream, _, _| async move {
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        Some(stream)
    })
    .await;
    let port = front.address.port().to_string();
    let keys = keys("").replace(&port, &plain.address.port().to_string());
    let ran = run!(check(&keys), LONG);
    ran.failed(Reason::Tls, "the peer does not speak TLS");
    front.freed().await;
}

#[tokio::test]
async fn a_proxy_is_used_only_if_it_is_configured() {
    let server = openai(KEY, &["gpt-5"]).await;
    let through = proxy::serve(Some("Proxy-Authorization: Basic bWU6cHc=")).await;
    let url = through.url("").replace("://", "://me:pw@");
    let ran = once("openai", &server, &format!(", proxy_url: \"{url}\"")).await;
    passed(&ran);
    assert!(through.accepted() > 0);
    let accepted = through.accepted();
    let ran = once(
        "openai",
        &server,
        &format!(", proxy_url: \"{url}\", no_proxy: 127.0.0.1"),
    )
    .await;
    passed(&ran);
    passed(&once("openai", &server, "").await);
    assert_eq!(through.accepted(), accepted);
}

/// A page that a login page of a network sends, with any status.
const LOGIN_PAGE: &str = "\n<!DOCTYPE html><html><title>Login required</title></html>";

#[tokio::test]
async fn what_responds_instead_of_a_hosted_provider_is_an_outage() {
    let authority = Authority::new("the company's proxy");
    let dir = tempfile::tempdir().unwrap();
    let ca = dir.path().join("ca.pem");
    std::fs::write(&ca, authority.pem()).unwrap();
    let identity = authority.issue(&["api.openai.com"], 2100);
    // In order: trusted or not, the status, a header, the body, and the reason and a part of the message.
    let advice = "check whether a proxy, a firewall or a login page responds instead of the provider";
    for (is_trusted, status, header, body, reason, text) in [
        (true, 200, None, LOGIN_PAGE, Reason::Protocol, advice),
        (
            true,
            401,
            None,
            LOGIN_PAGE,
            Reason::Status,
            "status 401 with a page of HTML",
        ),
        (true, 403, None, LOGIN_PAGE, Reason::Status, advice),
        (true, 404, None, LOGIN_PAGE, Reason::Status, advice),
        (
            true,
            502,
            None,
            LOGIN_PAGE,
            Reason::Status,
            "the provider has an outage (status 502)",
        ),
        (
            true,
            302,
            Some("Location: https://login.test/"),
            "",
            Reason::Status,
            advice,
        ),
        (false, 200, None, LOGIN_PAGE, Reason::Tls, "is not trusted"),
    ] {
        let server = provider(move |_| {
            let reply = Reply::new(status, body);
            header.into_iter().fold(reply, Reply::with)
        })
        .await;
        let front = tls::in_front_of(&identity, server.address).await;
        let through = proxy::intercepting(front.address).await;
        let run_once = async |more: &str| {
            let trust = match is_trusted {
                true => format!(", tls_config: {{ ca_file: {} }}", ca.display()),
                false => String::new(),
            };
            let keys = format!(
                "kind: provider, provider: openai, api_key: \"{KEY}\", proxy_url: \"{}\"{trust}{more}",
                through.url("")
            );
            run!(check(&keys), LONG)
        };
        let ran = run_once("").await;
        let message = warning(&ran, reason);
        assert!(message.contains(text), "{status}: {message}");
        assert_eq!((state(&ran), key_valid(&ran)), ("unavailable", None), "{status}");
        let ran = run_once(", on_outage: failure").await;
        ran.failed(reason, text);
    }
    // An error of the API stays one.
    let server = provider(|_| {
        Reply::new(
            403,
            r#"{"error":{"code":"unsupported_country_region_territory"}}"#,
        )
    })
    .await;
    let front = tls::in_front_of(&identity, server.address).await;
    let through = proxy::intercepting(front.address).await;
    let keys = format!(
        "kind: provider, provider: openai, api_key: \"{KEY}\", proxy_url: \"{}\", tls_config: {{ ca_file: {} }}",
        through.url(""),
        ca.display()
    );
    let ran = run!(check(&keys), LONG);
    ran.failed(Reason::Permission, "the API key lacks permission");
    // A gateway at an own URL often checks the key, and responds with a page.
    let server = provider(|_| Reply::new(401, LOGIN_PAGE)).await;
    let ran = once("openai", &server, "").await;
    ran.failed(Reason::Auth, "the provider rejects the API key (status 401)");
    assert_eq!((state(&ran), key_valid(&ran)), ("invalid", Some(0.0)));
}

#[tokio::test]
async fn a_socks_proxy_gets_credentials() {
    let server = openai(KEY, &["gpt-5"]).await;
    let socks = Proxy::socks(Some(("me", "p/w%41"))).await;
    for scheme in ["socks5", "socks5h"] {
        let keys = format!(", proxy_url: \"{scheme}://me:p%2Fw%2541@{}\"", socks.address);
        passed(&once("openai", &server, &keys).await);
    }
    let keys = format!(", proxy_url: \"socks5://me:other@{}\"", socks.address);
    let ran = once("openai", &server, &keys).await;
    assert!(ran.result != Some(Ok(())) || ran.report.warning.is_some());
}
