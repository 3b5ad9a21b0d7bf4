//! Unix sockets, and sockets from systemd.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use tempfile::TempDir;

use crate::common::servers::{Server, eventually, free_port, tool};
use crate::common::systemd::Machine;
use crate::guarded::{LONG, curl};

const EXPORTER: &str = env!("CARGO_BIN_EXE_upkeep_exporter");

fn exporter(addresses: &[&str]) -> Command {
    let mut command = Command::new(EXPORTER);
    // Other tests run on this machine, so nothing may look at its ports.
    command.arg("--no-discover").args(
        addresses
            .iter()
            .map(|address| format!("--web.listen-address={address}")),
    );
    command
}

async fn serves(server: &Server) {
    eventually("it serves", LONG, || async {
        server.log().contains("message=serving").then_some(())
    })
    .await;
}

fn ask(socket: &Path, dir: &TempDir) -> u16 {
    let arguments = ["--unix-socket", socket.to_str().unwrap()];
    curl("http://localhost/metrics", &arguments, dir.path()).status
}

fn fails(mut command: Command) -> String {
    let Output { status, stderr, .. } = command.output().unwrap();
    assert_eq!(status.code(), Some(1));
    String::from_utf8(stderr).unwrap()
}

#[tokio::test]
async fn a_unix_socket_and_a_port_are_served_together() {
    let dir = tempfile::tempdir().unwrap();
    let (socket, port) = (dir.path().join("web.sock"), free_port());
    let unix = format!("unix:{}", socket.display());
    let tcp = format!("127.0.0.1:{port}");
    let mut server = Server::start("exporter", exporter(&[&unix, &tcp]), dir.path());
    serves(&server).await;
    assert_eq!(ask(&socket, &dir), 200);
    assert_eq!(
        curl(&format!("http://{tcp}/metrics"), &[], dir.path()).status,
        200
    );
    let file = fs::metadata(&socket).unwrap();
    assert!(file.file_type().is_socket() && file.mode() & 0o777 == 0o660);
    // Nobody can replace the socket of a running process.
    let said = fails(exporter(&[&unix]));
    assert!(
        said.contains("another process listens there: stop it, or choose another path"),
        "{said}"
    );
    assert_eq!(ask(&socket, &dir), 200);
    // A killed process leaves the file behind. The next one replaces it, and removes it when it stops.
    server.kill();
    assert!(socket.exists());
    let mut server = Server::start("next", exporter(&[&unix]), dir.path());
    serves(&server).await;
    assert_eq!(ask(&socket, &dir), 200);
    server.terminate(Duration::from_secs(10));
    assert!(!socket.exists());
}

#[tokio::test]
async fn other_files_are_not_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("kept");
    fs::write(&file, "kept").unwrap();
    let said = fails(exporter(&[&format!("unix:{}", file.display())]));
    assert!(
        said.contains("a file that is not a socket exists there: remove it, or choose another path"),
        "{said}"
    );
    assert_eq!(fs::read_to_string(&file).unwrap(), "kept");
    let foreign = dir.path().join("foreign");
    let _held = UnixListener::bind(&foreign).unwrap();
    assert!(fails(exporter(&[&format!("unix:{}", foreign.display())])).contains("another process listens"));
}

#[tokio::test]
async fn sockets_from_systemd_are_served() {
    let dir = tempfile::tempdir().unwrap();
    let (socket, port) = (dir.path().join("web.sock"), free_port());
    let mut command = Command::new(tool("systemd-socket-activate", "systemd"));
    command
        .args(["--listen", &format!("127.0.0.1:{port}"), "--listen"])
        .arg(&socket)
        .args([EXPORTER, "--web.systemd-socket"]);
    let server = Server::start("exporter", command, dir.path());
    // The first connection starts the exporter.
    eventually("an answer", LONG, || async {
        (ask(&socket, &dir) == 200).then_some(())
    })
    .await;
    assert_eq!(
        curl(&format!("http://127.0.0.1:{port}/metrics"), &[], dir.path()).status,
        200
    );
    assert!(
        server.log().contains("message=listening address=unix:"),
        "{}",
        server.log()
    );
}

#[test]
fn unusable_sockets_are_reported() {
    let mut command = Command::new(EXPORTER);
    command.arg("--web.systemd-socket");
    let said = fails(command);
    assert!(
        said.contains("systemd passed no socket: start the socket unit"),
        "{said}"
    );
    // The sockets of another process.
    let mut command = Command::new(EXPORTER);
    command
        .arg("--web.systemd-socket")
        .env("LISTEN_PID", "1")
        .env("LISTEN_FDS", "1");
    assert!(fails(command).contains("systemd passed no socket"));
    let mut command = Command::new(EXPORTER);
    command.args(["--web.systemd-socket", "--web.listen-address=:1"]);
    assert_eq!(command.output().unwrap().status.code(), Some(64));
    let mut command = Command::new("sh");
    let script = "exec 3</dev/null; LISTEN_PID=$$ LISTEN_FDS=1 exec \"$0\" --web.systemd-socket";
    command.args(["-c", script, EXPORTER]);
    let said = fails(command);
    assert!(
        said.contains("socket 0 is neither TCP nor a Unix stream socket"),
        "{said}"
    );
}

#[test]
fn a_real_systemd_starts_the_exporter_on_a_connection() {
    let machine = Machine::boot();
    let binary = machine.shared_directory().join("upkeep_exporter");
    fs::copy(EXPORTER, &binary).unwrap();
    let socket = include_str!("../../deploy/systemd/upkeep_exporter.socket");
    machine.write_unit("upkeep_exporter.socket", socket);
    machine.write_unit(
        "upkeep_exporter.service",
        "[Service]\nType=notify\nExecStart=/run/shared/upkeep_exporter --web.systemd-socket\n",
    );
    machine.run("systemctl daemon-reload && ip link set lo up && systemctl start upkeep_exporter.socket");
    assert_eq!(
        machine
            .try_run("systemctl is-active upkeep_exporter.service")
            .stdout,
        b"inactive\n"
    );
    let ask = "curl -sS -m 20 http://127.0.0.1:10100/-/healthy";
    assert_eq!(machine.run(ask), "The exporter is healthy.\n");
    assert_eq!(
        machine.run("systemctl is-active upkeep_exporter.service"),
        "active\n"
    );
    // A restart loses no connection: systemd keeps the socket.
    machine.run("systemctl kill -s KILL upkeep_exporter.service");
    assert_eq!(machine.run(ask), "The exporter is healthy.\n");
}
