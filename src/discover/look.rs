//! One look at the machine. All sources are read at the same time, each with a deadline, then the ports are connected to. A source that
//! hangs delays nothing: what is known by its deadline counts.

use std::net::IpAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::time::Duration;

use tokio::sync::{Semaphore, oneshot};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout_at};

use super::facts::{Facts, Heard, Pending, Running};
use super::memory::Memory;
use super::sockets::Sockets;
use super::{compare, containers, hear, processes, sockets, units};
use crate::config::systemd::BusAddress;

/// When a quick look stops waiting for lists. systemd, an engine and the kernel respond within milliseconds.
const QUICK_LISTS: Duration = Duration::from_millis(1100);

/// When a quick look ends: the services are on the page within 3 s of the start. It leaves a port that says nothing its second.
const QUICK_LOOK: Duration = Duration::from_millis(2200);

/// How long the units may take in a thorough look: 2,000 units on a busy machine.
const MAX_UNITS_TIME: Duration = Duration::from_secs(15);

/// How long the engines may take in a thorough look. On a busy machine, one needs seconds.
const MAX_ENGINES_TIME: Duration = Duration::from_secs(8);

/// How long reading /proc may take. A search of holders takes at most 5 s, but the command line of a process that hangs in the kernel
/// can't be read, and the start of the exporter and its reloads must not wait for that.
const MAX_SCAN: Duration = Duration::from_secs(12);

/// How long connections and comparisons may take in a thorough look: 2,000 ports that do not respond, 64 at once.
const MAX_CONNECTIONS_TIME: Duration = Duration::from_secs(60);

/// How many threads may read /proc at once.
static SCANS: Semaphore = Semaphore::const_new(4);

/// What to look at.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the proc file system is mounted.
    pub procfs: PathBuf,
    /// The bus of systemd.
    pub bus: BusAddress,
    /// The value of `DOCKER_HOST`.
    pub engine: Option<String>,
    /// The addresses that may be connected to, in addition to loopback.
    pub addresses: Vec<IpAddr>,
}

/// How long a look may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// A page waits for the services. What is not known in time is left to a thorough look.
    Quick,
    /// Nothing waits for it.
    Thorough,
}

/// When a look stops waiting for its sources.
struct Deadlines {
    units: Instant,
    containers: Instant,
    scan: Instant,
    /// Also for the packages of projects.
    connections: Instant,
}

impl Deadlines {
    fn new(pace: Pace) -> Self {
        let now = Instant::now();
        match pace {
            Pace::Quick => Self {
                units: now + QUICK_LISTS,
                containers: now + QUICK_LISTS,
                scan: now + QUICK_LISTS,
                connections: now + QUICK_LOOK,
            },
            Pace::Thorough => Self {
                units: now + MAX_UNITS_TIME,
                containers: now + MAX_ENGINES_TIME,
                scan: now + MAX_SCAN,
                connections: now + MAX_UNITS_TIME + MAX_CONNECTIONS_TIME,
            },
        }
    }
}

/// Looks at the machine. What `memory` knows is not asked again. Boxed, because it is large, and rarely used.
pub fn look<'l>(
    options: &'l Options,
    pace: Pace,
    memory: &'l Memory,
) -> Pin<Box<dyn Future<Output = Facts> + Send + 'l>> {
    Box::pin(collect(options, pace, memory))
}

async fn collect(options: &Options, pace: Pace, memory: &Memory) -> Facts {
    let deadlines = Deadlines::new(pace);
    let for_workers = options.procfs.clone();
    let (sockets, workers, units, containers) = tokio::join!(
        list_sockets(options.procfs.clone(), deadlines.scan),
        read_proc(deadlines.scan, move || processes::workers(&for_workers)),
        units::list(&options.bus, deadlines.units),
        containers::list(options.engine.as_deref(), deadlines.containers),
    );
    // A thorough look has waited long enough. What it does not know stays unknown until the next one.
    let is_quick = pace == Pace::Quick;
    let mut facts = Facts {
        pending: Pending {
            units: is_quick && !units.is_complete,
            // Otherwise the ports of containers would be those of the engine, and stay there.
            containers: !containers.is_complete,
            holders: is_quick && !sockets.has_holders,
            details: is_quick && workers.is_err(),
        },
        running: Running {
            units: units.active,
            containers: containers.running,
            ports: sockets.problem.is_none().then(|| sockets.numbers()),
        },
        units: units.units,
        ports: sockets.ports,
        containers: containers.containers,
        job_ports: containers.job_ports,
        workers: workers.unwrap_or_default(),
        gaps: units.gaps,
    };
    facts.gaps.extend(containers.gaps.into_iter().chain(sockets.gaps));
    facts.gaps.extend(sockets.problem);
    let (heard, projects) = tokio::join!(
        hear::hear(&facts, &options.addresses, &memory.heards, deadlines.connections),
        compare::compare(&facts, &options.procfs, &memory.projects, deadlines.connections)
    );
    for port in &mut facts.ports {
        if let Some(heard) = heard.get(&port.number) {
            port.heard = heard.clone();
        }
    }
    let (projects, are_all_compared) = projects;
    for unit in &mut facts.units {
        if let Some(projects) = projects.get(&unit.name) {
            unit.projects.clone_from(projects);
        }
    }
    let is_cut = !are_all_compared || facts.ports.iter().any(|port| port.heard == Heard::NotYet);
    facts.pending.details |= is_quick && is_cut;
    facts
}

/// Lists the sockets. If the search for their holders takes too long, the sockets themselves count.
async fn list_sockets(procfs: PathBuf, deadline: Instant) -> Sockets {
    let (sender, early) = oneshot::channel();
    let listing = read_proc(deadline, move || {
        sockets::list(&procfs, |sockets| drop(sender.send(sockets)))
    });
    let problem = match listing.await {
        Ok(Ok(sockets)) => return sockets,
        Ok(Err(error)) => error.to_string(),
        Err(problem) => problem,
    };
    let mut early = early;
    match early.try_recv() {
        Ok(mut sockets) => {
            let gap = format!("the programs of ports are not known: {problem}");
            sockets.gaps.insert(gap);
            sockets
        }
        Err(_) => Sockets {
            problem: Some(format!("ports are not known: {problem}")),
            ..Sockets::default()
        },
    }
}

/// Reads /proc on a thread that may block. A thread that hangs is not waited for, and not joined by more and more others.
async fn read_proc<T: Send + 'static>(
    deadline: Instant,
    read: impl FnOnce() -> T + Send + 'static,
) -> Result<T, String> {
    let reading = async {
        let permit = SCANS.acquire().await.map_err(|error| error.to_string())?;
        let read = move || {
            let _permit = permit;
            read()
        };
        spawn_blocking(read).await.map_err(|panic| panic.to_string())
    };
    let too_long = |_| Err("reading /proc takes too long".to_owned());
    timeout_at(deadline, reading).await.unwrap_or_else(too_long)
}
