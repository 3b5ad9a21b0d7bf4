//! The resources that all checks of one exporter share.

use std::path::PathBuf;
use std::sync::Arc;

use super::body_budget::BodyBudgets;
use super::cgroup::Cgroups;
use super::dependencies::Readers;
use super::host_reads::HostReads;
use super::port_scan::PortScanner;
use super::proc_scan::Scanner;
use super::programs::Programs;
use super::provider_results::ResultCache;
use super::unit_watch::Hub;
use super::workers::Workers;
use crate::heartbeat::Heartbeats;
use crate::net::network::Network;
use crate::net::oauth2::Tokens;
use crate::state_dir::StateDir;
use crate::supervise::Supervisor;

/// The resources that all checks of one exporter share. Created once; survives reloads.
#[derive(Clone, Debug)]
pub struct CheckContext {
    /// Where /proc is mounted.
    pub procfs: PathBuf,
    /// The scanner of `procfs`, for process checks.
    pub processes: Scanner,
    /// The scanner of local sockets, for port checks.
    pub ports: PortScanner,
    /// The resources that all connections share.
    pub network: Network,
    /// The tokens that checks and modules share.
    pub tokens: Tokens,
    /// The memory budgets for stored bodies.
    pub bodies: BodyBudgets,
    /// The threads that evaluate the expressions of checks.
    pub workers: Workers,
    /// The turns of checks that read many files.
    pub readers: Readers,
    /// The reads of the machine's figures and file systems.
    pub host: HostReads,
    /// The systemd units that checks watch.
    pub units: Hub,
    /// The results of provider checks.
    pub provider_results: ResultCache,
    /// The control groups of this machine.
    pub cgroups: Cgroups,
    /// The programs of exec checks.
    pub programs: Programs,
    /// The jobs that report to this exporter.
    pub heartbeats: Heartbeats,
}

impl CheckContext {
    /// Creates the resources, with /proc mounted at `procfs`.
    pub fn new(procfs: PathBuf) -> Self {
        Self {
            processes: Scanner::new(procfs.clone()),
            ports: PortScanner::new(procfs.clone()),
            network: Network::default(),
            tokens: Tokens::default(),
            bodies: BodyBudgets::default(),
            workers: Workers::default(),
            readers: Readers::default(),
            host: HostReads::default(),
            units: Hub::default(),
            provider_results: ResultCache::default(),
            cgroups: Cgroups::default(),
            programs: Programs::default(),
            heartbeats: Heartbeats::default(),
            procfs,
        }
    }

    /// Judges the jobs that report to this exporter.
    #[must_use]
    pub fn with_heartbeats(self, heartbeats: Heartbeats) -> Self {
        Self { heartbeats, ..self }
    }

    /// Saves results that survive a restart in this directory.
    #[must_use]
    pub fn with_state_dir(self, dir: Option<Arc<StateDir>>) -> Self {
        Self {
            provider_results: ResultCache::new(dir),
            ..self
        }
    }

    /// Runs the programs of exec checks with the binary of another exporter. For tests.
    #[must_use]
    pub fn with_supervisor(self, program: PathBuf) -> Self {
        Self {
            programs: Programs::new(Supervisor::new(program)),
            ..self
        }
    }
}
