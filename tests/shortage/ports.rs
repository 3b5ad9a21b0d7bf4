//! Too few local ports.

use std::fs;
use std::time::{Duration, Instant};

use crate::common::stage::is_on_stage;
use crate::common::targets::Target;
use crate::limited::Limited;

#[tokio::test(flavor = "multi_thread")]
async fn a_run_without_a_local_port_is_inconclusive() {
    if !is_on_stage("ports::a_run_without_a_local_port_is_inconclusive") {
        return;
    }
    let silent = Target::silent().await;
    let services: Vec<String> = (0..12)
        .map(|number| {
            let address = silent.url("").replace("http://", "").replace('/', "");
            format!(
                "  - {{ key: hanging{number}, group: g, checks: [{{ kind: tcp, address: '{address}', \
                 query_response: [{{ expect: hello }}] }}] }}"
            )
        })
        .collect();
    let head = "defaults: { interval: 2s, timeout: 1s, thresholds: { degraded: 500ms, down: 800ms } }";
    let exporter = Limited::start("true", head, &services);
    exporter.metrics().await;
    // All connections go to one address, so each needs its own port. Closed sockets occupy theirs for a while.
    fs::write("/proc/sys/net/ipv4/ip_local_port_range", "50000 50005").unwrap();
    let begun = Instant::now();
    loop {
        let metrics = exporter.metrics().await;
        if metrics.sum("upkeep_check_inconclusive_runs_total") > 10.0 {
            let reasons = metrics.all("upkeep_check_problem_info");
            let are_timeouts = reasons
                .iter()
                .all(|(labels, _)| labels.contains("reason=\"timeout\""));
            assert!(are_timeouts, "{reasons:?}");
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "{}", metrics.0);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
