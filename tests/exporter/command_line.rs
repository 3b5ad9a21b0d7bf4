//! Flags, commands, exit codes and their texts.

use std::fs;
use std::os::unix::fs::OpenOptionsExt;
use std::process::{Command, Output};
use std::time::Duration;

use crate::LONG;
use crate::common::exporter::get_owned;
use crate::common::make_pipe;
use crate::common::servers::{Server, eventually, free_port, get};

fn upkeep(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_upkeep_exporter"))
        .args(arguments)
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn a_valid_file_is_summarized() {
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/config/upkeep.example.yml");
    for arguments in [
        &["check-config", example][..],
        &["--config.check", "--config.file", example],
    ] {
        let output = upkeep(arguments);
        assert!(output.status.success(), "{output:?}");
        let said = text(&output.stdout);
        assert!(
            said.contains(" services, ")
                && said.contains(" checks, 7 modules, 2 rules for process groups, at most "),
            "{said}"
        );
    }
    let output = upkeep(&["--config.check"]);
    assert!(
        output.status.success() && text(&output.stdout).starts_with("embedded default: 3 services"),
        "{output:?}"
    );
}

#[test]
fn derived_keys_and_what_is_turned_off_are_printed() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("upkeep.yml");
    let services = "services:\n  - { name: Portfolio site, url: 'http://a/' }\n  - { key: b, enabled: false, port: 1 }\n  \
                    - { key: c, port: 1, checks: [{ kind: icmp, host: a, enabled: no }] }\n";
    fs::write(&file, services).unwrap();
    let output = upkeep(&["check-config", file.to_str().unwrap()]);
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    let name = file.display();
    let said: Vec<&str> = text(&output.stdout).lines().collect();
    assert!(
        said[0].starts_with(&format!(
            "{name}: 2 services, 2 checks, 2 turned off (enabled: false), at most "
        )),
        "{said:?}"
    );
    assert_eq!(
        said[1..],
        [
            format!(
                "{name}: portfolio-site: the key is made of the name; write it to be able to change the name"
            ),
            format!("{name}: b: not checked (enabled: false)"),
            format!("{name}: c/icmp: not checked (enabled: false)"),
        ]
    );
}

#[test]
fn every_error_of_every_file_is_reported_with_exit_code_1() {
    let dir = tempfile::tempdir().unwrap();
    let (first, second) = (dir.path().join("first.yml"), dir.path().join("second.yml"));
    fs::write(
        &first,
        "services:\n  - key: a\n    intervall: 5s\n    checks: [{ kind: htp, url: 'http://a/' }]\n",
    )
    .unwrap();
    fs::write(
        &second,
        "services: [{ key: b, url: 'http://b/', depends_on: [c] }]\n",
    )
    .unwrap();
    let output = upkeep(&["check-config", first.to_str().unwrap(), second.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    for wanted in [
        "first.yml:3:5: services[0].intervall",
        "did you mean interval",
        "services[0].checks[0].kind",
        "second.yml:1:",
        "depends_on[0]",
    ] {
        assert!(said.contains(wanted), "{wanted} is not in:\n{said}");
    }
    let output = upkeep(&[
        "--web.listen-address=127.0.0.1:0",
        "--config.file",
        first.to_str().unwrap(),
    ]);
    assert_eq!(output.status.code(), Some(1), "it must not run half: {output:?}");
    let said = text(&output.stderr);
    assert!(
        said.contains("first.yml:3:5") && !said.contains("listening"),
        "{said}"
    );
}

#[test]
fn wrong_usage_is_64_and_help_is_0() {
    assert_eq!(upkeep(&["--no-such-flag"]).status.code(), Some(64));
    assert_eq!(upkeep(&["--web.listen-address=nonsense"]).status.code(), Some(64));
    let wrong = upkeep(&["--web.allowed-hosts=status.example.org,http://x/"]);
    assert_eq!(wrong.status.code(), Some(64));
    assert!(
        text(&wrong.stderr).contains("use a name or an address"),
        "{wrong:?}"
    );
    assert_eq!(upkeep(&["check-config"]).status.code(), Some(64));
    let help = upkeep(&["--help"]);
    assert!(help.status.success());
    for flag in [
        "--config.file",
        "--config.check",
        "--web.listen-address",
        "--web.telemetry-path",
        "--web.systemd-socket",
        "--web.config.file",
        "--web.enable-lifecycle",
        "--web.allowed-hosts",
        "--state.dir",
        "--path.procfs",
        "--log.level",
        "--log.format",
        "check-config",
    ] {
        assert!(text(&help.stdout).contains(flag), "{flag}");
    }
    assert!(text(&upkeep(&["--version"]).stdout).starts_with("upkeep_exporter "));
}

#[test]
fn a_full_disk_behind_the_output_does_not_panic() {
    let full = || fs::File::options().write(true).open("/dev/full").unwrap();
    let run = |arguments: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_upkeep_exporter"))
            .args(arguments)
            .stdout(full())
            .stderr(full())
            .status()
            .unwrap()
            .code()
    };
    assert_eq!(run(&["--config.check"]), Some(1), "nobody sees that it is good");
    assert_eq!(run(&["check-config", "/no/such/file"]), Some(1));
    assert_eq!(
        run(&["--config.file=/no/such/file", "--web.listen-address=127.0.0.1:0"]),
        Some(1)
    );
    assert_eq!(run(&["--no-such-flag"]), Some(64));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_colon_separates_state_directories_in_the_variable_of_systemd_only() {
    for (by_flag, expected) in [(true, "a:b/state.json"), (false, "a/state.json")] {
        let dir = tempfile::tempdir().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_upkeep_exporter"));
        command
            .args(["--no-discover", "--web.listen-address=127.0.0.1:0"])
            .current_dir(dir.path());
        if by_flag {
            // What systemd says does not count then, whatever it is.
            command.arg("--state.dir=a:b").env("STATE_DIRECTORY", "");
        } else {
            command.env("STATE_DIRECTORY", "a:b");
        }
        let _server = Server::start("exporter", command, dir.path());
        let file = dir.path().join(expected);
        eventually(expected, LONG, || async { file.exists().then_some(()) }).await;
    }
}

#[test]
fn a_port_in_use_is_reported_with_advice() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = upkeep(&["--web.listen-address", &address]);
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    assert!(
        said.contains(&address) && said.contains("--web.listen-address"),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn it_ends_in_time_while_its_configuration_is_being_read() {
    let dir = tempfile::tempdir().unwrap();
    let pipe = dir.path().join("upkeep.yml");
    make_pipe(&pipe);
    let mut command = Command::new(env!("CARGO_BIN_EXE_upkeep_exporter"));
    command
        .arg("--web.listen-address=127.0.0.1:0")
        .arg("--config.file")
        .arg(&pipe);
    let mut server = Server::start("exporter", command, dir.path());
    // Opening it fails until somebody reads; once open, the reader waits for what never comes.
    let _writer = eventually("a reader", LONG, || async {
        let nonblocking = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
        let mut options = fs::OpenOptions::new();
        options.write(true).custom_flags(nonblocking).open(&pipe).ok()
    })
    .await;
    server.terminate(Duration::from_secs(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_file_it_watches_this_machine() {
    let dir = tempfile::tempdir().unwrap();
    let port = free_port();
    let mut command = Command::new(env!("CARGO_BIN_EXE_upkeep_exporter"));
    command
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        // What discovery finds is tested in a namespace, where no other test runs.
        .args(["--no-discover", "--log.format=json"]);
    let server = Server::start("exporter", command, dir.path());
    eventually("the first round", LONG, || {
        get_owned(format!("http://127.0.0.1:{port}/-/ready"))
    })
    .await;
    let metrics = get(&format!("http://127.0.0.1:{port}/metrics")).await.unwrap();
    let up: Vec<_> = metrics
        .lines()
        .filter(|line| line.starts_with("upkeep_service_up{"))
        .collect();
    assert!(
        up.len() >= 2 && up.iter().all(|line| line.ends_with(" 1")),
        "{up:?}"
    );
    let page = get(&format!("http://127.0.0.1:{port}/")).await.unwrap();
    assert!(page.contains("/metrics") && page.contains("/-/ready"), "{page}");
    for line in server.log().lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(line["level"].is_string() && line["message"].is_string(), "{line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_exporters_do_not_share_a_state_directory() {
    let dir = tempfile::tempdir().unwrap();
    let state = format!("--state.dir={}", dir.path().join("state").display());
    let port = free_port();
    let mut command = Command::new(env!("CARGO_BIN_EXE_upkeep_exporter"));
    command
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .args(["--no-discover", &state]);
    let _first = Server::start("exporter", command, dir.path());
    eventually("the first one", LONG, || {
        get_owned(format!("http://127.0.0.1:{port}/-/healthy"))
    })
    .await;
    let output = upkeep(&["--no-discover", "--web.listen-address=127.0.0.1:0", &state]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("state"), "{output:?}");
}
