//! Connecting to a D-Bus message bus, and what to tell people when that fails.

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::num::NonZero;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;
use zbus::connection::Builder;
use zbus::{Address, Connection};

use super::shortage;
use crate::config::systemd::BusAddress;
use crate::model::{Problem, Reason};

/// How long connecting and authenticating may take. A local bus answers within milliseconds.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How many received messages may wait for us; zbus stops reading the socket beyond it.
const MAX_QUEUED: NonZero<usize> = NonZero::new(256).unwrap();

/// Why there is no connection to a bus.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The environment's address of the system bus can't be used.
    #[error(
        "DBUS_SYSTEM_BUS_ADDRESS holds no D-Bus address: unset it, or set unix:path=/run/dbus/system_bus_socket"
    )]
    Address,
    /// There is no socket.
    #[error(
        "no D-Bus at {bus}: there is no such socket; install and start dbus, or, in a container, mount the host's \
         socket there"
    )]
    NoSocket {
        /// The address tried.
        bus: String,
    },
    /// The socket can't be opened by the exporter's user.
    #[error("not allowed to connect to D-Bus at {bus}: the socket must be writable for the exporter's user")]
    Permission {
        /// The address tried.
        bus: String,
    },
    /// The operating system could not connect.
    #[error(
        "connecting to D-Bus at {bus} failed: {cause}; is the bus running (systemctl status dbus.socket)?"
    )]
    Io {
        /// The address tried.
        bus: String,
        /// What went wrong.
        cause: io::Error,
    },
    /// Nothing came back in time.
    #[error("D-Bus at {bus} took the connection but did not answer within {} s: is it hung?", CONNECT_TIMEOUT.as_secs())]
    Silent {
        /// The address tried.
        bus: String,
    },
    /// What came back is not D-Bus, or the bus turned the exporter away.
    #[error("what listens at {bus} is no D-Bus that takes the exporter's user: {cause}")]
    Handshake {
        /// The address tried.
        bus: String,
        /// What went wrong.
        cause: String,
    },
}

impl From<ConnectError> for Problem {
    fn from(error: ConnectError) -> Self {
        let (shortage, reason) = match &error {
            ConnectError::Permission { .. } => (None, Reason::Permission),
            ConnectError::Io { cause, .. } => (shortage::of(cause), Reason::Unreachable),
            _ => (None, Reason::Unreachable),
        };
        shortage::problem_or(shortage, reason, error)
    }
}

/// The address of a bus for people.
pub fn describe(bus: &BusAddress) -> String {
    match bus {
        BusAddress::Address(address) => address.clone(),
        BusAddress::System => match Address::system() {
            Ok(address) => address.to_string(),
            Err(_) => "the system bus".to_owned(),
        },
    }
}

/// Connects to a bus and says Hello, within five seconds.
///
/// # Errors
/// Why there is no connection.
pub async fn connect(bus: &BusAddress) -> Result<Connection, ConnectError> {
    let address = match bus {
        BusAddress::Address(address) => address.parse(),
        BusAddress::System => Address::system(),
    };
    let address: Address = address.map_err(|_| ConnectError::Address)?;
    let name = address.to_string();
    let building = Builder::address(address).max_queued(MAX_QUEUED);
    // zbus 6.2 panics on a peer whose first line is empty; such a peer is no D-Bus, and no reason to lose the task.
    let building = AssertUnwindSafe(building.build()).catch_unwind();
    match tokio::time::timeout(CONNECT_TIMEOUT, building).await {
        Err(_) => Err(ConnectError::Silent { bus: name }),
        Ok(Err(_)) => Err(ConnectError::Handshake {
            bus: name,
            cause: "its first line is empty".to_owned(),
        }),
        Ok(Ok(Ok(connection))) => Ok(connection),
        Ok(Ok(Err(error))) => Err(refine(name, &error)),
    }
}

fn refine(bus: String, error: &zbus::Error) -> ConnectError {
    match error {
        zbus::Error::Connection(cause, _) | zbus::Error::InputOutput(cause) => match cause.kind() {
            io::ErrorKind::NotFound => ConnectError::NoSocket { bus },
            io::ErrorKind::PermissionDenied => ConnectError::Permission { bus },
            kind => ConnectError::Io {
                bus,
                cause: cause
                    .raw_os_error()
                    .map_or_else(|| kind.into(), io::Error::from_raw_os_error),
            },
        },
        other => ConnectError::Handshake {
            bus,
            cause: other.to_string(),
        },
    }
}

/// How long to wait before the next attempt: doubled each time, with jitter, so that many exporters do not knock at once.
#[derive(Debug)]
pub struct Backoff {
    next: Duration,
    first: Duration,
    longest: Duration,
}

impl Backoff {
    /// Waits that begin at `first` and never exceed `longest`.
    pub const fn new(first: Duration, longest: Duration) -> Self {
        Self {
            next: first,
            first,
            longest,
        }
    }

    /// The wait before the next attempt: between a half and the whole of the current step.
    pub fn wait(&mut self) -> Duration {
        let step = self.next;
        self.next = (step * 2).min(self.longest);
        // A fresh RandomState hashes with random keys: enough randomness for jitter.
        let sixteenths = u32::from(RandomState::new().hash_one(0_u8).to_le_bytes()[0] % 9);
        step / 2 + step / 16 * sixteenths
    }

    /// Begins anew, after a success.
    pub fn reset(&mut self) {
        self.next = self.first;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_bound_and_start_anew() {
        let second = Duration::from_secs(1);
        let mut backoff = Backoff::new(second, 4 * second);
        for step in [second, 2 * second, 4 * second, 4 * second] {
            let wait = backoff.wait();
            assert!(wait >= step / 2 && wait <= step, "{wait:?} of {step:?}");
        }
        backoff.reset();
        assert!(backoff.wait() <= second);
    }
}
