//! Exporters, Prometheus and Alertmanager with the shipped settings.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::common::servers::{Server, eventually, free_port, get, tool};
use crate::common::shipped::{alertmanager_config, prometheus_config};
use crate::common::webhook::{Notice, Webhook};

/// The running servers.
pub struct Stack {
    pub webhook: Webhook,
    alertmanager_port: u16,
    prometheus_port: u16,
    exporter_ports: [u16; 2],
    exporter_flags: Vec<String>,
    servers: Vec<Server>,
    pub exporters: Vec<Server>,
    pub prometheus: Option<Server>,
    /// Removed last: servers print their logs when a test fails.
    dir: TempDir,
}

impl Stack {
    /// Starts two exporters with `config`, Prometheus and the Alertmanager.
    pub async fn start(config: &str) -> Self {
        Self::start_with([config, config], &[], &[]).await
    }

    /// Starts two exporters, each with its own configuration and with these flags, Prometheus and the Alertmanager. In the
    /// Alertmanager's configuration, the first text of each change is replaced by the second one, in which `{exporter}` is the address of
    /// the first exporter. In the flags, `{number}` is the number of the exporter.
    pub async fn start_with(
        configs: [&str; 2],
        exporter_flags: &[String],
        alertmanager_changes: &[(&str, &str)],
    ) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for (number, config) in configs.iter().enumerate() {
            fs::write(dir.path().join(format!("upkeep{number}.yml")), config).unwrap();
        }
        let mut stack = Self {
            webhook: Webhook::start().await,
            alertmanager_port: free_port(),
            prometheus_port: free_port(),
            exporter_ports: [free_port(), free_port()],
            exporter_flags: exporter_flags.to_vec(),
            servers: Vec::new(),
            exporters: Vec::new(),
            prometheus: None,
            dir,
        };
        stack.start_alertmanager(alertmanager_changes);
        for number in 0..2 {
            let exporter = stack.exporter(number);
            stack.exporters.push(exporter);
        }
        stack.start_prometheus();
        stack
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn start_alertmanager(&mut self, changes: &[(&str, &str)]) {
        let config = self.path("alertmanager.yml");
        let mut text = alertmanager_config(&self.webhook);
        for (from, to) in changes {
            assert!(text.contains(from), "the shipped configuration has no {from}");
            text = text.replace(from, &to.replace("{exporter}", &self.instance(0)));
        }
        fs::write(&config, text).unwrap();
        let mut command = Command::new(tool("prometheus-alertmanager", "prometheus-alertmanager"));
        command
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.path={}", self.path("alertmanager").display()))
            .arg(format!(
                "--web.listen-address=127.0.0.1:{}",
                self.alertmanager_port
            ))
            .arg("--cluster.listen-address=");
        self.servers
            .push(Server::start("alertmanager", command, self.dir.path()));
    }

    /// Starts an exporter. Its state survives restarts. It has priority over the other tests on this machine: an exporter that lacks CPU
    /// time heals nothing. Without the permission, `nice` only warns.
    pub fn exporter(&self, number: usize) -> Server {
        let mut command = Command::new("nice");
        command
            .args(["-n", "-10", env!("CARGO_BIN_EXE_upkeep_exporter")])
            .arg(format!(
                "--config.file={}",
                self.path(&format!("upkeep{number}.yml")).display()
            ))
            .arg(format!(
                "--web.listen-address=127.0.0.1:{}",
                self.exporter_ports[number]
            ))
            .arg(format!(
                "--state.dir={}",
                self.path(&format!("state{number}")).display()
            ))
            .arg(format!(
                "--status.file={}",
                self.path(&format!("status{number}.json")).display()
            ))
            .arg(format!(
                "--control.socket={}",
                self.path(&format!("control{number}.sock")).display()
            ))
            .args(
                self.exporter_flags
                    .iter()
                    .map(|flag| flag.replace("{number}", &number.to_string())),
            );
        Server::start(&format!("exporter{number}"), command, self.dir.path())
    }

    /// Starts a maintenance window of a service in both exporters.
    pub fn start_maintenance(&self, service: &str) {
        for number in 0..self.exporters.len() {
            let socket = self.path(&format!("control{number}.sock"));
            let output = Command::new(env!("CARGO_BIN_EXE_upkeep_exporter"))
                .args(["maintenance", "start", service, "--for", "1h", "--reason", "test"])
                .arg(format!("--control.socket={}", socket.display()))
                .output()
                .unwrap();
            assert!(output.status.success(), "{output:?}");
        }
    }

    /// Starts Prometheus. Its data survives restarts.
    pub fn start_prometheus(&mut self) {
        let config = self.path("prometheus.yml");
        fs::write(
            &config,
            prometheus_config(self.alertmanager_port, &self.exporter_ports),
        )
        .unwrap();
        let mut command = Command::new(tool("prometheus", "prometheus"));
        command
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", self.path("tsdb").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{}", self.prometheus_port));
        self.prometheus = Some(Server::start("prometheus", command, self.dir.path()));
    }

    /// The result of an instant query; `None` if Prometheus does not respond.
    pub async fn query(&self, expression: &str) -> Option<Vec<Value>> {
        let mut url =
            url::Url::parse(&format!("http://127.0.0.1:{}/api/v1/query", self.prometheus_port)).unwrap();
        url.query_pairs_mut().append_pair("query", expression);
        let body: Value = serde_json::from_str(&get(url.as_str()).await?).unwrap();
        Some(body["data"]["result"].as_array()?.clone())
    }

    /// Waits until an instant query returns data, and returns it.
    pub async fn wait_for(&self, expression: &str, limit: Duration) -> Vec<Value> {
        eventually(expression, limit, || async {
            self.query(expression).await.filter(|result| !result.is_empty())
        })
        .await
    }

    /// Waits for the first notice of an alert on a service of the first exporter.
    pub async fn notice(&self, alert: &str, service: &str, status: &str, limit: Duration) -> Notice {
        let what = format!("{alert} of {service} {status}");
        eventually(&what, limit, || async {
            self.notices(alert, service, status).into_iter().next()
        })
        .await
    }

    /// Number of failed rule evaluations since the start of Prometheus.
    pub async fn rule_failures(&self) -> f64 {
        let metrics = get(&format!("http://127.0.0.1:{}/metrics", self.prometheus_port))
            .await
            .unwrap();
        let failures = metrics
            .lines()
            .filter(|line| line.starts_with("prometheus_rule_evaluation_failures_total{"));
        let counts: Vec<f64> = failures
            .map(|line| line.rsplit(' ').next().unwrap().parse().unwrap())
            .collect();
        assert!(
            !counts.is_empty(),
            "Prometheus exports no count of failed rule evaluations:\n{metrics}"
        );
        counts.iter().sum()
    }

    /// The response of an exporter whose checks have all run.
    pub async fn ready(&self, number: usize) -> Option<String> {
        get(&format!("http://{}/-/ready", self.instance(number))).await
    }

    /// The state directory of an exporter.
    pub fn state(&self, number: usize) -> PathBuf {
        self.path(&format!("state{number}"))
    }

    /// The address of an exporter, which is its label `instance`.
    pub fn instance(&self, number: usize) -> String {
        format!("127.0.0.1:{}", self.exporter_ports[number])
    }

    /// The notices of an alert on a service of the first exporter.
    pub fn notices(&self, alert: &str, service: &str, status: &str) -> Vec<Notice> {
        let instance = self.instance(0);
        self.webhook.notices(|notice| {
            notice.label("alertname") == alert
                && notice.label("service") == service
                && notice.label("instance") == instance
                && notice.status == status
        })
    }
}
