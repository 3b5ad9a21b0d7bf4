//! Probes that take all the memory for bodies that probes have.

use tokio::io::AsyncWriteExt;

use crate::common::exporter::{Exporter, LONG};
use crate::common::servers::eventually;
use crate::common::targets::{Target, ok, read_request};
use crate::{ALLOW_LOOPBACK, ask, path, probe};

/// Nearly what a module takes by default; thirteen are more than probes may keep together.
const LONG_BODY: usize = (10 << 20) - 1;
const PROBES: usize = 13;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn probes_fail_for_want_of_memory_and_services_do_not() {
    let fine = Target::answering(ok("fine")).await;
    let holding = Target::serve(|mut stream, _, _| async move {
        read_request(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.ok()?;
        let piece = vec![b'x'; 64 << 10];
        let mut left = LONG_BODY;
        while left > 0 {
            let length = left.min(piece.len());
            stream.write_all(&piece[..length]).await.ok()?;
            left -= length;
        }
        // The body has no end before the probe gives up.
        Some(stream)
    })
    .await;
    let config = format!(
        "services: [{{ key: shop, checks: [{{ kind: http, url: '{}', interval: 1s, recheck_interval: 1s, timeout: 900ms, thresholds: {{ degraded: 400ms, down: 800ms }}, \
         fail_if_body_not_matches_regexp: [fine] }}] }}]\n\
         modules: {{ body: {{ prober: http, timeout: 30s, http: {{ fail_if_body_not_matches_regexp: [fine] }} }} }}\n\
         {ALLOW_LOOPBACK}",
        fine.url("/")
    );
    let exporter = Exporter::start(&config, &[]).await;
    let url = exporter.url(&format!("{}&debug=true", path("body", &holding.url("/"))));
    let probes: Vec<_> = (0..PROBES)
        .map(|_| {
            let url = url.clone();
            tokio::spawn(async move { ask(&url, &[]).await.1 })
        })
        .collect();
    // The one that finds no place ends, or two that come to the limit at the same moment; the others keep theirs.
    let held = eventually("a probe that finds no place", LONG, || async {
        let ended = exporter.value("upkeep_probe_inconclusive_total").await;
        let held = exporter.value("upkeep_probes_in_flight").await;
        held.filter(|_| ended > Some(0.0))
    })
    .await;
    let runs = "upkeep_check_runs_total{service=\"shop\",group=\"default\",check=\"http\"}";
    let before = exporter.value(runs).await.unwrap();
    exporter.becomes(runs, before + 2.0, LONG).await;
    let in_flight = exporter.value("upkeep_probes_in_flight").await;
    assert_eq!(in_flight, Some(held), "the memory is still taken");
    let failures = "upkeep_check_failures_total{service=\"shop\",group=\"default\",check=\"http\"}";
    assert_eq!(exporter.value(failures).await, Some(0.0));
    let mut refused = Vec::new();
    for probe in probes {
        match probe.is_finished() {
            true => refused.push(probe.await.unwrap()),
            false => probe.abort(),
        }
    }
    let message = "the bodies of all probes together take more than 134217728 bytes";
    assert!(
        refused.len() == PROBES - held as usize
            && refused.len() <= 2
            && refused
                .iter()
                .all(|answer| answer.contains(message) && answer.contains("probe_success 0")),
        "{refused:?}"
    );
    // There is still place for what is small.
    let (_, answer) = probe(&exporter, "body", &fine.url("/")).await;
    assert!(answer.contains("probe_success 1"), "{answer}");
}
