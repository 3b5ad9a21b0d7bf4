//! Every fault on every component in turn: status, reason, and the time until metrics show them.

use std::time::{Duration, Instant};

use crate::common::exporter::Exporter;
use crate::common::stage::{Blocked, is_on_stage};
use crate::component::{Component, Fault};
use crate::stack::Stack;
use crate::watch::becomes;

/// From the fault to the metrics: an interval of 1 s and a deadline of 0.8 s leave 0.2 s for the rest.
const TO_METRIC: Duration = Duration::from_secs(2);

/// From the end of the fault to the metrics: two runs a second apart, after the run in progress.
pub const TO_RECOVERY: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread")]
async fn every_fault_shows_within_two_seconds_and_ends() {
    if !is_on_stage("matrix::every_fault_shows_within_two_seconds_and_ends") {
        return;
    }
    let mut stack = Stack::start().await;
    let exporter = stack.exporter().await;
    for component in &stack.components {
        becomes(&exporter, component.kind, "up", &[], TO_RECOVERY).await;
    }
    for component in &mut stack.components {
        for fault in Fault::ALL {
            if component.supports(fault) {
                let (shown, recovered) = inflict(component, fault, &exporter).await;
                let kind = component.kind;
                eprintln!(
                    "{kind}, {fault:?}: visible after {shown:.1?}, up again {recovered:.1?} after its end"
                );
            }
        }
    }
    for component in &stack.components {
        becomes(&exporter, component.kind, "up", &[], TO_RECOVERY).await;
    }
}

/// Inflicts a fault until the metrics show it, and ends it until the metrics show the recovery. Returns both durations.
pub async fn inflict(component: &mut Component, fault: Fault, exporter: &Exporter) -> (Duration, Duration) {
    let begun = Instant::now();
    let mut blocked = None;
    match fault {
        Fault::Frozen => component.freeze(),
        Fault::Killed => component.kill().await,
        Fault::Blocked => blocked = component.port.map(|port| Blocked::ports(&[port])),
        Fault::WrongSecret => component.write_secret("wrong"),
    }
    let reasons = component.reasons(fault);
    becomes(
        exporter,
        component.kind,
        "down",
        reasons,
        TO_METRIC.saturating_sub(begun.elapsed()),
    )
    .await;
    let shown = begun.elapsed();
    match fault {
        Fault::Frozen => component.thaw(),
        Fault::Killed => component.start_again().await,
        Fault::Blocked => drop(blocked),
        Fault::WrongSecret => {
            let (_, right) = component.secret.clone().unwrap();
            component.write_secret(&right);
        }
    }
    let ended = Instant::now();
    becomes(exporter, component.kind, "up", &[], TO_RECOVERY).await;
    (shown, ended.elapsed())
}
