//! Whole exporters in this process that heal services, with short times.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep};
use upkeep_exporter::config::heal::{Backoff, HealSettings};
use upkeep_exporter::config::{Config, Service, parse};
use upkeep_exporter::model::SystemClock;
use upkeep_exporter::web::{AllowedHosts, WebConfig};
use upkeep_exporter::{Setup, control};

use super::servers::get;

/// How long a test waits on a busy machine before it fails.
const PATIENCE: Duration = Duration::from_secs(90);

/// An action succeeds if the service was up for this long after it. The built-in time is a minute.
const VERIFY_FOR: Duration = Duration::from_secs(2);

/// The built-in values that are shortened, if a service does not set others.
const BUILT_IN_BACKOFF: Duration = Duration::from_secs(30);
const BUILT_IN_GRACE: Duration = Duration::from_secs(45);
const SHORT: Duration = Duration::from_secs(1);

/// The configuration with these services, each of which ends with a line break, and more keys of `defaults`.
pub fn config(defaults: &str, services: &[String]) -> String {
    let services = services.concat();
    format!("defaults: {{ interval: 1s, recheck_interval: 1s{defaults} }}\nservices:\n{services}")
}

/// What differs between exporters.
#[derive(Clone, Copy, Default)]
pub struct Without {
    /// It has no state directory.
    pub state_dir: bool,
}

/// An exporter in this process. It has its own proc file system, whose pressure files are made by tests: this machine is busy with
/// other tests.
pub struct Exporter {
    pub url: String,
    dir: tempfile::TempDir,
    stop: Option<oneshot::Sender<()>>,
}

impl Exporter {
    /// Starts it, and waits until every check has run.
    pub async fn start(config: &str, without: Without) -> Self {
        let config = shorten(
            parse(config, "test.yml")
                .unwrap_or_else(|error| panic!("{config}\n{error}"))
                .config,
        );
        let dir = tempfile::tempdir().unwrap();
        make_procfs(dir.path());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let again = config.clone();
        let setup = Setup {
            listeners: vec![listener.into()],
            web_config: WebConfig::none(),
            config: config.into(),
            load: Arc::new(move || Ok(again.clone().into())),
            discovery: None,
            watched_files: None,
            clock: Arc::new(SystemClock::new()),
            state_dir: (!without.state_dir).then(|| dir.path().join("state")),
            status_file: None,
            control: Some(control::Listener::bind(&socket(dir.path())).unwrap()),
            procfs: procfs(dir.path()),
            telemetry_path: "/metrics".to_owned(),
            has_native_histograms: false,
            probe_timeout_offset: Duration::ZERO,
            enable_lifecycle: false,
            enable_badges: false,
            enable_admin_api: false,
            allowed_hosts: AllowedHosts::default(),
            no_heal: false,
            checks: None,
        };
        let (stop, stopped) = oneshot::channel::<()>();
        let (_, hangup) = mpsc::channel(1);
        tokio::spawn(upkeep_exporter::run(setup, hangup, async {
            let _ = stopped.await;
        }));
        let exporter = Self {
            url,
            dir,
            stop: Some(stop),
        };
        ready(&exporter.url).await;
        exporter
    }

    /// Runs a command on this exporter over its control socket. It must succeed.
    pub async fn command(&self, arguments: &[&str]) {
        let socket = socket(self.dir.path());
        let mut command = Command::new(env!("CARGO_BIN_EXE_upkeep_exporter"));
        command
            .args(arguments)
            .arg(format!("--control.socket={}", socket.display()));
        let run = tokio::task::spawn_blocking(move || command.output().unwrap());
        let output = run.await.unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
    }

    /// Sets the share of time in which processes wait for a resource.
    pub fn set_pressure(&self, resource: &str, percent: u32) {
        let dir = procfs(self.dir.path()).join("pressure");
        fs::create_dir_all(&dir).unwrap();
        let rest = format!("avg10={percent}.00 avg60=0.00 avg300=0.00 total=1");
        fs::write(dir.join(resource), format!("some {rest}\nfull {rest}\n")).unwrap();
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        drop(self.stop.take());
    }
}

fn socket(dir: &Path) -> PathBuf {
    dir.join("control.sock")
}

/// The proc file system of an exporter with this directory.
pub fn procfs(dir: &Path) -> PathBuf {
    dir.join("proc")
}

/// Makes a proc file system without pressure files.
pub fn make_procfs(dir: &Path) {
    let random = procfs(dir).join("sys/kernel/random");
    fs::create_dir_all(&random).unwrap();
    let boot_id = fs::read("/proc/sys/kernel/random/boot_id").unwrap();
    fs::write(random.join("boot_id"), boot_id).unwrap();
}

/// Shortens the times of healing that no service sets.
fn shorten(mut config: Config) -> Config {
    for service in &mut config.services {
        let Some(mut heal) = service.heal.clone() else {
            continue;
        };
        if heal.backoff.min == BUILT_IN_BACKOFF {
            heal.backoff = Backoff {
                min: SHORT,
                max: SHORT,
            };
        }
        if heal.start_grace == BUILT_IN_GRACE {
            heal.start_grace = SHORT;
        }
        *service = Arc::new(Service {
            heal: Some(HealSettings {
                verify_for: VERIFY_FOR,
                ..heal
            }),
            ..Service::clone(service)
        });
    }
    config
}

async fn ready(url: &str) {
    let (began, ready) = (Instant::now(), format!("{url}/-/ready"));
    while get(&ready).await.is_none() {
        assert!(began.elapsed() < PATIENCE, "the exporter does not get ready");
        sleep(Duration::from_millis(50)).await;
    }
}

/// The status of a service in the API of an exporter.
pub async fn status(url: &str, key: &str) -> Value {
    let status = get(&format!("{url}/api/status/{key}")).await.unwrap();
    serde_json::from_str(&status).unwrap()
}

/// Waits until the API shows a service as wanted.
pub async fn until(url: &str, key: &str, what: &str, is_wanted: impl Fn(&Value) -> bool) {
    let began = Instant::now();
    loop {
        let status = status(url, key).await;
        if is_wanted(&status) {
            return;
        }
        assert!(
            began.elapsed() < PATIENCE,
            "{key}: waiting until {what}: {status:#}"
        );
        sleep(Duration::from_millis(100)).await;
    }
}

/// Waits until these services are up.
pub async fn until_up(url: &str, keys: &[&str]) {
    for key in keys {
        until(url, key, "it is up", |status| status["status"] == "up").await;
    }
}

/// Waits until an event of healing has happened this often.
pub async fn until_event(url: &str, key: &str, event: &str, count: usize) {
    let what = format!("{count} times {event}");
    until(url, key, &what, |status| events(status, event) >= count).await;
}

/// Waits until the API and the metrics show why a service is not healed.
pub async fn until_refused(url: &str, key: &str, reason: &str) {
    until(url, key, reason, |status| status["heal"]["refusal"] == reason).await;
    let metrics = get(&format!("{url}/metrics")).await.unwrap();
    let family = format!("upkeep_heal_refusals_total{{service=\"{key}\"");
    let label = format!("reason=\"{reason}\"}}");
    let is_counted = metrics
        .lines()
        .any(|line| line.starts_with(&family) && line.contains(&label));
    assert!(is_counted, "{family} {label} is missing in\n{metrics}");
}

/// How often an event is among the last decisions about a service.
pub fn events(status: &Value, event: &str) -> usize {
    let decisions = status["heal"]["decisions"].as_array().into_iter().flatten();
    decisions.filter(|decision| decision["event"] == event).count()
}
