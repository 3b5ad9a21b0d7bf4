//! The parts of a run whose durations are told apart.

use std::time::Duration;

use super::status::words;

words! {
    /// A part of a run; the same words as blackbox_exporter's.
    Phase {
        /// From the name to addresses.
        Resolve = "resolve",
        /// Until the connection stands, a proxy's answer included.
        Connect = "connect",
        /// The TLS handshake.
        Tls = "tls",
        /// From the request to the response's first byte.
        Processing = "processing",
        /// The rest of the response.
        Transfer = "transfer",
    }
}

/// How long a run spent in each phase, in the order of [`Phase::ALL`]; zero for those that it did not reach.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Phases([Duration; Phase::ALL.len()]);

impl Phases {
    /// The time spent in a phase, redirects added up.
    pub const fn spent(&self, phase: Phase) -> Duration {
        self.0[phase as usize]
    }

    /// Adds time spent in a phase.
    pub fn add(&mut self, phase: Phase, spent: Duration) {
        self.0[phase as usize] += spent;
    }

    /// Whether any time was told apart; kinds that do not use the network tell none.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(Duration::is_zero)
    }
}
