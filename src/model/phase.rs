//! The phases of a run.

use std::time::Duration;

use super::status::words;

words! {
    /// A phase of a run, with the same names as in blackbox_exporter.
    Phase {
        /// Resolving the name to addresses.
        Resolve = "resolve",
        /// Connecting, including the response of a proxy.
        Connect = "connect",
        /// The TLS handshake.
        Tls = "tls",
        /// From the request to the first byte of the response.
        Processing = "processing",
        /// The rest of the response.
        Transfer = "transfer",
    }
}

/// How long a run spent in each phase, in the order of [`Phase::ALL`]. Zero for phases that it did not reach.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Phases([Duration; Phase::ALL.len()]);

impl Phases {
    /// The time spent in a phase, the sum over all redirects.
    pub const fn spent(&self, phase: Phase) -> Duration {
        self.0[phase as usize]
    }

    /// Adds time spent in a phase.
    pub fn add(&mut self, phase: Phase, spent: Duration) {
        self.0[phase as usize] += spent;
    }

    /// Whether all phases are zero, as for kinds that do not use the network.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(Duration::is_zero)
    }
}
