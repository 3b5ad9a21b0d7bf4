//! Checks, and the one enum over their kinds. A check knows how to run once. Other parts decide when it runs, for how long, and
//! what its result means.

pub mod amqp;
mod body_budget;
pub mod celery;
pub mod cgroup;
mod context;
pub mod dependencies;
pub mod dialogue;
pub mod dns;
pub mod docker;
pub mod exec;
mod executable;
pub mod grpc;
pub mod heartbeat;
pub mod host;
mod host_reads;
pub mod http;
pub mod icmp;
pub mod memcached;
pub mod node;
pub mod port;
pub mod port_scan;
pub mod postgres;
pub mod proc_scan;
pub mod process;
pub mod programs;
pub mod provider;
mod provider_results;
pub mod python;
pub mod rabbitmq;
pub mod redis;
pub mod s3;
pub mod systemd;
pub mod tcp;
pub mod unit_watch;
pub mod unix;
pub mod user;
pub mod websocket;
pub mod workers;

use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::Notify;

pub use self::context::CheckContext;

use crate::config::{CheckSettings, KindSettings};
use crate::model::{CheckKind, Family, Problem, Report, with_kinds};

/// One run of a check.
pub type Run<'r> = Pin<Box<dyn Future<Output = Result<(), Problem>> + Send + 'r>>;

macro_rules! checks {
    ($($(#[$doc:meta])* $variant:ident $name:ident $timed:ident $options:ident $settings:ident $check:ident;)+) => {
        /// A check that can be run. It owns its state between runs. After a panic, it is replaced by a new one.
        #[derive(Debug)]
        pub enum Check {
            $($(#[$doc])* $variant(Box<$name::$check>)),+
        }

        impl Check {
            /// Creates a check. Neither blocks nor connects to a target.
            pub fn new(settings: &Arc<CheckSettings>, context: &CheckContext) -> Self {
                let mut check = Self::from_kind(&settings.kind, context);
                check.set_schedule(settings);
                check
            }

            /// Creates a check from the settings of its kind. Neither blocks nor connects to a target.
            pub fn from_kind(settings: &KindSettings, context: &CheckContext) -> Self {
                match settings {
                    $(KindSettings::$variant(own) => Self::$variant(Box::new($name::$check::new(own, context)))),+
                }
            }

            /// Runs once. To enforce a deadline, drop the future: this closes all sockets at once, and `report` contains what
            /// was measured so far.
            ///
            /// The future of each kind is boxed, because one future for all kinds would be as large as the largest one.
            ///
            /// # Errors
            /// The problem that made the run fail.
            pub fn run<'r>(&'r mut self, report: &'r mut Report) -> Run<'r> {
                match self {
                    $(Self::$variant(check) => Box::pin(check.run(report))),+
                }
            }
        }

        /// The metric families of a kind, in addition to those that every check has.
        pub const fn families(kind: CheckKind) -> &'static [&'static Family] {
            match kind {
                $(CheckKind::$variant => $name::FAMILIES),+
            }
        }

        /// The size of the future of a run, of every kind.
        #[cfg(test)]
        fn run_sizes() -> Vec<(CheckKind, usize)> {
            vec![$((
                CheckKind::$variant,
                tests::size_of_future(|(check, report): (&'static mut $name::$check, &'static mut Report)| check.run(report)),
            )),+]
        }
    };
}
with_kinds!(checks);

impl Check {
    /// Tells a check that reuses its results how often it runs.
    fn set_schedule(&mut self, settings: &CheckSettings) {
        if let Self::Provider(check) = self {
            check.set_schedule(settings.interval, settings.recheck_interval);
        }
    }

    /// Notified when the check should run before its next tick, for example after a D-Bus signal or a beat.
    pub fn wakeup(&self) -> Option<Arc<Notify>> {
        match self {
            Self::Systemd(check) => check.wakeup(),
            Self::Heartbeat(check) => check.wakeup(),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::sees_certificates;
    use crate::net::certificates::{CERTIFICATE_NOT_AFTER, CERTIFICATE_NOT_BEFORE};

    /// The largest future of a run of the kinds that thousands of checks may have, in bytes.
    const MAX_LIGHT_RUN: usize = 2048;
    /// The largest future of a run of any other kind, in bytes.
    const MAX_RUN: usize = 12 << 10;

    /// The size of the future that an async function returns, without calling it.
    pub fn size_of_future<A, F: Future>(_: impl FnOnce(A) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn the_futures_of_runs_are_small() {
        let is_light = |kind| matches!(kind, CheckKind::Http | CheckKind::Tcp | CheckKind::Icmp);
        let max = |kind| if is_light(kind) { MAX_LIGHT_RUN } else { MAX_RUN };
        let sizes = run_sizes();
        let large: Vec<_> = sizes.iter().filter(|(kind, size)| *size > max(*kind)).collect();
        assert!(large.is_empty(), "too large: {large:?} of {sizes:?}");
    }

    #[test]
    fn kinds_that_see_certificates_have_the_key_and_both_metrics() {
        for kind in CheckKind::ALL {
            for family in [&CERTIFICATE_NOT_AFTER, &CERTIFICATE_NOT_BEFORE] {
                let is_exported = families(kind).contains(&family);
                assert_eq!(is_exported, sees_certificates(kind), "{kind}: {}", family.name);
            }
        }
    }
}
