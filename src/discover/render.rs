//! Writes services as a commented configuration. Pure: equal services give equal texts.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use super::service::Service;
use super::texts::{comment, quote};
use crate::config::{key_from_name, parse};

/// The beginning of a file.
const HEADER: &str = "\
# The services of this machine, as found by `upkeep_exporter discover`. Change it as you like: docs/CONFIGURATION.md has all keys.
# Start it with:   upkeep_exporter --config.file=FILE
# Later, this lists what is new or gone:   upkeep_exporter discover --diff FILE
";

/// The service of the machine itself. A healthy machine does not reach its limits.
const MACHINE: &str = "
  # The machine: CPU, memory, load and pressure. Add limits to be warned earlier, such as disks: [{ mount: /, free_above: 10% }].
  - key: machine
    name: This machine
    group: machine
    tier: tolerant
    checks:
      - { kind: host, memory_available_above: 2%, file_descriptors_below: 90% }
";

/// The processes of the machine, where nothing else was found.
const PROCESSES: &str = "
  # Nothing else was found, so all processes are one service. A container may have no other process, so min is 0.
  - key: processes
    name: Processes of this machine
    group: machine
    tier: tolerant
    checks:
      - { kind: process, regex: \".\", min: 0, max: 100000 }
";

/// Keys that are used without a discovery.
const RESERVED: [&str; 3] = ["machine", "processes", "upkeep_exporter"];

/// Services with their keys, by identity.
pub type Keyed = BTreeMap<String, String>;

/// Gives a key to each service that has none in `keyed`.
pub fn assign_keys(services: &[Service], keyed: &mut Keyed) {
    let mut used: BTreeSet<String> = keyed.values().cloned().collect();
    used.extend(RESERVED.map(str::to_owned));
    // An engine may respond later than everything else. That must not decide which of two services has which key.
    let mut ordered: Vec<&Service> = services.iter().collect();
    ordered.sort_by_key(|service| service.identity.starts_with("container:"));
    for service in ordered {
        if keyed.contains_key(&service.identity) {
            continue;
        }
        let base = key_from_name(&service.name).unwrap_or_else(|| "service".to_owned());
        // With its number, a key must not be too long.
        let base: String = base.chars().take(56).collect();
        let base = base.trim_end_matches('-').to_owned();
        let mut key = base.clone();
        for number in 2.. {
            if used.insert(key.clone()) {
                break;
            }
            key = format!("{base}-{number}");
        }
        keyed.insert(service.identity.clone(), key);
    }
}

/// A complete file.
pub fn file(services: &[Service], gaps: &BTreeSet<String>) -> String {
    let mut keyed = Keyed::new();
    assign_keys(services, &mut keyed);
    let mut text = HEADER.to_owned();
    if !gaps.is_empty() {
        text.push_str("#\n# What could not be seen:\n");
        for gap in gaps {
            let _ = writeln!(text, "# - {}", comment(gap));
        }
    }
    text.push_str("\nservices:");
    text.push_str(MACHINE);
    let list = list(services, &keyed);
    if list.is_empty() {
        text.push_str(PROCESSES);
    }
    text + &list
}

/// The services as entries of the list `services`. A service that the configuration would reject is a comment.
pub fn list(services: &[Service], keyed: &Keyed) -> String {
    let all: Vec<String> = services.iter().map(|service| entry(service, keyed)).collect();
    let is_valid =
        |entries: &str| entries.is_empty() || parse(&format!("services:{entries}"), "(discovered)").is_ok();
    let mut text = String::new();
    let are_all_valid = is_valid(&all.concat());
    let mut group = None;
    for (service, entry) in services.iter().zip(all) {
        if !are_all_valid && !is_valid(&entry) {
            let _ = writeln!(
                text,
                "\n  # {} can't be written in a configuration",
                comment(&service.name)
            );
            continue;
        }
        if group.replace(service.group) != Some(service.group) {
            let name = service.group.as_str();
            let _ = write!(text, "\n  # ---- {name}");
        }
        text.push_str(&entry);
    }
    text
}

fn entry(service: &Service, keyed: &Keyed) -> String {
    let mut text = "\n".to_owned();
    let key = keyed.get(&service.identity).map_or("service", String::as_str);
    let _ = writeln!(text, "  - key: {}", quote(key));
    let _ = writeln!(text, "    name: {}", quote(&service.name));
    let _ = writeln!(text, "    group: {}", service.group.as_str());
    if !service.description.is_empty() {
        let _ = writeln!(text, "    description: {}", quote(&service.description));
    }
    text.push_str("    checks:\n");
    for check in &service.checks {
        let _ = writeln!(text, "      - {check}");
    }
    for note in &service.notes {
        let _ = writeln!(text, "      # {}", comment(note));
    }
    text
}
