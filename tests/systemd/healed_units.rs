//! Services with units of a real systemd, and what happens to the units.

use crate::common::systemd::Machine;

/// A unit that runs until it is killed.
pub const SLEEP: &str = "[Service]\nExecStart=/bin/sleep infinity\n";

/// The unit of a service.
pub fn unit(key: &str) -> String {
    format!("sg-{key}.service")
}

/// A service that is healed, as one line of a configuration. `heal` and `rest` are more keys, each with a comma before it.
pub fn healed(machine: &Machine, key: &str, heal: &str, rest: &str) -> String {
    let check = unit_check(machine, &unit(key));
    format!("  - {{ key: {key}, heal: {{ mode: act{heal} }}, checks: [{check}]{rest} }}\n")
}

/// A check of a unit of the machine, as a flow mapping.
pub fn unit_check(machine: &Machine, unit: &str) -> String {
    let address = machine.bus_address();
    format!("{{ kind: systemd, unit: {unit}, bus_address: '{address}' }}")
}

/// Services that are always up, so that the others that fail are not more than half of all.
pub fn up(machine: &Machine, count: usize) -> String {
    let check = unit_check(machine, "dbus.service");
    let services = (0..count).map(|number| format!("  - {{ key: up{number}, checks: [{check}] }}\n"));
    services.collect()
}

/// Writes and starts the units of these services.
pub async fn start_units(machine: &'static Machine, keys: &[&str]) {
    for key in keys {
        machine.write_unit(&unit(key), SLEEP);
    }
    systemctl(machine, "start", keys).await;
}

/// Kills the processes of the units of these services.
pub async fn crash(machine: &'static Machine, keys: &[&str]) {
    systemctl(machine, "kill --signal=KILL", keys).await;
}

/// Runs `systemctl` on the units of these services.
pub async fn systemctl(machine: &'static Machine, verb: &str, keys: &[&str]) {
    let units: Vec<String> = keys.iter().map(|key| unit(key)).collect();
    inside(machine, format!("systemctl {verb} {}", units.join(" "))).await;
}

/// What systemd records about the last start of a unit. It changes with every start.
pub async fn last_start(machine: &'static Machine, key: &str) -> String {
    let properties = "-p InvocationID -p NRestarts -p ActiveEnterTimestampMonotonic";
    inside(machine, format!("systemctl show {properties} {}", unit(key))).await
}

/// Runs a command in the machine without blocking the runtime, and returns its output.
async fn inside(machine: &'static Machine, command: String) -> String {
    let run = tokio::task::spawn_blocking(move || machine.run(&command));
    run.await.unwrap()
}
