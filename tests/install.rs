//! The shipped service: installed, upgraded and removed with a real systemd.

mod common;

#[path = "install/heal.rs"]
mod heal;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::thread::sleep;
use std::time::{Duration, Instant};

use common::systemd::Machine;

/// The project directory on the test machine.
const PROJECT: &str = "/run/shared/upkeep";

fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn text(output: &Output) -> String {
    let all = [&output.stdout[..], &output.stderr[..]].concat();
    String::from_utf8_lossy(&all).into_owned()
}

/// A machine with the files that the install script needs.
fn machine() -> Machine {
    let machine = Machine::boot();
    let copy = machine.shared_directory().join("upkeep");
    fs::create_dir_all(copy.join("target/release")).expect("a directory");
    for folder in ["deploy", "config"] {
        let status = Command::new("cp")
            .arg("-R")
            .arg(project().join(folder))
            .arg(&copy)
            .status();
        assert!(status.is_ok_and(|status| status.success()), "copying {folder}/");
    }
    fs::copy(
        env!("CARGO_BIN_EXE_upkeep_exporter"),
        copy.join("target/release/upkeep_exporter"),
    )
    .expect("the binary");
    machine
}

fn install(machine: &Machine, arguments: &str) -> String {
    machine.run(&format!("{PROJECT}/deploy/install.sh {arguments} 2>&1"))
}

fn main_pid(machine: &Machine) -> u32 {
    let shown = machine.run("systemctl show --value --property=MainPID upkeep_exporter");
    shown.trim().parse().expect("a PID")
}

/// Files, user and group of the exporter on the machine.
fn traces(machine: &Machine) -> Vec<String> {
    let found = machine.run(
        "find /etc /opt /run /usr /var -xdev -name '*upkeep_exporter*' | sort; getent passwd upkeep_exporter || :; getent group upkeep_exporter || :",
    );
    found.lines().map(str::to_owned).collect()
}

/// Waits until the response for `path` contains `wanted`, and returns the response.
fn get(machine: &Machine, path: &str, wanted: &str) -> String {
    let began = Instant::now();
    loop {
        let answer = text(&machine.try_run(&format!(
            "exec 2>&1; bash -c 'exec 3<>/dev/tcp/127.0.0.1/10100 && \
             printf \"GET {path} HTTP/1.0\\r\\nHost: localhost\\r\\n\\r\\n\" >&3 && cat <&3'"
        )));
        if answer.contains(wanted) {
            return answer;
        }
        let journal = || machine.run("journalctl -u upkeep_exporter --no-pager");
        assert!(
            began.elapsed() < Duration::from_secs(30),
            "{path} does not contain {wanted}:\n{answer}\n{}",
            journal()
        );
        sleep(Duration::from_millis(100));
    }
}

#[test]
fn it_is_installed_upgraded_and_removed() {
    let machine = machine();
    let before = traces(&machine);

    let output = install(&machine, "");
    assert!(
        output.contains("upkeep_exporter is running. Status page: http://localhost:10100/"),
        "{output}"
    );
    machine.run("systemctl is-active upkeep_exporter && systemctl is-enabled upkeep_exporter");
    machine.run("systemd-analyze verify /etc/systemd/system/upkeep_exporter.service 2>&1 | grep upkeep_exporter && exit 1 || :");
    let pid = main_pid(&machine);
    assert_eq!(
        machine.run(&format!("ps -o user:32= -p {pid}")).trim(),
        "upkeep_exporter"
    );
    assert_eq!(
        machine.run("stat -c '%U %a' /var/lib/upkeep_exporter").trim(),
        "upkeep_exporter 750"
    );
    assert_eq!(
        machine
            .run("stat -c '%U %G %a' /etc/upkeep_exporter/upkeep.yml")
            .trim(),
        "root upkeep_exporter 640"
    );

    let output = install(&machine, "");
    assert!(output.contains("nothing to change"), "{output}");
    assert!(!output.contains("installed "), "{output}");
    assert_eq!(
        main_pid(&machine),
        pid,
        "an install without changes does not restart the service"
    );

    let output = install(&machine, "--uninstall");
    assert!(
        output.contains("kept /etc/upkeep_exporter/upkeep.yml"),
        "{output}"
    );
    machine.run("test -d /var/lib/upkeep_exporter && test -f /etc/upkeep_exporter/upkeep.yml");
    machine.run("! systemctl cat upkeep_exporter && ! test -e /usr/local/bin/upkeep_exporter");
    install(&machine, "--uninstall --purge");
    assert_eq!(traces(&machine), before);
}

/// As its own user and with all hardening, the exporter sees units and processes, and runs programs.
#[test]
fn it_sees_units_and_processes_and_survives_reload_and_kill() {
    let machine = machine();
    let config = machine.path("/etc/upkeep_exporter/upkeep.yml");
    let folder = config.parent().expect("a folder");
    fs::create_dir_all(folder).expect("a folder");
    fs::write(
        &config,
        "exec: { allowed_directories: [/usr/lib/nagios/plugins] }\n\
         services:\n\
         \x20 - key: load\n\
         \x20   checks: [{ kind: exec, command: [/usr/lib/nagios/plugins/check_load, -w, '999', -c, '999'] }]\n\
         \x20 - key: bus\n\
         \x20   name: Message bus\n\
         \x20   group: system\n\
         \x20   checks:\n\
         \x20     - { kind: systemd, unit: dbus.service }\n\
         \x20     - { kind: process, match: [dbus-daemon] }\n",
    )
    .expect("a configuration");
    // systemd starts the bus on first use, but the process check may run before that.
    machine.run("systemctl start dbus.service");
    install(&machine, "");
    let unit = "check=\"systemd\",unit=\"dbus.service\",state=\"active\"} 1";
    get(&machine, "/metrics", unit);
    // A program runs in the same sandbox.
    get(
        &machine,
        "/metrics",
        "upkeep_exec_exit_status{service=\"load\",group=\"default\",check=\"exec\"} 0",
    );
    let metrics = get(&machine, "/metrics", "upkeep_processes{");
    let processes = metrics
        .lines()
        .find(|line| line.starts_with("upkeep_processes{"))
        .unwrap_or("");
    assert!(processes.ends_with(" 1"), "{processes}");

    let pid = main_pid(&machine);
    machine.run("systemctl reload upkeep_exporter");
    machine.run("systemctl is-active upkeep_exporter");
    assert_eq!(main_pid(&machine), pid);

    machine.run("systemctl kill --signal=KILL upkeep_exporter");
    let began = Instant::now();
    while matches!(main_pid(&machine), 0) || main_pid(&machine) == pid {
        assert!(
            began.elapsed() < Duration::from_secs(30),
            "systemd did not restart it"
        );
        sleep(Duration::from_millis(100));
    }
    get(&machine, "/metrics", unit);

    // An invalid configuration fails the install and does not stop the running exporter.
    let pid = main_pid(&machine);
    fs::write(&config, "services: 5\n").expect("a configuration");
    let refused = machine.try_run(&format!("{PROJECT}/deploy/install.sh --process-details"));
    assert!(!refused.status.success());
    assert!(
        text(&refused).contains("has errors; the service was not started"),
        "{}",
        text(&refused)
    );
    assert_eq!(main_pid(&machine), pid);

    let began = Instant::now();
    machine.run("systemctl stop upkeep_exporter");
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "stopping took {:?}",
        began.elapsed()
    );
    assert_eq!(
        machine
            .run("systemctl show --value --property=Result upkeep_exporter")
            .trim(),
        "success"
    );
}

/// The drop-ins add their capabilities. With them the exporter pings even if nobody may use ping sockets.
#[test]
fn it_pings_with_the_drop_in() {
    let machine = machine();
    let config = machine.path("/etc/upkeep_exporter/upkeep.yml");
    fs::create_dir_all(config.parent().expect("a folder")).expect("a folder");
    fs::write(
        &config,
        "services: [{ key: here, checks: [{ kind: icmp, host: 127.0.0.1, interval: 1s }] }]\n",
    )
    .expect("a configuration");
    // The default in a new network namespace: nobody may use ping sockets.
    let range = machine.run("cat /proc/sys/net/ipv4/ping_group_range");
    assert_eq!(range.split_whitespace().collect::<Vec<_>>(), ["1", "0"]);

    install(&machine, "");
    let metrics = get(&machine, "/metrics", "upkeep_check_success{");
    assert!(metrics.contains("reason=\"permission\"} 1"), "{metrics}");

    install(&machine, "--ping --process-details");
    get(
        &machine,
        "/metrics",
        "upkeep_check_success{service=\"here\",group=\"default\",check=\"icmp\"} 1",
    );
    let pid = main_pid(&machine);
    let status = machine.run(&format!("grep CapEff /proc/{pid}/status"));
    // CAP_DAC_READ_SEARCH, CAP_NET_RAW, CAP_SYS_PTRACE: bits 2, 13, 19.
    assert_eq!(
        status.trim().rsplit('\t').next(),
        Some("0000000000082004"),
        "{status}"
    );

    install(&machine, "--uninstall");
    machine.run("! test -e /etc/systemd/system/upkeep_exporter.service.d");
}

#[test]
fn errors_say_what_to_do() {
    let machine = machine();
    let script = format!("{PROJECT}/deploy/install.sh");
    for (command, message) in [
        (format!("{script} --instal"), "unknown option --instal"),
        (format!("{script} --purge"), "--purge requires --uninstall"),
        (
            format!("{script} a b"),
            "cannot install both a and b: give one binary",
        ),
        (
            format!("{script} /etc/passwd"),
            "/etc/passwd is not an executable file",
        ),
        (
            format!("PREFIX=opt {script}"),
            "PREFIX must be an absolute path, not opt",
        ),
        (
            format!("setpriv --reuid=65534 --clear-groups {script}"),
            "run as root (sudo /run/shared/upkeep/deploy/install.sh), or set DESTDIR to build a package",
        ),
        (
            format!(
                "mv {PROJECT}/target {PROJECT}/other; {script}; code=$?; mv {PROJECT}/other {PROJECT}/target; exit $code"
            ),
            "run `cargo build --release` first, or give the path of a binary",
        ),
    ] {
        let output = machine.try_run(&command);
        assert!(!output.status.success(), "{command}");
        assert!(text(&output).contains(message), "{command}: {}", text(&output));
    }
    machine.run("! test -e /etc/systemd/system/upkeep_exporter.service");
}

#[test]
fn a_package_is_built_below_destdir() {
    let destination = tempfile::tempdir().expect("a temporary directory");
    let output = Command::new(project().join("deploy/install.sh"))
        .args(["--process-details", "--ping", "--heal"])
        .arg(env!("CARGO_BIN_EXE_upkeep_exporter"))
        .env("DESTDIR", destination.path())
        .env("PREFIX", "/opt/upkeep")
        .output()
        .expect("the script runs");
    assert!(output.status.success(), "{}", text(&output));
    let mut files = Vec::new();
    list(destination.path(), &mut files);
    let mut names: Vec<_> = files
        .iter()
        .filter_map(|file| file.strip_prefix(destination.path()).ok()?.to_str())
        .collect();
    names.sort_unstable();
    let manuals: Vec<_> = names
        .extract_if(.., |name| {
            name.starts_with("opt/upkeep/share/man/man1/upkeep_exporter")
        })
        .collect();
    for page in [
        "upkeep_exporter.1",
        "upkeep_exporter-check.1",
        "upkeep_exporter-service-start.1",
    ] {
        let page = format!("opt/upkeep/share/man/man1/{page}");
        assert!(manuals.contains(&page.as_str()), "no {page} in {manuals:?}");
    }
    assert_eq!(
        names,
        [
            "etc/default/upkeep_exporter",
            "etc/polkit-1/rules.d/60-upkeep_exporter.rules",
            "etc/systemd/system/upkeep_exporter.service",
            "etc/systemd/system/upkeep_exporter.service.d/ping.conf",
            "etc/systemd/system/upkeep_exporter.service.d/process-details.conf",
            "etc/sysusers.d/upkeep_exporter.conf",
            "etc/upkeep_exporter/upkeep.yml",
            "opt/upkeep/bin/upkeep_exporter",
            "opt/upkeep/share/bash-completion/completions/upkeep_exporter",
            "opt/upkeep/share/fish/vendor_completions.d/upkeep_exporter.fish",
            "opt/upkeep/share/zsh/site-functions/_upkeep_exporter",
        ]
    );
    let unit = fs::read_to_string(destination.path().join(names[2])).expect("the unit");
    assert!(
        unit.contains("\nExecStart=/opt/upkeep/bin/upkeep_exporter --config.file="),
        "{unit}"
    );
}

fn list(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        if entry.path().is_dir() {
            list(&entry.path(), files);
        } else {
            files.push(entry.path());
        }
    }
}

#[test]
fn the_unit_is_hardened_with_and_without_its_drop_ins() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let file = |name| fs::read_to_string(project().join("deploy/systemd").join(name)).expect(name);
    let unit = file("upkeep_exporter.service");
    let dropins = [file("allow-process-details.conf"), file("allow-ping.conf")];
    for (name, content) in [
        ("plain.service", unit.clone()),
        ("detailed.service", unit.clone() + &dropins[0]),
        ("pinging.service", unit.clone() + &dropins[1]),
        ("everything.service", unit + &dropins.concat()),
    ] {
        let path = folder.path().join(name);
        fs::write(&path, content).expect("a unit");
        let output = Command::new("systemd-analyze")
            .args(["security", "--offline=true", "--no-pager", "--threshold=22"])
            .arg(&path)
            .output()
            .expect("systemd-analyze runs (apt-get install systemd)");
        let last = text(&output).lines().last().unwrap_or("").to_owned();
        println!("{last}");
        assert!(output.status.success(), "{last}");
    }
}
