//! Responses to well-behaved clients.

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use flate2::read::GzDecoder;
use tokio::io::AsyncWriteExt;

use crate::client::{Reply, Server, read_to_end, state};
use crate::snapshots::{every_status, many};

const OPENMETRICS: &str =
    "Accept: application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";

const PROTOBUF: &str = "Accept: application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;\
    encoding=delimited,application/openmetrics-text;version=1.0.0;q=0.8,*/*;q=0.1";

/// Removes the metrics that change between scrapes.
fn stable(text: &str) -> String {
    let lines = text.lines().filter(|line| !line.starts_with("process_"));
    lines.flat_map(|line| [line, "\n"]).collect()
}

#[tokio::test]
async fn metrics_have_the_requested_format() {
    let server = Server::start(state(every_status)).await;
    let classic = server.get("/metrics", &[]).await;
    assert_eq!(classic.status, 200);
    assert_eq!(
        classic.header("content-type"),
        Some("text/plain; version=0.0.4; charset=utf-8")
    );
    assert_eq!(classic.header("content-encoding"), None);
    assert_eq!(classic.header("vary"), Some("accept, accept-encoding"));
    assert!(
        classic
            .text()
            .contains("\n# TYPE upkeep_check_runs_total counter\n")
    );
    assert!(!classic.text().contains("# EOF"));
    let openmetrics = server.get("/metrics", &[OPENMETRICS]).await;
    assert_eq!(
        openmetrics.header("content-type"),
        Some("application/openmetrics-text; version=1.0.0; charset=utf-8")
    );
    assert!(
        openmetrics
            .text()
            .contains("\n# TYPE upkeep_check_runs counter\n")
    );
    assert!(openmetrics.text().ends_with("\n# EOF\n"));
    let older = server
        .get(
            "/metrics",
            &["Accept: application/openmetrics-text; version=0.0.1"],
        )
        .await;
    assert_eq!(
        older.header("content-type"),
        Some("application/openmetrics-text; version=0.0.1; charset=utf-8")
    );
    let protobuf = server.get("/metrics", &[PROTOBUF]).await;
    assert_eq!(
        protobuf.header("content-type"),
        Some("application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited")
    );
    // After the length of the first message, its first field: the name.
    let start = String::from_utf8_lossy(&protobuf.body[..40]);
    assert!(start.contains("\n\u{19}process_cpu_seconds_total"), "{start:?}");
}

#[tokio::test]
async fn gzip_contains_the_same_text() {
    let server = Server::start(state(|| many(200))).await;
    for format in ["Accept: */*", OPENMETRICS] {
        let plain = server.get("/metrics", &[format]).await;
        let gzip = server
            .get("/metrics", &[format, "Accept-Encoding: deflate, gzip;q=0.8"])
            .await;
        assert_eq!(gzip.header("content-encoding"), Some("gzip"));
        assert_eq!(gzip.header("content-type"), plain.header("content-type"));
        assert!(gzip.body.len() * 5 < plain.body.len());
        let mut text = String::new();
        GzDecoder::new(gzip.body.as_slice())
            .read_to_string(&mut text)
            .unwrap();
        assert_eq!(stable(&text), stable(plain.text()));
        let refused = server
            .get("/metrics", &[format, "Accept-Encoding: gzip;q=0"])
            .await;
        assert_eq!(refused.header("content-encoding"), None);
    }
}

#[tokio::test]
async fn head_is_get_without_a_body() {
    let server = Server::start(state(every_status)).await;
    for path in [
        "/",
        "/service/api",
        "/widget",
        "/metrics",
        "/-/healthy",
        "/-/ready",
    ] {
        let get = server.get(path, &[]).await;
        let head = server.request("HEAD", path, &[]).await;
        assert_eq!((get.status, head.status), (200, 200), "{path}");
        assert_eq!(get.header("content-type"), head.header("content-type"));
        assert_eq!(
            get.header("content-length"),
            Some(get.body.len().to_string().as_str())
        );
        assert!(head.header("content-length").is_some(), "{path}");
    }
}

#[tokio::test]
async fn ready_after_the_first_round_of_runs() {
    let is_ready = Arc::new(AtomicBool::new(false));
    let mut state = state(every_status);
    let seen = Arc::clone(&is_ready);
    state.is_ready = Box::new(move || seen.load(Ordering::SeqCst));
    let server = Server::start(state).await;
    let before = server.get("/-/ready", &[]).await;
    assert_eq!(
        (before.status, before.text()),
        (503, "The exporter is not ready: some checks have not run yet.\n")
    );
    assert_eq!(server.get("/-/healthy", &[]).await.status, 200);
    is_ready.store(true, Ordering::SeqCst);
    assert_eq!(server.get("/-/ready", &[]).await.status, 200);
}

#[tokio::test]
async fn the_overview_links_the_endpoints_and_loads_only_its_own_files() {
    let mut state = state(every_status);
    state.telemetry_path = "/own\"<metrics>".into();
    let server = Server::start(state).await;
    let page = server.get("/", &[]).await;
    for link in [
        "href=\"/own&quot;&lt;metrics&gt;\"",
        "href=\"/widget\"",
        "href=\"/api/events\"",
        "href=\"/-/healthy\"",
        "href=\"/-/ready\"",
        "/-/reload",
        "configuration loaded <time datetime=\"2023-11-14T21:13:20.250Z\"",
    ] {
        assert!(page.text().contains(link), "{link}: {}", page.text());
    }
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"));
    assert!(policy.contains("frame-ancestors 'none'"));
    assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(page.header("x-frame-options"), Some("DENY"));
    for file in page.text().split('"').filter(|part| part.starts_with("/assets/")) {
        let file = server.get(file, &[]).await;
        assert_eq!(
            (file.status, file.header("x-content-type-options")),
            (200, Some("nosniff"))
        );
        assert!(file.header("cache-control").unwrap().ends_with("immutable"));
        assert!(
            ["text/css", "text/javascript", "image/svg+xml"]
                .iter()
                .any(|known| file.header("content-type").unwrap().starts_with(known))
        );
    }
    assert_eq!(server.get("/assets/status.css", &[]).await.status, 404);
    // Nothing is inline or from other servers.
    for part in [" style=", "<style", " onclick=", "//cdn", "src=\"http"] {
        assert!(!page.text().contains(part), "{part}");
    }
}

#[tokio::test]
async fn only_the_widget_may_be_embedded() {
    let server = Server::start(state(every_status)).await;
    let widget = server.get("/widget", &[]).await;
    assert!(
        widget
            .header("content-security-policy")
            .unwrap()
            .contains("frame-ancestors *")
    );
    assert_eq!((widget.status, widget.header("x-frame-options")), (200, None));
    for (path, status) in [("/", 200), ("/service/api", 200), ("/service/nobody", 404)] {
        let page = server.get(path, &[]).await;
        assert_eq!(
            (page.status, page.header("x-frame-options")),
            (status, Some("DENY")),
            "{path}"
        );
        assert!(
            page.header("content-security-policy")
                .unwrap()
                .contains("frame-ancestors 'none'")
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_overview_of_a_thousand_services_stays_small() {
    let server = Server::start(state(|| many(1000))).await;
    let begun = std::time::Instant::now();
    let plain = server.get("/", &[]).await;
    let took = begun.elapsed();
    let gzip = server.get("/", &["Accept-Encoding: gzip"]).await;
    assert_eq!(gzip.header("content-encoding"), Some("gzip"));
    eprintln!(
        "1,000 services: {} bytes, {} with gzip, {took:?}",
        plain.body.len(),
        gzip.body.len()
    );
    // All services are down, which makes the longest rows.
    assert!(plain.body.len() < 800_000, "{}", plain.body.len());
    assert!(gzip.body.len() < 70_000, "{}", gzip.body.len());
    let mut text = String::new();
    GzDecoder::new(gzip.body.as_slice())
        .read_to_string(&mut text)
        .unwrap();
    assert!(text.ends_with("</html>") && text.len() == plain.body.len());
}

#[tokio::test]
async fn unknown_paths_list_the_endpoints_and_wrong_methods_the_allowed_ones() {
    let server = Server::start(state(every_status)).await;
    for path in [
        "/metric",
        "/metrics/",
        "//metrics",
        "/-/",
        "/%2e%2e/etc/passwd",
        "*",
    ] {
        let reply = server.get(path, &[]).await;
        assert_eq!(reply.status, 404, "{path}");
        assert!(reply.text().contains("/metrics"), "{path}");
    }
    for (method, path, allow) in [
        ("POST", "/metrics", "GET, HEAD"),
        ("DELETE", "/", "GET, HEAD"),
        ("OPTIONS", "/-/healthy", "GET, HEAD"),
        ("GET", "/-/reload", "POST"),
        ("HEAD", "/-/reload", "POST"),
        ("FOO", "/-/reload", "POST"),
    ] {
        let reply = server.request(method, path, &[]).await;
        assert_eq!(
            (reply.status, reply.header("allow")),
            (405, Some(allow)),
            "{method} {path}"
        );
    }
}

#[tokio::test]
async fn the_query_is_not_part_of_the_path() {
    let server = Server::start(state(every_status)).await;
    assert_eq!(server.get("/metrics?name[]=x", &[]).await.status, 200);
    assert_eq!(server.get("http://elsewhere:1/metrics", &[]).await.status, 200);
}

#[tokio::test]
async fn old_and_terse_clients_are_served() {
    let server = Server::start(state(every_status)).await;
    for request in [
        "GET /-/healthy HTTP/1.0\r\n\r\n",
        "GET /-/healthy HTTP/1.1\r\nHost: x\r\nconnection: close\r\n\r\n",
    ] {
        let bytes = server.raw(request).await;
        assert_eq!(Reply::parse(&bytes, false).0.status, 200, "{request}");
    }
    for request in [
        "GET /api/status HTTP/1.1\r\n\r\n",
        "GET /api/status HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
    ] {
        let bytes = server.raw(request).await;
        let reply = Reply::parse(&bytes, false).0;
        assert_eq!(
            (reply.status, reply.text()),
            (
                400,
                r#"{"error":"a request must have exactly one Host header field"}"#
            ),
            "{request}"
        );
    }
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let server = Server::start(state(|| many(100))).await;
    let bytes = server
        .raw(
            "GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\nGET /metrics HTTP/1.1\r\nHost: x\r\n\r\nGET /nothing HTTP/1.1\r\nHost: x\r\n\r\n\
             GET /-/ready HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        )
        .await;
    let mut rest = bytes.as_slice();
    for (status, start) in [
        (200, "The exporter is healthy"),
        (200, "# HELP"),
        (404, "404"),
        (200, "The exporter is ready"),
    ] {
        let (reply, tail) = Reply::parse(rest, false);
        assert_eq!(reply.status, status);
        assert!(reply.text().starts_with(start), "{start}");
        rest = tail;
    }
    assert!(rest.is_empty());
}

#[tokio::test]
async fn a_client_that_closes_its_sending_side_gets_its_response() {
    let server = Server::start(state(|| many(100))).await;
    let mut stream = server.connect().await;
    stream
        .write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .unwrap();
    stream.shutdown().await.unwrap();
    let bytes = read_to_end(&mut stream).await;
    let (reply, rest) = Reply::parse(&bytes, false);
    assert!(reply.status == 200 && reply.body.len() > 100_000 && rest.is_empty());
}

#[tokio::test]
async fn a_panic_becomes_an_error_response() {
    let mut state = state(every_status);
    state.is_ready = Box::new(|| panic!("on purpose"));
    let server = Server::start(state).await;
    let reply = server.get("/-/ready", &[]).await;
    assert_eq!(reply.status, 500);
    assert_eq!(server.get("/-/healthy", &[]).await.status, 200);
}

#[tokio::test]
async fn a_mistake_in_a_query_is_an_error() {
    let server = Server::start(state(every_status)).await;
    for (path, part) in [
        ("/?status=donw", "supported: up, degraded, down, unknown"),
        ("/widget?status=", "supported: up, degraded, down, unknown"),
        ("/?grop=front", "supported: group, status"),
        ("/models?limit=5", "supported: provider, q, capability, offset"),
        ("/api/models?limit=0", "numbers from 1 to 1000"),
        ("/widget?grop=front", "supported: group, status"),
        ("/?group=%FF", "not UTF-8"),
        ("/?group=%", "two hexadecimal digits"),
        ("/service/api?x=1", "supported: history"),
        ("/service/%FF", "not UTF-8"),
        ("/api/openapi.yaml?x=1", "this endpoint has none"),
        ("/api/events?only=statuses", "the only supported value"),
        ("/api/events?bogus=1", "supported: only"),
        ("/api/events?only=status&only=status", "given twice"),
    ] {
        let reply = server.get(path, &[]).await;
        assert_eq!(reply.status, 400, "{path}: {}", reply.text());
        assert!(reply.text().contains(part), "{path}: {}", reply.text());
    }
    let many = format!("/?{}status=bogus", "group=front&".repeat(32));
    assert_eq!(server.get(&many, &[]).await.status, 400);
    for path in [
        "/?group=nope",
        "/widget?group=nope",
        "/?group=front&group=nope&status=up",
    ] {
        let reply = server.get(path, &[]).await;
        assert_eq!(reply.status, 404, "{path}");
        assert!(
            reply.text().contains("No group &quot;nope&quot;"),
            "{path}: {}",
            reply.text()
        );
    }
}

#[tokio::test]
async fn the_key_of_a_service_may_be_percent_encoded() {
    let server = Server::start(state(every_status)).await;
    for path in ["/service/api", "/service/%61p%69"] {
        let reply = server.get(path, &[]).await;
        assert_eq!(reply.status, 200, "{path}");
        assert!(reply.text().contains("<code>api</code>"), "{path}");
    }
}

/// The headline of a page.
async fn headline(server: &Server, path: &str) -> String {
    let reply = server.get(path, &[]).await;
    assert_eq!(reply.status, 200, "{path}");
    let line = reply.text().split("<h1").nth(1).unwrap();
    let line = line.split("</i>").nth(1).unwrap();
    line.split("</h1>").next().unwrap().to_owned()
}

#[tokio::test]
async fn the_headline_of_a_widget_counts_hidden_services_too() {
    let server = Server::start(state(every_status)).await;
    let all = "1 down, 1 degraded, 2 unknown of 5 services";
    for path in ["/widget", "/widget?status=up", "/widget?status=down&status=up"] {
        assert_eq!(headline(&server, path).await, all, "{path}");
    }
    let front = "1 degraded of 2 services";
    for path in ["/widget?group=front", "/widget?group=front&status=up"] {
        assert_eq!(headline(&server, path).await, front, "{path}");
    }
    let down = "/widget?group=front&status=down";
    assert_eq!(headline(&server, down).await, front);
    assert!(server.get(down, &[]).await.text().contains("No service is down."));
    let empty = server.get("/?group=front&status=down&status=unknown", &[]).await;
    assert!(empty.text().contains("No service is down or unknown."));
}
