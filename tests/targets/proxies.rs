//! Http checks through proxies.

use super::*;
use crate::common::proxies::Proxy;
use crate::common::servers::eventually;

#[tokio::test]
async fn proxies_are_used_where_configured() {
    let target = Target::answering(ok("")).await;
    let plain = proxy::serve(None).await;
    let with = |url: String, proxy: &Target, extra: Value| {
        let mut options = json!({"url": url, "proxy_url": proxy.url("")});
        options
            .as_object_mut()
            .unwrap()
            .extend(extra.as_object().unwrap().clone());
        http(options)
    };
    with(target.url("/a?b"), &plain, json!({})).await.succeeded();
    let request = plain.received().remove(0);
    assert!(
        request.starts_with(&format!("GET {} HTTP/1.1\r\n", target.url("/a?b"))),
        "{request}"
    );
    with(target.url("/"), &plain, json!({"no_proxy": "127.0.0.0/8"}))
        .await
        .succeeded();
    assert_eq!(plain.accepted(), 1, "no_proxy connects directly");

    let authority = tls::Authority::new("test authority");
    let secure = tls::serve(&authority.issue(&["127.0.0.1"], 2099), &["h2"], None).await;
    let url = format!("https://{}/", secure.address);
    let ca = json!({"ca": authority.pem()});
    with(
        url.clone(),
        &plain,
        json!({"tls_config": ca, "proxy_connect_header": {"X-Hop": ["1"]}}),
    )
    .await
    .succeeded();
    let request = plain.received().remove(1).to_ascii_lowercase();
    assert!(
        request.starts_with(&format!("connect {} http/1.1\r\n", secure.address)),
        "{request}"
    );
    assert!(request.contains("x-hop: 1"), "{request}");

    let strict = proxy::serve(Some("Proxy-Authorization: Basic dXNlcjpodW50ZXIy")).await;
    with(url.clone(), &strict, json!({"tls_config": ca}))
        .await
        .failed(Reason::Auth, "407")
        .without_response();
    with(target.url("/"), &strict, json!({}))
        .await
        .failed(Reason::Auth, "the proxy refused the credentials");
    let proxy_url = strict.url("").replace("http://", "http://user:hunter2@");
    with(url, &strict, json!({"tls_config": ca, "proxy_url": proxy_url}))
        .await
        .succeeded();
    with(target.url("/"), &strict, json!({"proxy_url": proxy_url}))
        .await
        .succeeded();
    let refusing = format!("http://{}", Target::refusing().await);
    with(target.url("/"), &plain, json!({"proxy_url": refusing}))
        .await
        .failed(Reason::Refused, "connecting to");
    plain.freed().await;
    strict.freed().await;
}

#[tokio::test]
async fn refusals_of_proxies_have_reasons() {
    let responding = |status: &str, body: &str| {
        let answer = format!(
            "HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        Target::answering(answer)
    };
    for (proxy, reason, message) in [
        (
            responding("407 Proxy Authentication Required", "<p>log in</p>").await,
            Reason::Auth,
            "407",
        ),
        (
            responding("403 Forbidden", "<p>not there</p>").await,
            Reason::Status,
            "it responded with 403",
        ),
        (
            responding("200 Connection established", "no TLS").await,
            Reason::Protocol,
            "it sent data after its response",
        ),
    ] {
        let options = json!({"url": "https://127.0.0.1:1/", "proxy_url": proxy.url("")});
        http(options).await.failed(reason, message).without_response();
        proxy.freed().await;
    }
}

fn through(proxy_url: &str, url: String, extra: &Value) -> Value {
    let mut options = json!({"url": url, "proxy_url": proxy_url, "preferred_ip_protocol": "ip4"});
    options
        .as_object_mut()
        .unwrap()
        .extend(extra.as_object().unwrap().clone());
    options
}

#[tokio::test]
async fn socks_proxies_connect_to_addresses_and_names() {
    let none = json!({});
    let target = Target::answering(ok("")).await;
    let proxy = Proxy::socks(None).await;
    let port = target.address.port();
    for (scheme, connected) in [("socks5", "127.0.0.1"), ("socks5h", "localhost")] {
        let proxy_url = format!("{scheme}://{}", proxy.address);
        let url = format!("http://localhost:{port}/{scheme}?b");
        http(through(&proxy_url, url, &none)).await.succeeded();
        let logged = format!("connected to {connected}:{port}");
        eventually(&logged, LONG, || async {
            proxy.log().contains(&logged).then_some(())
        })
        .await;
    }
    let requests = target.received();
    assert!(
        requests[0].starts_with("GET /socks5?b HTTP/1.1\r\n"),
        "{requests:?}"
    );
    assert!(
        !requests[1].to_ascii_lowercase().contains("proxy-"),
        "{requests:?}"
    );

    let authority = tls::Authority::new("test authority");
    let secure = tls::serve(&authority.issue(&["127.0.0.1"], 2099), &["h2"], None).await;
    let proxy_url = format!("socks5h://{}", proxy.address);
    let trusted = json!({"tls_config": {"ca": authority.pem()}, "proxy_connect_header": {"X-Hop": ["1"]}});
    http(through(
        &proxy_url,
        format!("https://{}/", secure.address),
        &trusted,
    ))
    .await
    .succeeded();
    let refusing = format!("http://{}/", Target::refusing().await);
    http(through(&proxy_url, refusing, &none))
        .await
        .failed(Reason::Refused, "the target refused its connection")
        .without_response();
    target.freed().await;
    secure.freed().await;
}

#[tokio::test]
async fn socks_proxies_get_credentials() {
    let none = json!({});
    let target = Target::answering(ok("")).await;
    let strict = Proxy::socks(Some(("me", "hunter2"))).await;
    for (login, failure) in [
        (
            "",
            Some("it requires credentials: write user:password@ in proxy_url"),
        ),
        ("me:other@", Some("it refused the credentials")),
        ("me:hunter2@", None),
    ] {
        let proxy_url = format!("socks5://{login}{}", strict.address);
        let ran = http(through(&proxy_url, target.url("/"), &none)).await;
        match failure {
            None => ran.succeeded(),
            Some(message) => ran.failed(Reason::Auth, message).without_response(),
        };
    }
    let open = Proxy::socks(None).await;
    let proxy_url = format!("socks5://me:hunter2@{}", open.address);
    http(through(&proxy_url, target.url("/"), &none))
        .await
        .succeeded();
    assert_eq!(target.accepted(), 2);
    target.freed().await;
}

#[tokio::test]
async fn failures_of_socks_proxies_have_reasons() {
    let none = json!({});
    let replying = |reply: &'static [u8]| {
        Target::serve(move |mut stream, _, _| async move {
            use tokio::io::{AsyncReadExt, AsyncWriteExt};
            let mut request = [0; 512];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(&reply[..2]).await;
            if reply.len() > 2 {
                let _ = stream.read(&mut request).await;
                let _ = stream.write_all(&reply[2..]).await;
            }
            Some(stream)
        })
    };
    for (proxy, reason, message) in [
        (
            Target::closing(false).await,
            Reason::Closed,
            "it closed the connection without a response",
        ),
        (
            replying(b"HT").await,
            Reason::Protocol,
            "its response is not SOCKS5",
        ),
        (
            replying(b"\x05\xff").await,
            Reason::Auth,
            "it requires credentials",
        ),
        (
            replying(b"\x05\0\x05\x01\0\x01\0\0\0\0\0\0").await,
            Reason::Status,
            "it reported a general failure",
        ),
        (
            replying(b"\x05\0\x05\x02\0\x01\0\0\0\0\0\0").await,
            Reason::Status,
            "its rules do not allow the target",
        ),
        (
            replying(b"\x05\0\x05\x04\0\x01\0\0\0\0\0\0").await,
            Reason::Unreachable,
            "it can't reach the host",
        ),
    ] {
        let proxy_url = format!("socks5h://{}", proxy.address);
        let options = through(&proxy_url, "http://127.0.0.1:1/".to_owned(), &none);
        http(options).await.failed(reason, message).without_response();
        proxy.freed().await;
    }
    let silent = Target::silent().await;
    let proxy_url = format!("socks5h://{}", silent.address);
    let options = through(&proxy_url, "http://127.0.0.1:1/".to_owned(), &none);
    run!(http_check(options, &CheckContext::new("/proc".into())), SHORT)
        .hung("waiting for the proxy to connect to 127.0.0.1:1");
    silent.freed().await;
}

#[tokio::test]
async fn proxies_with_tls_forward_and_tunnel() {
    let none = json!({});
    let target = Target::answering(ok("")).await;
    let authority = tls::Authority::new("test authority");
    let plain = proxy::serve(Some("Proxy-Authorization: Basic dXNlcjpodW50ZXIy")).await;
    let identity = authority.issue(&["127.0.0.1", "localhost"], 2099);
    let front = Proxy::tls(&identity, plain.address).await;
    let proxy_url = format!("https://user:hunter2@{}", front.address);
    let trusted = json!({"tls_config": {"ca": authority.pem()}});
    http(through(&proxy_url, target.url("/a/%2e%2e/b?c"), &trusted))
        .await
        .succeeded();
    let request = plain.received().remove(0);
    assert!(
        request.starts_with(&format!("GET {} HTTP/1.1\r\n", target.url("/a/%2e%2e/b?c"))),
        "{request}"
    );
    // The certificate of the target is verified and reported, not that of the proxy.
    let secure = tls::serve(&authority.issue(&["127.0.0.1"], 2098), &["h2"], None).await;
    let expects_h2 = json!({
        "tls_config": {"ca": authority.pem(), "server_name": "127.0.0.1"}, "valid_http_versions": ["HTTP/2.0"]
    });
    let by_name = format!("https://user:hunter2@localhost:{}", port_of(&front));
    http(through(
        &by_name,
        format!("https://{}/", secure.address),
        &expects_h2,
    ))
    .await
    .succeeded();
    let ssl = json!({"tls_config": {"ca": authority.pem()}, "fail_if_not_ssl": true});
    http(through(&proxy_url, target.url("/"), &ssl))
        .await
        .failed(Reason::Assertion, "");
    http(through(&proxy_url, target.url("/"), &none))
        .await
        .failed(Reason::Tls, "connecting to the proxy: ")
        .without_response();
    let without_login = format!("https://{}", front.address);
    http(through(
        &without_login,
        format!("https://{}/", secure.address),
        &trusted,
    ))
    .await
    .failed(Reason::Auth, "407");
    target.freed().await;
    secure.freed().await;
}

fn port_of(proxy: &Proxy) -> &str {
    proxy.address.rsplit_once(':').unwrap().1
}
