//! Groups facts to services: a unit, its ports, the servers on them and its workers are one service. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::classify::group;
use super::facts::{Container, Facts, Heard, Port, Server, Unit, Worker};
use super::plumbing::{
    is_forwarded, is_named_as_plumbing, is_of_exporter, is_on_demand, is_plumbing, is_undecided,
    is_unit_of_exporter,
};
use super::port_checks;
use super::service::{Group, Service};
use super::texts::{literal, quote};

/// How many ports of one service get checks, lowest first. A program that holds more opens them for its own use.
const MAX_PORTS: usize = 8;

/// How many services are listed.
pub const MAX_SERVICES: usize = 1000;

/// Groups facts to services, in the order of the file. `allowed` are the addresses, except for loopback, that were connected to.
pub fn services(facts: &Facts, allowed: &[IpAddr]) -> Vec<Service> {
    let is_left_out = |port: &&Port| is_undecided(facts, port) || is_of_exporter(facts, port);
    let left_out = facts.ports.iter().filter(is_left_out);
    let left_out = left_out.map(|port| port.number);
    let mut grouping = Grouping {
        facts,
        allowed,
        // The engine holds the ports of a job only until its end.
        used: left_out.chain(facts.job_ports.iter().copied()).collect(),
        services: Vec::new(),
    };
    grouping.containers();
    grouping.units();
    grouping.programs();
    grouping.workers();
    let mut services = grouping.services;
    let mut known = BTreeSet::new();
    services.retain(|service| !service.checks.is_empty() && known.insert(service.identity.clone()));
    services.sort_by(|a, b| (a.group, &a.identity).cmp(&(b.group, &b.identity)));
    services.truncate(MAX_SERVICES);
    services
}

struct Grouping<'f> {
    facts: &'f Facts,
    allowed: &'f [IpAddr],
    /// The ports that belong to a service or to the system, or whose owner is not known yet.
    used: BTreeSet<u16>,
    services: Vec<Service>,
}

impl<'f> Grouping<'f> {
    fn containers(&mut self) {
        for container in &self.facts.containers {
            let published: BTreeSet<u16> = container.published.iter().map(|(port, _)| *port).collect();
            let ports: Vec<&Port> = self
                .facts
                .ports
                .iter()
                .filter(|port| published.contains(&port.number))
                .collect();
            let names = [container.name.as_str(), container.image.as_str()];
            let group = group(&names, &servers(&ports), Group::Containers);
            let mut service = Service::new(format!("container:{}", container.name), &container.name, group);
            service.describe(&match container.image.as_str() {
                "" => String::new(),
                image => format!("Container of the image {image}"),
            });
            add_container(&mut service, container);
            self.add_ports(&mut service, &ports, None);
            self.services.push(service);
        }
    }

    fn units(&mut self) {
        let facts = self.facts;
        let mut ports: BTreeMap<&str, Vec<&Port>> = BTreeMap::new();
        for port in &facts.ports {
            if let Some(unit) = &port.unit {
                ports.entry(unit).or_default().push(port);
            }
        }
        let holds_own_port = |unit: &Unit| {
            let mut own = ports.get(unit.name.as_str()).into_iter().flatten();
            own.any(|port| !port.is_activated)
        };
        for unit in &facts.units {
            let own: Vec<&Port> = ports
                .get(unit.name.as_str())
                .into_iter()
                .flatten()
                .copied()
                .collect();
            if is_plumbing(unit, !own.is_empty()) || is_unit_of_exporter(facts, &unit.name) {
                self.used.extend(own.iter().map(|port| port.number));
                continue;
            }
            // Its ports stay, as ports without a unit.
            if is_on_demand(unit, holds_own_port(unit)) {
                continue;
            }
            let is_socket = unit.name.ends_with(".socket");
            // It may belong to a service that was not read yet.
            if is_socket && (own.is_empty() || facts.pending.units) {
                continue;
            }
            // A socket belongs to the service that it starts, if that runs.
            let stem = unit.name.trim_end_matches(".socket");
            if is_socket
                && facts.units.iter().any(|other| {
                    other.name == format!("{stem}.service") && !is_on_demand(other, holds_own_port(other))
                })
            {
                continue;
            }
            let socket = format!("{}.socket", unit.name.trim_end_matches(".service"));
            let activated = ports.get(socket.as_str()).into_iter().flatten().copied();
            let all: Vec<&Port> = own
                .iter()
                .copied()
                .chain(activated.filter(|_| !is_socket))
                .collect();
            self.unit(unit, &all);
        }
    }

    fn unit(&mut self, unit: &Unit, ports: &[&Port]) {
        // The ports of a container's proxy belong to the container.
        let ports: Vec<&Port> = ports
            .iter()
            .filter(|port| !self.used.contains(&port.number))
            .copied()
            .collect();
        let mut names = vec![unit.name.as_str(), unit.program.as_str()];
        names.extend(
            ports
                .iter()
                .filter_map(|port| Some(port.program.as_ref()?.name.as_str())),
        );
        let is_worker = self.workers_of(Some(&unit.name)).next().is_some();
        let group = match group(&names, &servers(&ports), Group::Other) {
            _ if is_worker => Group::Workers,
            group => group,
        };
        let name = unit.name.trim_end_matches(".service");
        let mut service = Service::new(format!("unit:{}", unit.name), name, group);
        if unit.description != unit.name {
            service.describe(&unit.description);
        }
        service.check(format!("{{ kind: systemd, unit: {} }}", quote(&unit.name)));
        self.add_ports(&mut service, &ports, Some(&unit.name));
        let workers: Vec<&Worker> = self.workers_of(Some(&unit.name)).collect();
        workers
            .into_iter()
            .for_each(|worker| add_worker(&mut service, worker));
        for project in &unit.projects {
            match &project.obstacle {
                None => service.check(project.check.clone()),
                Some(obstacle) => {
                    service.note(&format!("its packages are not compared: {obstacle}"));
                    service.note(&format!("- {}", project.check));
                }
            }
        }
        self.services.push(service);
    }

    /// Programs without a unit that hold ports.
    fn programs(&mut self) {
        let mut by_program: BTreeMap<String, Vec<&'f Port>> = BTreeMap::new();
        for port in &self.facts.ports {
            if self.used.contains(&port.number) || is_forwarded(port) {
                continue;
            }
            let unit = port.unit.as_deref().filter(|unit| unit.ends_with(".service"));
            if unit.is_some_and(is_named_as_plumbing) {
                continue;
            }
            let identity = match (unit, &port.program) {
                // Of a user's manager, or systemd did not respond. The next look may know the unit.
                (Some(unit), _) => format!("unit:{unit}"),
                (None, Some(program)) => {
                    let script = program.script.as_deref().unwrap_or_default();
                    format!("program:{}:{script}", program.name)
                }
                (None, None) => format!("port:{:05}", port.number),
            };
            by_program.entry(identity).or_default().push(port);
        }
        for (identity, ports) in by_program {
            let program = ports.first().and_then(|port| port.program.as_ref());
            let unit = identity.strip_prefix("unit:").map(str::to_owned);
            let name = match (&unit, program, ports.first()) {
                (Some(unit), ..) => unit.trim_end_matches(".service").to_owned(),
                (None, Some(program), _) => program.script.clone().unwrap_or_else(|| program.name.clone()),
                (None, None, Some(port)) => format!("port {}", port.number),
                (None, None, None) => continue,
            };
            let program_name = program.map(|program| program.name.as_str());
            let names: Vec<&str> = unit.as_deref().into_iter().chain(program_name).collect();
            let group = group(&names, &servers(&ports), Group::Other);
            let mut service = Service::new(identity, &name, group);
            self.add_ports(&mut service, &ports, unit.as_deref());
            let has_process_check = program
                .filter(|program| unit.is_none() && !program.is_ancestor && !service.checks.is_empty());
            if let Some(program) = has_process_check {
                service.check(process_check(&program.name, program.script.as_deref()));
            }
            self.services.push(service);
        }
    }

    /// Celery workers without a unit that is listed.
    fn workers(&mut self) {
        let facts = self.facts;
        for worker in &facts.workers {
            let is_listed = |unit: &String| {
                let identity = format!("unit:{unit}");
                self.services.iter().any(|service| service.identity == identity)
            };
            let is_pending = facts.pending.units && worker.unit.is_some();
            if is_pending || worker.unit.as_ref().is_some_and(is_listed) {
                continue;
            }
            let name = format!("celery {}", worker.app);
            let mut service = Service::new(format!("worker:{}", worker.app), name.trim_end(), Group::Workers);
            add_worker(&mut service, worker);
            if !self
                .services
                .iter()
                .any(|other| other.identity == service.identity)
            {
                self.services.push(service);
            }
        }
    }

    fn workers_of(&self, unit: Option<&str>) -> impl Iterator<Item = &'f Worker> + use<'f> {
        let unit = unit.map(str::to_owned);
        self.facts
            .workers
            .iter()
            .filter(move |worker| worker.unit == unit)
    }

    fn add_ports(&mut self, service: &mut Service, ports: &[&Port], unit: Option<&str>) {
        self.used.extend(ports.iter().map(|port| port.number));
        for port in ports.iter().take(MAX_PORTS) {
            let is_verifiable = port.is_unit_visible && port.unit.as_deref() == unit && !port.is_activated;
            let unit = unit.filter(|_| is_verifiable);
            port_checks::add(service, port, unit, self.allowed);
        }
        if ports.len() > MAX_PORTS {
            service.note("it holds more ports than have checks here");
        }
    }
}

/// The servers that answered.
fn servers<'f>(ports: &[&'f Port]) -> Vec<&'f Server> {
    let server = |port: &&'f Port| match &port.heard {
        Heard::Server(server) => Some(server),
        _ => None,
    };
    ports.iter().filter_map(server).collect()
}

fn add_container(service: &mut Service, container: &Container) {
    let check = format!(
        "{{ kind: docker, container: {}, host: {} }}",
        quote(&container.name),
        quote(&container.host)
    );
    if container.is_unhealthy {
        service.note("its health check fails now, so its check is left out:");
        service.note(&format!("- {check}"));
    } else {
        service.check(check);
    }
}

fn add_worker(service: &mut Service, worker: &Worker) {
    let mut expressions = vec![quote("(^|[ /])celery( |$)"), quote(" worker( |$)")];
    if !worker.app.is_empty() {
        expressions.push(quote(&literal(&worker.app)));
    }
    service.check(format!(
        "{{ kind: process, cmdline_regex: [{}] }}",
        expressions.join(", ")
    ));
    service
        .note("Celery worker. With the URL of its broker, this checks more: kind: celery, broker_url: URL");
}

/// A check of a process by its exact name, or by the script that it runs.
fn process_check(name: &str, script: Option<&str>) -> String {
    let expression = match script {
        Some(script) => format!("[ /]{}( |$)", literal(script)),
        None => format!("^{}$", literal(name)),
    };
    format!("{{ kind: process, regex: {} }}", quote(&expression))
}
