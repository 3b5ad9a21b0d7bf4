//! What a container uses: read from its control group if the exporter sees it, otherwise queried from the engine.

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use tokio::time::{Instant, timeout};

use super::response::{Container, State};
use super::stats;
use crate::check::CheckContext;
use crate::check::cgroup::{Cgroups, GroupPath, LimitProblem, MAX_WAIT, Meter, Subject, Usage, families};
use crate::config::docker::{DockerSettings, EngineHost};
use crate::model::{Family, Sample};
use crate::net::api_client::ApiClient;
use crate::net::engine;
use crate::net::run_recorder::RunRecorder;

families!(USE, "upkeep_docker_container", "container", &[]);

/// How long the engine may take to return the statistics. With `one-shot`, it takes milliseconds. Engines before Docker 20.10 take two
/// seconds, so they are not queried again for a while.
const STATS_TIMEOUT: Duration = Duration::from_secs(1);

/// How long the engine is not queried again after it returned no statistics, and the group is not read again after that failed.
const RETRY_INTERVAL: Duration = Duration::from_secs(60);

/// The resources of one container.
#[derive(Debug)]
pub(super) struct ContainerResources {
    meter: Meter,
    cgroups: Cgroups,
    procfs: PathBuf,
    /// Whether the engine runs on this machine, as far as is known.
    is_local: bool,
    /// The id of the container and its start that the source belongs to.
    start: Option<(String, f64)>,
    source: Source,
    /// How often a run saw that the container ended for lack of memory, and the end that it saw last.
    oom_ends: u64,
    last_oom_end: Option<f64>,
    retry_at: Option<Instant>,
}

/// Where the values come from.
#[derive(Debug)]
enum Source {
    Unknown,
    Group(GroupPath),
    /// The engine, until the group is searched again.
    Engine {
        until: Instant,
    },
}

impl ContainerResources {
    /// The resources of the container that a check with these settings watches.
    pub fn new(settings: &DockerSettings, context: &CheckContext) -> Self {
        Self {
            meter: Meter::new(&context.cgroups, &settings.resources.limits),
            cgroups: context.cgroups.clone(),
            procfs: context.procfs.clone(),
            is_local: matches!(settings.host, EngineHost::Unix(_)),
            start: None,
            source: Source::Unknown,
            oom_ends: 0,
            last_oom_end: None,
            retry_at: None,
        }
    }

    /// Reads what the container uses, if that is due. Without a result, there are no values; the run does not fail.
    pub async fn update(
        &mut self,
        container: &Container,
        settings: &DockerSettings,
        client: &mut ApiClient,
        recorder: &mut RunRecorder<'_>,
    ) {
        let is_running = container.state == Some(State::Running);
        if is_running {
            self.set_start(container);
            if self.meter.is_due(Instant::now()) {
                self.read(container, settings, client, recorder).await;
            }
        } else {
            self.meter.stop();
            self.start = None;
        }
        self.count_kills(container, is_running);
    }

    fn set_start(&mut self, container: &Container) {
        let start = (container.id.clone(), container.started.unwrap_or(0.0));
        if self.start.as_ref() != Some(&start) {
            self.start = Some(start);
            self.source = Source::Unknown;
            self.meter.renew();
        }
    }

    async fn read(
        &mut self,
        container: &Container,
        settings: &DockerSettings,
        client: &mut ApiClient,
        recorder: &mut RunRecorder<'_>,
    ) {
        let now = Instant::now();
        let wait = recorder.within(MAX_WAIT);
        if self.read_group(container, now, wait).await {
            return;
        }
        if self.retry_at.is_some_and(|at| at > now) {
            self.meter.record(None, now);
            return;
        }
        let usage = query(container, settings, client, recorder).await;
        self.retry_at = usage.is_none().then_some(now + RETRY_INTERVAL);
        self.meter.record(usage, now);
    }

    /// Reads the container's group. Returns whether it could be read. Waits for that at most this long.
    async fn read_group(&mut self, container: &Container, now: Instant, wait: Duration) -> bool {
        let path = match &self.source {
            Source::Group(path) => Some(path.clone()),
            Source::Engine { until } if now < *until => return false,
            Source::Unknown | Source::Engine { .. } => self.find_group(container, wait / 2).await,
        };
        if let Some(path) = path
            && self.meter.read(&path, now, wait / 2).await
        {
            self.source = Source::Group(path);
            return true;
        }
        // The container exited since the engine responded, the kernel was busy, or the group is not visible here.
        self.source = Source::Engine {
            until: now + RETRY_INTERVAL,
        };
        false
    }

    /// The container's group. The process id that the engine reports may belong to another process namespace, so the name of the group
    /// must contain the container's id.
    async fn find_group(&self, container: &Container, wait: Duration) -> Option<GroupPath> {
        if !self.is_local || container.pid == 0 || container.id.len() < engine::SHORT_ID {
            return None;
        }
        let process = (container.pid, container.id.as_str());
        self.cgroups.group_of(&self.procfs, process, wait).await
    }

    fn count_kills(&mut self, container: &Container, is_running: bool) {
        if container.oom_killed && !is_running && self.last_oom_end != container.finished {
            self.oom_ends += 1;
            self.last_oom_end = container.finished;
        }
        self.meter.count_kills(self.oom_ends, !is_running, is_running);
    }

    /// Adds the samples.
    pub fn push(&self, samples: &mut Vec<Sample>) {
        self.meter.push(&USE, None, samples);
    }

    /// The problem of a running container that reaches a limit.
    pub fn judge(&mut self, settings: &DockerSettings) -> Option<LimitProblem> {
        self.start.as_ref()?;
        let subject = Subject {
            name: &settings.container,
            advice: &format!("docker stats {}", settings.container),
        };
        self.meter
            .judge(&settings.resources.limits, subject, Instant::now())
    }
}

/// Queries the engine's statistics.
async fn query(
    container: &Container,
    settings: &DockerSettings,
    client: &mut ApiClient,
    recorder: &mut RunRecorder<'_>,
) -> Option<Usage> {
    // Without `one-shot`, the engine waits a second for a second reading.
    let path = format!(
        "/containers/{}/stats?stream=false&one-shot=true",
        settings.container
    );
    let request = Request::get(path)
        .header(http::header::HOST, engine::authority(&settings.host))
        .body(Full::<Bytes>::default())
        .ok()?;
    let wait = recorder.within(STATS_TIMEOUT);
    let doing = format!("reading the statistics of {}", settings.container);
    // A request that is cancelled closes its connection.
    let response = timeout(wait, client.request(request, &doing, recorder))
        .await
        .ok()?
        .ok()?;
    if !response.status.is_success() {
        return None;
    }
    let usage = stats::parse(&response.body)?;
    let started = container.started.unwrap_or(0.0);
    Some(Usage {
        // The start identifies the group, which the engine does not show.
        id: started.to_bits(),
        memory_limit: container.memory_limit,
        ..usage
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::KindSettings;
    use crate::config::tests_support::check;

    fn settings() -> DockerSettings {
        match check("kind: docker, container: web, host: \"unix:///run/engine.sock\"").kind {
            KindSettings::Docker(settings) => std::sync::Arc::unwrap_or_clone(settings),
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn a_group_that_could_not_be_read_is_read_again_later() {
        let dir = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        let id = "4f66ad9a0b2e";
        write("cgroup/cgroup.controllers", "cpu memory pids\n");
        write("proc/7/cgroup", &format!("0::/docker-{id}.scope\n"));
        let context = CheckContext {
            cgroups: Cgroups::at(dir.path().join("cgroup")),
            ..CheckContext::new(dir.path().join("proc"))
        };
        let mut resources = ContainerResources::new(&settings(), &context);
        let container = Container {
            id: id.to_owned(),
            pid: 7,
            ..Container::default()
        };
        // The machine may be so busy that a thread takes seconds.
        const LONG: Duration = Duration::from_secs(60);
        let now = Instant::now();
        assert!(!resources.read_group(&container, now, LONG).await);
        write(&format!("cgroup/docker-{id}.scope/pids.current"), "3\n");
        let soon = now + RETRY_INTERVAL - Duration::from_secs(1);
        assert!(!resources.read_group(&container, soon, LONG).await);
        for later in [
            now + RETRY_INTERVAL,
            now + RETRY_INTERVAL + Duration::from_secs(1),
        ] {
            assert!(resources.read_group(&container, later, LONG).await);
            assert_eq!(resources.meter.usage().unwrap().tasks, Some(3));
        }
    }

    #[test]
    fn an_end_for_lack_of_memory_is_counted_once() {
        let settings = settings();
        let mut resources = ContainerResources::new(&settings, &CheckContext::new("/proc".into()));
        let mut after = |oom_killed, state, finished| {
            let container = Container {
                oom_killed,
                state: Some(state),
                finished: Some(finished),
                ..Container::default()
            };
            resources.count_kills(&container, state == State::Running);
            let mut samples = Vec::new();
            resources.push(&mut samples);
            samples[0].value
        };
        assert_eq!(after(false, State::Running, 0.0), 0.0);
        assert_eq!(after(false, State::Exited, 5.0), 0.0);
        assert_eq!(after(true, State::Exited, 7.0), 1.0);
        assert_eq!(after(true, State::Exited, 7.0), 1.0);
        assert_eq!(after(false, State::Running, 7.0), 1.0);
        assert_eq!(after(true, State::Restarting, 9.0), 2.0);
    }
}
