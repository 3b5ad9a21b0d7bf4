//! `/probe`: one run of a module against the target of a request, behind a guard, with blackbox_exporter's metrics as the
//! answer. The run itself is that of the check kind of the same name.

pub mod request;

use std::fmt::Write;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::{Instant, timeout_at};

use crate::check::gate::{Gate, Refusals};
use crate::check::{Check, Shared};
use crate::config::KindSettings;
use crate::config::probe::{Aimed, Endpoint, Module, ProbeSettings, Refusal};
use crate::config::suggest;
use crate::metrics;
use crate::model::{Family, Journal, Problem, Reason, Report, Sample};
use crate::seldom::Seldom;
use crate::store::ProbeView;
use request::ProbeRequest;

static SUCCESS: Family = Family::probe("probe_success", &[], "1 if the probe succeeded, 0 if it failed.");
static DURATION: Family = Family::probe(
    "probe_duration_seconds",
    &[],
    "Duration of the probe, in seconds.",
);

/// Answers requests to `/probe`.
#[derive(Debug)]
pub struct Prober {
    settings: RwLock<Arc<ProbeSettings>>,
    shared: Shared,
    /// What is taken off the scraper's deadline.
    offset: Duration,
    refusals: Arc<Refusals>,
    counts: Arc<Counts>,
    refused: Seldom,
}

#[derive(Debug, Default)]
struct Counts {
    runs: AtomicU64,
    failures: AtomicU64,
    too_many: AtomicU64,
    in_flight: AtomicU64,
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
}

impl Prober {
    /// A prober of nothing yet. `offset` is taken off the scraper's deadline, for the way back.
    pub fn new(shared: Shared, offset: Duration) -> Self {
        Self {
            settings: RwLock::default(),
            shared,
            offset,
            refusals: Arc::default(),
            counts: Arc::default(),
            refused: Seldom::default(),
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
            in_flight: get(&self.counts.in_flight),
            refused,
        })
    }

    /// Logs what may be somebody's mistake, or an attempt.
    fn tell_refusal(&self, message: &str) {
        if let Some(more) = self.refused.turn() {
            tracing::warn!(problem = message, more, "refused a probe");
        }
    }

    /// Answers a request with this query. `timeout` is the value of [`request::TIMEOUT_HEADER`].
    pub async fn answer(&self, query: &str, timeout: Option<&str>) -> Answer {
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
            let aimed = module.aim(&request.target, request.hostname.as_deref());
            let aimed = aimed.map_err(|error| format!("the target can't be probed: {error}"));
            Ok((deadline, aimed?))
        });
        let (deadline, aimed) = match aimed {
            Ok(aimed) => aimed,
            Err(error) => return Answer::Wrong(error),
        };
        let gate = Arc::new(Gate::new(settings.guard.clone(), self.refusals.clone()));
        if let Err(refusal) = judge(&aimed, &gate) {
            let message = format!("{} is no target here: {refusal}", aimed.settings.target());
            self.tell_refusal(&message);
            return Answer::Refused(message);
        }
        let Some(under_way) = self.counts.enter(settings.max_concurrent) else {
            self.counts.too_many.fetch_add(1, Ordering::Relaxed);
            return Answer::TooMany(format!(
                "{} probes are under way, as many as probe.max_concurrent allows",
                settings.max_concurrent
            ));
        };
        let mut shared = self.shared.clone();
        shared.network.resolver = Arc::new(shared.network.resolver.gated(Some(gate.clone())));
        let probed = probe(&aimed, &shared, deadline, request.debug).await;
        drop(under_way);
        self.counts.runs.fetch_add(1, Ordering::Relaxed);
        if probed.result.is_err() {
            self.counts.failures.fetch_add(1, Ordering::Relaxed);
        }
        if let Err(problem) = &probed.result {
            if gate.has_refused() {
                self.tell_refusal(problem.message());
            }
            tracing::debug!(
                module = &*request.module, target = %aimed.settings.target(), reason = %problem.reason,
                problem = problem.message(), "probe failed"
            );
        }
        let text = metrics::probe_text(&probed.samples);
        match request.debug {
            false => Answer::Metrics(text),
            true => Answer::Debug(told(&request, module, &probed, &text)),
        }
    }
}

/// Judges what the request itself asks for. Where a name or a redirect leads is judged by the gate, when it is known.
fn judge(aimed: &Aimed, gate: &Gate) -> Result<(), Refusal> {
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

impl Counts {
    /// Counts a probe as under way, unless there are as many as may be, those of older configurations included.
    fn enter(&self, most: u32) -> Option<UnderWay<'_>> {
        let one_more = |count| (count < u64::from(most)).then_some(count + 1);
        self.in_flight
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more)
            .ok()?;
        Some(UnderWay(self))
    }
}

/// Counts a probe as under way until this is dropped, also when its client goes away.
struct UnderWay<'c>(&'c Counts);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What came of a probe.
struct Probed {
    result: Result<(), Problem>,
    samples: Vec<Sample>,
    journal: Option<Journal>,
}

async fn probe(aimed: &Aimed, shared: &Shared, deadline: Duration, debug: bool) -> Probed {
    let started = Instant::now();
    let ends = started + deadline;
    let mut report = Report {
        deadline: Some(ends),
        probe: Some(Vec::with_capacity(24)),
        journal: debug.then(Journal::new),
        ..Report::default()
    };
    let mut check = Check::of(&aimed.settings, shared);
    // As large as the largest kind's: boxed, it is neither moved again nor part of each connection's task.
    let run = AssertUnwindSafe(Box::pin(check.run(&mut report))).catch_unwind();
    let result = match timeout_at(ends, run).await {
        Ok(Ok(result)) => result,
        Ok(Err(_)) => Err(Problem::new(
            Reason::Internal,
            "the probe panicked; the log says more",
        )),
        Err(_) => Err(Problem::new(
            Reason::Timeout,
            format_args!(
                "timed out after {} s while {}",
                deadline.as_secs_f64(),
                report.step
            ),
        )),
    };
    let mut samples = report.probe.take().unwrap_or_default();
    let mut push = |family, value| {
        samples.push(Sample {
            family,
            labels: Vec::new(),
            value,
        });
    };
    push(&SUCCESS, f64::from(u8::from(result.is_ok())));
    push(&DURATION, started.elapsed().as_secs_f64());
    Probed {
        result,
        samples,
        journal: report.journal,
    }
}

/// What a person sees who debugs: the steps, the result, the metrics and the module.
fn told(request: &ProbeRequest<'_>, module: &Module, probed: &Probed, metrics: &str) -> String {
    let mut text = String::from("Steps of the probe:\n");
    for (at, line) in probed.journal.iter().flat_map(Journal::lines) {
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
