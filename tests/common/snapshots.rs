//! Snapshots built by hand.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use super::config;
use upkeep_exporter::config::heal::HealMode;
use upkeep_exporter::config::{CheckSettings, ConfigFile, KindSettings, Service};
use upkeep_exporter::metrics::{Input, ProbeView, StatusFileView, Views, WebView};
use upkeep_exporter::model::{
    Catalog, CheckName, Conclusion, Model, Outcome, Problem, Reason, ServiceKey, Status, Tier,
};
use upkeep_exporter::store::{
    CheckView, ExporterView, HealBudget, HealDecision, HealPause, HealState, HistogramView, LastAction,
    LastRun, NativeView, ServiceView, Snapshot,
};

/// The buckets of response times.
const BOUNDS: &[f64] = &[0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// The time of all snapshots.
pub const NOW: f64 = 1_700_000_000.25;

/// Common values of the services and checks.
static USUAL: LazyLock<Service> =
    LazyLock::new(|| config::one_service("key: s, port: 1, tolerance: { slow: 1500ms }"));

/// Settings of a timed kind.
pub fn tcp(host: &str) -> KindSettings {
    config::check(&format!("kind: tcp, address: \"{host}:80\"")).kind
}

/// Settings of a kind without response times.
pub fn process(name: &str) -> KindSettings {
    config::process(name).kind
}

pub fn histogram(observed: &[f64]) -> HistogramView {
    let mut counts = vec![0; BOUNDS.len() + 1];
    for value in observed {
        counts[BOUNDS.partition_point(|bound| bound < value)] += 1;
    }
    HistogramView {
        bounds: BOUNDS,
        counts,
        sum: observed.iter().sum(),
        start: NOW - 3600.0,
        native: None,
    }
}

/// A check before its first run.
pub fn check(name: &str, kind: KindSettings) -> CheckView {
    let is_timed = kind.kind().is_timed();
    CheckView {
        target: kind.target().into(),
        settings: Arc::new(CheckSettings {
            name: CheckName::new(name),
            kind,
            ..CheckSettings::clone(&USUAL.checks[0])
        }),
        status: Status::Unknown,
        status_since: None,
        counts_since: NOW - 3600.0,
        runs: 0,
        failures: 0,
        missed_runs: 0,
        consecutive_failures: 0,
        inconclusive_runs: 0,
        consecutive_inconclusive_runs: 0,
        shortage: None,
        problem: None,
        last_run: None,
        catalog: None,
        last_ended: None,
        last_success: None,
        response_times: is_timed.then(|| histogram(&[])),
    }
}

/// Replaces the target by any text.
pub fn aimed(mut check: CheckView, target: &str) -> CheckView {
    check.target = target.into();
    check
}

/// Adds runs; the last one has a response time of `seconds`.
pub fn answered(mut check: CheckView, seconds: f64) -> CheckView {
    check.status = Status::Up;
    check.runs += 3;
    check.status_since = Some(NOW - 60.0);
    check.last_ended = Some(NOW - 2.0);
    check.last_success = Some(NOW - 2.0);
    let response_time = check
        .response_times
        .as_ref()
        .map(|_| Duration::from_secs_f64(seconds));
    if check.response_times.is_some() {
        check.response_times = Some(histogram(&[0.003, 0.3, seconds]));
    }
    check.last_run = Some(LastRun {
        ended: NOW - 2.0,
        outcome: Arc::new(Outcome {
            conclusion: Conclusion::Success,
            duration: Duration::from_secs_f64(seconds + 0.001),
            response_time,
            ..Outcome::default()
        }),
    });
    check
}

/// Adds a failed run.
pub fn failed(check: CheckView, reason: Reason) -> CheckView {
    let problem = Problem::new(reason, "connecting to 192.0.2.1:80: something went wrong");
    let mut check = answered(check, 0.002);
    check.status = Status::Down;
    check.runs += 1;
    check.failures += 1;
    check.consecutive_failures = 1;
    check.last_ended = Some(NOW - 1.0);
    check.problem = Some(Arc::new(problem.clone()));
    check.last_run = Some(LastRun {
        ended: NOW - 1.0,
        outcome: Arc::new(Outcome {
            conclusion: Conclusion::Failure(problem),
            duration: Duration::from_micros(200),
            response_time: None,
            ..Outcome::default()
        }),
    });
    check
}

/// A service with these checks.
pub fn service(key: &str, name: &str, group: &str, tier: Tier, checks: Vec<CheckView>) -> ServiceView {
    let statuses: Vec<_> = checks.iter().map(|check| check.status).collect();
    let status = [Status::Down, Status::Degraded, Status::Unknown]
        .into_iter()
        .find(|status| statuses.contains(status))
        .unwrap_or(Status::Up);
    let since = NOW - 60.0;
    let conditions = match status {
        Status::Up => Some([0.0; 3]),
        Status::Degraded => Some([0.0, since, 0.0]),
        Status::Down => Some([since, since, 0.0]),
        Status::Unknown => None,
    };
    ServiceView {
        service: Arc::new(Service {
            key: ServiceKey::new(key),
            name: name.to_owned(),
            group: group.to_owned(),
            tier,
            checks: checks.iter().map(|check| Arc::clone(&check.settings)).collect(),
            ..USUAL.clone()
        }),
        status,
        status_since: conditions.map(|_| since),
        conditions,
        confirmed: conditions.map(|since| since.map(|since| since > 0.0)),
        is_impacted: false,
        roots: Vec::new(),
        maintenance: None,
        heal: None,
        past: None,
        status_changes: 2,
        counts_since: NOW - 3600.0,
        checks,
    }
}

/// The state of a configuration file.
pub fn config_file(name: &str, is_valid: bool) -> ConfigFile {
    ConfigFile {
        name: name.into(),
        is_valid,
    }
}

/// A snapshot of these services.
pub fn snapshot(services: Vec<ServiceView>) -> Snapshot {
    Snapshot {
        taken: NOW,
        services,
        exporter: ExporterView {
            last_reload_successful: true,
            last_reload_success: NOW - 3600.0,
            config_files: Arc::new([config_file("/etc/upkeep/upkeep.yml", true)]),
            started: NOW - 3600.0,
            scheduler_lag: histogram(&[0.001, 0.002]),
            runs_in_flight: 1,
            is_first_round_over: true,
            state_saved: Some(true),
            history_saved: Some(true),
            heal_budget: None,
        },
    }
}

/// Adds native buckets to the histograms of all checks.
pub fn with_native_histograms(mut snapshot: Snapshot) -> Snapshot {
    let checks = snapshot
        .services
        .iter_mut()
        .flat_map(|service| &mut service.checks);
    for times in checks.filter_map(|check| check.response_times.as_mut()) {
        // The values of the classic buckets are not known any more. One bucket has all of them.
        times.native = Some(NativeView {
            schema: 3,
            zero_threshold: 1e-30,
            zeros: 0,
            buckets: vec![(-8, times.count())]
                .into_iter()
                .filter(|bucket| bucket.1 > 0)
                .collect(),
        });
    }
    snapshot
}

/// A snapshot that includes the state of all other parts.
pub fn input(snapshot: Snapshot) -> Input {
    let views = Views {
        lost: Duration::from_millis(1250),
        probes: Some(ProbeView {
            runs: 7,
            failures: 2,
            inconclusive: 1,
            in_flight: 1,
            refused: vec![("loopback", 3), ("too_many", 0)],
        }),
        web: Some(WebView {
            last_reload_successful: true,
            refused: vec![("unauthorized", 4), ("rate_limit", 0)],
        }),
        refused_beats: Some(vec![("unknown_token", 2), ("rate_limit", 0)]),
        status_file: Some(StatusFileView {
            is_written: true,
            last_written: NOW - 3.0,
        }),
    };
    Input { snapshot, views }
}

/// Healing that acted twice in vain and gave up.
pub fn gave_up() -> HealState {
    let record = |seconds: f64, event, detail: &str, evidence: &str| HealDecision {
        at: NOW - seconds,
        event,
        detail: detail.to_owned(),
        cause: None,
        evidence: evidence.to_owned(),
    };
    let acting = HealDecision {
        cause: Some((CheckName::new("tcp"), 2, Reason::Refused)),
        ..record(
            120.0,
            "acting",
            "restart",
            "connecting to 192.0.2.3:80: refused; active (running)",
        )
    };
    HealState {
        mode: HealMode::Act,
        action: "restart",
        target: "api.service".to_owned(),
        budget_remaining: 3,
        budget_limit: 5,
        pause: Some(HealPause {
            until: Some(NOW + 600.0),
            by: "root".to_owned(),
        }),
        has_given_up: true,
        refusal: Some("gave_up"),
        last_action: Some(LastAction {
            at: NOW - 120.0,
            result: "failed",
        }),
        actions: vec![("acted", 2), ("failed", 0), ("dry_run", 0)],
        refusals: vec![("paused", 0), ("gave_up", 1)],
        decisions: vec![
            record(59.0, "gave_up", "restart", ""),
            record(59.0, "did_not_help", "restart", ""),
            record(119.0, "acted", "restart", ""),
            acting,
        ],
    }
}

/// One service for every status. The one that is down is healed.
pub fn every_status() -> Snapshot {
    let up = answered(check("tcp", tcp("192.0.2.1")), 0.05);
    let mut slow = answered(check("tcp", tcp("192.0.2.2")), 1.25);
    slow.status = Status::Degraded;
    slow.problem = Some(Arc::new(Problem::new(Reason::Slow, "answered after 1.25 s")));
    // The last run succeeded, but the status is still down until the recovery is confirmed.
    let mut recovering = failed(check("process", process("worker")), Reason::Missing);
    recovering.consecutive_failures = 0;
    recovering.last_run = answered(check("process", process("worker")), 0.001).last_run;
    let refused = failed(check("tcp", tcp("192.0.2.3")), Reason::Refused);
    // The status survived a restart, and the check has not run since.
    let mut restored = service("restored", "", "", Tier::Critical, vec![]);
    restored.status = Status::Unknown;
    restored.conditions = Some([NOW - 600.5, NOW - 600.5, 0.0]);
    let mut known = check("tcp", tcp("192.0.2.4"));
    known.last_ended = Some(NOW - 500.0);
    known.last_success = Some(NOW - 700.0);
    restored.checks = vec![known];
    let mut snapshot = snapshot(vec![
        service(
            "web",
            "Web",
            "front",
            Tier::Critical,
            vec![up, answered(check("process", process("nginx")), 0.001)],
        ),
        service("slow", "Slow", "front", Tier::Tolerant, vec![slow]),
        service(
            "api",
            "API \"v2\"\\beta\nnew line",
            "größe",
            Tier::Critical,
            vec![
                refused,
                recovering,
                answered(check("tcp-2", tcp("192.0.2.1")), 0.05),
            ],
        ),
        restored,
        service(
            "unseen",
            "Not yet seen",
            "back",
            Tier::Tolerant,
            vec![check("tcp", tcp("192.0.2.5"))],
        ),
    ]);
    snapshot.services[2].heal = Some(gave_up());
    snapshot.exporter.heal_budget = Some(HealBudget {
        remaining: 18,
        limit: 20,
    });
    snapshot
}

/// Two services whose checks reported models: 3 of `openai`, 120 of `mistral`.
pub fn with_models() -> Snapshot {
    let model = |id: &str, name: &str, capabilities: &[&str]| Model {
        id: id.to_owned(),
        name: Some(name.to_owned()).filter(|name| !name.is_empty()),
        capabilities: capabilities.iter().map(|text| (*text).to_owned()).collect(),
        ..Model::default()
    };
    let mut old = model("gpt-3.5-turbo", "", &["chat"]);
    old.shutdown = Some(1_700_000_000 + 86_400 * 12);
    old.created = Some(1_677_610_602);
    let mut large = model("gpt-5", "GPT 5", &["chat", "vision"]);
    large.context_length = Some(400_000);
    large.max_output_tokens = Some(128_000);
    let embedding = model("text-embedding-3-small", "", &["embed"]);
    let numbered = (0..120).map(|number| {
        let mut model = model(&format!("mistral-{number:03}"), "Mistral <b>", &["chat"]);
        model.is_deprecated = number == 7;
        model
    });
    let provider = |name: &'static str, fetched, models: Vec<Model>| {
        let mut view = answered(check("key", tcp("192.0.2.9")), 0.05);
        view.catalog = Some(Arc::new(Catalog::new(name, fetched, models)));
        view
    };
    let openai = provider("openai", 1_700_000_000 - 3600, vec![old, large, embedding]);
    let mistral = provider("mistral", 1_700_000_000 - 60, numbered.collect());
    snapshot(vec![
        service("llm", "LLM", "ai", Tier::Critical, vec![openai]),
        service("fallback", "Fallback", "ai", Tier::Tolerant, vec![mistral]),
        service(
            "web",
            "Web",
            "front",
            Tier::Critical,
            vec![answered(check("tcp", tcp("192.0.2.1")), 0.05)],
        ),
    ])
}

/// This many services, each with a tcp check and a process check.
pub fn many(services: usize) -> Snapshot {
    let kind = tcp("192.0.2.1");
    let services = (0..services).map(|number| {
        let checks = vec![
            answered(check("tcp", kind.clone()), 0.012_345),
            failed(check("tcp-2", kind.clone()), Reason::Timeout),
        ];
        service(
            &format!("service-{number}"),
            "A service",
            &format!("group-{}", number % 20),
            Tier::Critical,
            checks,
        )
    });
    snapshot(services.collect())
}
