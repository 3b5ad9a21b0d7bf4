//! Random faults on all components for a while: no wrong status, no leaked connection, no growing memory.

use std::fs;
use std::time::{Duration, Instant};

use crate::common::exporter::Exporter;
use crate::common::servers::eventually;
use crate::common::stage::is_on_stage;
use crate::component::Fault;
use crate::matrix::inflict;
use crate::stack::Stack;
use crate::watch::{becomes, state_of};

/// The duration in seconds, if the variable does not set another one. `make soak` sets ten minutes.
const DEFAULT_SECONDS: u64 = 45;
const SECONDS: &str = "UPKEEP_SOAK_SECONDS";

/// How much resident memory may grow after every fault has occurred once, in bytes: memory that the allocator retains.
const MAX_GROWTH: u64 = 8 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn random_faults_leave_nothing_behind() {
    if !is_on_stage("soak::random_faults_leave_nothing_behind") {
        return;
    }
    let seconds = std::env::var(SECONDS).map_or(DEFAULT_SECONDS, |text| text.parse().unwrap());
    let mut stack = Stack::start().await;
    let exporter = stack.exporter().await;
    let mut random = Random(0x5eed);
    // Inflicts every fault somewhere first, so that every path has run before memory is measured.
    for (index, fault) in Fault::ALL
        .into_iter()
        .cycle()
        .take(2 * stack.components.len())
        .enumerate()
    {
        let count = stack.components.len();
        let component = &mut stack.components[index % count];
        if component.supports(fault) {
            inflict(component, fault, &exporter).await;
        }
    }
    let (memory, sockets_before) = (resident(&exporter), sockets(&exporter));
    let begun = Instant::now();
    let mut inflicted = 0;
    let mut most = memory;
    while begun.elapsed() < Duration::from_secs(seconds) {
        let count = stack.components.len();
        let component = &mut stack.components[random.below(count)];
        let fault = Fault::ALL[random.below(Fault::ALL.len())];
        if !component.supports(fault) {
            continue;
        }
        let kind = component.kind;
        inflict(component, fault, &exporter).await;
        inflicted += 1;
        let metrics = exporter.metrics().await;
        for other in stack.components.iter() {
            let state = state_of(&metrics, other.kind);
            assert!(
                state.is("up", &[]),
                "{fault:?} on {kind}: {} is {state:?}\n{}",
                other.kind,
                exporter.server.log()
            );
        }
        most = most.max(resident(&exporter));
        assert!(
            most < memory + MAX_GROWTH,
            "after {inflicted} faults memory went from {memory} to {most}"
        );
    }
    for component in &stack.components {
        becomes(&exporter, component.kind, "up", &[], Duration::from_secs(10)).await;
    }
    // The connections of the scrapes close a moment later.
    let what = format!("no more than {sockets_before} sockets");
    let now = eventually(&what, Duration::from_secs(10), || async {
        Some(sockets(&exporter)).filter(|now| *now <= sockets_before)
    })
    .await;
    for component in &stack.components {
        let connections = component.connections();
        assert!(
            connections.is_none_or(|count| count <= 1),
            "{}: {connections:?} connections",
            component.kind
        );
    }
    eprintln!(
        "{inflicted} faults in {:.0?}: memory {} kB at the start, {} kB at most, {} kB at the end; {now} sockets",
        begun.elapsed(),
        memory / 1024,
        most / 1024,
        resident(&exporter) / 1024
    );
}

/// Resident memory in bytes.
fn resident(exporter: &Exporter) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", exporter.server.pid())).unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .unwrap();
    1024 * line.trim().trim_end_matches(" kB").parse::<u64>().unwrap()
}

/// The number of its open sockets.
fn sockets(exporter: &Exporter) -> usize {
    let folder = fs::read_dir(format!("/proc/{}/fd", exporter.server.pid())).unwrap();
    folder
        .filter_map(|entry| fs::read_link(entry.ok()?.path()).ok())
        .filter(|end| end.to_string_lossy().starts_with("socket:"))
        .count()
}

/// A pseudorandom sequence that is the same in every run (xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }
}
