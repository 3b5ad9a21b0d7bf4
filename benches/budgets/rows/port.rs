//! Port checks on a machine with 50,000 sockets that the kernel lists: half of them listen, the others are UDP sockets.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

use crate::exporter::Exporter;
use crate::process::bound_to_us;
use crate::report::{Line, median};

const PROCESSES: usize = 5;
/// Sockets of one process. Limits on descriptors are often 20,000.
const SOCKETS: usize = 10_000;
const CHECKS: usize = 1000;
const RUNS: usize = 15;
/// Enough for a search of all descriptors, also on a busy machine.
const INTERVAL: Duration = Duration::from_secs(2);

/// Opens sockets on addresses that no check uses.
const HOLD: &str = "
import socket, sys
held = []
for number in range(int(sys.argv[1]) // 2):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        one = socket.socket(socket.AF_INET, kind)
        one.bind((f'127.1.0.{number % 250}', 0))
        if kind == socket.SOCK_STREAM:
            one.listen(1)
        held.append(one)
print('held', flush=True)
sys.stdin.read()
";

pub fn measure(directory: &Path) -> anyhow::Result<Vec<Line>> {
    let _holders: Vec<Holder> = (0..PROCESSES)
        .map(|_| Holder::start())
        .collect::<Result<_, _>>()?;
    let peer = ss()?;
    let mut lines = Vec::new();
    for (title, name, checks, expected) in [
        ("1 port check with 50,000 sockets", "one", 1, ""),
        ("1,000 port checks with 50,000 sockets", "many", CHECKS, ""),
        (
            "1 port check by process with 50,000 sockets",
            "process",
            1,
            ", process: nobody",
        ),
    ] {
        let folder = directory.join(name);
        std::fs::create_dir_all(&folder)?;
        let (took, cpu) = run(checks, expected, &folder)?;
        lines.push(Line::new(title, took, "ms").beside("ss -ltunpe", peer));
        lines.push(Line::new(format!("{title}: CPU for all of them"), cpu, "ms"));
    }
    Ok(lines)
}

/// The median duration of a run, and the CPU time of one round of all checks, both in milliseconds.
fn run(checks: usize, expected: &str, directory: &Path) -> anyhow::Result<(f64, f64)> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    let list: Vec<String> = (0..checks)
        .map(|_| format!("{{ kind: port, port: {port}, address: 127.0.0.1{expected} }}"))
        .collect();
    let config = format!(
        "defaults: {{ interval: 2s, timeout: 2s, recheck_interval: 2s }}\n\
         services: [{{ key: ports, group: bench, checks: [{}] }}]\n",
        list.join(", ")
    );
    let exporter = Exporter::ready(&config, directory)?;
    let (before, cpu) = (exporter.scrape()?, exporter.process.cpu()?);
    let mut times = Vec::new();
    for _ in 0..RUNS {
        sleep(INTERVAL);
        let sum = exporter.scrape()?.sum("upkeep_check_last_duration_seconds", "");
        times.push(1e3 * sum / checks as f64);
    }
    let cpu = exporter.process.cpu()? - cpu;
    let after = exporter.scrape()?;
    let runs = after.sum("upkeep_check_runs_total", "") - before.sum("upkeep_check_runs_total", "");
    let held = after.sum("upkeep_port_held", "");
    ensure!(
        runs > 0.0 && held == checks as f64,
        "{runs} runs, {held} ports held"
    );
    Ok((median(&times), 1e3 * cpu * checks as f64 / runs))
}

/// The time of a list of the same sockets with their processes, the median of five, in milliseconds.
fn ss() -> anyhow::Result<f64> {
    let mut times = Vec::new();
    for _ in 0..5 {
        let begun = Instant::now();
        let mut command = Command::new("ss");
        let status = command.arg("-ltunpe").stdout(Stdio::null()).status();
        ensure!(status.context("starting ss")?.success(), "ss fails");
        times.push(1e3 * begun.elapsed().as_secs_f64());
    }
    Ok(median(&times))
}

/// A process with many sockets. It ends with this.
struct Holder(Child);

impl Holder {
    fn start() -> anyhow::Result<Self> {
        let mut command = bound_to_us(Command::new("python3").args(["-c", HOLD, &SOCKETS.to_string()]));
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut holder = Self(command.spawn().context("starting python3")?);
        let output = holder.0.stdout.take().context("the output of python3")?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        ensure!(
            line == "held\n",
            "python3 can't open {SOCKETS} sockets: check ulimit -n"
        );
        Ok(holder)
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        // It may have ended; both calls then do nothing.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
