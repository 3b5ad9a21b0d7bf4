//! Connects to a D-Bus message bus. Errors say what to do.

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::num::NonZero;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;
use zbus::connection::Builder;
use zbus::{Address, Connection, ObjectPath};

use super::shortage;
use crate::config::systemd::BusAddress;
use crate::model::{Problem, Reason};

/// How long connecting and authenticating may take. A local bus responds within milliseconds.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How many received messages may be queued. zbus stops reading the socket at this limit.
const MAX_QUEUED: NonZero<usize> = NonZero::new(256).unwrap();

/// A unit in a reply of systemd: name, description, load, active, sub, following, path, job, job type, job path. See
/// org.freedesktop.systemd1(5), `ListUnits` and `ListUnitsByNames`.
pub type UnitRow<'a> = (
    &'a str,
    &'a str,
    &'a str,
    &'a str,
    &'a str,
    &'a str,
    ObjectPath<'a>,
    u32,
    &'a str,
    ObjectPath<'a>,
);

/// Why connecting to a bus failed.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The environment variable has an invalid address.
    #[error(
        "DBUS_SYSTEM_BUS_ADDRESS is not a valid D-Bus address: unset it, or set it to unix:path=/run/dbus/system_bus_socket"
    )]
    Address,
    /// The socket does not exist.
    #[error(
        "no D-Bus at {bus}: the socket does not exist; install and start dbus, or, in a container, mount the host's \
         socket there"
    )]
    NoSocket {
        /// The address tried.
        bus: String,
    },
    /// The exporter's user may not open the socket.
    #[error("not allowed to connect to D-Bus at {bus}: make the socket writable for the exporter's user")]
    Permission {
        /// The address tried.
        bus: String,
    },
    /// The operating system could not connect.
    #[error("connecting to D-Bus at {bus}: {cause}; is the bus running (systemctl status dbus.socket)?")]
    Io {
        /// The address tried.
        bus: String,
        /// What went wrong.
        cause: io::Error,
    },
    /// The bus did not respond in time.
    #[error("D-Bus at {bus} accepted the connection but did not respond within {} s: does it hang?", CONNECT_TIMEOUT.as_secs())]
    Silent {
        /// The address tried.
        bus: String,
    },
    /// The peer is not a D-Bus, or it rejected the exporter.
    #[error("authenticating to D-Bus at {bus}: {cause}; is it a D-Bus that accepts the exporter's user?")]
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
            ConnectError::Io { cause, .. } => (shortage::from_error(cause), Reason::Unreachable),
            _ => (None, Reason::Unreachable),
        };
        shortage::problem_or(shortage, reason, error)
    }
}

/// The address of a bus, for messages.
pub fn describe(bus: &BusAddress) -> String {
    match bus {
        BusAddress::Address(address) => address.clone(),
        BusAddress::System => match Address::system() {
            Ok(address) => address.to_string(),
            Err(_) => "the system bus".to_owned(),
        },
    }
}

/// Connects to a bus and authenticates, within `CONNECT_TIMEOUT`.
///
/// # Errors
/// Why connecting failed.
pub async fn connect(bus: &BusAddress) -> Result<Connection, ConnectError> {
    let address = match bus {
        BusAddress::Address(address) => address.parse(),
        BusAddress::System => Address::system(),
    };
    let address: Address = address.map_err(|_| ConnectError::Address)?;
    let name = address.to_string();
    let building = Builder::address(address).max_queued(MAX_QUEUED);
    // zbus 6.2 panics if the first line of the peer is empty. Such a peer must not end the task.
    let building = AssertUnwindSafe(building.build()).catch_unwind();
    match tokio::time::timeout(CONNECT_TIMEOUT, building).await {
        Err(_) => Err(ConnectError::Silent { bus: name }),
        Ok(Err(_)) => Err(ConnectError::Handshake {
            bus: name,
            cause: "its first line is empty".to_owned(),
        }),
        Ok(Ok(Ok(connection))) => Ok(connection),
        Ok(Ok(Err(error))) => Err(classify(name, &error)),
    }
}

fn classify(bus: String, error: &zbus::Error) -> ConnectError {
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

/// The delay before the next attempt: doubled every time, with jitter, so that many exporters do not retry at once.
#[derive(Debug)]
pub struct Backoff {
    next: Duration,
    first: Duration,
    longest: Duration,
}

impl Backoff {
    /// Delays that begin at `first` and never exceed `longest`.
    pub const fn new(first: Duration, longest: Duration) -> Self {
        Self {
            next: first,
            first,
            longest,
        }
    }

    /// The delay before the next attempt: between half and all of the current step.
    pub fn next_delay(&mut self) -> Duration {
        let step = self.next;
        self.next = (step * 2).min(self.longest);
        // A new RandomState hashes with random keys, which is random enough for jitter.
        let sixteenths = u32::from(RandomState::new().hash_one(0_u8).to_le_bytes()[0] % 9);
        step / 2 + step / 16 * sixteenths
    }

    /// Returns to the first delay after a success.
    pub fn reset(&mut self) {
        self.next = self.first;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_to_the_limit_and_can_be_reset() {
        let second = Duration::from_secs(1);
        let mut backoff = Backoff::new(second, 4 * second);
        for step in [second, 2 * second, 4 * second, 4 * second] {
            let delay = backoff.next_delay();
            assert!(delay >= step / 2 && delay <= step, "{delay:?} of {step:?}");
        }
        backoff.reset();
        assert!(backoff.next_delay() <= second);
    }
}
