//! TLS: all kinds of invalid certificates, HTTP/2, and rotated files.

use super::*;

#[tokio::test]
async fn certificates_are_verified_and_their_expiry_is_exported() {
    const START_2020: f64 = 1_577_836_800.0;
    const END_2021: f64 = 1_609_459_200.0;
    const END_2099: f64 = 4_070_908_800.0;
    let authority = tls::Authority::new("test authority");
    let stranger = tls::Authority::new("stranger");
    let ca = authority.pem();
    let trusted = authority.issue(&["127.0.0.1", "good.example"], 2099);
    for (identity, end, failure) in [
        (trusted.clone(), END_2099, None),
        (
            authority.issue(&["127.0.0.1"], 2021),
            END_2021,
            Some("the certificate expired on Fri, 01 Jan 2021"),
        ),
        (
            authority.issue(&["other.example", "192.0.2.1"], 2099),
            END_2099,
            Some("the certificate is not valid for 127.0.0.1: it is valid for other.example, 192.0.2.1"),
        ),
        (
            stranger.issue(&["127.0.0.1"], 2099),
            END_2099,
            Some("issuer (CN=stranger) is not trusted"),
        ),
        (
            tls::self_signed(&["127.0.0.1"]),
            END_2099,
            Some("the certificate (CN=target) is self-signed"),
        ),
    ] {
        let target = tls::serve(&identity, &["http/1.1"], None).await;
        let url = format!("https://{}/", target.address);
        let options = json!({"url": url, "tls_config": {"ca": ca}});
        let ran = http(options).await;
        let tcp_ran =
            tcp(json!({"address": target.address.to_string(), "tls": true, "tls_config": {"ca": ca}})).await;
        for ran in [&ran, &tcp_ran] {
            assert_eq!(ran.not_after(), Some(end), "{failure:?}");
            let not_before = ran.value("upkeep_tls_certificate_not_before_timestamp_seconds", None);
            assert_eq!(not_before, Some(START_2020), "{failure:?}");
            match failure {
                None => ran.succeeded(),
                Some(text) => ran.failed(Reason::Tls, text).without_response(),
            };
        }
        assert!(ran.phase("tls") > 0.0);
        let insecure = http(json!({"url": url, "tls_config": {"insecure_skip_verify": true}})).await;
        assert_eq!(insecure.succeeded().not_after(), Some(end));
        target.freed().await;
    }
    let target = tls::serve(&trusted, &[], None).await;
    let url = format!("https://{}/", target.address);
    http(json!({"url": url, "tls_config": {"ca": ca, "server_name": "good.example"}}))
        .await
        .succeeded();
    http(json!({"url": url, "tls_config": {"ca": ca}, "headers": {"Host": "good.example:1"}}))
        .await
        .succeeded();
    http(json!({"url": url, "tls_config": {"ca": ca, "server_name": "bad.example"}}))
        .await
        .failed(
            Reason::Tls,
            "the certificate is not valid for bad.example: it is valid for 127.0.0.1, good.example",
        );
    http(json!({"url": url, "tls_config": {"ca": ca}, "fail_if_ssl": true}))
        .await
        .failed(Reason::Assertion, "over TLS");
    get(url).await.failed(Reason::Tls, "is not trusted");
}

#[tokio::test]
async fn servers_without_tls_are_a_failure() {
    for answer in [
        ok("plain"),
        b"\x15\x03\x01\x00\x02\x02\x28".to_vec(),
        vec![0xff; 600],
    ] {
        let target = Target::serve(move |mut stream, _, _| {
            let answer = answer.clone();
            async move {
                let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, &answer).await;
                Some(stream)
            }
        })
        .await;
        let ran = get(format!("https://{}/", target.address)).await;
        ran.failed(Reason::Tls, "TLS handshake with").without_response();
        target.freed().await;
    }
    let closing = Target::closing(false).await;
    get(format!("https://{}/", closing.address))
        .await
        .failed(Reason::Closed, "TLS handshake with");
    let identity = tls::self_signed(&["127.0.0.1"]);
    let target = tls::serve(&identity, &[], None).await;
    let ran = get(target.url("/")).await;
    assert!(matches!(ran.result, Some(Err(_))), "plain HTTP to a TLS port");
}

#[tokio::test]
async fn http2_is_used_if_offered() {
    let authority = tls::Authority::new("test authority");
    let identity = authority.issue(&["127.0.0.1"], 2099);
    let target = tls::serve(&identity, &["h2", "http/1.1"], None).await;
    let url = format!("https://{}/p?q", target.address);
    let with = |extra: Value| {
        let mut options = json!({"url": url, "tls_config": {"ca": authority.pem()}});
        options
            .as_object_mut()
            .unwrap()
            .extend(extra.as_object().unwrap().clone());
        http(options)
    };
    with(json!({"valid_http_versions": ["HTTP/2.0"], "fail_if_body_not_matches_regexp": ["^ok$"]}))
        .await
        .succeeded();
    with(json!({"method": "POST", "body": "x".repeat(200_000)}))
        .await
        .succeeded();
    with(json!({"enable_http2": false, "valid_http_versions": ["HTTP/1.1"]}))
        .await
        .succeeded();
    let received = target.received();
    assert!(
        received[0].starts_with(&format!("HTTP/2.0 GET {url}")),
        "{received:?}"
    );
    assert!(received[1].starts_with("HTTP/2.0 POST"), "{received:?}");
    assert!(received[2].starts_with("HTTP/1.1 GET /p?q"), "{received:?}");
    target.freed().await;
}

#[tokio::test]
async fn rotated_files_need_no_reload() {
    let (first, second) = (tls::Authority::new("first"), tls::Authority::new("second"));
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let target = tls::serve(&second.issue(&["127.0.0.1"], 2099), &[], Some(&second)).await;
    let client = second.issue(&["client"], 2099);
    std::fs::write(path("ca"), first.pem()).unwrap();
    std::fs::write(path("cert"), &client.certificate).unwrap();
    std::fs::write(path("key"), &client.key).unwrap();
    let files = json!({"ca_file": path("ca"), "cert_file": path("cert"), "key_file": path("key")});
    let url = format!("https://{}/", target.address);
    let mut check = http_check(
        json!({"url": url, "tls_config": files}),
        &CheckContext::new("/proc".into()),
    );
    run!(check, LONG).failed(Reason::Tls, "issuer (CN=second) is not trusted");
    std::fs::write(path("ca.new"), second.pem()).unwrap();
    std::fs::rename(path("ca.new"), path("ca")).unwrap();
    run!(check, LONG).succeeded();
    std::fs::remove_file(path("ca")).unwrap();
    run!(check, LONG).failed(Reason::Tls, "No such file or directory");
    make_pipe(&path("ca"));
    run!(check, LONG).failed(Reason::Tls, "not a regular file");
    let without = http(json!({"url": url, "tls_config": {"ca": second.pem()}})).await;
    without.failed(Reason::Tls, "the server requires a client certificate");
}

#[tokio::test]
async fn a_configured_certificate_is_trusted_even_if_it_is_an_authority() {
    let own = tls::own_authority(&["127.0.0.1"]);
    let target = tls::serve(&own, &["http/1.1"], None).await;
    let url = format!("https://{}/", target.address);
    let with = |ca: &str| http(json!({"url": url, "tls_config": {"ca": ca}}));
    with(&own.certificate).await.succeeded();
    // Another certificate with the same name, or one for another name, is not trusted.
    let other = tls::own_authority(&["127.0.0.1"]);
    let authority = "the server presented the certificate of an authority (CN=target) as its own";
    with(&other.certificate).await.failed(Reason::Tls, authority);
    let elsewhere = tls::own_authority(&["192.0.2.1"]);
    let target = tls::serve(&elsewhere, &["http/1.1"], None).await;
    let options =
        json!({"url": format!("https://{}/", target.address), "tls_config": {"ca": elsewhere.certificate}});
    http(options).await.failed(
        Reason::Tls,
        "the certificate is not valid for 127.0.0.1: it is valid for 192.0.2.1",
    );
}

#[tokio::test]
async fn a_configured_certificate_needs_no_issuer() {
    let authority = tls::Authority::new("private authority");
    let own = authority.issue(&["127.0.0.1"], 2099);
    let target = tls::serve(&own, &["http/1.1"], None).await;
    let with = |target: &Target, ca: &str| {
        http(json!({"url": format!("https://{}/", target.address), "tls_config": {"ca": ca}}))
    };
    let ran = with(&target, &own.certificate).await;
    assert_eq!(ran.succeeded().not_after(), Some(4_070_908_800.0));
    // Together with others, in any order.
    let both = format!("{}{}", tls::Authority::new("other").pem(), own.certificate);
    with(&target, &both).await.succeeded();
    // Another certificate of the same authority, or with the same key and name, is not trusted.
    let another = authority.issue(&["127.0.0.1"], 2098);
    with(&target, &another.certificate)
        .await
        .failed(Reason::Tls, "issuer (CN=private authority) is not trusted");
    for (identity, text) in [
        (
            authority.issue(&["127.0.0.1"], 2021),
            "the certificate expired on Fri, 01 Jan 2021",
        ),
        (
            authority.issue(&["192.0.2.1"], 2099),
            "the certificate is not valid for 127.0.0.1: it is valid for 192.0.2.1",
        ),
        (
            authority.issue_for_clients(&["127.0.0.1"]),
            "the certificate is not valid for servers",
        ),
    ] {
        let target = tls::serve(&identity, &["http/1.1"], None).await;
        with(&target, &identity.certificate)
            .await
            .failed(Reason::Tls, text);
    }
}

#[tokio::test]
async fn the_exported_expiry_is_that_of_the_verified_chain() {
    const END_2024: f64 = 1_704_067_200.0;
    const END_2080: f64 = 3_471_292_800.0;
    const END_2090: f64 = 3_786_912_000.0;
    let (old, key) = (tls::Authority::until("old root", 2021), tls::key());
    let new = tls::Authority::with_key("new root", &key, 2095);
    let crossed = old.below("new root", &key, 2024);
    let middle_key = tls::key();
    let middle = new.below("middle", &middle_key, 2080);
    let leaf = middle
        .issue(&["127.0.0.1"], 2090)
        .with(&[middle.pem(), crossed.pem()]);
    let target = tls::serve(&leaf, &["http/1.1"], None).await;
    let address = target.address.to_string();
    let both = [new.pem() + &old.pem(), old.pem() + &new.pem()];
    for (settings, end, is_fine) in [
        (json!({"ca": new.pem()}), END_2080, true),
        (json!({"ca": both[0]}), END_2080, true),
        (json!({"ca": both[1]}), END_2080, true),
        // Only the certificate itself is needed.
        (json!({"ca": leaf.certificate}), END_2090, true),
        // Nothing was verified, so all presented certificates count.
        (json!({"insecure_skip_verify": true}), END_2024, true),
        (
            json!({"ca": new.pem(), "server_name": "other.example"}),
            END_2024,
            false,
        ),
        (
            json!({"ca": tls::Authority::new("stranger").pem()}),
            END_2024,
            false,
        ),
    ] {
        let context = CheckContext::new("/proc".into());
        let url = format!("https://{address}/");
        let mut by_http = http_check(json!({"url": url, "tls_config": settings}), &context);
        let mut by_tcp = tcp_check(
            json!({"address": address, "tls": true, "tls_config": settings}),
            &context,
        );
        // The second run reuses what the first one verified.
        for _ in 0..2 {
            for ran in [run!(by_http, LONG), run!(by_tcp, LONG)] {
                assert_eq!(
                    ran.result == Some(Ok(())),
                    is_fine,
                    "{settings}: {:?}",
                    ran.result
                );
                assert_eq!(ran.not_after(), Some(end), "{settings}");
            }
        }
    }
}

/// A server that records how connections end: "close_notify" or "cut off".
async fn recording_end(
    protocols: &'static [&'static str],
    answer: Option<&'static [u8]>,
) -> (tls::Authority, Target) {
    let authority = tls::Authority::new("test authority");
    let acceptor = tls::acceptor(&authority.issue(&["127.0.0.1"], 2099), protocols, None);
    let target = Target::serve(move |stream, _, state| {
        let acceptor = acceptor.clone();
        async move {
            let mut stream = acceptor.accept(stream).await.ok()?;
            if let Some(answer) = answer {
                let _ = tokio::io::AsyncReadExt::read(&mut stream, &mut [0; 4096]).await;
                let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, answer).await;
            }
            let mut rest = Vec::new();
            let end = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut rest).await;
            state.record(if end.is_ok() { b"close_notify" } else { b"cut off" });
            None
        }
    })
    .await;
    (authority, target)
}

#[tokio::test]
async fn the_end_of_a_connection_is_announced() {
    const FINE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    const BAD: &[u8] = b"HTTP/1.1 500 No\r\nContent-Length: 9\r\n\r\nok";
    let context = CheckContext::new("/proc".into());
    let of = |authority: &tls::Authority| json!({"ca": authority.pem()});
    for (protocols, answer) in [
        (&["http/1.1"][..], Some(FINE)),
        (&["http/1.1"], Some(BAD)),
        (&["http/1.1"], None),
        (&["h2"], None),
    ] {
        let (authority, target) = recording_end(protocols, answer).await;
        let url = format!("https://{}/", target.address);
        let mut check = http_check(json!({"url": url, "tls_config": of(&authority)}), &context);
        // Without a response, the run is cancelled.
        let _ = run!(check, SHORT);
        target.freed().await;
        assert_eq!(target.received(), ["close_notify"], "{protocols:?}, {answer:?}");
    }
    let (authority, target) = recording_end(&[], None).await;
    let address = target.address.to_string();
    let steps = json!([{"expect": "x"}]);
    let options = json!({"address": address, "tls": true, "tls_config": of(&authority)});
    let mut with_steps = options.clone();
    with_steps["query_response"] = steps;
    let _ = run!(tcp_check(options, &context), LONG);
    let _ = run!(tcp_check(with_steps, &context), SHORT);
    target.freed().await;
    assert_eq!(target.received(), ["close_notify"; 2]);
}
