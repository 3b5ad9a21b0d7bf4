//! Requests that pages of other sites cause a browser to send.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use upkeep_exporter::web::{Reloader, State};

use crate::client::{Reply, Server, state};
use crate::snapshots::every_status;

/// A state that counts reloads and allows these hosts.
fn counting(hosts: &[&str]) -> (State, Arc<AtomicUsize>) {
    let reloads = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&reloads);
    let state = State {
        reloader: Reloader::new(move || {
            counter.fetch_add(1, Ordering::SeqCst);
            Box::pin(async { Ok(()) })
        }),
        is_lifecycle_enabled: true,
        allowed_hosts: hosts.iter().map(|host| host.parse().unwrap()).collect(),
        ..state(every_status)
    };
    (state, reloads)
}

async fn ask(server: &Server, request: &str, host: &str, fields: &str) -> Reply {
    let request = format!("{request} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{fields}\r\n");
    Reply::parse(&server.raw(request).await, false).0
}

#[tokio::test]
async fn pages_of_other_sites_can_not_reload_or_probe() {
    let (state, reloads) = counting(&[]);
    let server = Server::start(state).await;
    let foreign = [
        "Sec-Fetch-Site: cross-site",
        "Sec-Fetch-Site: same-site",
        "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-User: ?1",
        "Origin: http://attacker.example",
        "Origin: null",
    ];
    for field in foreign {
        let reply = server.request("POST", "/-/reload", &[field]).await;
        assert_eq!(reply.status, 403, "{field}");
        for method in ["GET", "HEAD"] {
            let reply = server
                .request(method, "/probe?target=http://192.0.2.1", &[field])
                .await;
            assert_eq!(reply.status, 403, "{field}");
        }
        // Reading is allowed: a page can't see the response, and the widget may be embedded.
        for path in ["/metrics", "/widget", "/widget.js", "/api/status", "/"] {
            assert_eq!(server.get(path, &[field]).await.status, 200, "{field}: {path}");
        }
    }
    assert_eq!(reloads.load(Ordering::SeqCst), 0);
    let own = [
        "Sec-Fetch-Site: same-origin",
        "Sec-Fetch-Site: none",
        "Origin: http://localhost",
        "User-Agent: curl/8",
    ];
    for (count, field) in own.into_iter().enumerate() {
        let reply = server.request("POST", "/-/reload", &[field]).await;
        assert_eq!(
            (reply.status, reloads.load(Ordering::SeqCst)),
            (200, count + 1),
            "{field}"
        );
        // There are no modules.
        let reply = server.get("/probe?target=http://192.0.2.1", &[field]).await;
        assert_eq!(reply.status, 404, "{field}");
    }
}

#[tokio::test]
async fn with_allowed_hosts_every_path_refuses_other_hosts() {
    let (state, reloads) = counting(&["status.example.org", "proxy.example.org:8443"]);
    let server = Server::start(state).await;
    let own = server.address.to_string();
    for request in [
        "GET /metrics",
        "GET /",
        "GET /api/status",
        "GET /api/events",
        "GET /sd",
        "GET /widget.js",
        "GET /-/healthy",
        "GET /probe?target=x",
        "GET /nothing",
        "POST /-/reload",
    ] {
        for host in [
            "attacker.example",
            "attacker.example:10100",
            "proxy.example.org",
            "192.0.2.7",
            "a b",
        ] {
            let reply = ask(&server, request, host, "").await;
            assert_eq!(reply.status, 421, "{request} {host}");
            assert!(reply.text().contains("--web.allowed-hosts"), "{}", reply.text());
        }
    }
    assert_eq!(reloads.load(Ordering::SeqCst), 0);
    for host in [
        "status.example.org",
        "Status.Example.org.:80",
        "proxy.example.org:8443",
        "localhost",
        "[::1]:1",
        &own,
    ] {
        assert_eq!(
            ask(&server, "GET /api/status", host, "").await.status,
            200,
            "{host}"
        );
    }
    // The host in the request line must be allowed too.
    let reply = ask(&server, "GET http://attacker.example/metrics", "localhost", "").await;
    assert_eq!(reply.status, 421);
}

#[tokio::test]
async fn dns_rebinding_is_refused_unless_a_proxy_explains_the_name() {
    let (state, _) = counting(&[]);
    let server = Server::start(state).await;
    let browser = "Sec-Fetch-Site: same-origin\r\n";
    let rebound = ask(&server, "GET /api/status", "attacker.example", browser).await;
    assert_eq!(rebound.status, 421);
    for (host, fields) in [
        ("attacker.example", String::new()),
        ("localhost:10100", browser.to_owned()),
        (
            "status.example.org",
            format!("{browser}X-Forwarded-For: 192.0.2.1\r\n"),
        ),
    ] {
        let reply = ask(&server, "GET /api/status", host, &fields).await;
        assert_eq!(reply.status, 200, "{host} {fields}");
    }
}
