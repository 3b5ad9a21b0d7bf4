//! Which units are parts of the operating system, which no configuration should list. docs/DISCOVER.md has the rule. Also which ports
//! belong to somebody else than the program that holds them.

use super::facts::{Facts, Port, Unit};

/// Where systemd's own programs are.
const SYSTEMD_DIRECTORIES: [&str; 2] = ["/lib/systemd/", "/usr/lib/systemd/"];

/// Where packages put unit files.
const PACKAGE_DIRECTORIES: [&str; 2] = ["/lib/systemd/system/", "/usr/lib/systemd/system/"];

/// Programs that only log people in.
const CONSOLES: [&str; 3] = ["agetty", "login", "mingetty"];

/// Services that packages enable, and that serve the hardware or the desktop of this machine and nothing else. Sorted.
const HARDWARE: [&str; 27] = [
    "ModemManager",
    "NetworkManager",
    "accounts-daemon",
    "acpid",
    "bluetooth",
    "colord",
    "dbus-broker",
    "fwupd",
    "gdm",
    "haveged",
    "irqbalance",
    "lightdm",
    "low-memory-monitor",
    "multipathd",
    "networkd-dispatcher",
    "packagekit",
    "power-profiles-daemon",
    "rngd",
    "rtkit-daemon",
    "sddm",
    "snapd",
    "switcheroo-control",
    "thermald",
    "udisks2",
    "unattended-upgrades",
    "upower",
    "wpa_supplicant",
];

/// Services that stop by themselves when nobody uses them, although they are enabled, if a socket starts them again. Sorted.
const IDLE: [&str; 2] = ["cups", "libvirtd"];

/// The name of the exporter's program, of its process (at most 15 bytes) and of its unit.
pub const EXPORTER: &str = "upkeep_exporter";

/// The beginnings of the names of programs that hold the published ports of containers.
const ENGINE_PROGRAMS: [&str; 9] = [
    "conmon",
    "containerd",
    "containers-root",
    "docker",
    "pasta",
    "podman",
    "rootlesskit",
    "rootlessport",
    "slirp4netns",
];

/// The beginnings of the names of units in which engines run.
const ENGINE_UNITS: [&str; 4] = ["containerd", "docker", "libpod", "podman"];

/// Whether a unit is a part of the operating system, or an exporter such as this one. `holds_port` says that a program of it listens on a TCP port.
pub fn is_plumbing(unit: &Unit, holds_port: bool) -> bool {
    let is_of_systemd = SYSTEMD_DIRECTORIES
        .iter()
        .any(|directory| unit.program.starts_with(directory));
    let program = unit.program.rsplit('/').next().unwrap_or_default();
    let stem = unit.name.split(['.', '@']).next().unwrap_or_default();
    if IDLE.binary_search(&stem).is_ok() && is_triggered_by(unit, ".socket") {
        return true;
    }
    if is_of_systemd
        || unit.is_exporter
        || is_named_as_exporter(&unit.name)
        || CONSOLES.contains(&program)
        || is_named_by_chance(unit)
    {
        return true;
    }
    if holds_port {
        return false;
    }
    if ends_by_itself(unit) {
        return true;
    }
    // Nobody enabled it: another unit or a message on D-Bus started it. The administrator's own files are elsewhere.
    let is_packaged = PACKAGE_DIRECTORIES
        .iter()
        .any(|directory| unit.file.starts_with(directory));
    (is_packaged && unit.file_state == "static") || HARDWARE.binary_search(&stem).is_ok()
}

/// Whether the service is a job that ends: a timer or a change of a file starts it, or a command such as `systemd-run`.
fn ends_by_itself(unit: &Unit) -> bool {
    unit.file_state == "transient" || is_triggered_by(unit, ".timer") || is_triggered_by(unit, ".path")
}

/// Whether a service may stop by design, because its socket starts it again: nobody enabled the service itself, and it holds no port
/// of its own. This includes the services that a socket starts for each connection.
pub fn is_on_demand(unit: &Unit, holds_own_port: bool) -> bool {
    !holds_own_port && !unit.file_state.starts_with("enabled") && is_triggered_by(unit, ".socket")
}

fn is_triggered_by(unit: &Unit, suffix: &str) -> bool {
    unit.triggers.iter().any(|trigger| trigger.ends_with(suffix))
}

/// Whether a login over SSH holds the port, for X11 or with `ssh -R`. It ends with the login, and leads to another machine.
pub fn is_forwarded(port: &Port) -> bool {
    let unit = port.unit.as_deref().unwrap_or_default();
    // Without privileges, the program is not known.
    let is_ssh = port
        .program
        .as_ref()
        .is_none_or(|program| program.name.starts_with("sshd"));
    is_ssh && unit.starts_with("session-") && unit.ends_with(".scope")
}

/// Whether a unit that systemd did not describe is a part of the system, by its name.
pub fn is_named_as_plumbing(name: &str) -> bool {
    let stem = name.split(['.', '@']).next().unwrap_or_default();
    name.starts_with("systemd-")
        || name.starts_with("user@")
        || is_named_as_exporter(name)
        || IDLE.binary_search(&stem).is_ok()
        || is_named_by_systemd_run(stem)
}

fn is_named_as_exporter(unit: &str) -> bool {
    unit.split(['.', '@']).next() == Some(EXPORTER)
}

/// Whether an exporter such as this one holds the port. It may run only while discovery looks.
pub fn is_of_exporter(facts: &Facts, port: &Port) -> bool {
    let is_of_unit = |unit: &str| is_unit_of_exporter(facts, unit);
    port.program.as_ref().is_some_and(|program| program.is_exporter)
        || port.unit.as_deref().is_some_and(is_of_unit)
}

/// Whether the unit is an exporter such as this one, or the socket of one.
pub fn is_unit_of_exporter(facts: &Facts, name: &str) -> bool {
    let is_its_own = |unit: &Unit| unit.name == name || unit.triggers.iter().any(|trigger| trigger == name);
    let mut exporters = facts.units.iter().filter(|unit| unit.is_exporter);
    is_named_as_exporter(name) || exporters.any(is_its_own)
}

/// Whether `systemd-run` chose the name: `run-rID`, `run-uNUMBER`, `run-pPROCESS-iNUMBER`. Its command ends, also that of a user.
fn is_named_by_systemd_run(stem: &str) -> bool {
    let are_all = |text: &str, is: fn(&char) -> bool| !text.is_empty() && text.chars().all(|c| is(&c));
    let Some(rest) = stem.strip_prefix("run-") else {
        return false;
    };
    match (rest.get(..1), rest.get(1..)) {
        (Some("r"), Some(id)) => id.len() == 32 && are_all(id, char::is_ascii_hexdigit),
        (Some("u"), Some(number)) => are_all(number, char::is_ascii_digit),
        (Some("p"), Some(numbers)) => numbers.split_once("-i").is_some_and(|(process, number)| {
            are_all(process, char::is_ascii_digit) && are_all(number, char::is_ascii_digit)
        }),
        _ => false,
    }
}

/// Whether a look did not wait for what decides to whom the port belongs.
pub fn is_undecided(facts: &Facts, port: &Port) -> bool {
    let has_service = port
        .unit
        .as_deref()
        .is_some_and(|unit| unit.ends_with(".service"));
    let is_published = || {
        let mut published = facts.containers.iter().flat_map(|container| &container.published);
        published.any(|(public, _)| *public == port.number)
    };
    (facts.pending.units && port.is_activated)
        || (facts.pending.holders && !has_service)
        || (facts.pending.containers && is_of_engine(port) && !is_published())
}

/// Whether an engine may hold the port for a container.
fn is_of_engine(port: &Port) -> bool {
    let program = port.program.as_ref().map(|program| program.name.as_str());
    let starts_with = |name: Option<&str>, parts: &[&str]| {
        name.is_some_and(|name| parts.iter().any(|part| name.starts_with(part)))
    };
    starts_with(program, &ENGINE_PROGRAMS) || starts_with(port.unit.as_deref(), &ENGINE_UNITS)
}

/// Whether the name is different after each start: that of a user's manager, or of a command in `systemd-run`.
fn is_named_by_chance(unit: &Unit) -> bool {
    unit.name.starts_with("user@") || (unit.name.starts_with("run-") && unit.file_state == "transient")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(name: &str, program: &str, file: &str, file_state: &str) -> Unit {
        Unit {
            name: name.to_owned(),
            program: program.to_owned(),
            file: file.to_owned(),
            file_state: file_state.to_owned(),
            ..Unit::default()
        }
    }

    #[test]
    fn the_list_is_sorted() {
        assert!(HARDWARE.is_sorted());
    }

    #[test]
    fn parts_of_the_system_are_recognized() {
        let lib = "/usr/lib/systemd/system/x";
        for (name, program, file, state) in [
            (
                "systemd-journald.service",
                "/usr/lib/systemd/systemd-journald",
                lib,
                "static",
            ),
            ("user@1000.service", "/lib/systemd/systemd", lib, "static"),
            ("getty@tty1.service", "/sbin/agetty", lib, "enabled"),
            ("dbus.service", "/usr/bin/dbus-daemon", lib, "static"),
            (
                "polkit.service",
                "/usr/lib/polkit-1/polkitd",
                "/lib/systemd/system/p",
                "static",
            ),
            (
                "NetworkManager.service",
                "/usr/sbin/NetworkManager",
                lib,
                "enabled",
            ),
            ("run-r0123456789abcdef.service", "/usr/bin/sleep", "", "transient"),
        ] {
            assert!(is_plumbing(&unit(name, program, file, state), false), "{name}");
        }
    }

    #[test]
    fn services_are_not_parts_of_the_system() {
        let own = "/etc/systemd/system/x";
        for (name, program, file, state, holds_port) in [
            (
                "nginx.service",
                "/usr/sbin/nginx",
                "/lib/systemd/system/nginx.service",
                "enabled",
                true,
            ),
            (
                "cron.service",
                "/usr/sbin/cron",
                "/lib/systemd/system/cron.service",
                "enabled",
                false,
            ),
            // Without [Install], but the administrator's own.
            ("worker.service", "/srv/app/worker", own, "static", false),
            ("runner.service", "/srv/runner", own, "disabled", false),
            ("run-backups.service", "/srv/x", own, "disabled", false),
            // A package's, started by another unit, but it serves.
            (
                "postgresql@17-main.service",
                "/usr/bin/pg_ctlcluster",
                "/lib/systemd/system/p@.service",
                "static",
                true,
            ),
            ("unknown.service", "", "", "", false),
        ] {
            assert!(
                !is_plumbing(&unit(name, program, file, state), holds_port),
                "{name}"
            );
        }
    }

    /// The units of users, and all units while systemd does not respond, are known by their names only.
    #[test]
    fn commands_of_systemd_run_are_recognized_by_their_names() {
        for (name, expected) in [
            ("run-r0123456789abcdef0123456789abcdef.service", true),
            ("run-u123.service", true),
            ("run-p12345-i6789.service", true),
            ("run-backups.service", false),
            ("run-pace.service", false),
            ("run-r.service", false),
            ("run-u.service", false),
            ("run-ü.service", false),
            ("shop.service", false),
        ] {
            assert_eq!(is_named_as_plumbing(name), expected, "{name}");
        }
    }

    /// A job that runs while discovery looks has no check, because it would be down when the job is done.
    #[test]
    fn services_that_end_by_design_are_left_out() {
        for (name, state, trigger, is_left_out) in [
            ("backup.service", "static", "backup.timer", true),
            ("anacron.service", "enabled", "anacron.timer", true),
            ("import.service", "static", "import.path", true),
            ("nightly.service", "transient", "", true),
            ("libvirtd.service", "enabled", "libvirtd.socket", true),
            ("docker.service", "enabled", "docker.socket", false),
            ("shop.service", "enabled", "", false),
        ] {
            let mut unit = unit(name, "/usr/bin/x", "/etc/systemd/system/x", state);
            unit.triggers = vec![trigger.to_owned()];
            assert_eq!(is_plumbing(&unit, false), is_left_out, "{name}");
            assert!(!is_on_demand(&unit, false) || is_left_out, "{name}");
        }
        let mut lazy = unit(
            "lazy@1-127.0.0.1:7-127.0.0.1:8.service",
            "/srv/x",
            "/etc/systemd/system/x",
            "static",
        );
        lazy.triggers = vec!["lazy.socket".to_owned()];
        assert!(is_on_demand(&lazy, false) && !is_on_demand(&lazy, true));
    }

    /// What systemd itself serves, such as names on port 53, is a part of the system too.
    #[test]
    fn ports_of_systemd_are_parts_of_the_system() {
        let resolved = unit(
            "systemd-resolved.service",
            "/usr/lib/systemd/systemd-resolved",
            "",
            "enabled",
        );
        assert!(is_plumbing(&resolved, true));
    }
}
