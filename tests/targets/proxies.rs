//! Http checks through proxies.

use super::*;

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
