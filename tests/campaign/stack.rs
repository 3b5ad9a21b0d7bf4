//! The exporter's binary, Prometheus and Alertmanager with the shipped configurations and rules, and outages of the first two.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::Mutex;

use crate::common::servers::{Server, eventually, free_port, get, tool};
use crate::common::shipped::{alertmanager_config, prometheus_config};
use crate::common::webhook::Webhook;
use crate::judge;
use crate::plan::{self, OutageKind, Victim};

/// Time limit for a server to start or stop on a busy machine.
const LONG: Duration = Duration::from_secs(60);

/// Time until a new Prometheus knows the Alertmanager.
const ALERTMANAGER_KNOWN: Duration = Duration::from_secs(10);

/// The running servers.
pub struct Stack {
    dir: TempDir,
    pub webhook: Webhook,
    exporter_port: u16,
    prometheus_port: u16,
    exporter: Mutex<Option<Server>>,
    prometheus: Mutex<Option<Server>>,
    _alertmanager: Server,
    /// Alerts that Prometheus failed to send to the Alertmanager, as counted by [`Stack::count_lost`].
    pub lost: AtomicU64,
    ignored: AtomicU64,
}

impl Stack {
    /// Starts all servers. Prometheus scrapes every `scrape`.
    pub async fn start(config: &str, scrape: Duration) -> Arc<Self> {
        let dir = tempfile::tempdir().unwrap();
        let webhook = Webhook::start().await;
        let (exporter_port, prometheus_port, alertmanager_port) = (free_port(), free_port(), free_port());
        fs::write(dir.path().join("upkeep.yml"), config).unwrap();
        fs::write(dir.path().join("alertmanager.yml"), alertmanager_config(&webhook)).unwrap();
        let prometheus = prometheus_config(alertmanager_port, &[exporter_port]);
        fs::write(
            dir.path().join("prometheus.yml"),
            with_scrape_interval(&prometheus, scrape),
        )
        .unwrap();
        let mut command = Command::new(tool("prometheus-alertmanager", "prometheus-alertmanager"));
        command
            .arg(format!(
                "--config.file={}",
                dir.path().join("alertmanager.yml").display()
            ))
            .arg(format!(
                "--storage.path={}",
                dir.path().join("alertmanager").display()
            ))
            .arg(format!("--web.listen-address=127.0.0.1:{alertmanager_port}"))
            .arg("--cluster.listen-address=");
        let stack = Self {
            _alertmanager: Server::start("alertmanager", command, dir.path()),
            dir,
            webhook,
            exporter_port,
            prometheus_port,
            exporter: Mutex::default(),
            prometheus: Mutex::default(),
            lost: AtomicU64::default(),
            ignored: AtomicU64::default(),
        };
        for victim in [Victim::Exporter, Victim::Prometheus] {
            *stack.server(victim).lock().await = Some(stack.launch(victim));
            stack.ready(victim).await;
        }
        Arc::new(stack)
    }

    fn server(&self, victim: Victim) -> &Mutex<Option<Server>> {
        match victim {
            Victim::Exporter => &self.exporter,
            Victim::Prometheus => &self.prometheus,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Starts the exporter or Prometheus. Their data survives restarts.
    fn launch(&self, victim: Victim) -> Server {
        let (name, mut command) = match victim {
            Victim::Exporter => {
                let mut command = Command::new(env!("CARGO_BIN_EXE_upkeep_exporter"));
                command
                    .arg(format!("--config.file={}", self.path("upkeep.yml").display()))
                    .arg(format!("--web.listen-address=127.0.0.1:{}", self.exporter_port))
                    .arg(format!("--state.dir={}", self.path("state").display()));
                ("exporter", command)
            }
            Victim::Prometheus => {
                let mut command = Command::new(tool("prometheus", "prometheus"));
                command
                    .arg(format!("--config.file={}", self.path("prometheus.yml").display()))
                    .arg(format!("--storage.tsdb.path={}", self.path("tsdb").display()))
                    .arg(format!("--web.listen-address=127.0.0.1:{}", self.prometheus_port));
                ("prometheus", command)
            }
        };
        // Leave CPU time for the other servers and tests.
        command.env("GOMAXPROCS", "2");
        Server::start(name, command, self.dir.path())
    }

    /// Waits until the exporter or Prometheus responds.
    async fn ready(&self, victim: Victim) {
        let url = match victim {
            Victim::Exporter => format!("http://127.0.0.1:{}/-/healthy", self.exporter_port),
            Victim::Prometheus => format!("http://127.0.0.1:{}/-/ready", self.prometheus_port),
        };
        eventually(&url, LONG, || get(&url)).await;
    }

    /// Runs one planned outage, and waits until the server is ready again.
    pub async fn inject_outage(&self, outage: plan::Outage, begun: Instant) -> judge::Outage {
        let plan::Outage {
            victim, kind, lasts, ..
        } = outage;
        if victim == Victim::Prometheus && kind != OutageKind::Frozen {
            // The restart resets the counter.
            self.count_lost().await;
        }
        let since = begun.elapsed().as_secs_f64();
        let mut place = self.server(victim).lock().await;
        let server = place.as_mut().expect("it runs");
        tokio::task::block_in_place(|| match kind {
            OutageKind::Killed => server.kill(),
            OutageKind::Terminated => {
                server.terminate(LONG);
            }
            OutageKind::Frozen => server.signal(Signal::STOP),
        });
        tokio::time::sleep(lasts).await;
        match kind {
            OutageKind::Frozen => server.signal(Signal::CONT),
            OutageKind::Killed | OutageKind::Terminated => *server = self.launch(victim),
        }
        self.ready(victim).await;
        let ended = begun.elapsed().as_secs_f64();
        if victim == Victim::Prometheus && kind != OutageKind::Frozen {
            tokio::time::sleep(ALERTMANAGER_KNOWN).await;
            self.ignore_lost_so_far().await;
        }
        judge::Outage {
            victim,
            kind,
            begun: since,
            ended,
        }
    }

    /// The result of an instant query; `None` if Prometheus does not respond.
    pub async fn query(&self, expression: &str, at: Option<f64>) -> Option<Vec<Value>> {
        let mut url =
            url::Url::parse(&format!("http://127.0.0.1:{}/api/v1/query", self.prometheus_port)).unwrap();
        url.query_pairs_mut().append_pair("query", expression);
        if let Some(at) = at {
            url.query_pairs_mut().append_pair("time", &at.to_string());
        }
        let body: Value = serde_json::from_str(&get(url.as_str()).await?).unwrap();
        Some(body["data"]["result"].as_array()?.clone())
    }

    /// The series of a service in the three minutes before a Unix time, to investigate a finding.
    pub async fn history(&self, service: &str, at: f64) -> String {
        let names =
            "upkeep_service_condition_since_timestamp_seconds|upkeep_service_condition_confirmed|ALERTS";
        let what =
            format!("{{__name__=~'{names}', service='{service}'}}[3m] or {{__name__='up', service=''}}[3m]");
        let selectors = what.split(" or ");
        let mut text = String::new();
        for selector in selectors {
            for series in self.query(selector, Some(at)).await.unwrap_or_default() {
                let samples = series["values"].as_array().cloned().unwrap_or_default();
                let samples: Vec<String> = samples
                    .iter()
                    .map(|sample| {
                        let before = sample[0].as_f64().unwrap_or_default() - at;
                        format!("{before:.1}s: {}", sample[1].as_str().unwrap_or_default())
                    })
                    .collect();
                text += &format!("      {}\n        {}\n", series["metric"], samples.join("  "));
            }
        }
        text
    }

    /// Number of alerts that Prometheus has failed to send since its last start.
    async fn dropped(&self) -> u64 {
        let metrics = get(&format!("http://127.0.0.1:{}/metrics", self.prometheus_port)).await;
        let metrics = metrics.unwrap_or_default();
        let count = metrics
            .lines()
            .find_map(|line| line.strip_prefix("prometheus_notifications_dropped_total "));
        let count: f64 = count.and_then(|count| count.parse().ok()).unwrap_or_default();
        count as u64
    }

    /// Ignores the alerts lost so far: after its start Prometheus loses all alerts until it knows the Alertmanager.
    pub async fn ignore_lost_so_far(&self) {
        self.ignored.store(self.dropped().await, Ordering::SeqCst);
    }

    /// Counts the alerts lost since then.
    pub async fn count_lost(&self) {
        let ignored = self.ignored.load(Ordering::SeqCst);
        let lost = self.dropped().await.saturating_sub(ignored);
        self.lost.fetch_add(lost, Ordering::SeqCst);
    }

    /// The log lines of the exporter that contain the service.
    pub async fn log(&self, service: &str) -> String {
        let place = self.exporter.lock().await;
        let log = place.as_ref().map(Server::log).unwrap_or_default();
        let lines = log.lines().filter(|line| line.contains(service));
        lines.map(|line| format!("      {line}\n")).collect()
    }
}

/// The Prometheus configuration with another scrape interval.
fn with_scrape_interval(config: &str, scrape: Duration) -> String {
    let mut found = 0;
    let lines = config.lines().map(|line| {
        let key = line.trim_start();
        let value = match key.split(':').next() {
            Some("scrape_interval") => scrape,
            Some("scrape_timeout") => scrape.min(Duration::from_secs(10)),
            _ => return line.to_owned() + "\n",
        };
        found += 1;
        let indent = &line[..line.len() - key.len()];
        let name = key.split(':').next().unwrap_or_default();
        format!("{indent}{name}: {}s\n", value.as_secs())
    });
    let text = lines.collect();
    assert_eq!(
        found, 2,
        "the shipped configuration has scrape_interval and scrape_timeout once:\n{config}"
    );
    text
}
