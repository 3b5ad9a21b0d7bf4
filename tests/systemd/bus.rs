//! Failures of the bus or of systemd: absent, stuck, or another program. The check reports them and recovers.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixListener;
use tokio::time::{Instant, sleep};
use upkeep_exporter::check::CheckContext;
use upkeep_exporter::check::systemd::SystemdCheck;
use upkeep_exporter::check::unit_watch::Hub;
use upkeep_exporter::model::Reason;

use crate::common::systemd::Machine;
use crate::proxy::{Proxy, address};
use crate::support::{PATIENCE, check, context, run, settings, until};

/// A machine of the test's own with a service `plain` that runs.
async fn machine() -> Arc<Machine> {
    let booted = tokio::task::spawn_blocking(|| {
        let machine = Machine::boot();
        machine.write_unit("plain.service", "[Service]\nExecStart=/bin/sleep infinity\n");
        machine.run("systemctl start plain");
        machine
    });
    Arc::new(booted.await.expect("the machine boots"))
}

async fn inside(machine: &Arc<Machine>, command: &'static str) -> String {
    let machine = machine.clone();
    tokio::task::spawn_blocking(move || machine.run(command))
        .await
        .expect("the command succeeds")
}

async fn up(check: &mut SystemdCheck) {
    let ran = run(check).await;
    assert!(ran.is_up(), "{ran:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_calls_need_no_privileges() {
    let machine = machine().await;
    for call in [
        "/org/freedesktop/systemd1 org.freedesktop.systemd1.Manager Subscribe",
        "/org/freedesktop/systemd1 org.freedesktop.systemd1.Manager ListUnitsByNames as 1 plain.service",
        "/org/freedesktop/systemd1/unit/plain_2eservice org.freedesktop.DBus.Properties GetAll s ''",
    ] {
        machine.run(&format!(
            "setpriv --reuid=65534 --clear-groups busctl call org.freedesktop.systemd1 {call}"
        ));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_check_recovers_when_the_bus_returns() {
    let machine = machine().await;
    let mut check = check(&machine.bus_address(), "plain.service");
    up(&mut check).await;
    inside(&machine, "systemctl stop dbus.socket dbus.service").await;
    let ran = until(&mut check, "misses the bus", |ran| ran.result.is_err()).await;
    assert!(
        ran.is_failure(Reason::Unreachable, &machine.bus_address()),
        "{ran:?}"
    );
    assert!(ran.report.samples.is_empty());
    // Changes in the meantime are found afterwards.
    inside(
        &machine,
        "systemctl kill --signal=KILL plain; systemctl start dbus.socket",
    )
    .await;
    until(&mut check, "sees the failure", |ran| {
        ran.is_failure(Reason::State, "signal 9")
    })
    .await;
    inside(&machine, "systemctl start plain").await;
    until(&mut check, "is up", |ran| ran.is_up()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn restarting_the_bus_or_systemd_does_not_fail_units() {
    let machine = machine().await;
    let mut check = check(&machine.bus_address(), "plain.service");
    for command in [
        "systemctl daemon-reload",
        "systemctl daemon-reexec",
        "systemctl restart dbus.service",
        "systemctl daemon-reexec; systemctl daemon-reload; systemctl restart dbus.service",
    ] {
        up(&mut check).await;
        let doing = inside(&machine, command);
        tokio::pin!(doing);
        let began = Instant::now();
        let mut runs = 0;
        let mut is_done = false;
        while !is_done || began.elapsed() < Duration::from_secs(3) {
            let ran = run(&mut check).await;
            assert!(ran.is_up(), "{command}: {ran:?}");
            runs += 1;
            tokio::select! {
                _ = &mut doing, if !is_done => is_done = true,
                () = sleep(Duration::from_millis(5)) => {}
            }
        }
        assert!(runs > 20, "{command}: {runs} runs");
        inside(&machine, "systemctl kill --signal=KILL plain").await;
        until(&mut check, "fails", |ran| {
            ran.is_failure(Reason::State, "signal 9")
        })
        .await;
        inside(&machine, "systemctl start plain").await;
        until(&mut check, "is up", |ran| ran.is_up()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stuck_bus_is_detected() {
    let machine = machine().await;
    let context = CheckContext {
        units: Hub::with_resync_interval(Duration::from_secs(1)),
        ..context()
    };
    let mut check = SystemdCheck::new(&settings(&machine.bus_address(), "plain.service"), &context);
    up(&mut check).await;
    inside(&machine, "kill -STOP $(pidof dbus-daemon)").await;
    until(&mut check, "notices", |ran| {
        ran.is_failure(Reason::Unreachable, "no response to ListUnitsByNames within 10 s")
            || ran.is_failure(Reason::Unreachable, "did not respond within 5 s")
    })
    .await;
    inside(&machine, "kill -CONT $(pidof dbus-daemon)").await;
    until(&mut check, "is up", |ran| ran.is_up()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_sent_while_nothing_changes() {
    let machine = machine().await;
    let proxy = Proxy::start(machine.bus_socket());
    // Requests for units that are not loaded cause announcements for other exporters.
    let exporters = [context(), context()];
    let mut checks: Vec<SystemdCheck> = Vec::new();
    for context in &exporters {
        for unit in [
            "plain.service",
            "absent.service",
            "systemd-tmpfiles-clean.service",
            "absent2.socket",
        ] {
            checks.push(SystemdCheck::new(&settings(&proxy.address(), unit), context));
        }
    }
    for check in &mut checks {
        run(check).await;
    }
    let traffic = || {
        (
            proxy.traffic.sent.load(Ordering::SeqCst),
            proxy.traffic.received.load(Ordering::SeqCst),
        )
    };
    // The machine has just booted. Wait until there is no traffic for a while, although checks run.
    let began = Instant::now();
    let mut before = traffic();
    let mut quiet_since = Instant::now();
    while quiet_since.elapsed() < Duration::from_secs(6) {
        assert!(began.elapsed() < 2 * PATIENCE, "the traffic does not end");
        for check in &mut checks {
            run(check).await;
        }
        sleep(Duration::from_millis(20)).await;
        if traffic() != before {
            (before, quiet_since) = (traffic(), Instant::now());
        }
    }
    println!("bytes to and from the bus for 8 checks until all was known: {before:?}");
    assert_eq!(
        proxy.traffic.connections.load(Ordering::SeqCst),
        2,
        "one connection per exporter"
    );
    drop(checks);
    while proxy.traffic.open.load(Ordering::SeqCst) > 0 {
        assert!(began.elapsed() < 3 * PATIENCE, "an unused connection stays open");
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_signal_is_found_by_the_regular_list() {
    let machine = machine().await;
    let proxy = Proxy::start(machine.bus_socket());
    let context = CheckContext {
        units: Hub::with_resync_interval(Duration::from_secs(1)),
        ..context()
    };
    let mut check = SystemdCheck::new(&settings(&proxy.address(), "plain.service"), &context);
    up(&mut check).await;
    proxy.traffic.drops_signals.store(true, Ordering::SeqCst);
    inside(&machine, "systemctl kill --signal=KILL plain").await;
    until(&mut check, "fails", |ran| {
        ran.is_failure(Reason::State, "signal 9")
    })
    .await;
    assert_eq!(proxy.traffic.connections.load(Ordering::SeqCst), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn signals_of_other_clients_are_ignored() {
    let machine = machine().await;
    machine.write_unit("other.service", "[Service]\nExecStart=/bin/sleep infinity\n");
    let context = context();
    let mut plain = SystemdCheck::new(&settings(&machine.bus_address(), "plain.service"), &context);
    let mut other = SystemdCheck::new(&settings(&machine.bus_address(), "other.service"), &context);
    up(&mut plain).await;
    inside(
        &machine,
        "for name in $(busctl list --unique --no-legend --no-pager | cut -d' ' -f1); do \
         setpriv --reuid=65534 --clear-groups busctl emit --destination=$name \
         /org/freedesktop/systemd1/unit/plain_2eservice org.freedesktop.DBus.Properties PropertiesChanged \
         'sa{sv}as' org.freedesktop.systemd1.Unit 2 ActiveState s failed SubState s failed 0; done; \
         systemctl start other",
    )
    .await;
    until(&mut other, "is up", |ran| ran.is_up()).await;
    let ran = run(&mut plain).await;
    assert!(ran.is_up(), "{ran:?}");
}

/// A message bus without systemd. It ends when it is dropped.
struct BareBus(Child);

impl BareBus {
    fn start(directory: &Path) -> Self {
        let socket = directory.join("bare");
        let child = Command::new("dbus-daemon")
            .args(["--session", "--nofork", "--nopidfile"])
            .arg(format!("--address={}", address(&socket)))
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("dbus-daemon starts (apt-get install dbus)");
        let began = Instant::now();
        while !socket.exists() {
            assert!(began.elapsed() < PATIENCE, "dbus-daemon does not listen");
            std::thread::sleep(Duration::from_millis(5));
        }
        Self(child)
    }
}

impl Drop for BareBus {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_absent_bus_and_a_bus_without_systemd_are_reported_and_recover() {
    let machine = machine().await;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("bus");
    let mut check = check(&address(&path), "plain.service");
    let began = Instant::now();
    let ran = run(&mut check).await;
    assert!(
        ran.is_failure(Reason::Unreachable, &format!("no D-Bus at {}", address(&path))),
        "{ran:?}"
    );
    assert!(
        began.elapsed() < Duration::from_secs(1),
        "a run does not wait for an absent socket"
    );

    let bare = BareBus::start(directory.path());
    std::os::unix::fs::symlink(directory.path().join("bare"), &path).unwrap();
    poll(&mut check, "finds no systemd", |ran| {
        ran.is_failure(Reason::Unreachable, "systemd is not on D-Bus at")
    })
    .await;
    std::fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink(machine.bus_socket(), &path).unwrap();
    drop(bare);
    until(&mut check, "is up", |ran| ran.is_up()).await;
}

/// Runs the check repeatedly. Nothing wakes it while one problem follows another.
async fn poll(check: &mut SystemdCheck, what: &str, is_wanted: impl Fn(&crate::support::Ran) -> bool) {
    let began = Instant::now();
    loop {
        let ran = run(check).await;
        if is_wanted(&ran) {
            return;
        }
        assert!(
            began.elapsed() < PATIENCE,
            "waiting until it {what}; last: {ran:?}"
        );
        sleep(Duration::from_millis(50)).await;
    }
}

/// Accepts connections on `path`, sends `greeting` and then, if given, the byte `flood` endlessly.
fn impostor(path: &Path, greeting: &'static [u8], flood: Option<u8>) -> tokio::task::JoinHandle<()> {
    let listener = UnixListener::bind(path).expect("a socket");
    tokio::spawn(async move {
        let mut held = Vec::new();
        loop {
            let (mut client, _) = listener.accept().await.expect("a connection");
            let mut heard = [0; 64];
            let _ = client.read(&mut heard).await;
            let _ = client.write_all(greeting).await;
            match flood {
                Some(byte) => {
                    tokio::spawn(async move { while client.write_all(&[byte; 4096]).await.is_ok() {} });
                }
                None => held.push(client),
            }
        }
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn any_other_server_is_tolerated() {
    let machine = machine().await;
    for (greeting, flood) in [
        (&b""[..], None),
        (b"\n", None),
        (b"220 mail.example ESMTP\r\n", None),
        (b"OK nonsense\r\n", None),
        (
            b"OK 0123456789abcdef0123456789abcdef\r\nAGREE_UNIX_FD\r\n",
            Some(0),
        ),
        (
            b"OK 0123456789abcdef0123456789abcdef\r\nAGREE_UNIX_FD\r\n",
            Some(b'l'),
        ),
        (b"", Some(b'x')),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("bus");
        let listening = impostor(&path, greeting, flood);
        let mut check = check(&address(&path), "plain.service");
        let began = Instant::now();
        let ran = run(&mut check).await;
        let shown = String::from_utf8_lossy(greeting);
        assert!(
            ran.is_failure(Reason::Unreachable, &address(&path)),
            "{shown:?}: {ran:?}"
        );
        assert!(
            began.elapsed() < Duration::from_secs(8),
            "{shown:?}: {:?}",
            began.elapsed()
        );
        listening.abort();
        std::fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink(machine.bus_socket(), &path).unwrap();
        until(&mut check, "is up", |ran| ran.is_up()).await;
    }
}
