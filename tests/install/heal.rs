//! `--heal`: with a real systemd and a real polkit, the exporter's user may take the configured actions on the units that it heals,
//! and do nothing else.

use std::fs;
use std::process::Output;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::common::systemd::Machine;
use crate::{get, install, machine, main_pid, text};

const RULE: &str = "/etc/polkit-1/rules.d/60-upkeep_exporter.rules";
const EXPORTER: &str = "upkeep_exporter";
const SLEEP: &str = "[Service]\nExecStart=/bin/sleep infinity\n";
/// An instance whose name is escaped by systemd.
const WORKER: &str = r"worker@a\x2db.service";

/// Writes a configuration with a service for every unit and its settings of `heal`.
fn configure(machine: &Machine, units: &[(&str, &str)]) {
    let config = machine.path("/etc/upkeep_exporter/upkeep.yml");
    fs::create_dir_all(config.parent().expect("a folder")).expect("a folder");
    let mut text = "services:\n".to_owned();
    for (index, (unit, heal)) in units.iter().enumerate() {
        text += &format!(
            "  - {{ key: s{index}, heal: {{ {heal} }}, checks: [{{ kind: systemd, unit: '{unit}' }}] }}\n"
        );
    }
    fs::write(&config, text).expect("a configuration");
}

/// Calls a method of systemd's manager over D-Bus as `user`.
fn call(machine: &Machine, user: &str, method: &str) -> Output {
    machine.try_run(&format!(
        "setpriv --reuid={user} --clear-groups busctl call org.freedesktop.systemd1 /org/freedesktop/systemd1 \
         org.freedesktop.systemd1.Manager {method}"
    ))
}

fn is_denied(output: &Output) -> bool {
    let error = text(output);
    !output.status.success()
        && (error.contains("Interactive authentication required") || error.contains("Access denied"))
}

#[track_caller]
fn assert_allowed(machine: &Machine, method: &str) {
    let output = call(machine, EXPORTER, method);
    assert!(output.status.success(), "{method}: {}", text(&output));
}

#[track_caller]
fn assert_denied(machine: &Machine, user: &str, method: &str) {
    let output = call(machine, user, method);
    assert!(is_denied(&output), "{user}: {method}: {}", text(&output));
}

/// polkit loads a changed rule a moment after the change.
#[track_caller]
fn wait_until_denied(machine: &Machine, method: &str) {
    let began = Instant::now();
    while !is_denied(&call(machine, EXPORTER, method)) {
        assert!(
            began.elapsed() < Duration::from_secs(20),
            "{method} stays allowed"
        );
        sleep(Duration::from_millis(100));
    }
}

/// A machine whose exporter may start and restart `a.service`, restart [`WORKER`] and start `absent.service`, which does not exist.
/// It checks `b.service` too, but does not heal it.
fn machine_with_rule() -> Machine {
    let machine = machine();
    for unit in ["a.service", "b.service", "worker@.service"] {
        machine.write_unit(unit, SLEEP);
    }
    configure(
        &machine,
        &[
            ("a.service", "mode: act"),
            ("a.service", "mode: act, action: start"),
            (WORKER, "mode: act"),
            ("absent.service", "mode: act, action: start"),
            ("b.service", "mode: dry-run"),
        ],
    );
    machine.run(&format!("systemctl start a b '{WORKER}'"));
    let output = install(&machine, "--heal");
    for line in [
        format!("installed {RULE}"),
        format!(
            "{RULE} allows the user {EXPORTER}:\n  start a.service\n  restart a.service\n  start absent.service\n  \
             restart {WORKER}\n"
        ),
    ] {
        assert!(output.contains(&line), "{line} is not in:\n{output}");
    }
    machine
}

#[test]
fn the_exporter_may_heal_its_units_only() {
    let machine = machine_with_rule();
    let pid = |unit: &str| machine.run(&format!("systemctl show --value --property=MainPID '{unit}'"));
    for (unit, start) in [("a.service", "StartUnit"), (WORKER, "RestartUnit")] {
        let before = pid(unit);
        assert_allowed(&machine, &format!("RestartUnit ss '{unit}' replace"));
        let began = Instant::now();
        while pid(unit) == before || pid(unit).trim() == "0" {
            assert!(
                began.elapsed() < Duration::from_secs(20),
                "{unit} was not restarted"
            );
            sleep(Duration::from_millis(50));
        }
        machine.run(&format!("systemctl stop '{unit}'"));
        assert_allowed(&machine, &format!("{start} ss '{unit}' replace"));
        machine.run(&format!(
            "systemctl start '{unit}' && systemctl is-active '{unit}'"
        ));
    }

    let before = (pid("a.service"), pid("b.service"));
    let exporter = main_pid(&machine);
    for method in [
        // Other units.
        "RestartUnit ss b.service replace",
        "StartUnit ss b.service replace",
        "RestartUnit ss worker@a-b.service replace",
        "StartUnit ss worker@2.service replace",
        "RestartUnit ss upkeep_exporter.service replace",
        "StartUnit ss reboot.target replace",
        // Other verbs.
        &format!("StartUnit ss '{WORKER}' replace"),
        "RestartUnit ss absent.service replace",
        "StopUnit ss a.service replace",
        "ReloadUnit ss a.service replace",
        "TryRestartUnit ss a.service replace",
        "ReloadOrRestartUnit ss a.service replace",
        "KillUnit ssi a.service all 9",
        "ResetFailedUnit s a.service",
        "FreezeUnit s a.service",
        "CleanUnit sas a.service 1 cache",
        "SetUnitProperties 'sba(sv)' a.service true 1 CPUWeight t 1",
        // A unit that does not exist, with a command of the caller.
        "StartTransientUnit 'ssa(sv)a(sa(sv))' absent.service replace 1 ExecStart 'a(sasb)' 1 /bin/true 1 /bin/true false 0",
        "StartTransientUnit 'ssa(sv)a(sa(sv))' a.service replace 1 ExecStart 'a(sasb)' 1 /bin/true 1 /bin/true false 0",
        // The manager.
        "SetEnvironment as 1 A=B",
        "UnsetEnvironment as 1 PATH",
        "Reload",
        "Reexecute",
        "ClearJobs",
        "ResetFailed",
        "EnableUnitFiles asbb 1 a.service false false",
        "DisableUnitFiles asb 1 a.service false",
        "MaskUnitFiles asbb 1 a.service false false",
        "SetDefaultTarget sb a.target true",
        "SetLogLevel s debug",
        "Reboot",
        "PowerOff",
        "Exit",
    ] {
        assert_denied(&machine, EXPORTER, method);
    }
    for user in ["65534", "polkitd"] {
        assert_denied(&machine, user, "RestartUnit ss a.service replace");
    }
    assert_eq!((pid("a.service"), pid("b.service")), before);
    assert_eq!(main_pid(&machine), exporter);
}

/// What systemd 257 and later request from polkit for StartUnit and StartTransientUnit. The message is the only difference.
#[test]
fn a_transient_unit_with_the_name_of_an_allowed_unit_is_denied() {
    let machine = machine_with_rule();
    let pid = main_pid(&machine);
    let request = |what: &str| {
        machine.try_run(&format!(
            "pkcheck --process {pid} --action-id org.freedesktop.systemd1.manage-units --detail unit absent.service \
             --detail verb start --detail polkit.message \"Authentication is required to start {what}'\\$(unit)'.\""
        ))
    };
    let normal = request("");
    assert!(normal.status.success(), "{}", text(&normal));
    let transient = request("transient unit ");
    assert!(!transient.status.success());
    assert!(
        text(&transient).contains("Authorization requires authentication"),
        "{}",
        text(&transient)
    );
}

#[test]
fn the_rule_follows_the_configuration_and_is_removed() {
    let machine = machine();
    machine.write_unit("a.service", SLEEP);
    machine.write_unit("b.service", SLEEP);
    configure(&machine, &[("a.service", "mode: act")]);
    let restart = |unit: &str| format!("RestartUnit ss {unit}.service replace");
    install(&machine, "");
    machine.run(&format!("! test -e {RULE}"));
    assert_denied(&machine, EXPORTER, &restart("a"));

    install(&machine, "--heal");
    assert_eq!(machine.run(&format!("stat -c '%U %a' {RULE}")).trim(), "root 644");
    let began = Instant::now();
    while !call(&machine, EXPORTER, &restart("a")).status.success() {
        assert!(
            began.elapsed() < Duration::from_secs(20),
            "polkit does not load the rule"
        );
        sleep(Duration::from_millis(100));
    }
    let pid = main_pid(&machine);
    let output = install(&machine, "--heal");
    assert!(output.contains("nothing to change"), "{output}");

    // A reload of the configuration does not change what is allowed, and neither does an upgrade.
    configure(&machine, &[("b.service", "mode: act")]);
    machine.run("systemctl reload upkeep_exporter");
    get(&machine, "/metrics", "unit=\"b.service\"");
    install(&machine, "");
    assert_denied(&machine, EXPORTER, &restart("b"));
    assert_allowed(&machine, &restart("a"));

    let output = install(&machine, "--heal");
    assert!(output.contains(&format!("installed {RULE}")), "{output}");
    assert!(!output.contains("nothing to change"), "{output}");
    assert_eq!(
        main_pid(&machine),
        pid,
        "a new rule does not restart the exporter"
    );
    wait_until_denied(&machine, &restart("a"));
    assert_allowed(&machine, &restart("b"));

    configure(&machine, &[("b.service", "mode: dry-run")]);
    let output = install(&machine, "--heal");
    assert!(
        output.contains("warning: the rule allows nothing: no selected service heals a unit"),
        "{output}"
    );
    wait_until_denied(&machine, &restart("b"));

    configure(&machine, &[("b.service", "mode: act")]);
    install(&machine, "--heal");
    install(&machine, "--uninstall");
    machine.run(&format!("! test -e {RULE}"));
    wait_until_denied(&machine, &restart("b"));
}

#[test]
fn polkit_is_required() {
    let machine = machine();
    machine.run("mv /usr/share/dbus-1/system-services/org.freedesktop.PolicyKit1.service /run/");
    let output = machine.try_run("/run/shared/upkeep/deploy/install.sh --heal");
    assert!(!output.status.success());
    assert!(
        text(&output).contains("polkit not found: --heal needs the package polkitd"),
        "{}",
        text(&output)
    );
    machine.run("! test -e /etc/systemd/system/upkeep_exporter.service");
}
