//! The guard of `/probe`: what it refuses, when, and how it says so.

use std::time::Duration;

use tokio::io::AsyncWriteExt;

use crate::common::exporter::{Exporter, LONG};
use crate::common::proxies::Proxy;
use crate::common::servers::eventually;
use crate::common::targets::{Target, ok, proxy, read_request};
use crate::{ALLOW_LOOPBACK, ask, exposition, path, probe};

const MODULES: &str = "modules: { http_2xx: { prober: http }, tcp: { prober: tcp } }\n";

fn succeeded(text: &str) -> bool {
    exposition::series(text)["probe_success"] == 1.0
}

async fn refused(exporter: &Exporter, reason: &str) -> f64 {
    let series = format!("upkeep_probe_refused_total{{reason=\"{reason}\"}}");
    exporter.value_owned(series).await.unwrap()
}

/// Redirects everything to `location`.
async fn redirecting(location: String) -> Target {
    let answer = format!(
        "HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    );
    Target::answering(answer).await
}

#[tokio::test]
async fn this_machine_is_rejected_unless_it_is_allowed_by_name() {
    let exporter = Exporter::start(MODULES, &[]).await;
    let target = Target::answering(ok("fine")).await;
    for (text, reason) in [
        (target.url("/"), "loopback"),
        (
            format!("http://[::ffff:127.0.0.1]:{}/", target.address.port()),
            "loopback",
        ),
        (
            format!("http://2130706433:{}/", target.address.port()),
            "loopback",
        ),
        (format!("http://0.0.0.0:{}/", target.address.port()), "loopback"),
        ("http://169.254.169.254/latest/meta-data/".to_owned(), "metadata"),
        ("http://[fe80::1]/".to_owned(), "link_local"),
        ("http://[fe80::1%25lo]/".to_owned(), "link_local"),
        ("http://[::ffff:0:127.0.0.1]/".to_owned(), "loopback"),
        ("http://[64:ff9b:1::127.0.0.1]/".to_owned(), "loopback"),
        ("http://168.63.129.16/metrics".to_owned(), "metadata"),
        ("http://[fd20:ce::254]/".to_owned(), "metadata"),
    ] {
        let before = refused(&exporter, reason).await;
        let (status, answer) = probe(&exporter, "http_2xx", &text).await;
        assert_eq!(status, 403, "{text}: {answer}");
        assert!(
            answer.contains("unless probe.allow names its network"),
            "{answer}"
        );
        assert_eq!(refused(&exporter, reason).await, before + 1.0, "{text}");
    }
    // A name that leads here is found out once it is resolved; that is a failed probe, as if the name led nowhere.
    let (status, answer) = probe(
        &exporter,
        "http_2xx",
        &format!("http://localhost:{}/", target.address.port()),
    )
    .await;
    assert_eq!((status, succeeded(&answer)), (200, false));
    let debug = format!(
        "{}&debug=true",
        path("tcp", &format!("localhost:{}", target.address.port()))
    );
    let (_, answer) = ask(&exporter.url(&debug), &[]).await;
    assert!(
        answer.contains(" of localhost: a loopback address is refused"),
        "{answer}"
    );
    assert_eq!(target.accepted(), 0);
    // Told at the default level, but not each time.
    assert_eq!(
        exporter.server.log().matches("refused a probe").count(),
        1,
        "{}",
        exporter.server.log()
    );
}

#[tokio::test]
async fn a_redirect_can_not_leave_what_is_allowed() {
    let forbidden = Target::answering(ok("secret")).await;
    let allowed = Target::answering(ok("fine")).await;
    let to_forbidden = redirecting(forbidden.url("/")).await;
    let to_name = redirecting(format!("http://localhost:{}/", forbidden.address.port())).await;
    let to_allowed = redirecting(allowed.url("/")).await;
    let ports =
        [&allowed, &to_forbidden, &to_name, &to_allowed].map(|target| target.address.port().to_string());
    let config = format!(
        "{MODULES}probe: {{ allow: [{{ networks: [127.0.0.0/8], ports: [{}] }}] }}\n",
        ports.join(", ")
    );
    let exporter = Exporter::start(&config, &[]).await;
    for (target, is_allowed) in [(&to_allowed, true), (&to_forbidden, false), (&to_name, false)] {
        let (status, answer) = probe(&exporter, "http_2xx", &target.url("/")).await;
        assert_eq!((status, succeeded(&answer)), (200, is_allowed), "{answer}");
    }
    assert_eq!((forbidden.accepted(), allowed.accepted()), (0, 1));
    assert_eq!(refused(&exporter, "not_allowed").await, 2.0);
    let (status, _) = probe(&exporter, "http_2xx", &forbidden.url("/")).await;
    assert_eq!(status, 403);
}

#[tokio::test]
async fn a_proxy_is_asked_for_no_name_that_only_its_network_would_admit() {
    let target = Target::answering(ok("fine")).await;
    let proxy = proxy::serve(None).await;
    let port = target.address.port();
    let to_name = redirecting(format!("http://name.example:{port}/")).await;
    let modules = |proxy: &Target| {
        format!(
            "modules: {{ proxied: {{ prober: http, http: {{ proxy_url: \"{}\" }} }} }}\n",
            proxy.url("/")
        )
    };
    let config = format!("{}{ALLOW_LOOPBACK}", modules(&proxy));
    let exporter = Exporter::start(&config, &[]).await;
    for (host, reason) in [
        ("name.example", "not_allowed"),
        ("localhost", "loopback"),
        ("a.localhost.", "loopback"),
        ("metadata.google.internal", "metadata"),
        ("192.0.2.1", "not_allowed"),
    ] {
        let before = refused(&exporter, reason).await;
        let (status, answer) = probe(&exporter, "proxied", &format!("http://{host}:{port}/")).await;
        assert_eq!(status, 403, "{host}: {answer}");
        assert_eq!(refused(&exporter, reason).await, before + 1.0, "{host}");
    }
    assert_eq!(proxy.accepted(), 0);
    let (status, answer) = probe(&exporter, "proxied", &target.url("/")).await;
    assert_eq!((status, succeeded(&answer)), (200, true), "{answer}");
    let (status, answer) = probe(&exporter, "proxied", &to_name.url("/")).await;
    assert_eq!((status, succeeded(&answer)), (200, false), "{answer}");
    let asked_for = proxy.received();
    assert_eq!((proxy.accepted(), asked_for.len()), (2, 2), "{asked_for:?}");
    // Without a list names are let through, but for those that lead to the proxy's own machine.
    let exporter = Exporter::start(&modules(&proxy), &[]).await;
    let (status, answer) = probe(&exporter, "proxied", &format!("http://localhost:{port}/")).await;
    assert_eq!(status, 403, "{answer}");
    let (status, _) = probe(&exporter, "proxied", "http://name.invalid/").await;
    assert_eq!((status, proxy.accepted()), (200, 3));
}

#[tokio::test]
async fn socks_proxies_are_guarded() {
    let target = Target::answering(ok("fine")).await;
    let port = target.address.port();
    let modules = |address: &str| {
        format!(
            "modules:\n  local: {{ prober: http, http: {{ proxy_url: \"socks5://{address}\", preferred_ip_protocol: ip4 }} }}\n  \
             remote: {{ prober: http, http: {{ proxy_url: \"socks5h://{address}\" }} }}\n"
        )
    };
    // Without a list, nothing reaches the loopback addresses of the proxy.
    let proxy = Target::closing(false).await;
    let exporter = Exporter::start(&modules(&proxy.address.to_string()), &[]).await;
    for (module, host, expected) in [
        ("local", "127.0.0.1", 403),
        ("remote", "127.0.0.1", 403),
        ("remote", "localhost", 403),
        // The exporter resolves the name, and the guard rejects the address.
        ("local", "localhost", 200),
    ] {
        let (status, answer) = probe(&exporter, module, &format!("http://{host}:{port}/")).await;
        assert_eq!(status, expected, "{module} {host}: {answer}");
        assert!(status == 403 || !succeeded(&answer), "{answer}");
    }
    assert_eq!(proxy.accepted(), 0);
    // A rule with networks matches addresses that the exporter knows.
    let socks = Proxy::socks(None).await;
    let config = format!("{}{ALLOW_LOOPBACK}", modules(&socks.address));
    let exporter = Exporter::start(&config, &[]).await;
    for (module, host, expected) in [
        ("local", "127.0.0.1", 200),
        ("local", "localhost", 200),
        ("remote", "127.0.0.1", 200),
        ("remote", "localhost", 403),
        ("remote", "name.example", 403),
    ] {
        let (status, answer) = probe(&exporter, module, &format!("http://{host}:{port}/")).await;
        assert_eq!(status, expected, "{module} {host}: {answer}");
        assert!(status == 403 || succeeded(&answer), "{answer}");
    }
    assert_eq!(target.accepted(), 3);
}

#[tokio::test]
async fn a_connection_that_the_system_forbids_is_not_counted_as_rejected_by_the_guard() {
    let config = format!(
        "modules: {{ dns: {{ prober: dns, timeout: 1s, dns: {{ query_name: example.org }} }} }}\n{ALLOW_LOOPBACK}"
    );
    let exporter = Exporter::start(&config, &[]).await;
    // A broadcast address, to which the system sends nothing from a socket that does not ask for it.
    let debug = format!("{}&debug=true", path("dns", "127.255.255.255:53"));
    let (status, answer) = ask(&exporter.url(&debug), &[]).await;
    assert_eq!(status, 200);
    assert!(answer.contains("The probe failed: permission: "), "{answer}");
    assert!(!exporter.server.log().contains("refused a probe"));
    let (status, _) = probe(&exporter, "dns", "192.0.2.1:53").await;
    assert_eq!(status, 403);
    eventually("the refusal is told", LONG, || async {
        exporter.server.log().contains("refused a probe").then_some(())
    })
    .await;
}

#[tokio::test]
async fn the_limit_holds_over_a_reload() {
    let target = Target::silent().await;
    let config = |timeout: &str| {
        format!(
            "modules: {{ http_2xx: {{ prober: http, timeout: {timeout} }} }}\n\
             probe: {{ max_concurrent: 1, allow: [{{ networks: [127.0.0.0/8] }}] }}\n"
        )
    };
    let exporter = Exporter::start(&config("5s"), &["--web.enable-lifecycle"]).await;
    let url = exporter.url(&path("http_2xx", &target.url("/")));
    let first = url.clone();
    let busy = tokio::spawn(async move { ask(&first, &[]).await });
    exporter.becomes("upkeep_probes_in_flight", 1.0, LONG).await;
    std::fs::write(exporter.config(), config("4s")).unwrap();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = client.post(exporter.url("/-/reload")).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let (status, answer) = ask(&url, &[]).await;
    assert_eq!(status, 429, "{answer}");
    assert_eq!(target.accepted(), 1);
    busy.abort();
}

#[tokio::test]
async fn a_pattern_of_sockets_stands_for_names() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().display().to_string();
    std::fs::create_dir(format!("{dir}/a")).unwrap();
    let _listener = std::os::unix::net::UnixListener::bind(format!("{dir}/a/x.sock")).unwrap();
    let _other = std::os::unix::net::UnixListener::bind(format!("{dir}/x.sock")).unwrap();
    let config = format!(
        "modules: {{ unix: {{ prober: unix }} }}\nprobe: {{ allow: [{{ paths: [\"{dir}/*/x.sock\"] }}] }}\n"
    );
    let exporter = Exporter::start(&config, &[]).await;
    let (status, answer) = probe(&exporter, "unix", &format!("{dir}/a/x.sock")).await;
    assert_eq!((status, succeeded(&answer)), (200, true), "{answer}");
    for way in [".", "", ".."] {
        let (status, answer) = probe(&exporter, "unix", &format!("{dir}/{way}/x.sock")).await;
        assert_eq!(status, 403, "{way}: {answer}");
    }
}

#[tokio::test]
async fn probes_beyond_the_limit_are_refused_at_once_and_places_come_back() {
    let target = Target::silent().await;
    let config = "modules: { http_2xx: { prober: http, timeout: 3s } }\n\
                  probe: { max_concurrent: 2, allow: [{ networks: [127.0.0.0/8] }] }\n";
    let exporter = Exporter::start(config, &[]).await;
    let url = exporter.url(&path("http_2xx", &target.url("/")));
    let busy: Vec<_> = (0..2)
        .map(|_| {
            let url = url.clone();
            tokio::spawn(async move { ask(&url, &[]).await })
        })
        .collect();
    exporter.becomes("upkeep_probes_in_flight", 2.0, LONG).await;
    let (status, answer) = ask(&url, &[]).await;
    assert_eq!(status, 429, "{answer}");
    assert!(answer.contains("probe.max_concurrent"), "{answer}");
    assert_eq!(refused(&exporter, "too_many").await, 1.0);
    // Slots come back at the deadline at the latest, and the sockets with them; also those of clients that went away.
    busy[0].abort();
    exporter
        .becomes("upkeep_probes_in_flight", 0.0, Duration::from_secs(5))
        .await;
    target.freed().await;
}

#[tokio::test]
async fn a_target_that_drips_is_given_up_at_the_deadline_and_a_large_one_at_its_limit() {
    let dripping = Target::serve(|mut stream, _, _| async move {
        read_request(&mut stream).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
        while stream.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Some(stream)
    })
    .await;
    let endless = Target::endless("HTTP/1.1 200 OK\r\n\r\n").await;
    let config = format!("{MODULES}{}", ALLOW_LOOPBACK);
    let exporter = Exporter::start(&config, &[]).await;
    let url = exporter.url(&path("http_2xx", &dripping.url("/")));
    let (status, answer) = ask(&url, &[("X-Prometheus-Scrape-Timeout-Seconds", "1.5")]).await;
    let series = exposition::series(&answer);
    assert_eq!((status, series["probe_success"]), (200, 0.0));
    let took = series["probe_duration_seconds"];
    assert!((1.0..1.4).contains(&took), "{took}");
    assert_eq!(series["probe_http_status_code"], 200.0);
    let (_, answer) = probe(&exporter, "http_2xx", &endless.url("/")).await;
    let read = exposition::series(&answer)["probe_http_uncompressed_body_length"];
    assert!((10.0e6..12.0e6).contains(&read), "{read}");
}
