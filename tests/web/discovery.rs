//! `/sd`: the checks as targets for `/probe`, in the format of Prometheus.

use std::fs;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use upkeep_exporter::model::Tier;
use upkeep_exporter::store::{CheckView, Snapshot};

use crate::client::{Server, state};
use crate::common::servers::{self, eventually, free_port, tool};
use crate::config;
use crate::openapi;
use crate::snapshots::{check, every_status, service, snapshot};

fn view(keys: &str) -> CheckView {
    let settings = config::check(keys);
    check(settings.name.as_str(), settings.kind)
}

/// Two services; the URL of one has secret parts.
fn shop() -> Snapshot {
    snapshot(vec![
        service(
            "web",
            "Web \"shop\"",
            "front",
            Tier::Critical,
            vec![
                view("kind: http, url: \"http://127.0.0.1:1/health\""),
                view("kind: tcp, address: \"127.0.0.1:1\""),
                view("kind: process, match: [x]"),
            ],
        ),
        service(
            "api",
            "API",
            "back",
            Tier::Tolerant,
            vec![
                view("kind: http, url: \"http://u:hunter2@127.0.0.1:2/a\""),
                view("kind: http, name: query, url: \"http://127.0.0.1:2/b?key=hunter2\""),
            ],
        ),
    ])
}

#[tokio::test]
async fn every_check_that_can_be_probed_is_a_target() {
    let server = Server::start(state(shop)).await;
    let reply = server.get("/sd", &[]).await;
    // Prometheus requires exactly this.
    assert_eq!(reply.header("content-type"), Some("application/json"));
    let targets: Value = serde_json::from_slice(&reply.body).unwrap();
    openapi::assert_is("Targets", &targets);
    assert_eq!(
        targets[0],
        json!({
            "targets": ["http://127.0.0.1:1/health"],
            "labels": {
                "__meta_upkeep_service": "web",
                "__meta_upkeep_name": "Web \"shop\"",
                "__meta_upkeep_group": "front",
                "__meta_upkeep_tier": "critical",
                "__meta_upkeep_check": "http",
                "__meta_upkeep_kind": "http",
                "__meta_upkeep_severity": "critical",
                "__meta_upkeep_shortened": "false",
            },
        })
    );
    let found = |targets: &Value| -> Vec<(String, String)> {
        let groups = targets.as_array().unwrap().iter();
        groups
            .map(|group| {
                let text = |value: &Value| value.as_str().unwrap().to_owned();
                (
                    text(&group["targets"][0]),
                    text(&group["labels"]["__meta_upkeep_shortened"]),
                )
            })
            .collect()
    };
    let expected = |list: &[(&str, &str)]| -> Vec<(String, String)> {
        list.iter()
            .map(|(target, shortened)| ((*target).into(), (*shortened).into()))
            .collect()
    };
    let [web, port] = [("http://127.0.0.1:1/health", "false"), ("127.0.0.1:1", "false")];
    let [user, query] = [("http://127.0.0.1:2/a", "true"), ("http://127.0.0.1:2/b", "true")];
    for (path, list) in [
        ("/sd", vec![web, port, user, query]),
        ("/sd?kind=http", vec![web, user, query]),
        ("/sd?group=front", vec![web, port]),
        ("/sd?group=front&kind=tcp", vec![port]),
        ("/sd?kind=icmp", vec![]),
    ] {
        let reply = server.get(path, &[]).await;
        let targets: Value = serde_json::from_slice(&reply.body).unwrap();
        assert_eq!(found(&targets), expected(&list), "{path}");
        assert!(!reply.text().contains("hunter2"), "{path}");
    }
}

#[tokio::test]
async fn errors_are_one_line_of_text() {
    let server = Server::start(state(every_status)).await;
    for (path, status, text) in [
        (
            "/sd?kind=process",
            400,
            "400 Bad Request: kind \"process\" can't be probed; supported: http, tcp, dns, icmp, grpc, unix, websocket\n",
        ),
        (
            "/sd?group=x",
            404,
            "404 Not Found: no group \"x\"; existing groups: \"\", \"back\", \"front\", \"größe\"\n",
        ),
        (
            "/sd?target=x",
            400,
            "400 Bad Request: unknown query parameter \"target\"; supported: group, kind\n",
        ),
    ] {
        let reply = server.get(path, &[]).await;
        assert_eq!((reply.status, reply.text()), (status, text), "{path}");
    }
}

/// The relabelling of docs/MIGRATION-BLACKBOX.md.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_prometheus_reads_the_targets() {
    let server = Server::start(state(shop)).await;
    let folder = tempfile::tempdir().unwrap();
    let guide = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/MIGRATION-BLACKBOX.md");
    let guide = fs::read_to_string(guide).unwrap();
    let example = guide
        .split("```yaml\n")
        .filter_map(|block| block.split("```").next())
        .find(|block| block.contains("http_sd_configs"))
        .expect("the guide shows how to use http_sd");
    let text = example
        .replace("localhost:10100", &server.address.to_string())
        .replace("refresh_interval: 1m", "refresh_interval: 1s");
    let config = folder.path().join("prometheus.yml");
    fs::write(&config, text).unwrap();
    let port = free_port();
    let mut command = Command::new(tool("prometheus", "prometheus"));
    command
        .arg(format!("--config.file={}", config.display()))
        .arg(format!(
            "--storage.tsdb.path={}",
            folder.path().join("data").display()
        ))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"));
    let _prometheus = servers::Server::start("prometheus", command, folder.path());

    let url = format!("http://127.0.0.1:{port}/api/v1/targets?state=active");
    let active = eventually("the targets", Duration::from_secs(60), || async {
        let answer: Value = serde_json::from_str(&servers::get(&url).await?).ok()?;
        let active = answer["data"]["activeTargets"].as_array()?.clone();
        (!active.is_empty()).then_some(active)
    })
    .await;
    let mut found: Vec<_> = active
        .iter()
        .map(|target| {
            (
                target["labels"].clone(),
                target["scrapeUrl"].as_str().unwrap().to_owned(),
            )
        })
        .collect();
    found.sort_by_key(|(labels, _)| labels.to_string());
    // The example drops targets whose URL is shortened.
    assert_eq!(
        found,
        [(
            json!({
                "job": "probe-http",
                "instance": "http://127.0.0.1:1/health",
                "service": "web",
                "group": "front",
                "tier": "critical",
                "check": "http",
            }),
            format!(
                "http://{}/probe?module=http_2xx&target=http%3A%2F%2F127.0.0.1%3A1%2Fhealth",
                server.address
            ),
        )]
    );
}
