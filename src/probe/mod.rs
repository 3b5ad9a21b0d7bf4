//! `/probe`: one run of a module against the target of a request, behind a guard, with blackbox_exporter's metrics as the
//! answer. The run itself is that of the check kind of the same name.

pub mod request;
mod run;

use std::fmt::Write;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::Notify;

use crate::check::Shared;
use crate::config::KindSettings;
use crate::config::probe::{Endpoint, Module, ProbeSettings, TargetRefusal, TargetedModule};
use crate::config::suggest;
use crate::log_throttle::LogThrottle;
use crate::metrics;
use crate::model::{DebugLog, LostTime};
use crate::net::guard::{ProbeGuard, Refusals};
use crate::slots::Slots;
use crate::store::ProbeView;
use request::ProbeRequest;
use run::Probed;

/// Answers requests to `/probe`.
#[derive(Debug)]
pub struct Prober {
    settings: RwLock<Arc<ProbeSettings>>,
    shared: Shared,
    /// The runtime that probes run on; `None` for the one that answers the request.
    checks: Option<Handle>,
    /// What that runtime loses of its time.
    lost: Arc<LostTime>,
    /// What is taken off the scraper's deadline.
    offset: Duration,
    refusals: Arc<Refusals>,
    counts: Arc<Counts>,
    /// Of probes under way, those of older configurations included.
    places: Mutex<Slots<Option<IpAddr>>>,
    refused: LogThrottle,
}

#[derive(Debug, Default)]
struct Counts {
    runs: AtomicU64,
    failures: AtomicU64,
    inconclusive: AtomicU64,
    too_many: AtomicU64,
}

/// How a request is answered.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    /// The metrics of a probe, in the classic text format.
    Metrics(String),
    /// What the probe did, for a person.
    Debug(String),
    /// The request is wrong: 400.
    Wrong(String),
    /// The guard refuses the target: 403.
    Refused(String),
    /// There are no modules: 404.
    NoModules,
    /// Too many probes are under way: 429.
    TooMany(String),
    /// The exporter lacked something itself, so nothing is known of the target: 503.
    Inconclusive(String),
}

impl Prober {
    /// A prober of nothing yet. `offset` is taken off the scraper's deadline, for the way back.
    pub fn new(shared: Shared, offset: Duration) -> Self {
        Self {
            settings: RwLock::default(),
            shared,
            checks: None,
            lost: Arc::default(),
            offset,
            refusals: Arc::default(),
            counts: Arc::default(),
            places: Mutex::default(),
            refused: LogThrottle::default(),
        }
    }

    /// The same with probes on the runtime of the checks, which loses `lost` of its time.
    #[must_use]
    pub fn on(self, checks: Handle, lost: Arc<LostTime>) -> Self {
        Self {
            checks: Some(checks),
            lost,
            ..self
        }
    }

    /// Takes over a configuration. Probes under way end as they began.
    pub fn apply(&self, settings: &ProbeSettings) {
        *self.settings.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(settings.clone());
    }

    fn settings(&self) -> Arc<ProbeSettings> {
        Arc::clone(&self.settings.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// What was counted until now; `None` while there are no modules.
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
            in_flight: self.places().taken() as u64,
            refused,
        })
    }

    fn places(&self) -> MutexGuard<'_, Slots<Option<IpAddr>>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for a probe of `client`, and what tells that it has to be given up to another client; `None` where as many are
    /// under way as may be, and no other client has more of them.
    fn enter(&self, client: Option<IpAddr>, most: u32) -> Option<(UnderWay<'_>, Arc<Notify>)> {
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let (id, evicted) = self.places().take(client, (), most)?;
        Some((UnderWay { prober: self, id }, evicted))
    }

    fn too_many(&self, error: String) -> Answer {
        self.counts.too_many.fetch_add(1, Ordering::Relaxed);
        Answer::TooMany(error)
    }

    /// Logs what may be somebody's mistake, or an attempt.
    fn tell_refusal(&self, message: &str) {
        if let Some(more) = self.refused.turn() {
            tracing::warn!(problem = message, more, "refused a probe");
        }
    }

    /// Answers a request with this query of a client at an address; `None` stands for all clients of Unix sockets. `timeout` is
    /// the value of [`request::TIMEOUT_HEADER`].
    pub async fn answer(&self, query: &str, timeout: Option<&str>, client: Option<IpAddr>) -> Answer {
        let settings = self.settings();
        if settings.modules.is_empty() {
            return Answer::NoModules;
        }
        let request = match request::parse(query) {
            Ok(request) => request,
            Err(error) => return Answer::Wrong(error),
        };
        let Some(module) = settings.modules.get(&*request.module) else {
            let known = settings.modules.keys().map(String::as_str);
            return Answer::Wrong(suggest::unknown("module", &request.module, known));
        };
        let deadline = request::deadline(timeout, module.timeout, self.offset);
        let aimed = deadline.and_then(|deadline| {
            let aimed = module.with_target(&request.target, request.hostname.as_deref());
            let aimed = aimed.map_err(|error| format!("the target can't be probed: {error}"));
            Ok((deadline, aimed?))
        });
        let (deadline, aimed) = match aimed {
            Ok(aimed) => aimed,
            Err(error) => return Answer::Wrong(error),
        };
        let gate = Arc::new(ProbeGuard::new(settings.guard.clone(), self.refusals.clone()));
        if let Err(refusal) = judge(&aimed, &gate) {
            let message = format!("{} is no target here: {refusal}", aimed.settings.target());
            self.tell_refusal(&message);
            return Answer::Refused(message);
        }
        let Some((under_way, evicted)) = self.enter(client, settings.max_concurrent) else {
            return self.too_many(format!(
                "{} probes are under way, as many as probe.max_concurrent allows",
                settings.max_concurrent
            ));
        };
        let mut shared = self.shared.clone();
        shared.network.resolver = Arc::new(shared.network.resolver.gated(Some(gate.clone())));
        let target = aimed.settings.target();
        let probe = run::probe(aimed, shared, deadline, request.debug, Arc::clone(&self.lost));
        let probed = tokio::select! {
            probed = run::on(self.checks.as_ref(), probe) => probed,
            () = evicted.notified() => {
                return self.too_many(format!(
                    "{} probes are under way, as many as probe.max_concurrent allows, and most of them are of this client: \
                     this one was cancelled for another client's",
                    settings.max_concurrent
                ));
            }
        };
        drop(under_way);
        self.counts.runs.fetch_add(1, Ordering::Relaxed);
        if let Err(problem) = &probed.result {
            let count = match problem.shortage {
                Some(_) => &self.counts.inconclusive,
                None => &self.counts.failures,
            };
            count.fetch_add(1, Ordering::Relaxed);
        }
        if let Err(problem) = &probed.result {
            if gate.has_refused() {
                self.tell_refusal(problem.message());
            }
            tracing::debug!(
                module = &*request.module, %target, reason = %problem.reason,
                problem = problem.message(), "probe failed"
            );
        }
        let text = metrics::probe_text(&probed.samples);
        match (request.debug, &probed.result) {
            (true, _) => Answer::Debug(told(&request, module, &probed, &text)),
            // `probe_success 0` would say that the target is down.
            (false, Err(problem)) if problem.shortage.is_some() => {
                Answer::Inconclusive(problem.message().to_owned())
            }
            (false, _) => Answer::Metrics(text),
        }
    }
}

/// Judges what the request itself asks for. Where a name or a redirect leads is judged by the gate, when it is known.
fn judge(aimed: &TargetedModule, gate: &ProbeGuard) -> Result<(), TargetRefusal> {
    match (&aimed.endpoint, &aimed.settings) {
        (Endpoint::Host(host, Some(port)), KindSettings::Http(settings))
            if settings
                .proxy
                .as_ref()
                .is_some_and(|proxies| proxies.for_url(&settings.url).is_some()) =>
        {
            gate.judge_proxied(host, *port)
        }
        (Endpoint::Host(host, port), _) => gate.judge_request(host, *port),
        (Endpoint::Path(path), _) => gate.judge_path(path),
    }
}

/// A probe's place until this is dropped, also when its client goes away.
struct UnderWay<'p> {
    prober: &'p Prober,
    id: u64,
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.prober.places().give_back(self.id);
    }
}

/// What a person sees who debugs: the steps, the result, the metrics and the module.
fn told(request: &ProbeRequest<'_>, module: &Module, probed: &Probed, metrics: &str) -> String {
    let mut text = String::from("Steps of the probe:\n");
    for (at, line) in probed.debug_log.iter().flat_map(DebugLog::lines) {
        let _ = writeln!(text, "{:>10.3} ms  {line}", at.as_secs_f64() * 1000.0);
    }
    let _ = match &probed.result {
        Ok(()) => writeln!(text, "\nThe probe succeeded.\n"),
        Err(problem) => writeln!(text, "\nThe probe failed: {problem}\n"),
    };
    let _ = write!(
        text,
        "Metrics that would have been returned:\n{metrics}\nModule {}:{}",
        request.module, module.shown
    );
    text
}
