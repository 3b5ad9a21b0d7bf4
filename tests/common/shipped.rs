//! The configurations from `deploy/`, with the addresses of the test's servers.

use std::fs;
use std::path::Path;

use super::webhook::Webhook;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The shipped Alertmanager configuration. All its receivers post to `webhook`.
pub fn alertmanager_config(webhook: &Webhook) -> String {
    let shipped = fs::read_to_string(root().join("deploy/alertmanager/alertmanager.yml")).unwrap();
    let (routes, receivers) = shipped.split_once("\nreceivers:\n").unwrap();
    let mut text = routes.replace(
        "templates/*.tmpl",
        &format!("{}/deploy/alertmanager/templates/*.tmpl", root().display()),
    );
    text.push_str("\nreceivers:\n");
    for name in receivers
        .lines()
        .filter_map(|line| line.strip_prefix("  - name: "))
    {
        text.push_str(&format!(
            "  - name: {name}\n    webhook_configs: [{{ url: 'http://{}/{name}', send_resolved: true }}]\n",
            webhook.address
        ));
    }
    text
}

/// The shipped Prometheus configuration with other addresses.
pub fn prometheus_config(alertmanager: u16, exporters: &[u16]) -> String {
    let shipped = fs::read_to_string(root().join("deploy/prometheus/prometheus.yml")).unwrap();
    let targets: Vec<String> = exporters.iter().map(|port| format!("127.0.0.1:{port}")).collect();
    let replaced = shipped
        .replace("../../rules/*.yml", &format!("{}/rules/*.yml", root().display()))
        .replace("127.0.0.1:9093", &format!("127.0.0.1:{alertmanager}"))
        .replace("127.0.0.1:10100", &targets.join(", "));
    assert!(
        replaced.contains(&targets[0]),
        "the shipped configuration has no exporter as a target"
    );
    replaced
}
