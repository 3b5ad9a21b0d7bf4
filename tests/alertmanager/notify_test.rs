//! The command `notify-test` with a real Alertmanager and the shipped configuration.

use std::process::{Command, Output};
use std::time::Duration;

use super::live::{Alertmanager, PATIENCE};
use super::sinks::Sinks;

/// Runs `notify-test` with these arguments.
fn notify_test(url: &str, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_upkeep_exporter"))
        .args(["notify-test", "--alertmanager", url])
        .args(arguments)
        .output()
        .expect("the exporter can be started")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_test_alert_reaches_the_receivers_of_its_severity_and_ends() {
    let sinks = Sinks::start();
    let alertmanager = Alertmanager::start(&sinks, "1h");
    let output = notify_test(
        &alertmanager.url(),
        &["--severity", "critical", "--for", "10s", "--wait", "60s"],
    );
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{out}{err}");
    assert!(out.contains("receivers: pager\n"), "{out}");
    for integration in ["email", "pagerduty", "slack", "webhook"] {
        assert!(out.contains(&format!("\n{integration}: delivered\n")), "{out}");
    }
    let pages = sinks.wait("/sms", PATIENCE, |all| {
        all.iter().any(|page| page.body.contains("resolved"))
    });
    assert!(
        pages[0].body.contains("Test notification for notify_test"),
        "{pages:?}"
    );
}

#[test]
fn a_test_alert_has_the_labels_of_its_service() {
    let sinks = Sinks::start();
    let alertmanager = Alertmanager::start(&sinks, "1h");
    let folder = tempfile::tempdir().expect("a temporary directory can be made");
    let file = folder.path().join("upkeep.yml");
    let config = "services: [{key: shop, name: Web shop, group: web, url: 'http://127.0.0.1:1/'}]";
    std::fs::write(&file, config).expect("the file can be written");
    let file = file.to_str().expect("the path is UTF-8");
    let arguments = ["--service", "web shop", "--config.file", file, "--wait", "0s"];
    let output = notify_test(&alertmanager.url(), &arguments);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let delivered = sinks.wait("/alerts", PATIENCE, |all| !all.is_empty());
    assert!(
        delivered[0].body.contains("\"service\":\"shop\""),
        "{delivered:?}"
    );
    assert!(
        delivered[0].body.contains("Test notification for Web shop (web"),
        "{delivered:?}"
    );

    let output = notify_test(&alertmanager.url(), &["--service", "shpo", "--config.file", file]);
    assert_eq!(output.status.code(), Some(64));
    assert!(
        text(&output.stderr).contains("did you mean shop?"),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn a_test_alert_that_nobody_gets_is_a_failure() {
    let sinks = Sinks::start();
    let alertmanager = Alertmanager::start(&sinks, "1h");
    alertmanager.silence("notify_test");
    let output = notify_test(&alertmanager.url(), &["--wait", "20s"]);
    let err = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{err}");
    assert!(
        err.contains("does not notify anybody: the alert is silenced"),
        "{err}"
    );

    let url = alertmanager.url();
    drop(alertmanager);
    let started = std::time::Instant::now();
    let output = notify_test(&url, &[]);
    let err = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{err}");
    assert!(
        err.contains("sending the alert") || err.contains("refused"),
        "{err}"
    );
    assert!(started.elapsed() < Duration::from_secs(20));

    // A server that is not an Alertmanager.
    let output = notify_test(
        &format!("http://127.0.0.1:{}/slack", sinks.http),
        &["--wait", "5s"],
    );
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
}
