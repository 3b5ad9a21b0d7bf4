//! A real Alertmanager with the shipped configuration. Only addresses and times are replaced.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use super::sinks::Sinks;
use super::tools::{read, repo};

/// How long a test waits for anything before it fails.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A running Alertmanager, killed on drop.
pub struct Alertmanager {
    process: Child,
    port: u16,
    _folder: TempDir,
}

impl Alertmanager {
    /// Starts an Alertmanager that delivers to `sinks` and repeats critical alerts after `repeat`.
    pub fn start(sinks: &Sinks, repeat: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary directory can be made");
        let port = free_port();
        write_files(folder.path(), sinks, repeat);
        let config = folder.path().join("alertmanager.yml");
        let process = Command::new("prometheus-alertmanager")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.path={}", folder.path().join("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .args(["--cluster.listen-address=", "--log.level=error"])
            .stdout(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| {
                panic!(
                    "cannot run prometheus-alertmanager: {error}; install it: apt-get install prometheus-alertmanager"
                )
            });
        let this = Self {
            process,
            port,
            _folder: folder,
        };
        let deadline = Instant::now() + PATIENCE;
        while this.request("GET", "/-/ready", "").is_none() {
            assert!(
                Instant::now() < deadline,
                "the Alertmanager is not ready after {PATIENCE:?}"
            );
            std::thread::sleep(Duration::from_millis(50));
        }
        this
    }

    /// The URL of its API.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Silences all alerts of a service.
    pub fn silence(&self, service: &str) {
        let silence = serde_json::json!({
            "matchers": [{"name": "service", "value": service, "isRegex": false, "isEqual": true}],
            "startsAt": "2026-01-01T00:00:00Z", "endsAt": "2096-01-01T00:00:00Z",
            "createdBy": "test", "comment": "test",
        });
        let response = self.request("POST", "/api/v2/silences", &silence.to_string());
        assert!(response.is_some(), "the Alertmanager rejects {silence}");
    }

    /// Posts alerts, as Prometheus does.
    pub fn post(&self, alerts: &Value) {
        let response = self.request("POST", "/api/v2/alerts", &alerts.to_string());
        assert!(response.is_some(), "the Alertmanager rejects {alerts}");
    }

    /// The response to a request, if its status is 200.
    fn request(&self, method: &str, path: &str, body: &str) -> Option<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        let length = body.len();
        write!(
            stream,
            "{method} {path} HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        )
        .ok()?;
        let mut response = String::new();
        stream.read_to_string(&mut response).ok()?;
        response.lines().next()?.contains(" 200 ").then_some(response)
    }
}

impl Drop for Alertmanager {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A port that was free a moment ago. The Alertmanager does not report the port that it binds.
fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    listener
        .local_addr()
        .expect("a bound socket has an address")
        .port()
}

fn write_files(folder: &Path, sinks: &Sinks, repeat: &str) {
    let http = format!("http://127.0.0.1:{}", sinks.http);
    let secrets = folder.join("secrets");
    let replacements = [
        ("/etc/alertmanager/secrets", secrets.display().to_string()),
        (
            "smarthost: smtp.example.org:587",
            format!(
                "smarthost: 127.0.0.1:{}\n  smtp_require_tls: false\n  smtp_hello: localhost\n  pagerduty_url: {http}/pagerduty",
                sinks.smtp
            ),
        ),
        ("http://127.0.0.1:9095", http.clone()),
        ("http://127.0.0.1:9096", http.clone()),
        ("http://127.0.0.1:9097", http.clone()),
        ("group_wait: 10s", "group_wait: 1s".to_owned()),
        ("group_interval: 30s", "group_interval: 1s".to_owned()),
        ("repeat_interval: 1h ", format!("repeat_interval: {repeat} ")),
    ];
    let mut config = read(&repo("deploy/alertmanager/alertmanager.yml"));
    for (from, to) in replacements {
        assert!(config.contains(from), "the configuration lacks {from}");
        config = config.replace(from, &to);
    }
    let template = read(&repo("deploy/alertmanager/templates/upkeep.tmpl"));
    let files = [
        ("alertmanager.yml", config.as_str()),
        ("templates/upkeep.tmpl", template.as_str()),
        ("secrets/smtp_password", "smtp-secret"),
        ("secrets/slack_url", &format!("{http}/slack")),
        ("secrets/pagerduty_routing_key", "pagerduty-secret"),
        ("secrets/sms_token", "sms-secret"),
    ];
    for (name, content) in files {
        let path = folder.join(name);
        let parent = path.parent().expect("the path has a folder");
        std::fs::create_dir_all(parent)
            .and_then(|()| std::fs::write(&path, content))
            .expect("the temporary directory can be written");
    }
}
