//! Discovery on a machine with a real systemd and real servers as units.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::Value;
use upkeep_exporter::config::{Config, parse};

use crate::common::systemd::Machine;

/// How long the servers may take to start on a busy machine.
const START: Duration = Duration::from_secs(90);

/// How long the exporter may take to show a change on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// Prepares the servers in the machine. PostgreSQL has TLS, which is where an incomplete handshake would be logged.
const PREPARE: &str = r#"
set -e
mkdir -p /srv/d /srv/d/etcd && cd /srv/d && chmod 755 . && mkdir -m 755 -p /run/sshd
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout key.pem -out cert.pem -days 30 -subj /CN=shop.example 2>/dev/null
ssh-keygen -q -t ed25519 -N '' -f host_key
bin=$(ls -d /usr/lib/postgresql/*/bin | head -1)
install -d -o postgres pg && install -o postgres -m 600 key.pem pg.key && install -o postgres cert.pem pg.pem
echo secret >password
setpriv --reuid=postgres --regid=postgres --clear-groups "$bin/initdb" --no-sync --auth=scram-sha-256 --pwfile=password -D pg >/dev/null
ln -s "$bin/postgres" postgres-bin
cat >nginx.conf <<'END'
daemon off; pid /run/d-nginx.pid; error_log stderr warn; events {}
http { access_log off;
  server { listen 80; location / { return 200 "shop"; } }
  server { listen 443 ssl; ssl_certificate /srv/d/cert.pem; ssl_certificate_key /srv/d/key.pem;
    location / { return 404; } location /healthz { return 200 "ok"; } } }
END
cat >server.js <<'END'
const http = require('http');
http.createServer((q, s) => { s.statusCode = q.url === '/health' ? 200 : 404; s.end(q.url); }).listen(3000, '127.0.0.1');
END
cat >tasks.py <<'END'
from celery import Celery
app = Celery('tasks', broker='redis://127.0.0.1:6379/0')
END
echo 'scrape_configs: []' >prometheus.yml
"#;

/// The units: their names, users and commands.
const UNITS: [(&str, &str, &str); 11] = [
    (
        "d-postgres",
        "postgres",
        "/srv/d/postgres-bin -D /srv/d/pg -c ssl=on -c ssl_cert_file=/srv/d/pg.pem -c ssl_key_file=/srv/d/pg.key -c unix_socket_directories=",
    ),
    (
        "d-redis",
        "nobody",
        "/usr/bin/redis-server --port 6379 --save '' --dir /tmp",
    ),
    (
        "d-locked",
        "nobody",
        "/usr/bin/redis-server --port 6380 --save '' --dir /tmp --requirepass secret",
    ),
    (
        "d-memcached",
        "nobody",
        "/usr/bin/memcached -l 127.0.0.1 -p 11211",
    ),
    ("d-etcd", "root", "/usr/bin/etcd --data-dir /srv/d/etcd"),
    ("d-nginx", "root", "/usr/sbin/nginx -c /srv/d/nginx.conf"),
    (
        "d-python",
        "nobody",
        "/usr/bin/python3 -m http.server --directory /srv/d 8000",
    ),
    ("d-node", "nobody", "/usr/bin/node /srv/d/server.js"),
    (
        "d-celery",
        "nobody",
        "/usr/bin/python3 -m celery -A tasks worker --pool solo",
    ),
    (
        "d-sshd",
        "root",
        "/usr/sbin/sshd -D -f /dev/null -h /srv/d/host_key",
    ),
    (
        "d-prometheus",
        "nobody",
        "/usr/bin/prometheus --config.file=/srv/d/prometheus.yml --storage.tsdb.path=/tmp/tsdb",
    ),
];

/// The ports of the servers.
const PORTS: [u16; 11] = [5432, 6379, 6380, 11211, 2379, 80, 443, 8000, 3000, 22, 9090];

/// The group and the checks that each unit must have, in addition to its unit.
const EXPECTED: [(&str, &str, &[&str]); 11] = [
    (
        "d-postgres",
        "databases",
        &["port tcp *:5432", "tcp 127.0.0.1:5432"],
    ),
    (
        "d-redis",
        "databases",
        &["port tcp *:6379", "redis redis://127.0.0.1:6379/0"],
    ),
    (
        "d-locked",
        "databases",
        &["port tcp *:6380", "tcp 127.0.0.1:6380"],
    ),
    (
        "d-memcached",
        "databases",
        &["port tcp *:11211", "memcached 127.0.0.1:11211"],
    ),
    (
        "d-etcd",
        "databases",
        &["port tcp *:2379", "http http://127.0.0.1:2379/health"],
    ),
    (
        "d-nginx",
        "web",
        &[
            "port tcp *:80",
            "http http://127.0.0.1/",
            "port tcp *:443",
            "http https://127.0.0.1/healthz",
        ],
    ),
    (
        "d-python",
        "applications",
        &["port tcp *:8000", "http http://127.0.0.1:8000/"],
    ),
    (
        "d-node",
        "applications",
        &["port tcp *:3000", "http http://127.0.0.1:3000/health"],
    ),
    ("d-celery", "workers", &["process "]),
    ("d-sshd", "system", &["port tcp *:22"]),
    (
        "d-prometheus",
        "monitoring",
        &["port tcp *:9090", "http http://127.0.0.1:9090/-/healthy"],
    ),
];

const EXPORTER: &str = "/run/shared/exporter";

/// Boots a machine of its own, because units of other tests fail on purpose.
fn machine() -> Machine {
    let machine = Machine::boot();
    fs::copy(
        env!("CARGO_BIN_EXE_upkeep_exporter"),
        machine.shared_directory().join("exporter"),
    )
    .unwrap();
    machine.run(PREPARE);
    for (name, user, command) in UNITS {
        let text = format!(
            "[Unit]\nDescription=Test of {name}\n[Service]\nUser={user}\nWorkingDirectory=/srv/d\nExecStart={command}\nTimeoutStopSec=1\n"
        );
        machine.write_unit(&format!("{name}.service"), &text);
    }
    let names: Vec<&str> = UNITS.iter().map(|(name, ..)| *name).collect();
    machine.run(&format!("systemctl start {}", names.join(" ")));
    eventually("the servers listen", START, || {
        let listening = machine.run("ss -Hltn");
        let has = |port: &u16| listening.contains(&format!(":{port} "));
        PORTS.iter().all(has).then_some(())
    });
    machine
}

fn eventually<T>(what: &str, limit: Duration, mut attempt: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = attempt() {
            return found;
        }
        assert!(began.elapsed() < limit, "waited {limit:?} until {what}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// The group and the checks of a service; a group that no service has if it is missing.
fn checks(config: &Config, key: &str) -> (String, Vec<String>) {
    let service = config.services.iter().find(|service| service.key.as_str() == key);
    let Some(service) = service else {
        return ("missing".to_owned(), Vec::new());
    };
    let checks = service.checks.iter();
    let checks = checks.map(|check| format!("{} {}", check.kind.kind(), check.kind.target()));
    (service.group.clone(), checks.collect())
}

/// The worst status of all services, and those that are not up.
fn judged(machine: &Machine, before: &str, arguments: &str) -> (Option<i32>, String) {
    let output = machine.try_run(&format!("{before} {EXPORTER} check -o json {arguments}"));
    let document: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    let services = document["services"].as_array().unwrap().iter();
    let bad: Vec<String> = services
        .filter(|service| service["status"] != "up")
        .map(ToString::to_string)
        .collect();
    (output.status.code(), bad.join("\n"))
}

/// What is missing in a discovered configuration. A server on a busy machine may respond too late to be recognized.
fn missing(text: &str) -> Option<String> {
    let loaded = parse(text, "found").unwrap_or_else(|error| panic!("{error}\n{text}"));
    assert_eq!(loaded.warnings, [], "{text}");
    EXPECTED.iter().find_map(|(key, group, expected)| {
        let (found_group, found) = checks(&loaded.config, key);
        let unit = format!("systemd {key}.service");
        let mut wanted = expected.iter().copied().chain([unit.as_str()]);
        let lacks = |check: &&str| !found.iter().any(|found| found.starts_with(check));
        let lacking = wanted.find(lacks).map(str::to_owned);
        let group = (found_group != *group).then(|| format!("group {group}"));
        lacking
            .or(group)
            .map(|lacking| format!("{key}: no {lacking} in {found_group}: {found:?}"))
    })
}

#[test]
fn a_machine_with_eleven_servers_shows_them_at_the_first_start() {
    let machine = machine();
    let discover = || machine.run(&format!("{EXPORTER} discover"));
    let mut text = discover();
    let began = Instant::now();
    while let Some(missing) = missing(&text) {
        assert!(began.elapsed() < PATIENCE, "{missing}\n{text}");
        text = discover();
    }
    for plumbing in ["systemd-journald", "dbus", "getty"] {
        assert!(
            !text.contains(plumbing),
            "{plumbing} is a part of the system\n{text}"
        );
    }
    // The same again: nothing in it changes with time.
    eventually("two runs print the same", PATIENCE, || {
        (discover() == text).then_some(())
    });

    write_and_compare(&machine);
    exporters_are_left_out(&machine);
    no_check_fails(&machine);
    servers_are_not_disturbed(&machine);
    the_exporter_without_a_file_shows_them(&machine);
}

fn write_and_compare(machine: &Machine) {
    let file = "/run/shared/found.yml";
    machine.run(&format!(
        "{EXPORTER} discover --write {file} && {EXPORTER} check-config {file}"
    ));
    let again = machine.try_run(&format!("{EXPORTER} discover --write {file}"));
    let said = String::from_utf8_lossy(&again.stderr).into_owned();
    assert!(
        again.status.code() == Some(1) && said.contains("--force"),
        "{said}"
    );
    machine.run(&format!("{EXPORTER} discover --write {file} --force"));
    eventually("nothing differs", PATIENCE, || {
        machine
            .try_run(&format!("{EXPORTER} discover --diff {file}"))
            .status
            .success()
            .then_some(())
    });
    machine.run("systemctl stop d-memcached");
    let changed = machine.try_run(&format!("{EXPORTER} discover --diff {file}"));
    let lines = String::from_utf8_lossy(&changed.stdout).into_owned();
    assert_eq!(changed.status.code(), Some(1), "{lines}");
    assert_eq!(
        lines.lines().collect::<Vec<_>>(),
        [
            "gone  port 11211 (d-memcached)",
            "gone  unit d-memcached.service (d-memcached)"
        ]
    );
    machine.run("systemctl start d-memcached");
    eventually("memcached listens", PATIENCE, || {
        machine.run("ss -Hltn").contains(":11211 ").then_some(())
    });
}

/// An exporter that starts after the file was written is no difference, but a job of `heartbeat run` is.
fn exporters_are_left_out(machine: &Machine) {
    let program = "/run/shared/upkeep_exporter";
    machine.run(&format!("ln {EXPORTER} {program}"));
    machine.write_unit(
        "d-watch.service",
        &format!("[Service]\nUser=daemon\nExecStart={program} --no-discover --control.socket= --web.listen-address=127.0.0.1:10111\n"),
    );
    machine.write_unit(
        "d-job.service",
        &format!(
            "[Service]\nUser=nobody\nEnvironment=TOKEN=0123456789abcdef0123456789abcdef\n\
             ExecStart={program} heartbeat run --url http://127.0.0.1:10111 --token-env TOKEN -- /usr/bin/python3 -m http.server 8200\n"
        ),
    );
    machine.run("systemctl start d-watch d-job");
    eventually("both listen", START, || {
        let listening = machine.run("ss -Hltn");
        (listening.contains(":10111 ") && listening.contains(":8200 ")).then_some(())
    });
    let unprivileged = "setpriv --reuid=nobody --regid=nogroup --clear-groups";
    for before in ["", unprivileged] {
        eventually("only the job is new", PATIENCE, || {
            let found = machine.try_run(&format!(
                "{before} {EXPORTER} discover --diff /run/shared/found.yml"
            ));
            let lines = String::from_utf8_lossy(&found.stdout).into_owned();
            (lines == "new   port 8200 (d-job)\nnew   unit d-job.service (d-job)\n").then_some(())
        });
    }
    machine.run("systemctl stop d-watch d-job");
}

/// With the file, without it, and for a user without privileges.
fn no_check_fails(machine: &Machine) {
    let unprivileged = "systemd-run --quiet --wait --pipe --collect -p User=nobody -p NoNewPrivileges=yes";
    for (before, arguments) in [
        ("", "--config.file=/run/shared/found.yml"),
        ("", ""),
        (unprivileged, ""),
    ] {
        let mut judgement = judged(machine, before, arguments);
        let began = Instant::now();
        while judgement != (Some(0), String::new()) {
            // A run on a busy machine may take too long.
            assert!(
                began.elapsed() < PATIENCE,
                "{before} check {arguments}: {judgement:?}"
            );
            judgement = judged(machine, before, arguments);
        }
    }
    let text = machine.run(&format!("{unprivileged} {EXPORTER} discover"));
    assert!(
        text.contains("What could not be seen") && text.contains("CAP_SYS_PTRACE"),
        "{text}"
    );
    assert!(text.contains("key: \"d-postgres\""), "{text}");
}

fn servers_are_not_disturbed(machine: &Machine) {
    let logs = machine.run("journalctl --no-pager -o cat -u 'd-*'");
    for complaint in [
        "SSL connection",
        "invalid length of startup packet",
        "SECURITY ATTACK",
        "kex_exchange",
        "Connection closed by 127",
        "TLS handshake error",
    ] {
        assert!(!logs.contains(complaint), "{complaint} in:\n{logs}");
    }
}

/// The exporter shows the services after its start. A server that disappears is down, and not forgotten.
fn the_exporter_without_a_file_shows_them(machine: &Machine) {
    machine.write_unit(
        "d-exporter.service",
        &format!("[Service]\nExecStart={EXPORTER} --web.enable-lifecycle\n"),
    );
    let began = Instant::now();
    machine.run("systemctl start d-exporter");
    let value = |key: &str| {
        let metrics = machine.try_run("curl -sf http://127.0.0.1:10100/metrics").stdout;
        let metrics = String::from_utf8_lossy(&metrics).into_owned();
        let mut lines = metrics.lines();
        let line =
            lines.find(|line| line.starts_with("upkeep_service_up{") && line.contains(&format!("\"{key}\"")));
        line.map(|line| line.ends_with(" 1"))
    };
    for (key, ..) in EXPECTED {
        eventually(key, PATIENCE, || (value(key) == Some(true)).then_some(()));
    }
    println!("all services were up {:?} after the start", began.elapsed());
    machine.run("systemctl stop d-node && curl -sf -X POST http://127.0.0.1:10100/-/reload");
    eventually("d-node is down", PATIENCE, || {
        (value("d-node") == Some(false)).then_some(())
    });
    // A service that starts later is added, also by a reload.
    machine.write_unit(
        "d-late.service",
        "[Service]\nExecStart=/usr/bin/python3 -m http.server 8100\n",
    );
    machine.run("systemctl start d-late");
    eventually("d-late is found", PATIENCE, || {
        machine.run("curl -sf -X POST http://127.0.0.1:10100/-/reload");
        value("d-late")
    });
    assert_eq!(value("d-node"), Some(false), "what disappeared is not forgotten");
    assert_eq!(value("d-nginx"), Some(true));
}
