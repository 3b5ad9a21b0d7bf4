//! The postgres check against real servers.

mod faults;
mod replicas;
mod sockets;
mod successes;
mod tls;

use std::time::{Duration, Instant};

use upkeep_exporter::check::Check;
use upkeep_exporter::model::Reason;

use crate::common::postgres::Postgres;
use crate::common::ran::{LONG, Ran, SHORT, check, run};

/// The time within which an expected change must happen.
const SOON: Duration = Duration::from_secs(30);

/// A check of this URL with these keys.
fn postgres(url: &str, keys: &str) -> Check {
    check(&format!("kind: postgres, url: \"{url}\", {keys}"))
}

/// Runs a check once, and drops it.
async fn once(url: &str, keys: &str) -> Ran {
    run!(postgres(url, keys), LONG)
}

/// The value of a family without labels.
fn value(ran: &Ran, name: &str) -> Option<f64> {
    ran.value(&format!("upkeep_postgres_{name}"), None)
}

/// Asserts that the run succeeded with a warning of this reason that contains the text.
#[track_caller]
fn warned(ran: &Ran, reason: Reason, text: &str) {
    ran.succeeded();
    let warning = ran.report.warning.as_ref().expect("a warning");
    assert_eq!(warning.reason, reason, "{warning}");
    assert!(warning.message().contains(text), "{warning}");
}

/// Asserts that neither texts nor numbers of the run contain this.
#[track_caller]
fn hides(ran: &Ran, secret: &str) {
    let all = format!("{:?} {:?}", ran.result, ran.report);
    assert!(!all.contains(secret), "{all}");
}

/// Repeats runs until one has the expected result.
async fn until(what: &str, check: &mut Check, is_wanted: impl Fn(&Ran) -> bool) -> Ran {
    let begun = Instant::now();
    loop {
        let ran = run!(check, LONG);
        if is_wanted(&ran) {
            return ran;
        }
        assert!(
            begun.elapsed() < SOON,
            "not within {SOON:?}: {what}; {:?} {:?}",
            ran.result,
            ran.report
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
