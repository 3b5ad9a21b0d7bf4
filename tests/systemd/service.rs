//! `upkeep_exporter service` with a real systemd.

use std::fs;
use std::net::TcpListener;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::common::systemd::Machine;

/// A configuration whose systemd checks watch the units of the shared machine.
struct Services {
    _directory: tempfile::TempDir,
    file: std::path::PathBuf,
}

impl Services {
    /// Services, each written as a flow mapping. `BUS` stands for the key of the machine's bus.
    fn of(services: &[String]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("upkeep.yml");
        let bus = format!("bus_address: \"{}\"", Machine::shared().bus_address());
        let lines: String = services
            .iter()
            .map(|service| format!("  - {{ {service} }}\n"))
            .collect();
        fs::write(&file, format!("services:\n{}", lines.replace("BUS", &bus))).unwrap();
        Self {
            _directory: directory,
            file,
        }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_upkeep_exporter"));
        command
            .arg("service")
            .args(arguments)
            .arg("--config.file")
            .arg(&self.file)
            .stdin(Stdio::null());
        command
    }

    /// Runs a command of `service`. Returns its output after asserting its exit code.
    #[track_caller]
    fn run(&self, code: i32, arguments: &[&str]) -> String {
        let output = self.command(arguments).output().unwrap();
        assert_eq!(
            output.status.code(),
            Some(code),
            "{arguments:?}: {}",
            both(&output)
        );
        String::from_utf8(output.stdout).unwrap()
    }
}

fn both(output: &Output) -> String {
    [&output.stdout, &output.stderr]
        .map(|text| String::from_utf8_lossy(text))
        .concat()
}

/// A service with one systemd check.
fn unit(key: &str, unit: &str, depends_on: &str) -> String {
    format!(
        "key: {key}, group: all, depends_on: [{depends_on}], checks: [{{ kind: systemd, unit: {unit}, BUS }}]"
    )
}

/// Writes a unit that records its starts and stops in this file of the shared directory.
fn write_recorded(name: &str, file: &str) {
    let record = |what: &str| format!("/bin/sh -c 'echo {what} {name} >>/run/shared/{file}'");
    Machine::shared().write_unit(
        &format!("{name}.service"),
        &format!(
            "[Service]\nType=exec\nExecStartPre={}\nExecStart=/bin/sleep infinity\nExecStop={}\n",
            record("start"),
            record("stop")
        ),
    );
}

fn recorded(file: &str) -> Vec<String> {
    let path = Machine::shared().shared_directory().join(file);
    let text = fs::read_to_string(&path).unwrap_or_default();
    let _ = fs::remove_file(path);
    text.lines().map(str::to_owned).collect()
}

#[test]
fn services_are_started_and_stopped_in_the_order_of_their_dependencies() {
    for name in ["order-web", "order-api", "order-db"] {
        write_recorded(name, "order");
    }
    let services = Services::of(&[
        unit("web", "order-web", "api"),
        unit("api", "order-api", "db"),
        unit("db", "order-db", ""),
        "key: outside, port: 1".to_owned(),
    ]);
    let plan = services.run(0, &["start", "web", "api", "db", "--dry-run"]);
    assert_eq!(
        plan,
        "1. db: start order-db.service\n2. api: start order-api.service, after db\n3. web: start order-web.service, after api\n"
    );
    assert_eq!(recorded("order"), [""; 0]);

    let text = services.run(0, &["start", "--group", "all"]);
    assert_eq!(
        recorded("order"),
        ["start order-db", "start order-api", "start order-web"]
    );
    assert!(
        text.starts_with("db: started order-db.service, up after "),
        "{text}"
    );
    assert!(text.ends_with("3 services: 3 up\n"), "{text}");
    let text = services.run(0, &["start", "db"]);
    assert!(text.starts_with("db: already started, up after "), "{text}");

    services.run(0, &["restart", "web", "db"]);
    assert_eq!(
        recorded("order"),
        [
            "stop order-db",
            "start order-db",
            "stop order-web",
            "start order-web"
        ]
    );
    let text = services.run(0, &["list"]);
    let lines: Vec<Vec<&str>> = text
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(
        lines[1],
        ["web", "all", "order-web.service", "active", "(running)"]
    );
    assert_eq!(lines[4][2..], ["-", "-"]);

    services.run(0, &["stop", "--group", "all"]);
    assert_eq!(
        recorded("order"),
        ["stop order-web", "stop order-api", "stop order-db"]
    );
    let text = services.run(0, &["stop", "web"]);
    assert!(text.starts_with("web: already stopped after "), "{text}");
}

#[test]
fn a_service_is_complete_when_all_of_its_checks_are_up() {
    let machine = Machine::shared();
    machine.write_unit(
        "wait.service",
        "[Service]\nType=exec\nExecStart=/bin/sleep infinity\n",
    );
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let services = Services::of(&[
        format!(
            "key: slow, checks: [{{ kind: systemd, unit: wait, BUS }}, {{ kind: tcp, name: port, address: \"127.0.0.1:{port}\" }}]"
        ),
        "key: behind, depends_on: [slow], port: 1".to_owned(),
    ]);
    let text = services.run(2, &["start", "--all", "--timeout", "2s"]);
    assert!(
        text.starts_with("slow: started wait.service, but still down after "),
        "{text}"
    );
    assert!(
        text.contains("\n  port: refused: connecting to 127.0.0.1:"),
        "{text}"
    );
    assert!(text.contains("journal of wait.service"), "{text}");
    assert!(
        text.ends_with(
            "behind: skipped, because slow failed or was skipped\n2 services: 1 failed, 1 skipped\n"
        ),
        "{text}"
    );

    // The port opens while the command waits.
    let waiting = services
        .command(&["restart", "slow"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_secs(1));
    let _listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let output = waiting.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", both(&output));
    machine.run("systemctl stop wait");
}

#[test]
fn services_behind_a_failed_one_are_not_started() {
    let machine = Machine::shared();
    machine.write_unit(
        "broken-db.service",
        "[Service]\nType=oneshot\nExecStart=/bin/false\n",
    );
    write_recorded("behind-api", "behind");
    write_recorded("beside-mail", "behind");
    let services = Services::of(&[
        unit("db", "broken-db", ""),
        unit("api", "behind-api", "db"),
        unit("mail", "beside-mail", ""),
    ]);
    let text = services.run(2, &["start", "--all"]);
    assert!(text.contains("db: start failed after "), "{text}");
    assert!(
        text.contains("start broken-db.service: systemd's job ended with the result failed"),
        "{text}"
    );
    assert!(
        text.contains("api: skipped, because db failed or was skipped\n"),
        "{text}"
    );
    assert_eq!(recorded("behind"), ["start beside-mail"]);
    machine.run("systemctl stop beside-mail");
}

/// The journal is that of the machine, so the command runs there too.
#[test]
fn the_end_of_the_journal_shows_why_a_unit_failed() {
    let machine = Machine::shared();
    machine.write_unit(
        "talks.service",
        "[Service]\nType=oneshot\nExecStart=/bin/sh -c 'for i in 1 2 3 4 5 6 7 8 9 10 11; do echo line $i; done; exit 3'\n",
    );
    let config = "services: [{ key: talks, checks: [{ kind: systemd, unit: talks }] }]\n";
    fs::write(machine.shared_directory().join("talks.yml"), config).unwrap();
    let program = machine.shared_directory().join("upkeep_exporter");
    fs::copy(env!("CARGO_BIN_EXE_upkeep_exporter"), program).unwrap();
    let command = "/run/shared/upkeep_exporter service start talks --config.file=/run/shared/talks.yml";
    let began = Instant::now();
    // The journal receives the lines a moment after systemd knows that the process has ended.
    let text = loop {
        let output = machine.try_run(command);
        assert_eq!(output.status.code(), Some(2), "{}", both(&output));
        let text = both(&output);
        if text.contains("line 11") || began.elapsed() > Duration::from_secs(30) {
            break text;
        }
    };
    assert!(
        text.contains("\n  last lines of the journal of talks.service:\n"),
        "{text}"
    );
    let lines = text
        .lines()
        .skip_while(|line| !line.contains("last lines"))
        .skip(1);
    assert_eq!(
        lines.take_while(|line| line.starts_with("    ")).count(),
        10,
        "{text}"
    );
}

#[test]
fn an_interrupted_command_says_so() {
    let machine = Machine::shared();
    machine.write_unit(
        "hangs.service",
        "[Service]\nType=notify\nTimeoutStartSec=1h\nExecStart=/bin/sleep infinity\n",
    );
    let services = Services::of(&[unit("hangs", "hangs", "")]);
    let plain = services.command(&["start", "hangs"]);
    // `timeout` sends SIGINT, as Ctrl-C does.
    let mut timed = Command::new("timeout");
    timed
        .args(["--preserve-status", "--signal=INT", "2"])
        .arg(plain.get_program())
        .args(plain.get_args());
    let output = timed.output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{}", both(&output));
    assert!(
        both(&output).contains("interrupted; jobs of systemd"),
        "{}",
        both(&output)
    );

    let text = services.run(2, &["start", "hangs", "--timeout=1"]);
    assert!(
        text.contains("start hangs.service: not complete after 1 s"),
        "{text}"
    );
    machine.run("systemctl stop hangs");
}

#[test]
fn wrong_usage_is_reported() {
    let services = Services::of(&[unit("web", "any", ""), "key: port, port: 1".to_owned()]);
    for (arguments, text) in [
        (&["start"][..], "required"),
        (&["stop", "web", "--all"], "cannot be used with"),
        (&["stop", "wbe"], "unknown service wbe: did you mean web?"),
        (&["stop", "--group", "nothing"], "unknown group nothing"),
        (
            &["start", "port"],
            "nothing to start: the selected services have no systemd or docker checks",
        ),
        (&["start", "web", "--timeout", "1d"], "is not a valid timeout"),
        (&["list", "wbe"], "unknown service wbe: did you mean web?"),
    ] {
        let output = services.command(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(64), "{arguments:?}: {}", both(&output));
        assert!(both(&output).contains(text), "{arguments:?}: {}", both(&output));
    }
}
