//! Versions of TLS and HTTP, cipher suites, curves and header fields.

use std::process::{Command, Stdio};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::client::conn::http2;
use hyper_util::rt::TokioExecutor;

use crate::common::servers::tool;
use crate::guarded::{Guarded, TLS, http2_client};

/// Returns the output of openssl's client about a handshake; `None` if it failed.
fn handshake(guarded: &Guarded, arguments: &[&str]) -> Option<String> {
    let output = Command::new(tool("openssl", "openssl"))
        .args(["s_client", "-brief", "-connect"])
        .arg(format!("127.0.0.1:{}", guarded.port))
        .args(["-servername", "localhost", "-CAfile"])
        .arg(guarded.path("ca.crt"))
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.success() && said.contains("Verification: OK")).then_some(said)
}

#[tokio::test]
async fn tls_12_and_13_and_http_1_and_2_are_supported() {
    let guarded = Guarded::start(TLS).await;
    for (arguments, version) in [
        (&["--http1.1", "--tls-max", "1.2"][..], "1.1"),
        (&["--http1.1", "--tlsv1.3"], "1.1"),
        (&["--http2", "--tls-max", "1.2"], "2"),
        (&["--http2", "--tlsv1.3"], "2"),
        (&["--no-alpn"], "1.1"),
    ] {
        for path in ["/metrics", "/-/healthy", "/"] {
            let answer = guarded.https(path, arguments);
            assert_eq!(
                (answer.status, answer.version.as_str()),
                (200, version),
                "{answer:?}"
            );
        }
        assert_eq!(guarded.https("/nowhere", arguments).status, 404);
    }
    let metrics = guarded.https("/metrics", &["--http2", "--compressed"]);
    assert!(
        metrics
            .body
            .contains("\nupkeep_web_config_last_reload_successful 1\n"),
        "{metrics:?}"
    );
    for old in ["-tls1", "-tls1_1"] {
        let arguments = [old, "-cipher", "DEFAULT@SECLEVEL=0"];
        assert_eq!(handshake(&guarded, &arguments), None, "{old}");
    }
}

/// curl 7.88 can't handle a response while it sends, so this uses hyper's client.
#[tokio::test]
async fn an_http2_request_is_answered_before_its_body_is_sent() {
    let guarded = Guarded::start(TLS).await;
    let (mut sender, connection) = http2_client(&guarded, http2::Builder::new(TokioExecutor::new())).await;
    let connection = tokio::spawn(connection);
    for _ in 0..3 {
        let body = Full::new(Bytes::from(vec![b'x'; 1 << 20]));
        let request = Request::get("https://localhost/metrics").body(body).unwrap();
        let answer = sender.send_request(request).await.unwrap();
        assert_eq!(answer.status(), 413);
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        assert!(body.starts_with(b"413 "), "{body:?}");
    }
    drop(sender);
    connection.await.unwrap().unwrap();
}

#[tokio::test]
async fn plain_http_on_an_https_port_gets_an_error_response() {
    let guarded = Guarded::start(TLS).await;
    let answer = guarded.http("/metrics", &[]);
    assert_eq!((answer.exit, answer.status), (0, 400), "{answer:?}");
    assert!(answer.body.contains("this port requires HTTPS"), "{answer:?}");
    assert!(guarded.log().contains("metrics=https://"), "{}", guarded.log());
}

#[tokio::test]
async fn http2_can_be_disabled() {
    let guarded = Guarded::start(&format!("{TLS}http_server_config: {{http2: false}}\n")).await;
    let answer = guarded.https("/metrics", &["--http2"]);
    assert_eq!(
        (answer.status, answer.version.as_str()),
        (200, "1.1"),
        "{answer:?}"
    );
}

#[tokio::test]
async fn versions_can_be_restricted() {
    for (key, good, bad) in [
        ("min_version: TLS13", "-tls1_3", "-tls1_2"),
        ("max_version: TLS12", "-tls1_2", "-tls1_3"),
    ] {
        let guarded = Guarded::start(&format!("{TLS}  {key}\n")).await;
        assert!(handshake(&guarded, &[good]).is_some(), "{key}");
        assert_eq!(handshake(&guarded, &[bad]), None, "{key}");
    }
}

#[tokio::test]
async fn cipher_suites_and_curves_can_be_restricted() {
    let suite = "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384";
    let guarded = Guarded::start(&format!(
        "{TLS}  cipher_suites: [{suite}, TLS_AES_256_GCM_SHA384]\n  curve_preferences: [CurveP384]\n"
    ))
    .await;
    let good = handshake(&guarded, &["-tls1_2", "-groups", "P-256:P-384"]).unwrap();
    assert!(
        good.contains("Ciphersuite: ECDHE-ECDSA-AES256-GCM-SHA384"),
        "{good}"
    );
    assert!(good.contains("secp384r1") || good.contains("P-384"), "{good}");
    for bad in [
        &["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"][..],
        &["-tls1_3", "-ciphersuites", "TLS_AES_128_GCM_SHA256"],
        &["-tls1_3", "-groups", "P-256"],
    ] {
        assert_eq!(handshake(&guarded, bad), None, "{bad:?}");
    }
    assert!(handshake(&guarded, &["-tls1_3", "-groups", "P-384"]).is_some());
}

#[tokio::test]
async fn the_server_chooses_the_suite_by_default() {
    let both = "[TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384]";
    let asked = [
        "-tls1_2",
        "-cipher",
        "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-GCM-SHA256",
    ];
    for (line, chosen) in [
        ("", "AES128"),
        ("  prefer_server_cipher_suites: false\n", "AES256"),
    ] {
        let guarded = Guarded::start(&format!("{TLS}  cipher_suites: {both}\n{line}")).await;
        let said = handshake(&guarded, &asked).unwrap();
        assert!(
            said.contains(&format!("Ciphersuite: ECDHE-ECDSA-{chosen}")),
            "{said}"
        );
    }
}

#[tokio::test]
async fn every_response_has_the_header_fields() {
    let guarded = Guarded::start(
        "http_server_config:\n  headers:\n    Content-Security-Policy: default-src 'self'\n    X-Frame-Options: \
         sameorigin\n    X-Content-Type-Options: nosniff\n    X-XSS-Protection: ''\n    Strict-Transport-Security: \
         max-age=1\n",
    )
    .await;
    for path in ["/", "/metrics", "/nowhere"] {
        let head = guarded.http(path, &[]).head;
        for line in [
            "content-security-policy: default-src 'self'",
            "x-frame-options: sameorigin",
            "x-content-type-options: nosniff",
            "strict-transport-security: max-age=1",
        ] {
            assert_eq!(
                head.lines().filter(|found| *found == line).count(),
                1,
                "{path}: {head}"
            );
        }
        assert!(!head.contains("x-xss-protection"), "{head}");
    }
}
