//! `status`: requests to a running exporter, which the tests mostly simulate.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::net::UnixListener;

use crate::common::targets::tls::{self, Authority};
use crate::common::targets::{Target, ok, read_request};
use crate::{ends_with, errors, out, upkeep};

/// A response of the exporter.
const SERVED: &str = r#"{
  "host": "monitor1", "version": "0.1.0", "generated_at": "2026-11-24T12:00:00.000Z", "mode": "production_monitoring",
  "ok_count": 1, "fail_count": 2, "total": 3, "overall": "down",
  "groups": [{"name": "Infrastructure", "total": 2, "up": 1, "degraded": 0, "down": 1, "unknown": 0}],
  "services": {
    "db": {"name": "PostgreSQL", "key": "db", "group": "Infrastructure", "tier": "critical", "ok": true,
      "status": "up", "since": "2026-11-21T08:00:00Z", "running_since": "2026-11-23T10:00:00Z", "reason": null, "message": null, "advice": null,
      "last_checked": "2026-11-24T11:59:59Z", "unheard_of": {"a": [1]},
      "checks": [{"name": "postgres", "kind": "postgres", "target": "127.0.0.1:5432/app", "status": "up",
        "severity": "critical", "since": "2026-11-21T08:00:00Z", "running_since": "2026-11-22T10:00:00Z", "latency_ms": 1.25, "reason": null,
        "message": null, "phases_ms": {"connect": 0.5, "warp": 7}, "last_checked": "2026-11-24T11:59:59Z"}]},
    "cache": {"name": "Redis", "key": "cache", "group": "Infrastructure", "tier": "tolerant", "ok": false,
      "status": "down", "since": "2026-11-24T11:54:48Z", "reason": "refused",
      "message": "connecting to 127.0.0.1:6379: \u001b[2JConnection refused", "advice": "start it", "impacted": true, "root_causes": ["vault", "disk\u001b"],
      "checks": [{"name": "redis", "kind": "redis", "target": "127.0.0.1:6379", "status": "down",
        "since": "2026-11-24T11:54:48Z", "latency_ms": null, "reason": "refused",
        "message": "connecting to 127.0.0.1:6379: \u001b[2JConnection refused"}]},
    "new": {"name": "New one", "status": "unknown", "since": null, "checks": [{"name": "http", "status": "unknown"}]}
  }
}"#;

const TABLE: &str = "\
Infrastructure
  up        PostgreSQL    1.2 ms  for 3d 4h    running 1d 2h
  down      Redis              -  for 5m 12s
            impacted: vault, disk  are down
            redis: refused: connecting to 127.0.0.1:6379:  [2JConnection refused
            advice: start it

default
  unknown   New one            -
            http: no recent result

Infrastructure 1/2, default 0/1
3 services: 1 up, 1 down, 1 unknown
";

#[tokio::test(flavor = "multi_thread")]
async fn it_shows_the_response_of_a_running_exporter() {
    let exporter = Target::answering(ok(SERVED)).await;
    let url = exporter.url("/");
    let output = upkeep(&["status", "--url", &url]).output().unwrap();
    ends_with(2, &output);
    assert_eq!(out(&output), TABLE);
    assert!(exporter.received()[0].starts_with("GET /api/status HTTP/1.1\r\n"));

    for (services, code) in [(&["PostgreSQL"][..], 0), (&["new"], 3), (&["db", "new"], 3)] {
        let output = upkeep(&["status", "--url", &url])
            .args(services)
            .output()
            .unwrap();
        ends_with(code, &output);
        assert!(!out(&output).contains("Redis"));
    }
    let output = upkeep(&["status", "--url", &url, "dbb"]).output().unwrap();
    ends_with(64, &output);
    assert_eq!(errors(&output), "unknown service dbb: did you mean db?\n");

    let output = upkeep(&["status", "--url", &url, "-o", "json"]).output().unwrap();
    let document: Value = serde_json::from_str(out(&output)).unwrap();
    let cache = &document["services"][1];
    assert_eq!(cache["since"], "2026-11-24T11:54:48Z");
    assert_eq!(
        (&cache["tier"], &cache["advice"]),
        (&"tolerant".into(), &"start it".into())
    );
    assert_eq!(cache["root_causes"][0], "vault");
    assert_eq!(cache.get("running_since"), None);
    let db = &document["services"][0];
    assert_eq!(db["running_since"], "2026-11-23T10:00:00Z");
    assert_eq!(db["checks"][0]["running_since"], "2026-11-22T10:00:00Z");
    assert_eq!(document["services"][0]["checks"][0]["latency_seconds"], 0.001_25);
    assert_eq!(
        document["services"][0]["checks"][0]["phases"],
        serde_json::json!({"connect": 0.000_5})
    );
    assert_eq!(document["generated_at"], "2026-11-24T12:00:00.000Z");
}

#[tokio::test(flavor = "multi_thread")]
async fn other_responses_are_unknown_with_an_error() {
    let refusing = format!("http://{}", Target::refusing().await);
    let output = upkeep(&["status", "--url", &refusing]).output().unwrap();
    ends_with(3, &output);
    assert!(
        errors(&output).contains("Connection refused")
            && errors(&output).contains("is an exporter running there?"),
        "{}",
        errors(&output)
    );
    for (response, message) in [
        (ok("<html>"), "not the status of an exporter"),
        (
            b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_vec(),
            "has no /api/status",
        ),
        (
            b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n".to_vec(),
            "set --user",
        ),
        (
            b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n".to_vec(),
            "responded with 503",
        ),
        (
            b"HTTP/1.1 400 Bad Request\r\nContent-Length: 23\r\n\r\nthis port speaks HTTPS\n".to_vec(),
            "responded with 400 Bad Request: this port speaks HTTPS",
        ),
        (
            b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 27\r\n\r\n{\"error\":\"wrong passwords\"}"
                .to_vec(),
            "Too Many Requests: wrong passwords",
        ),
        (b"SSH-2.0-OpenSSH_9.2\r\n".to_vec(), "can't get the status from"),
    ] {
        let exporter = Target::answering(response).await;
        let output = upkeep(&["status", "--url", &exporter.url("")]).output().unwrap();
        ends_with(3, &output);
        assert!(errors(&output).contains(message), "{}", errors(&output));
        assert_eq!(out(&output), "");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_response_is_bounded_in_time_and_size() {
    let silent = Target::silent().await;
    let begun = Instant::now();
    let output = upkeep(&["status", "--timeout=300ms", "--url", &silent.url("")])
        .output()
        .unwrap();
    ends_with(3, &output);
    assert!(begun.elapsed() < Duration::from_secs(5));
    assert!(
        errors(&output).contains("within 300ms while requesting the status"),
        "{}",
        errors(&output)
    );
    let endless = Target::endless("HTTP/1.1 200 OK\r\n\r\n").await;
    let output = upkeep(&["status", "--timeout=60s", "--url", &endless.url("")])
        .output()
        .unwrap();
    ends_with(3, &output);
    assert!(
        errors(&output).contains("more than 67108864 bytes"),
        "{}",
        errors(&output)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_comes_only_from_a_file_or_a_variable() {
    let exporter = Target::answering(ok(SERVED)).await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("password");
    fs::write(&file, "sesame\n").unwrap();
    let url = exporter.url("");
    let by_file = upkeep(&["status", "--url", &url, "--user=ali", "--password-file"])
        .arg(&file)
        .output()
        .unwrap();
    ends_with(2, &by_file);
    let by_variable = upkeep(&["status", "--url", &url, "--user=ali", "--password-env=SECRET"])
        .env("SECRET", "sesame")
        .output()
        .unwrap();
    ends_with(2, &by_variable);
    for request in exporter.received() {
        // ali:sesame
        let request = request.to_ascii_lowercase();
        assert!(
            request.contains("authorization: basic ywxponnlc2ftzq=="),
            "{request}"
        );
    }
    let on_the_line = upkeep(&["status", "--url", "http://ali:sesame@127.0.0.1:1/"])
        .output()
        .unwrap();
    ends_with(64, &on_the_line);
    assert!(errors(&on_the_line).contains("--password-file") && !errors(&on_the_line).contains("sesame"));
    let missing = upkeep(&[
        "status",
        "--url",
        &url,
        "--user=ali",
        "--password-file=/no/such/file",
    ])
    .output()
    .unwrap();
    ends_with(3, &missing);
    assert!(errors(&missing).contains("/no/such/file"), "{}", errors(&missing));
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_are_verified_unless_disabled() {
    let authority = Authority::new("ours");
    let exporter = tls::serve(&authority.issue(&["localhost"], 2100), &[], None).await;
    let dir = tempfile::tempdir().unwrap();
    let ca = dir.path().join("ca.pem");
    fs::write(&ca, authority.pem()).unwrap();
    let url = format!("https://localhost:{}", exporter.address.port());
    let ask = |flags: &[&str]| {
        let output = upkeep(&["status", "--url", &url]).args(flags).output().unwrap();
        ends_with(3, &output);
        errors(&output).to_owned()
    };
    let said = ask(&[]);
    assert!(
        said.contains("certificate") && said.contains("can't get the status from"),
        "{said}"
    );
    // The response "ok" is not a status, but it arrives over TLS.
    for flags in [
        ["--ca-file", ca.to_str().unwrap()],
        ["--insecure", "--timeout=10s"],
    ] {
        let said = ask(&flags);
        assert!(said.contains("not the status of an exporter"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unix_socket_or_a_path_prefix_works() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("exporter.sock");
    let listener = UnixListener::bind(&path).unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            read_request(&mut stream).await;
            // The client may have disconnected.
            let _ = stream.write_all(&ok(SERVED)).await;
        }
    });
    for url in [
        format!("unix:{}", path.display()),
        format!("unix://{}", path.display()),
    ] {
        let output = upkeep(&["status", "--url", &url, "db"]).output().unwrap();
        ends_with(0, &output);
    }
    let proxied = Target::answering(ok(SERVED)).await;
    ends_with(
        2,
        &upkeep(&["status", "--url", &proxied.url("/upkeep/")])
            .output()
            .unwrap(),
    );
    assert!(proxied.received()[0].starts_with("GET /upkeep/api/status "));
    ends_with(
        2,
        &upkeep(&["status", "--url", &proxied.url("/upkeep/api/status")])
            .output()
            .unwrap(),
    );
    assert!(proxied.received()[1].starts_with("GET /upkeep/api/status "));
    for (arguments, message) in [
        (
            ["--url", "http://127.0.0.1:1/?group=x"],
            "remove the part from ? on",
        ),
        (["--timeout", "0s"], "such as 10s"),
    ] {
        let output = upkeep(&["status"]).args(arguments).output().unwrap();
        ends_with(64, &output);
        assert!(errors(&output).contains(message), "{}", errors(&output));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_https_url_of_a_plain_http_server_has_a_helpful_error() {
    // An HTTP server responds like this to a TLS handshake.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        use std::io::{Read, Write};
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 1024]).unwrap();
        stream
            .write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
            .unwrap();
    });
    let output = upkeep(&["status", "--url", &url]).output().unwrap();
    ends_with(3, &output);
    assert!(
        errors(&output).contains("for a server with plain HTTP, use http://"),
        "{}",
        errors(&output)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn rounds_continue_after_an_error() {
    let broken = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n".to_vec();
    let exporter = Target::answering_each(vec![ok(SERVED), broken, ok(SERVED)]).await;
    let output = std::process::Command::new("timeout")
        .args(["--preserve-status", "--signal=INT", "3"])
        .arg(env!("CARGO_BIN_EXE_upkeep_exporter"))
        .args(["status", "--watch=0.3", "-o", "json", "--url", &exporter.url("")])
        .output()
        .unwrap();
    ends_with(2, &output);
    assert!(out(&output).lines().count() >= 2, "{}", out(&output));
    assert_eq!(
        errors(&output).matches("responded with 503").count(),
        1,
        "{}",
        errors(&output)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn it_works_with_a_real_exporter() {
    let target = Target::answering(ok("fine")).await;
    let config = format!(
        "services:\n  - {{ {} }}\n  - {{ {} }}\n",
        crate::tcp("good", target.address),
        crate::refused("bad")
    );
    let exporter = crate::common::exporter::Exporter::start(&config, &[]).await;
    let ask = |services: &[&str]| {
        upkeep(&["status", "--url", &exporter.url("/")])
            .args(services)
            .output()
            .unwrap()
    };
    let output = ask(&[]);
    ends_with(2, &output);
    assert!(
        out(&output).contains("tcp: refused: connecting to 127.0.0.1:1"),
        "{}",
        out(&output)
    );
    assert!(
        out(&output).ends_with("2 services: 1 up, 1 down\n"),
        "{}",
        out(&output)
    );
    ends_with(0, &ask(&["good"]));
    ends_with(64, &ask(&["god"]));
}
