//! The command `maintenance` and the control socket of a running exporter.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::LONG;
use crate::common::servers::{eventually, get};
use crate::monitor::{Monitor, run, socket, text};

const SERVICES: &str = "
defaults: { interval: 1s, recheck_interval: 1s, tolerance: { down: 3s } }
services:
  - { key: api, group: web, checks: [{ kind: tcp, address: '127.0.0.1:1' }] }
  - { key: shop, group: web, checks: [{ kind: tcp, address: '127.0.0.1:1' }] }
";

async fn start(config: &str) -> Monitor {
    Monitor::start("maintenance", config).await
}

async fn value(monitor: &Monitor, metric: &str, labels: &str) -> f64 {
    let metrics = get(&monitor.url("/metrics")).await.unwrap();
    let series = format!("{metric}{{service=\"api\",group=\"web\",tier=\"critical\"{labels}}} ");
    let line = metrics.lines().find_map(|line| line.strip_prefix(&series));
    line.unwrap_or_else(|| panic!("no {series}\n{metrics}"))
        .parse()
        .unwrap()
}

async fn in_maintenance(monitor: &Monitor) -> f64 {
    value(monitor, "upkeep_service_maintenance", "").await
}

async fn confirmed(monitor: &Monitor) -> f64 {
    value(
        monitor,
        "upkeep_service_condition_confirmed",
        ",condition=\"down\"",
    )
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_window_starts_survives_a_kill_and_ends() {
    let mut monitor = start(SERVICES).await;
    assert_eq!(fs::metadata(monitor.socket()).unwrap().mode() & 0o777, 0o600);
    let started = monitor.succeeds(&["start", "api", "--for", "30m", "--reason", "new kernel"]);
    assert!(
        started.starts_with("m1: api in maintenance until 20"),
        "{started}"
    );
    assert!(started.ends_with("Z: new kernel\n"), "{started}");
    assert_eq!(in_maintenance(&monitor).await, 1.0);
    monitor.restart_after_kill().await;
    assert_eq!(in_maintenance(&monitor).await, 1.0);

    let window = &monitor.status("api").await["maintenance"];
    assert_eq!(
        (&window["id"], &window["reason"]),
        (&"m1".into(), &"new kernel".into())
    );
    assert!(!window["by"].as_str().unwrap().is_empty(), "{window}");
    assert_eq!(monitor.status("shop").await["maintenance"], Value::Null);
    for path in ["/", "/service/api", "/widget"] {
        let page = get(&monitor.url(path)).await.unwrap();
        assert!(
            page.contains("<b>maintenance</b> until") && page.contains("new kernel"),
            "{path}\n{page}"
        );
    }
    let status = Command::new(env!("CARGO_BIN_EXE_upkeep_exporter"))
        .args(["status", "--url", &monitor.url("/")])
        .output()
        .unwrap();
    assert!(
        text(&status.stdout).contains("maintenance until 20"),
        "{status:?}"
    );

    let list = monitor.succeeds(&["list"]);
    assert!(
        list.contains("m1  active  20") && list.ends_with("new kernel\n"),
        "{list}"
    );
    let list: Value = serde_json::from_str(&monitor.succeeds(&["list", "--json"])).unwrap();
    assert_eq!(list["windows"][0]["scope"]["services"][0], "api");
    monitor.succeeds(&["extend", "api", "--by", "15m"]);
    assert_eq!(
        monitor.succeeds(&["end", "api"]),
        "m1: maintenance of api ended\n"
    );
    assert_eq!(in_maintenance(&monitor).await, 0.0);
    assert_eq!(monitor.succeeds(&["list"]), "no maintenance windows\n");
    let log = monitor.server.log();
    for line in [
        "maintenance started by command",
        "maintenance extended by command",
        "maintenance ended by command",
    ] {
        assert!(log.contains(line), "{line}\n{log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_condition_is_confirmed_only_after_the_window() {
    let config = format!("maintenance: [{{ cron: '* * * * *', for: 59s, services: [shop] }}]\n{SERVICES}");
    let mut monitor = start(&config).await;
    monitor.succeeds(&["start", "--group", "web", "--for", "8s", "--reason", "test"]);
    let family = "upkeep_service_condition_since_timestamp_seconds";
    let since = value(&monitor, family, ",condition=\"down\"").await;
    assert!(since > 0.0, "checks run on");
    monitor.restart_after_kill().await;
    while in_maintenance(&monitor).await == 1.0 {
        assert_eq!(confirmed(&monitor).await, 0.0);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    eventually("the condition is confirmed after the window", LONG, || async {
        (confirmed(&monitor).await == 1.0).then_some(())
    })
    .await;
    // A window that starts now does not end the alert.
    monitor.succeeds(&["start", "--all", "--for", "1m", "--reason", "test"]);
    assert_eq!(
        (in_maintenance(&monitor).await, confirmed(&monitor).await),
        (1.0, 1.0)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_commands_fail_with_advice() {
    let monitor = start(SERVICES).await;
    for (arguments, code, message) in [
        (
            &["start", "appi", "--for", "1m", "--reason", "x"][..],
            1,
            "unknown service appi: did you mean api?",
        ),
        (
            &["start", "--for", "1m", "--reason", "x"],
            1,
            "name services, or groups with --group, or use --all",
        ),
        (
            &["start", "api", "--for", "40d", "--reason", "x"],
            1,
            "is out of range: write 1s to 31d",
        ),
        (
            &["start", "api", "--for", "500ms", "--reason", "x"],
            64,
            "write whole seconds, such as 30m",
        ),
        (&["start", "api", "--for", "1m"], 64, "--reason <TEXT>"),
        (&["end", "shop"], 1, "shop is not in maintenance"),
        (
            &["extend", "m9", "--by", "1m"],
            1,
            "no maintenance window or service m9",
        ),
    ] {
        let output = monitor.run(arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}");
        assert!(
            text(&output.stderr).contains(message),
            "{arguments:?}: {output:?}"
        );
    }
    let nobody = run("maintenance", Path::new("/nonexistent/control.sock"), &["list"]);
    assert_eq!(nobody.status.code(), Some(1));
    assert!(
        text(&nobody.stderr).contains("is the exporter running?"),
        "{nobody:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_clients_of_the_socket_get_errors() {
    let monitor = start(SERVICES).await;
    let exchange = |request: &[u8]| {
        let mut stream = UnixStream::connect(monitor.socket()).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        // The exporter may answer before it has read everything.
        let _ = stream.write_all(request);
        let mut response = String::new();
        let _ = stream.read_to_string(&mut response);
        response
    };
    for (request, message) in [
        (&b"{}\n"[..], "unknown request"),
        (b"\xff\n", "unknown request"),
        (
            b"{\"command\":\"maintenance\",\"action\":\"destroy\"}\n",
            "unknown request",
        ),
        (&vec![b'x'; 65 * 1024], "the line is longer than 65536 bytes"),
        // The client sends nothing more.
        (b"{\"command\"", "no request within 5 s"),
    ] {
        let response = exchange(request);
        assert!(
            response.contains(message) || response.is_empty() && request.len() > 1024,
            "{response}"
        );
    }
    // Idle connections use all slots for at most 5 s.
    let idle: Vec<UnixStream> = (0..40)
        .map(|_| UnixStream::connect(monitor.socket()).unwrap())
        .collect();
    assert_eq!(monitor.succeeds(&["list"]), "no maintenance windows\n");
    drop(idle);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_state_directory_the_command_warns() {
    let dir = tempfile::tempdir().unwrap();
    let flag = format!("--control.socket={}", socket(dir.path()).display());
    let exporter = crate::Exporter::start(SERVICES, &[&flag]).await;
    let arguments = ["start", "api", "--for", "1m", "--reason", "test"];
    let output = run("maintenance", &socket(dir.path()), &arguments);
    assert!(output.status.success(), "{output:?}");
    assert!(
        text(&output.stderr).contains("warning: the exporter has no state directory"),
        "{output:?}"
    );
    drop(exporter);
}
