//! A real Prometheus with a scrape configuration as blackbox_exporter's users have it, of which only the address is ours.

use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::ALLOW_LOOPBACK;
use crate::common::exporter::{Exporter, LONG};
use crate::common::servers::{Server, eventually, free_port, get, tool};
use crate::common::targets::{Target, ok};

const SCRAPE: &str = "
global: { scrape_interval: 1s }
scrape_configs:
  - job_name: blackbox
    metrics_path: /probe
    params:
      module: [http_2xx]
    static_configs:
      - targets: [TARGETS]
    relabel_configs:
      - source_labels: [__address__]
        target_label: __param_target
      - source_labels: [__param_target]
        target_label: instance
      - target_label: __address__
        replacement: EXPORTER
";

/// The values by instance of an instant query.
async fn query(port: u16, query: &str) -> Option<Vec<(String, f64)>> {
    let text = get(&format!("http://127.0.0.1:{port}/api/v1/query?query={query}")).await?;
    let answer: Value = serde_json::from_str(&text).unwrap();
    let mut found: Vec<(String, f64)> = answer["data"]["result"]
        .as_array()?
        .iter()
        .map(|result| {
            let instance = result["metric"]["instance"].as_str().unwrap().to_owned();
            (instance, result["value"][1].as_str().unwrap().parse().unwrap())
        })
        .collect();
    found.sort_by(|first, second| first.0.cmp(&second.0));
    Some(found)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn prometheus_scrapes_ours_in_blackbox_exporters_place() {
    let fine = Target::answering(ok("fine")).await;
    let closing = Target::closing(false).await;
    let modules = fs::read_to_string("/etc/prometheus/blackbox.yml").unwrap_or_else(|error| {
        panic!("{error}: run `apt-get install prometheus-blackbox-exporter` as root for its modules")
    });
    let exporter = Exporter::start(&format!("{modules}\n{ALLOW_LOOPBACK}"), &[]).await;
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("prometheus.yml");
    let address = exporter.url("");
    let text = SCRAPE
        .replace("TARGETS", &format!("'{}', '{}'", fine.url("/"), closing.url("/")))
        .replace("EXPORTER", address.trim_start_matches("http://"));
    fs::write(&config, text).unwrap();
    let port = free_port();
    let mut command = Command::new(tool("prometheus", "prometheus"));
    command
        .arg(format!("--config.file={}", config.display()))
        .arg(format!(
            "--storage.tsdb.path={}",
            dir.path().join("data").display()
        ))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"));
    let _prometheus = Server::start("prometheus", command, dir.path());
    let mut expected = vec![(fine.url("/"), 1.0), (closing.url("/"), 0.0)];
    expected.sort_by(|first, second| first.0.cmp(&second.0));
    eventually("both targets are probed", LONG * 3, || async {
        query(port, "probe_success")
            .await
            .filter(|found| *found == expected)
    })
    .await;
    let up = query(port, "up").await.unwrap();
    assert_eq!(
        up,
        expected
            .iter()
            .map(|(target, _)| (target.clone(), 1.0))
            .collect::<Vec<_>>()
    );
    let status = query(port, "probe_http_status_code").await.unwrap();
    let told = expected
        .iter()
        .map(|(target, is_fine)| (target.clone(), is_fine * 200.0));
    assert_eq!(status, told.collect::<Vec<_>>());
    assert!(fine.accepted() > 0);
}
