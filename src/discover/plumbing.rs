//! Which units are parts of the operating system, which no configuration should list. docs/DISCOVER.md has the rule.

use super::facts::Unit;

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

/// Whether a unit is a part of the operating system. `holds_port` says that a program of it listens on a TCP port.
pub fn is_plumbing(unit: &Unit, holds_port: bool) -> bool {
    let is_of_systemd = SYSTEMD_DIRECTORIES
        .iter()
        .any(|directory| unit.program.starts_with(directory));
    let program = unit.program.rsplit('/').next().unwrap_or_default();
    if is_of_systemd || CONSOLES.contains(&program) || is_named_by_chance(unit) {
        return true;
    }
    if holds_port {
        return false;
    }
    // Nobody enabled it: another unit or a message on D-Bus started it. The administrator's own files are elsewhere.
    let is_packaged = PACKAGE_DIRECTORIES
        .iter()
        .any(|directory| unit.file.starts_with(directory));
    let stem = unit.name.split(['.', '@']).next().unwrap_or_default();
    (is_packaged && unit.file_state == "static") || HARDWARE.binary_search(&stem).is_ok()
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
