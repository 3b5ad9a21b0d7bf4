//! The cost of port checks. Measure it on an idle machine in release mode:
//! `cargo test --release --test process port::speed -- --nocapture`.

use std::net::{TcpListener, UdpSocket};
use std::path::Path;
use std::time::Instant;

use futures_util::future::join_all;
use rustix::time::{ClockId, clock_gettime};
use serde_json::json;
use upkeep_exporter::check::port_scan::{Detail, Question, scan_blocking};
use upkeep_exporter::config::port::Protocol;

use super::support::{check, free_ports, hold, run};
use crate::support::real;

/// How much CPU time a scan of this test's sockets may take, in milliseconds: several times the cost on an idle machine.
const BOUND: f64 = if cfg!(debug_assertions) { 400.0 } else { 100.0 };

/// How many sockets the test opens. `UPKEEP_TEST_SOCKETS` sets another number.
const SOCKETS: usize = 5_000;

/// How many sockets one process opens. Limits on descriptors are often 20,000.
const SOCKETS_PER_PROCESS: usize = 10_000;

fn cpu_milliseconds() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 * 1e3 + time.tv_nsec as f64 / 1e6
}

/// The median CPU time of five scans.
fn median_scan(questions: &[Question]) -> f64 {
    let mut times: Vec<f64> = (0..5)
        .map(|_| {
            let start = cpu_milliseconds();
            scan_blocking(Path::new("/proc"), questions).unwrap();
            cpu_milliseconds() - start
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

#[tokio::test]
async fn a_thousand_checks_share_a_few_scans() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let context = real();
    let mut checks: Vec<_> = (0..1000)
        .map(|number| match number % 2 {
            0 => check(json!({"port": port, "user": "root"}), &context),
            _ => check(
                json!({"port": port, "exe": std::env::current_exe().unwrap()}),
                &context,
            ),
        })
        .collect();
    let began = Instant::now();
    for ran in join_all(checks.iter_mut().map(run)).await {
        assert!(ran.is_up(), "{ran:?}");
    }
    let scans = context.ports.scans();
    println!("1,000 checks: {scans} scans in {:?}", began.elapsed());
    // Looking up the user takes a thread per check, so not all of them ask within the time of one scan.
    assert!(scans <= 100, "{scans} scans");
}

#[test]
fn a_scan_of_many_sockets_is_cheap() {
    let count = std::env::var("UPKEEP_TEST_SOCKETS").map_or(SOCKETS, |text| text.parse().unwrap());
    // Half of them listen (TCP), the others are UDP sockets: the kernel lists these, unlike connections.
    let _running: Vec<_> = (0..count.div_ceil(SOCKETS_PER_PROCESS))
        .map(|_| hold(&[format!("many,{}", count.min(SOCKETS_PER_PROCESS))]))
        .collect();
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = tcp.local_addr().unwrap().port();
    let udp_port = udp.local_addr().unwrap().port();
    let question = |protocol, port, detail| Question {
        protocol,
        port,
        detail,
        needs_held_ports: false,
    };
    let one = [question(Protocol::Tcp, port, Detail::Sockets)];
    let one_udp = [question(Protocol::Udp, udp_port, Detail::Sockets)];
    let start = free_ports(1);
    let thousand: Vec<_> = (0..500)
        .flat_map(|number| {
            [Protocol::Tcp, Protocol::Udp].map(|protocol| question(protocol, start + number, Detail::Sockets))
        })
        .collect();
    let holder = [question(Protocol::Tcp, port, Detail::FreshHolders)];
    for (what, questions) in [
        ("1 TCP port", &one[..]),
        ("1 UDP port", &one_udp),
        ("1,000 ports", &thousand),
        ("1 port with its processes", &holder),
    ] {
        let time = median_scan(questions);
        println!("{count} sockets, {what}: {time:.2} ms of CPU time per scan");
        assert!(time < BOUND, "{what}: {time} ms");
    }
}
