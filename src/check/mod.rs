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

use std::sync::Arc;

use tokio::sync::Notify;

pub use self::context::CheckContext;

use crate::config::{CheckSettings, KindSettings};
use crate::model::{CheckKind, Family, Problem, Report, with_kinds};

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
            /// # Errors
            /// The problem that made the run fail.
            pub async fn run(&mut self, report: &mut Report) -> Result<(), Problem> {
                match self {
                    $(Self::$variant(check) => check.run(report).await),+
                }
            }
        }

        /// The metric families of a kind, in addition to those that every check has.
        pub const fn families(kind: CheckKind) -> &'static [&'static Family] {
            match kind {
                $(CheckKind::$variant => $name::FAMILIES),+
            }
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
