//! Port checks from JSON, free ports, and Python programs that hold ports.

use std::cell::RefCell;
use std::io::{BufRead, BufReader};
use std::net::{TcpListener, UdpSocket};
use std::process::Command;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use upkeep_exporter::check::CheckContext;
use upkeep_exporter::check::port::PortCheck;
use upkeep_exporter::config::place::Place;
use upkeep_exporter::config::port::PortOptions;
use upkeep_exporter::model::{Problem, Report};

use crate::support::Running;

/// How long a test waits before it fails.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Ports for tests: below those that the kernel gives to connections (net.ipv4.ip_local_port_range).
const PORTS: std::ops::Range<u16> = 20_000..30_000;

/// A program that opens sockets as described by its arguments, `protocol,address,port,options`, and holds them until its
/// standard input ends. It prints a line when it holds all of them. `fork` starts another process, `many,1000` opens as many
/// sockets.
pub const HOLD: &str = r#"
import os, socket, sys
held = []
for description in sys.argv[1:]:
    if description == "fork":
        os.fork()
        continue
    if description.startswith("many,"):
        for number in range(int(description.split(",")[1]) // 2):
            address = f"127.1.0.{number % 250}"
            one = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            one.bind((address, 0))
            one.listen(1)
            other = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            other.bind((address, 0))
            held += [one, other]
        continue
    protocol, address, port, options = description.split(",")
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
    one = socket.socket(family, kind)
    if "reuse" in options:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    if family == socket.AF_INET6:
        one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int("v6only" in options))
    one.bind((address, int(port)))
    if protocol == "tcp" and "bound" not in options:
        one.listen(17)
    held.append(one)
try:
    os.write(1, b"held\n")
except BrokenPipeError:
    pass  # the test has read the line of another process
sys.stdin.read()
"#;

/// Returns ports that nothing holds, neither TCP nor UDP: `count` in a row.
pub fn free_ports(count: u16) -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let length = PORTS.end - PORTS.start;
    // Tests in other processes begin elsewhere.
    let start = u16::try_from(std::process::id() * 97 % u32::from(length)).unwrap();
    for _ in 0..length {
        let next = NEXT.fetch_add(count, Ordering::Relaxed);
        let first = PORTS.start + (start + next % length) % (length - count);
        let is_free = |port| TcpListener::bind(("::", port)).is_ok() && UdpSocket::bind(("::", port)).is_ok();
        if (first..first + count).all(is_free) {
            return first;
        }
    }
    panic!("no free port in {PORTS:?}");
}

/// Starts a program that holds sockets, and waits until it does. `command` is an interpreter of Python with its arguments.
pub fn hold_with(mut command: Command, sockets: &[String]) -> Running {
    command.args(["-c", HOLD]).args(sockets);
    let mut running = Running::start_with_output(&mut command);
    let output = running.0.stdout.take().unwrap();
    let mut line = String::new();
    BufReader::new(output).read_line(&mut line).unwrap();
    assert_eq!(line, "held\n", "{command:?}");
    running
}

/// Starts python3, which holds sockets: `tcp,127.0.0.1,8080,`.
pub fn hold(sockets: &[String]) -> Running {
    hold_with(Command::new("python3"), sockets)
}

/// The result of one run.
#[derive(Debug)]
pub struct Ran {
    pub result: Result<(), Problem>,
    pub report: Report,
}

impl Ran {
    /// The value of the family `upkeep_port_{name}`, if there is one.
    pub fn value(&self, name: &str) -> Option<f64> {
        let mut samples = self.report.samples.iter();
        samples
            .find(|sample| sample.family.name.strip_prefix("upkeep_port_") == Some(name))
            .map(|sample| sample.value)
    }

    /// The reason and the message of a failure.
    pub fn failure(&self) -> (&'static str, &str) {
        let problem = self.result.as_ref().expect_err("the run should fail");
        (problem.reason.as_str(), problem.message())
    }

    /// The reason and the message of a warning.
    pub fn warning(&self) -> (&'static str, &str) {
        let problem = self.report.warning.as_ref().expect("a warning");
        (problem.reason.as_str(), problem.message())
    }

    /// Whether it succeeded without a warning.
    pub fn is_up(&self) -> bool {
        self.result.is_ok() && self.report.warning.is_none()
    }
}

/// A port check with these options.
pub fn check(options: serde_json::Value, context: &CheckContext) -> PortCheck {
    let findings = RefCell::new(Vec::new());
    let options: PortOptions = serde_json::from_value(options).unwrap();
    let settings = options.resolve(&Place::root(&findings));
    PortCheck::new(&settings.unwrap_or_else(|_| panic!("{findings:?}")), context)
}

/// Runs a check once.
pub async fn run(check: &mut PortCheck) -> Ran {
    let mut report = Report::default();
    let result = check.run(&mut report).await;
    Ran { result, report }
}

/// Runs a new check once.
pub async fn run_once(options: serde_json::Value) -> Ran {
    run(&mut check(options, &crate::support::real())).await
}

/// Runs a check until the result meets `condition`.
pub async fn run_until(check: &mut PortCheck, condition: impl Fn(&Ran) -> bool) -> Ran {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let ran = run(check).await;
        if condition(&ran) {
            return ran;
        }
        assert!(Instant::now() < deadline, "still {ran:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
