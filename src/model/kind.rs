//! The kinds of check there are.

use std::fmt;

/// A kind of check. The name is the same in the configuration (`kind: http`), in labels (`kind="http"`) and in the
/// names of the files that implement it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CheckKind {
    /// An HTTP request and its response.
    Http,
    /// A TCP connection, with TLS where asked.
    Tcp,
    /// The state of a systemd unit.
    Systemd,
    /// Processes found in /proc.
    Process,
}

impl CheckKind {
    /// Every kind, in the order of the documentation.
    pub const ALL: [Self; 4] = [Self::Http, Self::Tcp, Self::Systemd, Self::Process];

    /// The name in configuration and labels.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Tcp => "tcp",
            Self::Systemd => "systemd",
            Self::Process => "process",
        }
    }

    /// Whether runs of this kind have a response time, which thresholds judge and a histogram records.
    pub const fn is_timed(self) -> bool {
        match self {
            Self::Http | Self::Tcp => true,
            Self::Systemd | Self::Process => false,
        }
    }
}

impl fmt::Display for CheckKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
