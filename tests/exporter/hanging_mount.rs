//! A file system that hangs, as a network file system whose server is gone: only its own check fails.
//!
//! A FUSE file system whose process never answers hangs in the same way. Both live in a mount namespace of their own, so that no other
//! program of the machine can touch the file system.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::LONG;
use crate::common::servers::{Server, eventually, free_port, get};
use crate::common::switchable::Switchable;

/// Mounts the file system at `$1`, then runs the rest as a command. The open file 3 keeps the file system alive.
const MOUNT: &str = "mount --make-rprivate / && exec 3<>/dev/fuse && mount -i -t fuse -o \
     fd=3,rootmode=40000,user_id=0,group_id=0 hanging \"$1\" && shift && exec \"$@\"";

/// The threads of the exporter that read file systems.
fn readers(process: u32) -> usize {
    let tasks = fs::read_dir(format!("/proc/{process}/task")).unwrap();
    let names = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.filter(|name| name.trim() == "shared-read").count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_system_that_hangs_delays_no_other_check_and_no_shutdown() {
    let dir = tempfile::tempdir().unwrap();
    let mount = dir.path().join("hanging");
    fs::create_dir(&mount).unwrap();
    let target = Switchable::start().await;
    let port = free_port();
    let file = dir.path().join("upkeep.yml");
    let config = format!(
        "defaults: {{ interval: 1s, recheck_interval: 1s, timeout: 1s }}
services:
  - {{ key: machine, checks: [{{ kind: host, disks: [{{ mount: {} }}, {{ mount: / }}] }}] }}
  - {{ key: web, checks: [{{ kind: http, url: 'http://{}/' }}] }}
",
        mount.display(),
        target.address
    );
    fs::write(&file, config).unwrap();
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "sh", "-c", MOUNT, "sh"])
        .arg(&mount)
        .arg(env!("CARGO_BIN_EXE_upkeep_exporter"))
        .arg(format!("--config.file={}", file.display()))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .arg("--control.socket=");
    let mut server = Server::start("exporter", command, dir.path());
    let url = |path: &str| format!("http://127.0.0.1:{port}{path}");
    let metrics_url = url("/metrics");
    let runs = |metrics: &str, service: &str| -> f64 {
        let start = format!("upkeep_check_runs_total{{service=\"{service}\"");
        let line = metrics.lines().find(|line| line.starts_with(&start));
        line.map_or(0.0, |line| line.rsplit(' ').next().unwrap().parse().unwrap())
    };
    let metrics = eventually("five runs of both checks", LONG, || async {
        let metrics = get(&metrics_url).await?;
        (runs(&metrics, "machine") >= 5.0 && runs(&metrics, "web") >= 5.0).then_some(metrics)
    })
    .await;
    assert_eq!(
        readers(server.pid()),
        1,
        "one thread hangs, however many runs there were"
    );
    let sizes: Vec<&str> = metrics
        .lines()
        .filter(|line| line.starts_with("upkeep_host_disk_size_bytes{"))
        .collect();
    assert!(sizes.len() == 1 && sizes[0].contains("mount=\"/\""), "{sizes:?}");
    assert!(metrics.contains("upkeep_host_memory_available_bytes{service=\"machine\""));
    let document: Value = serde_json::from_str(&get(&url("/api/status")).await.unwrap()).unwrap();
    let services = &document["services"];
    assert_eq!(services["web"]["status"], "up", "{services:#}");
    assert_eq!(services["machine"]["status"], "down");
    assert_eq!(services["machine"]["reason"], "timeout");
    let message = services["machine"]["message"].as_str().unwrap();
    // The waiting time in the message depends on when the run started within its deadline.
    let expected = format!(
        "reading the file system at {}: no response within ",
        mount.display()
    );
    assert!(
        message.starts_with(&expected) && message.ends_with("s, it hangs"),
        "{message}"
    );

    let began = Instant::now();
    server.terminate(LONG);
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}
