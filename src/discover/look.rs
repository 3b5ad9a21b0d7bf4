//! One look at the machine. All sources are read at the same time, then the ports are connected to.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::pin::Pin;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout, timeout_at};

use super::facts::{Container, Facts, Heard, Port, Project, Server};
use super::handshake::{Handshake, Talker, choose};
use super::pages::{health_page, is_success};
use super::plumbing::{is_forwarded, is_plumbing};
use super::{containers, port_checks, processes, projects, sockets, units};
use crate::check::CheckContext;
use crate::config::systemd::BusAddress;

/// How many connections are open at once.
const MAX_CONNECTIONS: usize = 64;

/// How many projects are compared at once. They read many files.
const MAX_PROJECTS: usize = 4;

/// How long connections and comparisons may take without another limit: 2,000 ports that do not respond, 64 at once.
const MAX_TIME: Duration = Duration::from_secs(60);

/// How long the units and containers may take without another limit.
const MAX_LISTING: Duration = Duration::from_secs(15);

/// How long reading /proc may take. A search of holders takes at most 5 s, but the command line of a process that hangs in the kernel
/// can't be read, and the start of the exporter and its reloads must not wait for that.
const MAX_SCAN: Duration = Duration::from_secs(12);

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
    /// How long the lists of units and containers, and then connections and comparisons, may take. What is not known by then is left
    /// out.
    pub max_time: Option<Duration>,
}

/// A port and its holder.
pub type PortOwner = (u16, Option<String>);

/// What answered in earlier looks. These ports are not connected to again.
pub type Heards = BTreeMap<PortOwner, Heard>;

/// Looks at the machine. Ports in `heards` are not connected to. Boxed, because it is large, and rarely used.
pub fn look<'l>(
    options: &'l Options,
    heards: &'l Heards,
) -> Pin<Box<dyn Future<Output = Facts> + Send + 'l>> {
    Box::pin(collect(options, heards))
}

async fn collect(options: &Options, heards: &Heards) -> Facts {
    let max_listing = options.max_time.unwrap_or(MAX_LISTING);
    let (for_sockets, for_workers) = (options.procfs.clone(), options.procfs.clone());
    let (sockets, workers, units, containers) = tokio::join!(
        read_proc(move || sockets::list(&for_sockets)),
        read_proc(move || processes::workers(&for_workers)),
        units::list(&options.bus, max_listing),
        containers::list(options.engine.clone(), max_listing),
    );
    let mut facts = Facts {
        workers: workers.unwrap_or_default(),
        containers: containers.containers,
        ..Facts::default()
    };
    facts.gaps.extend(units.gaps.into_iter().chain(containers.gaps));
    match sockets {
        Ok(Ok(sockets)) => {
            facts.gaps.extend(sockets.gaps);
            facts.ports = sockets.ports;
        }
        Ok(Err(error)) => drop(facts.gaps.insert(format!("ports are not known: {error}"))),
        Err(problem) => drop(facts.gaps.insert(format!("ports are not known: {problem}"))),
    }
    let directories: BTreeMap<String, String> = units
        .units
        .iter()
        .map(|(unit, directory)| (unit.name.clone(), directory.clone()))
        .collect();
    facts.units = units.units.into_iter().map(|(unit, _)| unit).collect();
    let deadline = Instant::now() + options.max_time.unwrap_or(MAX_TIME);
    let (heard, projects) = tokio::join!(
        hear(&facts, options, heards, deadline),
        compare(&facts, &directories, options, deadline)
    );
    for port in &mut facts.ports {
        if let Some(heard) = heard.get(&port.number) {
            port.heard = heard.clone();
        }
    }
    for unit in &mut facts.units {
        if let Some(projects) = projects.get(&unit.name) {
            unit.projects.clone_from(projects);
        }
    }
    facts
}

/// Reads /proc on a thread that may block. A thread that hangs is not waited for, and not joined by more and more others.
async fn read_proc<T: Send + 'static>(read: impl FnOnce() -> T + Send + 'static) -> Result<T, String> {
    let reading = async {
        let permit = SCANS.acquire().await.map_err(|error| error.to_string())?;
        let read = move || {
            let _permit = permit;
            read()
        };
        spawn_blocking(read).await.map_err(|panic| panic.to_string())
    };
    let too_long = |_| Err(format!("reading /proc took longer than {} s", MAX_SCAN.as_secs()));
    timeout(MAX_SCAN, reading).await.unwrap_or_else(too_long)
}

/// The port with its holder, by which it is known in later looks.
pub fn owner(port: &Port) -> PortOwner {
    let program = || port.program.as_ref().map(|program| program.name.clone());
    (port.number, port.unit.clone().or_else(program))
}

/// Whether an answer is final. A server that is starting may respond otherwise later, and one on a busy machine too late.
pub fn is_final(heard: &Heard) -> bool {
    match heard {
        Heard::NotAsked | Heard::Refused | Heard::Silent => false,
        Heard::Server(Server::Http(server)) => health_page(server).is_some_and(is_success),
        Heard::Server(_) => true,
    }
}

fn is_of_the_system(facts: &Facts, port: &Port) -> bool {
    let Some(name) = &port.unit else { return false };
    let unit = facts.units.iter().find(|unit| unit.name == *name);
    unit.is_some_and(|unit| is_plumbing(unit, true))
}

/// Connects to each port once.
async fn hear(facts: &Facts, options: &Options, heards: &Heards, deadline: Instant) -> BTreeMap<u16, Heard> {
    let mut found = BTreeMap::new();
    let mut wanted: Vec<(u16, SocketAddr, Handshake)> = Vec::new();
    for port in &facts.ports {
        if let Some(known) = heards.get(&owner(port)) {
            found.insert(port.number, known.clone());
            continue;
        }
        let address = port_checks::address(port, &options.addresses);
        let has_no_check = port_checks::is_ephemeral(port.number) || is_forwarded(port);
        let is_left_alone = port.is_activated || has_no_check || is_of_the_system(facts, port);
        if let Some(address) = address.filter(|_| !is_left_alone) {
            wanted.push((port.number, address, handshake_of(port, &facts.containers)));
        }
    }
    let talker = Talker::default();
    let asks = stream::iter(wanted).map(|(number, address, handshake)| {
        let talker = talker.clone();
        async move { (number, talker.ask(address, handshake).await) }
    });
    let mut asks = asks.buffer_unordered(MAX_CONNECTIONS);
    while let Ok(Some((number, heard))) = timeout_at(deadline, asks.next()).await {
        found.insert(number, heard);
    }
    found
}

fn handshake_of(port: &Port, containers: &[Container]) -> Handshake {
    let published = |container: &Container| {
        let mut ports = container.published.iter();
        ports
            .find(|(public, _)| *public == port.number)
            .map(|(_, private)| *private)
    };
    let container = containers
        .iter()
        .find_map(|container| Some((container, published(container)?)));
    // The proxy of an engine holds the port of a container, so its name says nothing.
    if let Some((container, private)) = container {
        return choose(private, &[&container.image, &container.name]);
    }
    let mut names: Vec<&str> = Vec::new();
    if let Some(program) = &port.program {
        names.push(&program.name);
        names.extend(program.script.as_deref());
    }
    names.extend(port.unit.as_deref());
    choose(port.number, &names)
}

/// Compares the packages of the projects of units, by the name of the unit.
async fn compare(
    facts: &Facts,
    directories: &BTreeMap<String, String>,
    options: &Options,
    deadline: Instant,
) -> BTreeMap<String, Vec<Project>> {
    let context = CheckContext::new(options.procfs.clone());
    let watched = facts.units.iter().filter(|unit| !is_plumbing(unit, true));
    let wanted: Vec<(String, String, String)> = watched
        .map(|unit| {
            let directory = directories.get(&unit.name).cloned().unwrap_or_default();
            (unit.name.clone(), directory, unit.program.clone())
        })
        .collect();
    let finds = stream::iter(wanted).map(|(unit, directory, program)| {
        let context = context.clone();
        async move { (unit, projects::find(directory, program, &context).await) }
    });
    let mut finds = finds.buffer_unordered(MAX_PROJECTS);
    let mut found = BTreeMap::new();
    while let Ok(Some((unit, projects))) = timeout_at(deadline, finds.next()).await {
        if !projects.is_empty() {
            found.insert(unit, projects);
        }
    }
    found
}
