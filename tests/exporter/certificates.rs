//! Certificates of every lifetime: from a server to the shipped alerts, and the limits of a check.

use std::fmt::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::Exporter;
use crate::common::servers::get;
use crate::common::targets::{Target, tls};
use crate::tools::{repo, run};

const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;

/// An authority, and servers whose certificates it issued.
struct Servers {
    authority: tls::Authority,
    now: u64,
    dir: TempDir,
    /// They serve until they are dropped.
    targets: Vec<Target>,
    config: String,
}

impl Servers {
    fn new() -> Self {
        let servers = Self {
            authority: tls::Authority::new("test authority"),
            now: SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs(),
            dir: tempfile::tempdir().unwrap(),
            targets: Vec::new(),
            config: "services:\n".to_owned(),
        };
        std::fs::write(servers.dir.path().join("ca.pem"), servers.authority.pem()).unwrap();
        servers
    }

    /// Adds a service, whose certificate is valid for `lifetime` seconds and expires in `left` seconds.
    async fn add(&mut self, service: &str, lifetime: u64, left: u64, keys: &str) {
        let end = self.now + left;
        let identity = self.authority.issue_between(&["127.0.0.1"], end - lifetime, end);
        let target = tls::serve(&identity, &[], None).await;
        let ca = self.dir.path().join("ca.pem");
        writeln!(
            self.config,
            "  - {{ key: {service}, checks: [{{ kind: http, url: 'https://{}/', tls_config: {{ ca_file: {} }}, {keys} }}] }}",
            target.address,
            ca.display()
        )
        .unwrap();
        self.targets.push(target);
    }
}

/// The alerts of `rules/checks.yml` that fire for these metrics of an exporter, as promtool evaluates them at the time `now`.
fn expect_firing(metrics: &str, now: u64, expected: &[(&str, Vec<String>)]) {
    // promtool's time starts at 0, so all times are relative to `now`.
    let series = metrics.lines().filter_map(|line| {
        let (series, value) = line.rsplit_once(' ')?;
        let (name, labels) = series.split_once('{')?;
        let value: f64 = match name {
            "upkeep_service_info" => 1.0,
            "upkeep_tls_certificate_not_after_timestamp_seconds"
            | "upkeep_tls_certificate_not_before_timestamp_seconds" => {
                value.parse::<f64>().unwrap() - now as f64
            }
            _ => return None,
        };
        let series = format!("{name}{{job=\"upkeep\",instance=\"here\",{labels}");
        Some(json!({ "series": series, "values": format!("{value}x10") }))
    });
    let series: Vec<Value> = series.collect();
    let tests = expected.iter().map(|(alert, services)| {
        let samples = services
            .iter()
            .map(|service| json!({ "labels": format!("{{service=\"{service}\"}}"), "value": 1 }));
        json!({
            "expr": format!("count by (service) (ALERTS{{alertname=\"{alert}\",alertstate=\"firing\"}})"),
            "eval_time": "60s",
            "exp_samples": samples.collect::<Vec<_>>(),
        })
    });
    let file = json!({
        "rule_files": [repo("rules/checks.yml")],
        "evaluation_interval": "15s",
        "tests": [{ "interval": "15s", "input_series": series, "promql_expr_test": tests.collect::<Vec<_>>() }],
    });
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("test.yml");
    std::fs::write(&path, file.to_string()).unwrap();
    run("promtool", "prometheus", &["test".into(), "rules".into(), path]);
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_of_every_lifetime_warn_and_page_in_time() {
    let mut servers = Servers::new();
    let (mut warned, mut paged) = (Vec::new(), Vec::new());
    for days in [6, 45, 90, 200, 398] {
        let lifetime = days * DAY;
        servers
            .add(&format!("fresh-{days}"), lifetime, lifetime - HOUR, "")
            .await;
        let (warning, page) = ((lifetime / 3).min(21 * DAY), (lifetime / 10).min(3 * DAY));
        servers
            .add(&format!("before-{days}"), lifetime, warning + HOUR, "")
            .await;
        servers
            .add(&format!("warned-{days}"), lifetime, warning - HOUR, "")
            .await;
        servers
            .add(&format!("paged-{days}"), lifetime, page - HOUR, "")
            .await;
        warned.extend([format!("warned-{days}"), format!("paged-{days}")]);
        paged.push(format!("paged-{days}"));
    }
    let exporter = Exporter::start(&servers.config, &[]).await;
    let metrics = exporter.metrics().await;
    let succeeded = metrics
        .lines()
        .filter(|line| line.starts_with("upkeep_check_success{"));
    assert!(succeeded.clone().all(|line| line.ends_with(" 1")), "{metrics}");
    assert_eq!(succeeded.count(), 20);
    expect_firing(
        &metrics,
        servers.now,
        &[
            ("UpkeepCertificateExpiringSoon", warned),
            ("UpkeepCertificateAboutToExpire", paged),
        ],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_fails_before_its_certificate_expires() {
    let mut servers = Servers::new();
    let limits = |limits| format!("certificate: {{ {limits} }}");
    servers
        .add("late", 90 * DAY, DAY + HOUR, &limits("fail_before: 2d"))
        .await;
    servers
        .add(
            "early",
            90 * DAY,
            3 * DAY,
            &limits("warn_before: 20d, fail_before: 2d"),
        )
        .await;
    let exporter = Exporter::start(&servers.config, &[]).await;
    let labels = |service: &str| format!("{{service=\"{service}\",group=\"default\",check=\"http\"}}");
    let value = |name: &str, service: &str| exporter.value_owned(format!("{name}{}", labels(service)));
    assert_eq!(value("upkeep_check_success", "early").await, Some(1.0));
    assert_eq!(value("upkeep_check_success", "late").await, Some(0.0));
    let warn_before = "upkeep_tls_certificate_warn_before_seconds";
    assert_eq!(value(warn_before, "early").await, Some(20.0 * 86_400.0));
    assert_eq!(value(warn_before, "late").await, None);
    let problem =
        "upkeep_check_problem_info{service=\"late\",group=\"default\",check=\"http\",reason=\"tls\"}";
    assert_eq!(exporter.value(problem).await, Some(1.0));
    let status = get(&exporter.url("/api/status")).await.unwrap();
    let message = "less than certificate.fail_before (2d): renew it";
    assert!(status.contains(message), "{status}");
}
