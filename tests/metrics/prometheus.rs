//! Tests with the reference implementations: the linter of promtool, and a real Prometheus that scrapes.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;
use upkeep_exporter::metrics::{Format, Renderer};
use upkeep_exporter::store::Snapshot;
use upkeep_exporter::web::{BodyCache, EventHub, Reloader, State, serve};

use crate::parser::parse;
use crate::snapshots::{NOW, every_status, input, many, with_native_histograms};
use crate::text;

const INSTALL: &str = "install the Debian package prometheus (apt-get install prometheus)";

fn promtool_lint(text: &str) -> Output {
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("starting promtool: {error}: {INSTALL}"));
    promtool.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    promtool.wait_with_output().unwrap()
}

#[test]
fn promtool_accepts_the_classic_format() {
    for snapshot in [every_status(), many(3), many(0)] {
        let output = promtool_lint(&text(snapshot, Format::Classic));
        let printed =
            String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && printed.is_empty(), "{printed}");
    }
}

#[test]
fn promtool_rejects_a_wrong_type() {
    let classic = text(every_status(), Format::Classic);
    let output = promtool_lint(&classic.replacen("counter", "gauge", 1));
    assert!(!output.status.success());
}

/// A Prometheus on a free port. It ends with the test.
struct Prometheus {
    child: Child,
    address: SocketAddr,
    _directory: tempfile::TempDir,
}

impl Prometheus {
    /// Starts a Prometheus that scrapes `target` every second.
    fn start(target: SocketAddr, flags: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let config = directory.path().join("prometheus.yml");
        let text = format!(
            "global: {{scrape_interval: 1s}}\nscrape_configs:\n- job_name: upkeep\n  honor_labels: true\n  \
             static_configs: [{{targets: ['{target}']}}]\n"
        );
        std::fs::write(&config, text).unwrap();
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                directory.path().join("data").display()
            ))
            .arg(format!("--web.listen-address={address}"))
            .args(flags)
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("starting prometheus: {error}: {INSTALL}"));
        Self {
            child,
            address,
            _directory: directory,
        }
    }

    /// The result of an instant query. `None` while Prometheus can't be reached.
    async fn query(&self, query: &str) -> Option<Vec<Value>> {
        let url = format!("http://{}/api/v1/query", self.address);
        let url = url::Url::parse_with_params(&url, [("query", query)]).unwrap();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let response = client.get(url).send().await.ok()?.bytes().await.ok()?;
        let response: Value = serde_json::from_slice(&response).ok()?;
        Some(response["data"]["result"].as_array()?.clone())
    }

    /// Repeats the query until it has a result.
    async fn wait_for(&self, query: &str) -> Vec<Value> {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            match self.query(query).await {
                Some(result) if !result.is_empty() => return result,
                other => assert!(Instant::now() < deadline, "no result of {query}: {other:?}"),
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}

/// Serves this snapshot on a free port.
async fn serve_metrics(snapshot: fn() -> Snapshot) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .unwrap();
    let target = listener.local_addr().unwrap();
    let state = State {
        snapshot: Arc::new(snapshot),
        renderer: Renderer::new(move || input(snapshot())),
        prober: Arc::new(upkeep_exporter::probe::Prober::new(
            upkeep_exporter::check::CheckContext::new("/proc".into()),
            Duration::ZERO,
        )),
        heartbeats: upkeep_exporter::web::HeartbeatEndpoint::default(),
        process_groups: Arc::new(upkeep_exporter::process_groups::ProcessGroups::new(
            "/proc".into(),
        )),
        history: upkeep_exporter::history::Reader::empty(),
        config: Box::new(|| "services: []\n".into()),
        is_ready: Box::new(|| true),
        reloader: Reloader::new(|| Box::pin(async { Ok(()) })),
        is_lifecycle_enabled: false,
        has_badges: false,
        admin: None,
        allowed_hosts: upkeep_exporter::web::AllowedHosts::default(),
        event_hub: EventHub::without_store(),
        telemetry_path: "/metrics".into(),
        bodies: BodyCache::default(),
    };
    tokio::spawn(serve(listener, Arc::new(state), std::future::pending()));
    target
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn number(result: &[Value]) -> f64 {
    result[0]["value"][1].as_str().unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_prometheus_scrapes_openmetrics() {
    let target = serve_metrics(every_status).await;
    let prometheus = Prometheus::start(target, &[]);
    assert_eq!(number(&prometheus.wait_for("up{job=\"upkeep\"} == 1").await), 1.0);

    let rendered = parse(&text(every_status(), Format::OpenMetrics), Format::OpenMetrics).unwrap();
    let series: usize = rendered.iter().map(|family| family.samples.len()).sum();
    let scraped = prometheus.wait_for("scrape_samples_scraped").await;
    assert_eq!(number(&scraped), series as f64);
    let kept = prometheus.wait_for("scrape_samples_post_metric_relabeling").await;
    assert_eq!(number(&kept), series as f64);

    for (query, expected) in [
        ("count(upkeep_service_info)", 5.0),
        ("count(upkeep_service_up)", 3.0),
        (
            "sum by (status) (upkeep_service_status{status=\"degraded\"})",
            1.0,
        ),
        ("upkeep_check_runs_total{service=\"api\",check=\"tcp\"}", 4.0),
        ("count(upkeep_check_problem_info{reason=\"refused\"})", 1.0),
        (
            "upkeep_service_condition_tolerance_seconds{service=\"web\",condition=\"slow\"}",
            1.5,
        ),
        (
            "upkeep_check_duration_seconds_bucket{service=\"web\",le=\"0.1\"}",
            2.0,
        ),
        (
            "histogram_quantile(1, upkeep_check_duration_seconds_bucket{service=\"slow\"})",
            2.5,
        ),
        (
            "count(upkeep_service_info{name=\"API \\\"v2\\\"\\\\beta\\nnew line\", group=\"größe\"})",
            1.0,
        ),
        ("count(process_start_time_seconds)", 1.0),
    ] {
        assert_eq!(number(&prometheus.wait_for(query).await), expected, "{query}");
    }
    // Prometheus reads the exact time.
    let since = "upkeep_service_condition_since_timestamp_seconds{service=\"restored\",condition=\"down\"}";
    assert_eq!(number(&prometheus.wait_for(since).await), NOW - 600.5);

    // Prometheus knows the types of OpenMetrics.
    let url = format!("http://{}/api/v1/metadata", prometheus.address);
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let metadata = client.get(url).send().await.unwrap().bytes().await.unwrap();
    let metadata: Value = serde_json::from_slice(&metadata).unwrap();
    for (family, metric_type) in [
        ("upkeep_check_runs", "counter"),
        ("upkeep_service", "info"),
        ("upkeep_check_duration_seconds", "histogram"),
    ] {
        let found = &metadata["data"][family][0];
        assert_eq!(found["type"], metric_type, "{family}: {found}");
    }
    assert_eq!(
        metadata["data"]["upkeep_check_duration_seconds"][0]["unit"],
        "seconds"
    );
}

/// Requests Protocol Buffers. Since 2.49, `scrape_protocols` does.
const NATIVE: &[&str] = &["--enable-feature=native-histograms"];

/// The current series of the exporter with their values. The exporter's own process changes.
async fn series(prometheus: &Prometheus) -> BTreeMap<String, String> {
    let found = prometheus
        .wait_for("{job=\"upkeep\", __name__=~\"upkeep_.*\"}")
        .await;
    found
        .iter()
        .map(|series| (series["metric"].to_string(), series["value"][1].to_string()))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_prometheus_reads_the_same_series_from_protocol_buffers() {
    let target = serve_metrics(every_status).await;
    let (text, protobuf) = (Prometheus::start(target, &[]), Prometheus::start(target, NATIVE));
    for prometheus in [&text, &protobuf] {
        prometheus.wait_for("up{job=\"upkeep\"} == 1").await;
    }
    let (text, protobuf) = (series(&text).await, series(&protobuf).await);
    assert!(text.len() > 200, "{}", text.len());
    assert_eq!(text, protobuf);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_prometheus_reads_native_histograms() {
    let target = serve_metrics(|| with_native_histograms(every_status())).await;
    let prometheus = Prometheus::start(target, NATIVE);
    let count = "histogram_count(upkeep_check_duration_seconds{service=\"web\"})";
    let expected = every_status().services.iter().find_map(|service| {
        let is_web = service.service.key.as_str() == "web";
        service.checks[0]
            .response_times
            .as_ref()
            .filter(|_| is_web)
            .map(|times| times.count() as f64)
    });
    assert_eq!(Some(number(&prometheus.wait_for(count).await)), expected);
    // The bucket -8 of schema 3 ends at 0.5.
    let largest = "histogram_quantile(1, upkeep_check_duration_seconds{service=\"web\"})";
    assert!((number(&prometheus.wait_for(largest).await) - 0.5).abs() < 1e-9);
    // A Prometheus that knows native histograms ignores the classic buckets. A histogram without native buckets stays classic.
    let classic = prometheus
        .wait_for("count by (__name__) ({__name__=~\"upkeep_.*_bucket\"})")
        .await;
    let names: Vec<&str> = classic
        .iter()
        .filter_map(|series| series["metric"]["__name__"].as_str())
        .collect();
    assert_eq!(names, ["upkeep_scheduler_lag_seconds_bucket"]);
}
