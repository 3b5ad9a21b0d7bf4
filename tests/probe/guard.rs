//! The guard of `/probe`: what it refuses, when, and how it says so.

use std::time::Duration;

use tokio::io::AsyncWriteExt;

use crate::common::exporter::{Exporter, LONG};
use crate::common::targets::{Target, ok, read_request};
use crate::{ask, exposition, path, probe};

const MODULES: &str = "modules: { http_2xx: { prober: http }, tcp: { prober: tcp } }\n";

fn succeeded(text: &str) -> bool {
    exposition::series(text)["probe_success"] == 1.0
}

async fn refused(exporter: &Exporter, cause: &str) -> f64 {
    let series = format!("upkeep_probe_refused_total{{cause=\"{cause}\"}}");
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
async fn this_machine_is_no_target_unless_it_is_named() {
    let exporter = Exporter::start(MODULES, &[]).await;
    let target = Target::answering(ok("fine")).await;
    for (text, cause) in [
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
    ] {
        let before = refused(&exporter, cause).await;
        let (status, answer) = probe(&exporter, "http_2xx", &text).await;
        assert_eq!(status, 403, "{text}: {answer}");
        assert!(
            answer.contains("unless probe.allow names its network"),
            "{answer}"
        );
        assert_eq!(refused(&exporter, cause).await, before + 1.0, "{text}");
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
    // Places come back at the deadline at the latest, and the sockets with them; also those of clients that went away.
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
    let config = format!("{MODULES}{}", crate::ALLOW_LOOPBACK);
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
