//! Http and tcp checks against real servers that misbehave: each fault has its reason, its message, its samples and
//! its time, and leaves no socket behind.

// Helpers of tests are not #[test] functions, for which clippy.toml allows it.
#![allow(clippy::unwrap_used)]

mod answers;
mod certificates;
#[path = "../common/mod.rs"]
mod common;
mod content;
mod names;
mod proxies;

use std::cell::RefCell;
use std::io::Write;
use std::time::{Duration, Instant};

use common::make_pipe;
use common::targets::dns::{Answer, NameServer};
use common::targets::{Target, ok, proxy, tls};
use serde_json::{Value, json};
use upkeep_exporter::check::Shared;
use upkeep_exporter::check::http::HttpCheck;
use upkeep_exporter::check::network::Network;
use upkeep_exporter::check::resolve::ResolverFiles;
use upkeep_exporter::check::tcp::TcpCheck;
use upkeep_exporter::config::http::HttpOptions;
use upkeep_exporter::config::place::Place;
use upkeep_exporter::config::tcp::TcpOptions;
use upkeep_exporter::model::{Problem, Reason, Report};

const LONG: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(300);

/// How a run ended.
struct Ran {
    /// Absent where the deadline passed.
    result: Option<Result<(), Problem>>,
    report: Report,
    took: Duration,
}

fn http_check(options: Value, shared: &Shared) -> HttpCheck {
    let findings = RefCell::default();
    let options: HttpOptions = serde_json::from_value(options).unwrap();
    let settings = options.resolve(&Place::root(&findings));
    HttpCheck::new(&settings.unwrap_or_else(|_| panic!("{findings:?}")), shared)
}

fn tcp_check(options: Value, shared: &Shared) -> TcpCheck {
    let findings = RefCell::default();
    let options: TcpOptions = serde_json::from_value(options).unwrap();
    let settings = options.resolve(&Place::root(&findings));
    TcpCheck::new(&settings.unwrap_or_else(|_| panic!("{findings:?}")), shared)
}

/// Runs as the scheduler does: the future is dropped at the deadline.
macro_rules! run {
    ($check:expr, $deadline:expr) => {{
        let (mut report, started) = (Report::default(), Instant::now());
        let result = tokio::time::timeout($deadline, $check.run(&mut report))
            .await
            .ok();
        Ran {
            result,
            report,
            took: started.elapsed(),
        }
    }};
}
use run;

async fn http(options: Value) -> Ran {
    run!(http_check(options, &Shared::new("/proc".into())), LONG)
}

async fn get(url: String) -> Ran {
    http(json!({ "url": url })).await
}

async fn tcp(options: Value) -> Ran {
    run!(tcp_check(options, &Shared::new("/proc".into())), LONG)
}

impl Ran {
    fn value(&self, family: &str, label: Option<&str>) -> Option<f64> {
        let mut found = self.report.samples.iter().filter(|sample| {
            sample.family.name == family && label.is_none_or(|label| sample.labels == [label.to_owned()])
        });
        let value = found.next().map(|sample| sample.value);
        assert!(
            label.is_none() || found.next().is_none(),
            "{family} is there twice"
        );
        value
    }

    fn status(&self) -> Option<f64> {
        self.value("upkeep_http_status_code", None)
    }

    fn phase(&self, phase: &str) -> f64 {
        self.value("upkeep_http_phase_duration_seconds", Some(phase))
            .unwrap()
    }

    fn not_after(&self) -> Option<f64> {
        self.value("upkeep_tls_certificate_not_after_timestamp_seconds", None)
    }

    #[track_caller]
    fn succeeded(&self) -> &Self {
        assert_eq!(self.result, Some(Ok(())), "step {}", self.report.step);
        assert!(self.report.response_time.is_some_and(|time| time <= self.took));
        self
    }

    /// Failed with this reason, and a message that holds this text.
    #[track_caller]
    fn failed(&self, reason: Reason, text: &str) -> &Self {
        match &self.result {
            Some(Err(problem)) => {
                assert_eq!(problem.reason, reason, "{problem}");
                assert!(problem.message().contains(text), "{problem}");
            }
            other => panic!("{other:?}, step {}", self.report.step),
        }
        self
    }

    /// Had no answer, so that there is no response time.
    #[track_caller]
    fn unanswered(&self) -> &Self {
        assert_eq!(self.report.response_time, None);
        self
    }

    /// Was cancelled at the deadline while it did this.
    #[track_caller]
    fn hung(&self, step: &str) -> &Self {
        assert_eq!(self.result, None);
        assert!(self.report.step.starts_with(step), "{}", self.report.step);
        assert!(
            self.took >= SHORT && self.took < SHORT + Duration::from_secs(2),
            "{:?}",
            self.took
        );
        self.unanswered()
    }
}
