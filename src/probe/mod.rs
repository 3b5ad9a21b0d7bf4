//! `/probe`: runs a module once against the target of a request, and responds with the metrics of blackbox_exporter. A guard decides
//! which targets are allowed. The check kind with the name of the prober does the run.

mod debug;
pub mod request;
mod run;

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::Notify;

use crate::check::{Check, CheckContext};
use crate::config::KindSettings;
use crate::config::probe::{
    Endpoint, MAX_TARGET_BYTES, Module, Modules, ProbeSettings, RequestError, TargetRefusal, TargetedModule,
};
use crate::config::suggest;
use crate::log_throttle::LogThrottle;
use crate::metrics::{self, ProbeView};
use crate::model::{LostTime, Problem, Reason, visible};
use crate::net::guard::{ProbeGuard, Refusals};
use crate::slots::Slots;
use request::ProbeRequest;

/// Handles requests to `/probe`.
#[derive(Debug)]
pub struct Prober {
    settings: RwLock<Arc<ProbeSettings>>,
    context: CheckContext,
    /// The runtime that probes run on; `None` for the one that handles the request.
    checks: Option<Handle>,
    /// The lost time of that runtime.
    lost: Arc<LostTime>,
    /// Subtracted from the scrape timeout.
    offset: Duration,
    refusals: Arc<Refusals>,
    counts: Arc<Counts>,
    /// The slots of running probes, including probes of older configurations.
    slots: Mutex<Slots<Option<IpAddr>>>,
    refusal_log: LogThrottle,
    bug_log: LogThrottle,
}

#[derive(Debug, Default)]
struct Counts {
    runs: AtomicU64,
    failures: AtomicU64,
    inconclusive: AtomicU64,
    too_many: AtomicU64,
}

/// The response to a request.
#[derive(Debug, PartialEq, Eq)]
pub enum Response {
    /// The metrics of a probe, in the classic text format.
    Metrics(String),
    /// The steps and the result of the probe, for a person.
    Debug(String),
    /// The request is invalid: 400.
    BadRequest(String),
    /// The guard refuses the target: 403.
    Refused(String),
    /// There are no modules: 404.
    NoModules,
    /// Too many probes are running: 429.
    TooMany(String),
    /// The exporter lacked a resource, so the state of the target is unknown: 503.
    Inconclusive(String),
}

impl Prober {
    /// A prober without modules. `offset` is subtracted from the scrape timeout.
    pub fn new(context: CheckContext, offset: Duration) -> Self {
        Self {
            settings: RwLock::default(),
            context,
            checks: None,
            lost: Arc::default(),
            offset,
            refusals: Arc::default(),
            counts: Arc::default(),
            slots: Mutex::default(),
            refusal_log: LogThrottle::default(),
            bug_log: LogThrottle::default(),
        }
    }

    /// Runs probes on the runtime of the checks; `lost` is its lost time.
    #[must_use]
    pub fn with_runtime(self, checks: Handle, lost: Arc<LostTime>) -> Self {
        Self {
            checks: Some(checks),
            lost,
            ..self
        }
    }

    /// Applies a configuration. Running probes keep the old one.
    pub fn apply(&self, settings: &ProbeSettings) {
        *self.settings.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(settings.clone());
    }

    fn settings(&self) -> Arc<ProbeSettings> {
        Arc::clone(&self.settings.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The current counters; `None` without modules.
    pub fn counts(&self) -> Option<ProbeView> {
        if self.settings().modules.is_empty() {
            return None;
        }
        let get = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let mut refused = self.refusals.all();
        refused.push(("too_many", get(&self.counts.too_many)));
        Some(ProbeView {
            runs: get(&self.counts.runs),
            failures: get(&self.counts.failures),
            inconclusive: get(&self.counts.inconclusive),
            in_flight: self.slots().taken() as u64,
            refused,
        })
    }

    fn slots(&self) -> MutexGuard<'_, Slots<Option<IpAddr>>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a slot for a probe of `client`. The [`Notify`] fires when the slot is taken away for another client. `None` if all `max`
    /// slots are in use and no other client has more of them.
    fn take_slot(&self, client: Option<IpAddr>, max: u32) -> Option<(Slot<'_>, Arc<Notify>)> {
        let max = usize::try_from(max).unwrap_or(usize::MAX);
        let (id, evicted) = self.slots().acquire(client, (), max)?;
        Some((Slot { prober: self, id }, evicted))
    }

    fn reject(&self, error: String) -> Response {
        self.counts.too_many.fetch_add(1, Ordering::Relaxed);
        Response::TooMany(error)
    }

    /// Logs a refused target: it may be a mistake or an attack.
    fn log_refusal(&self, message: &str) {
        if let Some(suppressed) = self.refusal_log.allow() {
            tracing::warn!(problem = message, suppressed, "refused a probe");
        }
    }

    /// Counts and logs a probe that did not succeed.
    fn record_failure(&self, module: &str, target: &str, problem: &Problem) {
        let count = match problem.shortage {
            Some(_) => &self.counts.inconclusive,
            None => &self.counts.failures,
        };
        count.fetch_add(1, Ordering::Relaxed);
        if problem.reason == Reason::Internal
            && problem.shortage.is_none()
            && let Some(suppressed) = self.bug_log.allow()
        {
            tracing::error!(
                module,
                target,
                problem = problem.message(),
                suppressed,
                "probe failed because of an internal error"
            );
        }
        tracing::debug!(
            module, target, reason = %problem.reason,
            problem = problem.message(), "probe failed"
        );
    }

    /// Handles a request. A `client` of `None` stands for all clients of Unix sockets. `timeout` is the value of
    /// [`request::TIMEOUT_HEADER`].
    pub async fn handle(&self, query: &str, timeout: Option<&str>, client: Option<IpAddr>) -> Response {
        let settings = self.settings();
        if settings.modules.is_empty() {
            return Response::NoModules;
        }
        let prepared = match self.prepare(&settings, query, timeout) {
            Ok(prepared) => prepared,
            Err(response) => return response,
        };
        let Some((slot, evicted)) = self.take_slot(client, settings.max_concurrent) else {
            return self.reject(format!(
                "too many probes: {} are running, the limit set by probe.max_concurrent",
                settings.max_concurrent
            ));
        };
        let Prepared {
            request,
            module,
            targeted,
            timeout,
            guard,
        } = prepared;
        let mut context = self.context.clone();
        let resolver = context.network.resolver.with_guard(Some(guard.clone()));
        // A target that can't be probed is a failed probe with all its series, as in blackbox_exporter: the module runs with its
        // placeholder, and connects to nothing.
        let (checked, resolver, impossible) = match targeted {
            Ok(targeted) => (targeted.settings, resolver, None),
            Err(problem) => (module.prober.clone(), resolver.failing(), Some(problem)),
        };
        context.network.resolver = Arc::new(resolver);
        let target = impossible.as_ref().map_or_else(
            || checked.target(),
            |_| visible(&request.target, MAX_TARGET_BYTES),
        );
        let build = move |settings: &KindSettings| Check::from_kind(settings, &context);
        let lost = Arc::clone(&self.lost);
        let probe = run::probe(checked, build, timeout, request.debug, lost);
        let result = tokio::select! {
            result = run::run_on(self.checks.as_ref(), probe) => result,
            () = evicted.notified() => {
                return self.reject(format!(
                    "too many probes: {} are running, the limit set by probe.max_concurrent, and this client has most of them; \
                     this probe was cancelled in favour of another client",
                    settings.max_concurrent
                ));
            }
        };
        drop(slot);
        let result = match impossible {
            Some(problem) => result.with_problem(problem, is_looked_up(&module.prober, &request)),
            None => result,
        };
        self.counts.runs.fetch_add(1, Ordering::Relaxed);
        if let Err(problem) = &result.result {
            if guard.has_refused() {
                self.log_refusal(problem.message());
            }
            self.record_failure(&request.module, &target, problem);
        }
        let text = metrics::probe_text(&result.samples);
        match (request.debug, &result.result) {
            (true, _) => Response::Debug(debug::render(&request, module, &result, &text)),
            // `probe_success 0` would mean that the target is down.
            (false, Err(problem)) if problem.shortage.is_some() => {
                Response::Inconclusive(problem.message().to_owned())
            }
            (false, _) => Response::Metrics(text),
        }
    }

    /// Parses a request and checks that its target is allowed.
    fn prepare<'a>(
        &self,
        settings: &'a ProbeSettings,
        query: &'a str,
        timeout: Option<&str>,
    ) -> Result<Prepared<'a>, Response> {
        let request = request::parse(query).map_err(Response::BadRequest)?;
        let Modules { usable, unusable } = &settings.modules;
        let Some(module) = usable.get(&*request.module) else {
            let unknown = || suggest::unknown("module", &request.module, usable.keys().map(String::as_str));
            let message = match unusable.get(&*request.module) {
                Some(message) => format!("the module {} can't be used: {message}", request.module),
                None => unknown(),
            };
            return Err(Response::BadRequest(message));
        };
        let timeout = request::timeout(timeout, module.timeout, self.offset).map_err(Response::BadRequest)?;
        let targeted = match module.with_target(&request.target, request.hostname.as_deref()) {
            Ok(targeted) => Ok(targeted),
            Err(RequestError::Target(error)) => {
                let message = format_args!("can't probe the target: {error}");
                Err(Problem::new(Reason::Protocol, message))
            }
            Err(RequestError::Hostname(error)) => return Err(Response::BadRequest(error)),
        };
        let guard = Arc::new(ProbeGuard::new(settings.guard.clone(), self.refusals.clone()));
        if let Ok(targeted) = &targeted
            && let Err(refusal) = check_target(targeted, &guard)
        {
            let message = format!("probing {} is not allowed: {refusal}", targeted.settings.target());
            self.log_refusal(&message);
            return Err(Response::Refused(message));
        }
        Ok(Prepared {
            request,
            module,
            targeted,
            timeout,
            guard,
        })
    }
}

/// A valid request, whose target is allowed.
struct Prepared<'a> {
    request: ProbeRequest<'a>,
    module: &'a Module,
    /// The module with the target, or why it can't probe the target.
    targeted: Result<TargetedModule, Problem>,
    timeout: Duration,
    guard: Arc<ProbeGuard>,
}

/// Whether blackbox_exporter looks up the text of a target that can't be probed.
fn is_looked_up(prober: &KindSettings, request: &ProbeRequest<'_>) -> bool {
    match prober {
        KindSettings::Icmp(_) => true,
        KindSettings::Http(_) => request.has_other_scheme(),
        KindSettings::Websocket(_) => request.target.contains("://"),
        _ => false,
    }
}

/// Checks the target in the request. The resolver and the redirects check the addresses that follow from it.
fn check_target(targeted: &TargetedModule, guard: &ProbeGuard) -> Result<(), TargetRefusal> {
    match (&targeted.endpoint, &targeted.settings) {
        (Endpoint::Host(host, Some(port)), KindSettings::Http(settings))
            if settings
                .proxy
                .as_ref()
                .and_then(|proxies| proxies.for_url(&settings.url))
                .is_some_and(|proxy| proxy.protocol.resolves_names()) =>
        {
            guard.judge_proxied(host, *port)
        }
        (Endpoint::Host(host, port), _) => guard.judge_request(host, *port),
        (Endpoint::Path(path), _) => guard.judge_path(path),
    }
}

/// The slot of a running probe. Dropping it frees the slot, also when the client disconnects.
struct Slot<'p> {
    prober: &'p Prober,
    id: u64,
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        self.prober.slots().release(self.id);
    }
}
