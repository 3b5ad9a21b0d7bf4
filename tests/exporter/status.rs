//! The status document as its readers get it: from the API with curl, and from the file of `--status.file`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::common::chatstack::{Parts, assert_document, assert_readable};
use crate::common::servers::{Server, eventually, free_port, get, tool};
use crate::common::switchable::Switchable;
use crate::{Exporter, LONG};

const WRITTEN: &str = "upkeep_status_file_last_write_successful";
const WRITTEN_AT: &str = "upkeep_status_file_last_write_timestamp_seconds";

fn curl(arguments: &[&str]) -> String {
    let output = Command::new(tool("curl", "curl"))
        .args(["--silent", "--show-error", "--noproxy", "*", "--max-time", "10"])
        .args(arguments)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

fn config(target: &Switchable) -> String {
    format!(
        "defaults: {{ interval: 1s, recheck_interval: 200ms }}\nservices:\n  \
         - {{ key: web, name: Web, group: front, url: \"http://{}/\" }}\n  \
         - {{ key: other, group: back, checks: [{{ kind: process, regex: init, min: 0 }}] }}\n",
        target.address
    )
}

/// The document in the file; the file is always whole.
fn in_file(path: &Path) -> Option<Value> {
    let text = fs::read_to_string(path).ok()?;
    Some(serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}")))
}

/// Waits until the document's `web` has this status.
async fn until(what: &str, path: &Path, status: &str, limit: Duration) -> Value {
    eventually(what, limit, || async {
        in_file(path).filter(|document| document["services"]["web"]["status"] == status)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn curl_gets_the_status() {
    let mut target = Switchable::start().await;
    let exporter = Exporter::start(&config(&target), &[]).await;
    let document: Value = serde_json::from_str(&curl(&[&exporter.url("/api/status")])).unwrap();
    assert_eq!(document["services"]["web"]["http"]["status_code"], 200);
    assert_eq!(
        (&document["ok_count"], &document["overall"]),
        (&Value::from(2), &Value::from("up"))
    );
    let compressed = curl(&[
        "--compressed",
        "--include",
        &exporter.url("/api/status?group=front"),
    ]);
    assert!(
        compressed.to_lowercase().contains("content-encoding: gzip"),
        "{compressed}"
    );
    assert!(compressed.contains("\"total\":1,"), "{compressed}");
    target.stop().await;
    let url = exporter.url("/api/status/web");
    let service = eventually("the service is down", LONG, || async {
        let service: Value = serde_json::from_str(&curl(&[&url])).unwrap();
        (service["status"] == "down").then_some(service)
    })
    .await;
    assert_eq!(
        (&service["ok"], &service["reason"]),
        (&Value::from(false), &Value::from("refused"))
    );
    assert!(
        service["advice"]
            .as_str()
            .unwrap()
            .starts_with("Nothing listens at this address")
    );
    let code = curl(&[
        "--output",
        "/dev/null",
        "--write-out",
        "%{http_code}",
        &exporter.url("/api/status/wev"),
    ]);
    assert_eq!(code, "404");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_file_follows_within_a_second() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("status.json");
    let flag = format!("--status.file={}", path.display());
    let mut target = Switchable::start().await;
    let exporter = Exporter::start(&config(&target), &[&flag]).await;
    let document = until("the first document", &path, "up", LONG).await;
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o644);
    let api: Value = serde_json::from_str(&curl(&[&exporter.url("/api/status")])).unwrap();
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&document), keys(&api));
    assert_eq!(keys(&document["services"]["web"]), keys(&api["services"]["web"]));
    exporter.becomes(WRITTEN, 1.0, LONG).await;

    target.stop().await;
    let url = exporter.url("/api/status/web");
    eventually("the service is down", LONG, || async {
        curl(&[&url]).contains("\"status\":\"down\"").then_some(())
    })
    .await;
    let begun = Instant::now();
    until("the file knows", &path, "down", LONG).await;
    // A second is promised; a busy machine may add to it.
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());

    // While nothing changes it is written anew all the same.
    let before = in_file(&path).unwrap()["generated_at"].clone();
    let begun = Instant::now();
    eventually("another document", LONG, || async {
        in_file(&path).filter(|document| document["generated_at"] != before)
    })
    .await;
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

/// A configuration with a service for every combination of the parts that the ChatStack monitor knew.
fn every_combination(target: &Switchable) -> String {
    let service = |parts: Parts| {
        let checks = [
            (
                parts.http,
                format!("{{ kind: http, url: \"http://{}/\" }}", target.address),
            ),
            (
                parts.tcp,
                format!("{{ kind: tcp, address: \"{}\" }}", target.address),
            ),
            (parts.systemd, "{ kind: systemd, unit: none.service }".to_owned()),
            (
                parts.process,
                "{ kind: process, match: [init], min: 0 }".to_owned(),
            ),
        ];
        let wanted = checks.into_iter().filter(|(is_there, _)| *is_there);
        let mut wanted: Vec<_> = wanted.map(|(_, check)| check).collect();
        if wanted.is_empty() {
            wanted.push("{ kind: unix, path: /run/none.sock }".to_owned());
        }
        format!(
            "  - {{ key: {}, checks: [{}] }}\n",
            parts.key(),
            wanted.join(", ")
        )
    };
    let services: String = Parts::all().map(service).collect();
    format!("defaults: {{ interval: 1s, recheck_interval: 200ms }}\nservices:\n{services}")
}

#[tokio::test(flavor = "multi_thread")]
async fn every_field_of_the_old_document_is_in_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("status.json");
    let flag = format!("--status.file={}", path.display());
    let mut target = Switchable::start().await;
    let exporter = Exporter::start(&every_combination(&target), &[&flag]).await;
    for (is_up, status) in [(true, "up"), (false, "down")] {
        if !is_up {
            target.stop().await;
        }
        let document = eventually("the file follows", LONG, || async {
            in_file(&path).filter(|document| document["services"]["parts.http-tcp"]["status"] == status)
        })
        .await;
        let api: Value = serde_json::from_str(&curl(&[&exporter.url("/api/status")])).unwrap();
        for document in [&document, &api] {
            assert_document(document);
            for parts in Parts::all() {
                assert_readable(&document["services"][parts.key()], parts);
            }
            let service = &document["services"]["parts.http"];
            assert_eq!(service["port"]["ok"], is_up, "{service:#}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_cannot_be_written_is_logged_once() {
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("later");
    let path = inner.join("status.json");
    let flag = format!("--status.file={}", path.display());
    let mut target = Switchable::start().await;
    let exporter = Exporter::start(&config(&target), &[&flag]).await;
    exporter.becomes(WRITTEN, 0.0, LONG).await;
    assert_eq!(exporter.value(WRITTEN_AT).await, Some(0.0));
    // Nothing else is the worse for it.
    target.stop().await;
    exporter
        .becomes(
            "upkeep_service_up{service=\"web\",group=\"front\",tier=\"critical\"}",
            0.0,
            LONG,
        )
        .await;
    // Two more attempts.
    tokio::time::sleep(Duration::from_secs(11)).await;
    let told = exporter
        .server
        .log()
        .matches("writing the status file failed")
        .count();
    assert_eq!(told, 1, "{}", exporter.server.log());
    fs::create_dir(&inner).unwrap();
    until("the file", &path, "down", LONG).await;
    exporter.becomes(WRITTEN, 1.0, LONG).await;
    assert!(exporter.value(WRITTEN_AT).await.unwrap() > 1e9);
    assert!(exporter.server.log().contains("the status file is written again"));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_flag_the_metric_is_absent() {
    let target = Switchable::start().await;
    let exporter = Exporter::start(&config(&target), &[]).await;
    assert!(!exporter.metrics().await.contains("upkeep_status_file"));
}

/// A file system of 64 kB in a mount namespace of the exporter's own, which the test fills and empties from outside.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_leaves_the_last_document_and_is_got_over() {
    let target = Switchable::start().await;
    let folder = tempfile::tempdir().unwrap();
    let disk = folder.path().join("disk");
    fs::create_dir(&disk).unwrap();
    let file = folder.path().join("upkeep.yml");
    fs::write(&file, config(&target)).unwrap();
    let port = free_port();
    let script = format!(
        "mount -t tmpfs -o size=64k none {disk} && exec {exporter} --config.file={file} \
         --web.listen-address=127.0.0.1:{port} --status.file={disk}/status.json",
        disk = disk.display(),
        exporter = env!("CARGO_BIN_EXE_upkeep_exporter"),
        file = file.display(),
    );
    let mut command = Command::new(tool("unshare", "util-linux"));
    command.args(["--mount", "--propagation", "private", "sh", "-c", &script]);
    let server = Server::start("exporter", command, folder.path());
    // unshare and the shell become the exporter, so the process is the same.
    let inside = PathBuf::from(format!("/proc/{}/root{}", server.pid(), disk.display()));
    let path = inside.join("status.json");
    until("the first document", &path, "up", LONG).await;

    let fill = inside.join("fill");
    assert!(
        fs::write(&fill, vec![0; 1 << 20]).is_err(),
        "the disk is full now"
    );
    let url = format!("http://127.0.0.1:{port}/metrics");
    let becomes = |value: &'static str| {
        let url = url.clone();
        eventually(value, LONG, move || {
            let url = url.clone();
            async move {
                let metrics = get(&url).await?;
                metrics.contains(&format!("\n{WRITTEN} {value}\n")).then_some(())
            }
        })
    };
    becomes("0").await;
    assert!(
        in_file(&path).is_some(),
        "the document from before is still there"
    );
    assert!(
        server.log().contains("No space left on device"),
        "{}",
        server.log()
    );
    fs::remove_file(&fill).unwrap();
    becomes("1").await;
    assert!(!inside.join(".status.json.tmp").exists());
}
