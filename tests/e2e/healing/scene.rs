//! The services that both exporters monitor: units of a real systemd, and a root cause with dependants.

use std::fs;
use std::os::unix::fs::symlink;
use std::time::Duration;

use tempfile::TempDir;

use crate::common::switchable::Switchable;
use crate::common::systemd::Machine;

/// How long the unit `slow` takes to start.
pub const SLOW_START: Duration = Duration::from_secs(4);

/// The services with a unit that are monitored by each exporter, and the mode of their healing.
pub const UNITS: [(&str, &str); 5] = [
    ("dry", "dry-run"),
    ("crash", "act"),
    ("slow", "act"),
    ("hopeless", "act"),
    ("maintained", "act"),
];
/// The services that depend on `db`.
pub const DEPENDANTS: [&str; 3] = ["api", "web", "worker"];
/// More than half of all services are up, so that the faults are no storm.
pub const STEADY: usize = 10;

/// What the exporters monitor.
pub struct Scene {
    machine: Machine,
    db: Switchable,
    steady: Switchable,
    pub procfs: TempDir,
}

impl Scene {
    pub async fn start() -> Self {
        let machine = Machine::boot();
        for number in 0..2 {
            for service in UNITS.iter().map(|(service, _)| *service).chain(["api"]) {
                let seconds = if service == "slow" {
                    SLOW_START.as_secs()
                } else {
                    0
                };
                // It counts its starts. It runs unless it is broken.
                let text = format!(
                    "[Service]\n\
                     ExecStartPre=/bin/sh -c 'echo >>/run/shared/%N.starts; sleep {seconds}'\n\
                     ExecStart=/bin/sh -c 'test ! -e /run/shared/%N.broken && exec sleep infinity'\n"
                );
                machine.write_unit(&format!("{service}{number}.service"), &text);
                machine.run(&format!("systemctl start --no-block {service}{number}"));
            }
        }
        Self {
            machine,
            db: Switchable::start().await,
            steady: Switchable::start().await,
            procfs: proc_without_pressure(),
        }
    }

    /// The configuration of an exporter.
    pub fn config(&self, number: usize) -> String {
        let bus = self.machine.bus_address();
        let unit =
            |service: &str| format!("{{ kind: systemd, unit: {service}{number}, bus_address: '{bus}' }}");
        let port = format!("{{ kind: http, url: 'http://{}/' }}", self.db.address);
        let mut text = String::from(
            "defaults: { interval: 1s, recheck_interval: 1s, heal: { backoff: { min: 10s, max: 10s } } }\nservices:\n",
        );
        for (service, mode) in UNITS {
            text += &format!(
                "  - {{ key: {service}, heal: {{ mode: {mode} }}, checks: [{}] }}\n",
                unit(service)
            );
        }
        text += &format!(
            "  - {{ key: db, checks: [{port}] }}\n  \
               - {{ key: api, depends_on: [web], heal: {{ mode: act }}, checks: [{port}, {}] }}\n  \
               - {{ key: web, depends_on: [db], checks: [{port}] }}\n  \
               - {{ key: worker, depends_on: [db], checks: [{port}] }}\n",
            unit("api")
        );
        for index in 0..STEADY {
            text += &format!(
                "  - {{ key: steady{index}, interval: 5s, checks: [{{ kind: tcp, address: '{}' }}] }}\n",
                self.steady.address
            );
        }
        text
    }

    /// Lets everything fail at the same time.
    pub async fn fail(&mut self) {
        let mut units = String::new();
        for number in 0..2 {
            let broken = format!("hopeless{number}.broken");
            fs::write(self.machine.shared_directory().join(broken), "").unwrap();
            for (service, _) in UNITS {
                units += &format!(" {service}{number}");
            }
        }
        self.machine.run(&format!("systemctl kill --signal=KILL{units}"));
        self.db.stop().await;
    }

    /// Lets the unit that can't be healed work again.
    pub fn repair(&self) {
        for number in 0..2 {
            let broken = format!("hopeless{number}.broken");
            fs::remove_file(self.machine.shared_directory().join(broken)).unwrap();
        }
        self.machine.run("systemctl start hopeless0 hopeless1");
    }

    /// How often the unit of a service was started.
    pub fn starts(&self, service: &str, number: usize) -> usize {
        let path = self
            .machine
            .shared_directory()
            .join(format!("{service}{number}.starts"));
        fs::read_to_string(path).unwrap_or_default().lines().count()
    }
}

/// A view of /proc without pressure: while other tests keep this machine busy, nothing would be healed.
fn proc_without_pressure() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let name = entry.file_name();
        let is_process = name.as_encoded_bytes().iter().all(u8::is_ascii_digit);
        if !is_process && name != "pressure" {
            symlink(entry.path(), dir.path().join(name)).unwrap();
        }
    }
    dir
}
