//! The docker check asks the engine whether a container runs and, if it has a health check, is healthy. It uses the Docker
//! Engine API (docs.docker.com/reference/api/engine, `GET /containers/{id}/json`), which podman supports too. The path has no
//! version, so that every engine uses its own: new engines refuse old versions. It also measures what the container uses.

mod judge;
mod resources;
mod response;
mod restarts;
mod stats;

use std::time::SystemTime;

use bytes::Bytes;
use http::Request;
use http_body_util::Full;

use self::resources::{ContainerResources, USE};
use self::response::{Container, Health, State};
use self::restarts::Restarts;
use super::CheckContext;
use super::cgroup::conclude;
use crate::config::docker::DockerSettings;
use crate::model::{Family, MetricType, Problem, Reason, Report, Sample, Scope, Unit};
use crate::net::api_client::{ApiClient, ApiResponse};
use crate::net::certificates::{CERTIFICATE_NOT_AFTER, CERTIFICATE_NOT_BEFORE};
use crate::net::engine;
use crate::net::http::date;
use crate::net::run_recorder::{RunRecorder, Step};

/// The families of docker checks.
pub const FAMILIES: &[&Family] = &USE.with::<17>(&[
    &STATE,
    &HEALTH,
    &RESTARTS,
    &EXIT_CODE,
    &STARTED,
    &CERTIFICATE_NOT_AFTER,
    &CERTIFICATE_NOT_BEFORE,
]);

/// The state, with one series for each state.
pub static STATE: Family = Family {
    name: "upkeep_docker_container_state",
    metric_type: MetricType::Gauge,
    unit: Unit::None,
    scope: Scope::Check,
    labels: &["state"],
    help: "State of the container: 1 for the current state, 0 for the others. Absent while unknown.",
};

/// The health, with one series for each health.
pub static HEALTH: Family = Family {
    name: "upkeep_docker_container_health",
    metric_type: MetricType::Gauge,
    unit: Unit::None,
    scope: Scope::Check,
    labels: &["health"],
    help: "Health of the running container: 1 for the current health, 0 for the others. Absent without a health \
           check.",
};

/// The engine's count of restarts.
pub static RESTARTS: Family = Family {
    name: "upkeep_docker_container_restarts_total",
    metric_type: MetricType::Counter,
    unit: Unit::None,
    scope: Scope::Check,
    labels: &[],
    help: "Restarts of the container by its restart policy, as counted by the engine.",
};

/// The exit code.
pub static EXIT_CODE: Family = Family {
    name: "upkeep_docker_container_exit_code",
    metric_type: MetricType::Gauge,
    unit: Unit::None,
    scope: Scope::Check,
    labels: &[],
    help: "Exit code of the container. Absent while it runs and before its first run.",
};

/// The time of the last start.
pub static STARTED: Family = Family {
    name: "upkeep_docker_container_started_timestamp_seconds",
    metric_type: MetricType::Gauge,
    unit: Unit::Seconds,
    scope: Scope::Check,
    labels: &[],
    help: "Unix time when the container was last started. Absent if it never was.",
};

/// The maximum size of a response. One with five entries in the health log and many labels has about 50 kB.
const MAX_RESPONSE_BYTES: usize = 1 << 20;

/// A docker check.
#[derive(Debug)]
pub struct DockerCheck {
    settings: DockerSettings,
    client: ApiClient,
    restarts: Restarts,
    /// `None` if the settings turn it off.
    resources: Option<ContainerResources>,
}

impl DockerCheck {
    /// A check with these settings.
    pub fn new(settings: &DockerSettings, context: &CheckContext) -> Self {
        Self {
            client: engine::client(
                &settings.host,
                &context.network,
                settings.reuse_connection,
                MAX_RESPONSE_BYTES,
            ),
            settings: settings.clone(),
            restarts: Restarts::default(),
            resources: settings
                .resources
                .is_measured
                .then(|| ContainerResources::new(settings, context)),
        }
    }

    /// Runs the check once.
    ///
    /// # Errors
    /// The problem that makes the run fail.
    pub async fn run(&mut self, report: &mut Report) -> Result<(), Problem> {
        let mut recorder = RunRecorder::new(report);
        let result = self.inspect(&mut recorder).await;
        recorder.end();
        result
    }

    async fn inspect(&mut self, recorder: &mut RunRecorder<'_>) -> Result<(), Problem> {
        let name = &self.settings.container;
        recorder.at(Step::Doing(
            format!("connecting to the engine at {}", self.settings.host).into(),
        ));
        self.client.begin();
        let request = self.request()?;
        let response = self
            .client
            .request(request, &format!("inspecting {name}"), recorder)
            .await;
        let response = response.map_err(|problem| engine::advise(problem, &self.settings.host))?;
        if !response.status.is_success() {
            return Err(judge::error_response(&response, &self.settings));
        }
        let container = Container::parse(&response.body).map_err(|error| {
            Problem::new(
                Reason::Protocol,
                format_args!("{}, inspecting {name}: {error}", self.settings.host),
            )
        })?;
        judge::check_identity(&container, &self.settings)?;
        push_samples(&container, &mut recorder.report.samples);
        let now = engine_time(&response);
        let stability = self.restarts.observe(&container, now);
        if container.state == Some(State::Running) {
            recorder.report.running_since = container.started;
        }
        let mut limit = None;
        if let Some(resources) = &mut self.resources {
            let client = &mut self.client;
            resources
                .update(&container, &self.settings, client, recorder)
                .await;
            resources.push(&mut recorder.report.samples);
            limit = resources.judge(&self.settings);
        }
        let warning = judge::judge(&container, &self.settings, stability, now)?;
        recorder.report.warning = conclude(&self.settings.resources, warning, limit)?;
        Ok(())
    }

    fn request(&self) -> Result<Request<Full<Bytes>>, Problem> {
        Request::get(format!("/containers/{}/json", self.settings.container))
            .header(http::header::HOST, engine::authority(&self.settings.host))
            .body(Full::default())
            .map_err(|error| Problem::new(Reason::Internal, error))
    }
}

/// The time on the engine's clock, from the `Date` header, so that a difference between clocks does not matter.
fn engine_time(response: &ApiResponse) -> f64 {
    match date(&response.headers, http::header::DATE) {
        Some(date) => date.as_duration().as_secs_f64(),
        None => SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .map_or(0.0, |since| since.as_secs_f64()),
    }
}

fn push_samples(container: &Container, samples: &mut Vec<Sample>) {
    let mut push = |family, label: Option<&'static str>, value| {
        let labels = label.into_iter().map(Into::into).collect();
        samples.push(Sample {
            family,
            labels,
            value,
        });
    };
    let one = |is_current: bool| f64::from(u8::from(is_current));
    if let Some(current) = container.state {
        for state in State::ALL {
            push(&STATE, Some(state.as_str()), one(*state == current));
        }
    }
    if let Some(current) = container
        .health
        .filter(|_| container.state == Some(State::Running))
    {
        for health in Health::ALL {
            push(&HEALTH, Some(health.as_str()), one(*health == current));
        }
    }
    if let Some(restarts) = container.restarts {
        push(&RESTARTS, None, f64::from(restarts));
    }
    if let Some(code) = container.exit_code() {
        push(&EXIT_CODE, None, f64::from(code));
    }
    if let Some(started) = container.started {
        push(&STARTED, None, started);
    }
}

/// Judges an engine's response about a container, as a run does. For tests with arbitrary input.
///
/// # Errors
/// The response can't be parsed, or the problem of the container.
#[doc(hidden)]
pub fn fuzz_parse(settings: &DockerSettings, body: &[u8]) -> Result<Vec<Sample>, String> {
    let _ = stats::parse(body);
    let container = Container::parse(body).map_err(|error| {
        // As in a run: a problem truncates what it quotes.
        Problem::new(Reason::Protocol, error).to_string()
    })?;
    let mut samples = Vec::new();
    push_samples(&container, &mut samples);
    let stability = Restarts::default().observe(&container, 0.0);
    match judge::judge(&container, settings, stability, 0.0) {
        Ok(warning) => Ok(warning.map_or(samples, |_| Vec::new())),
        Err(problem) => Err(problem.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::UnixListener;

    use super::*;
    use crate::config::KindSettings;
    use crate::config::tests_support::check;

    /// An engine at `path` with the container web. It reports this date, and counts its connections.
    fn serve(path: &std::path::Path, date: &'static str) -> Arc<AtomicUsize> {
        let (listener, count) = (UnixListener::bind(path).unwrap(), Arc::<AtomicUsize>::default());
        let accepted = count.clone();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                accepted.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(async move {
                    let body = r#"{"Id": "1", "Name": "/web", "State": {"Status": "running", "ExitCode": 0,
                        "StartedAt": "2001-01-01T00:00:00Z", "Health": {"Status": "starting"}}}"#;
                    let length = body.len();
                    let response = format!("HTTP/1.1 200 OK\r\n{date}Content-Length: {length}\r\n\r\n{body}");
                    let mut request = [0; 1024];
                    while stream.read(&mut request).await.is_ok_and(|read| read > 0) {
                        stream.write_all(response.as_bytes()).await.unwrap();
                    }
                });
            }
        });
        count
    }

    fn docker_check(path: &std::path::Path) -> DockerCheck {
        let keys = format!(
            "kind: docker, container: web, host: \"unix://{}\"",
            path.display()
        );
        match check(&keys).kind {
            KindSettings::Docker(settings) => DockerCheck::new(&settings, &CheckContext::new("/proc".into())),
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn the_start_grace_uses_the_engines_clock() {
        let dir = tempfile::tempdir().unwrap();
        for (file, date, is_within) in [
            ("a", "Date: Mon, 01 Jan 2001 00:00:10 GMT\r\n", true),
            ("b", "Date: Mon, 01 Jan 2001 00:00:45 GMT\r\n", false),
            // On this machine's clock, which is decades ahead.
            ("c", "Date: soon\r\n", false),
            ("d", "", false),
        ] {
            let path = dir.path().join(file);
            serve(&path, date);
            let mut report = Report::default();
            let result = docker_check(&path).run(&mut report).await;
            assert_eq!(
                (result.is_ok(), report.warning.is_some()),
                (is_within, is_within),
                "{date}"
            );
        }
    }
}
