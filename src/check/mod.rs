//! What a check is, and the one match over its kinds. A check knows how to run once; when it runs, for how long, and
//! what its result means is the business of others.

pub mod dbus;
pub mod dial;
pub mod http;
pub mod network;
pub mod proc_scan;
pub mod process;
pub mod proxy;
pub mod resolve;
pub mod stamp;
pub mod systemd;
pub mod tcp;
pub mod tls;
pub mod trace;

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::Notify;

use crate::config::{CheckSettings, KindSettings};
use crate::model::{CheckKind, Family, Problem, Report};

/// What the checks of one exporter share: made once, handed to every check. Survives reloads.
#[derive(Clone, Debug)]
pub struct Shared {
    /// Where /proc is mounted.
    pub procfs: PathBuf,
    /// The scanner of `procfs`, for process checks.
    pub processes: proc_scan::Scanner,
    /// Names, trust and memory of the checks that talk over a network.
    pub network: network::Network,
    /// The systemd units that checks watch.
    pub units: systemd::Hub,
}

impl Shared {
    /// The shared parts, with /proc at `procfs`.
    pub fn new(procfs: PathBuf) -> Self {
        Self {
            processes: proc_scan::Scanner::new(procfs.clone()),
            network: network::Network::default(),
            units: systemd::Hub::default(),
            procfs,
        }
    }
}

/// A check that can be run. It owns what it keeps between its runs; after a panic it is built anew.
#[derive(Debug)]
pub enum Check {
    /// See [`http::HttpCheck`].
    Http(Box<http::HttpCheck>),
    /// See [`tcp::TcpCheck`].
    Tcp(Box<tcp::TcpCheck>),
    /// See [`systemd::SystemdCheck`].
    Systemd(Box<systemd::SystemdCheck>),
    /// See [`process::ProcessCheck`].
    Process(Box<process::ProcessCheck>),
}

impl Check {
    /// Builds a check. This neither blocks nor talks to a target.
    pub fn new(settings: &Arc<CheckSettings>, shared: &Shared) -> Self {
        match &settings.kind {
            KindSettings::Http(own) => Self::Http(Box::new(http::HttpCheck::new(own, shared))),
            KindSettings::Tcp(own) => Self::Tcp(Box::new(tcp::TcpCheck::new(own, shared))),
            KindSettings::Systemd(own) => Self::Systemd(Box::new(systemd::SystemdCheck::new(own, shared))),
            KindSettings::Process(own) => Self::Process(Box::new(process::ProcessCheck::new(own, shared))),
        }
    }

    /// Runs once. The caller sets the deadline by dropping the future, which frees every socket at once; `report` keeps
    /// what was measured until then.
    ///
    /// # Errors
    /// The one problem that made the run a failure.
    pub async fn run(&mut self, report: &mut Report) -> Result<(), Problem> {
        match self {
            Self::Http(check) => check.run(report).await,
            Self::Tcp(check) => check.run(report).await,
            Self::Systemd(check) => check.run(report).await,
            Self::Process(check) => check.run(report).await,
        }
    }

    /// Notified when the check has reason to be run before its next tick (a D-Bus signal, say).
    pub fn wakeup(&self) -> Option<Arc<Notify>> {
        match self {
            Self::Http(_) | Self::Tcp(_) | Self::Process(_) => None,
            Self::Systemd(check) => check.wakeup(),
        }
    }
}

/// The metric families of a kind's own, beside those that every check has.
pub const fn families(kind: CheckKind) -> &'static [&'static Family] {
    match kind {
        CheckKind::Http => http::FAMILIES,
        CheckKind::Tcp => tcp::FAMILIES,
        CheckKind::Systemd => systemd::FAMILIES,
        CheckKind::Process => process::FAMILIES,
    }
}
