//! The services that the exporters monitor.

use std::path::Path;

use crate::common::switchable::Switchable;
use crate::common::systemd::Machine;
use crate::common::targets::{Target, tls};

/// One service per scenario, so that all scenarios run concurrently.
pub struct Services {
    pub stopped: Switchable,
    pub degraded: Switchable,
    pub slow: Switchable,
    pub tolerated: Switchable,
    pub maintained: Switchable,
    machine: Machine,
    steady: Target,
}

impl Services {
    /// Starts all services.
    pub async fn start() -> Self {
        let machine = Machine::boot();
        for unit in ["crashing", "steady"] {
            machine.write_unit(
                &format!("{unit}.service"),
                "[Service]\nExecStart=/bin/sleep infinity\n",
            );
            machine.run(&format!("systemctl start {unit}"));
        }
        Self {
            stopped: Switchable::start().await,
            degraded: Switchable::start().await,
            slow: Switchable::start().await,
            tolerated: Switchable::start().await,
            maintained: Switchable::start().await,
            machine,
            steady: tls::serve(&tls::self_signed(&["127.0.0.1"]), &[], None).await,
        }
    }

    /// The keys of the services.
    pub const KEYS: [&str; 7] = [
        "stopped",
        "degraded",
        "slow",
        "tolerated",
        "maintained",
        "crashing",
        "steady",
    ];

    /// The exporters' configuration.
    pub fn config(&self, prometheus: &Path) -> String {
        let bus = self.machine.bus_address();
        format!(
            "defaults: {{ interval: 5s, timeout: 10s }}
modules: {{ http_2xx: {{ prober: http }} }}
services:
  - {{ key: stopped, group: web, checks: [{{ kind: http, url: 'http://{}/' }}] }}
  - {{ key: degraded, group: web, checks: [{{ kind: http, url: 'http://{}/' }}] }}
  - {{ key: slow, group: web, checks: [{{ kind: http, url: 'http://{}/', severity: warning }}] }}
  - {{ key: tolerated, group: web, tier: tolerant, checks: [{{ kind: tcp, address: '{}' }}] }}
  - {{ key: maintained, group: web, checks: [{{ kind: http, url: 'http://{}/' }}] }}
  - {{ key: crashing, group: units, checks: [{{ kind: systemd, unit: crashing, bus_address: '{bus}' }}] }}
  - key: steady
    group: units
    checks:
      - {{ kind: http, url: 'https://{}/', tls_config: {{ insecure_skip_verify: true }} }}
      - {{ kind: systemd, unit: steady, bus_address: '{bus}' }}
      - {{ kind: process, match: '{}' }}
",
            self.stopped.address,
            self.degraded.address,
            self.slow.address,
            self.tolerated.address,
            self.maintained.address,
            self.steady.address,
            prometheus.display(),
        )
    }

    /// Kills the crashing unit's process.
    pub fn crash(&self) {
        self.machine.run("systemctl kill --signal=KILL crashing");
    }

    /// Starts that unit again.
    pub fn start_crashed(&self) {
        self.machine.run("systemctl start crashing");
    }
}
