//! The configuration of port checks.

mod range;

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

pub use range::PortRange;

use super::place::{Invalid, Place, all};
use super::process::{OneOrMany, User, absolute_path};
use super::systemd::unit_name;

/// Linux's TASK_COMM_LEN without its NUL: the kernel truncates longer names.
const MAX_PROCESS_NAME: usize = 15;

/// The options of a port check. It checks whether a local port is free, or held by the expected program.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PortOptions {
    /// The port, 1 to 65535.
    #[schemars(range(min = 1, max = 65535))]
    pub port: Option<u32>,
    /// tcp or udp. Default: tcp.
    pub protocol: Option<Protocol>,
    /// Local IP address, such as 127.0.0.1 or "::1". Only sockets that receive what is sent to it count. Default: all addresses.
    pub address: Option<String>,
    /// held: a program must hold the port. free: no program may hold it. Default: held.
    pub expect: Option<Expect>,
    /// systemd unit that must hold the port, or a list of them. The suffix .service is added if there is none. List the socket
    /// unit too if systemd opens the port.
    pub unit: Option<OneOrMany>,
    /// User who must have opened the port: a name in /etc/passwd, or a number.
    pub user: Option<User>,
    /// Absolute path of the executable that must hold the port, or of a symbolic link to it. For processes of other users, the
    /// exporter needs CAP_SYS_PTRACE.
    #[schemars(regex(pattern = "^/"))]
    pub exe: Option<PathBuf>,
    /// Exact name of the process that must hold the port, as in /proc/PID/comm. For processes of other users, the exporter
    /// needs CAP_SYS_PTRACE.
    #[schemars(length(min = 1, max = 15))]
    pub process: Option<String>,
    /// Range of ports, such as 8080-8099. If another program holds the port, the message names the next free port in it.
    pub range: Option<PortRange>,
}

/// The protocol of a port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// TCP.
    #[default]
    Tcp,
    /// UDP.
    Udp,
}

impl Protocol {
    /// The name in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is expected of a port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Expect {
    /// A program holds it.
    #[default]
    Held,
    /// No program holds it.
    Free,
}

/// The settings of a port check.
#[derive(Clone, Debug, PartialEq)]
pub struct PortSettings {
    /// The port, not 0.
    pub port: u16,
    /// The protocol.
    pub protocol: Protocol,
    /// The local address. IPv4 addresses within IPv6 are IPv4 addresses here.
    pub address: Option<IpAddr>,
    /// What is expected.
    pub expect: Expect,
    /// The units of which one must hold the port; empty if any may.
    pub units: Vec<String>,
    /// The user who must have opened it.
    pub user: Option<User>,
    /// The executable, or a symbolic link to it.
    pub exe: Option<PathBuf>,
    /// The name of the process.
    pub process: Option<String>,
    /// The ports to suggest on a conflict.
    pub range: Option<PortRange>,
}

impl PortOptions {
    /// Resolves the options at `place`.
    ///
    /// # Errors
    /// Reported at their keys.
    pub fn resolve(self, place: &Place<'_>) -> Result<PortSettings, Invalid> {
        let expect = self.expect.unwrap_or_default();
        let can_hold = match expect {
            Expect::Held => Ok(()),
            Expect::Free => self.reject_holders(place),
        };
        let port = match self.port {
            None => Err(place.error("port is missing: write the port to check, such as port: 8080")),
            Some(number) => u16::try_from(number)
                .ok()
                .filter(|port| *port > 0)
                .ok_or_else(|| {
                    place
                        .field("port")
                        .error(format_args!("{number} is not a port: write 1 to 65535"))
                }),
        };
        let address = self
            .address
            .map(|text| resolve_address(&text, &place.field("address")))
            .transpose();
        let units = self
            .unit
            .map_or(Ok(Vec::new()), |units| resolve_units(units, &place.field("unit")));
        let user = self
            .user
            .map(|user| user.resolve(&place.field("user")))
            .transpose();
        let exe = self
            .exe
            .map(|path| absolute_path(path, "process", &place.field("exe")))
            .transpose();
        let process = self
            .process
            .map(|name| resolve_process(name, &place.field("process")))
            .transpose();
        let (port, address, units, user) = (port?, address?, units?, user?);
        can_hold?;
        Ok(PortSettings {
            port,
            protocol: self.protocol.unwrap_or_default(),
            address,
            expect,
            units,
            user,
            exe: exe?,
            process: process?,
            range: self.range,
        })
    }

    /// Reports the keys that say who must hold the port.
    fn reject_holders(&self, place: &Place<'_>) -> Result<(), Invalid> {
        let given = [
            ("unit", self.unit.is_some()),
            ("user", self.user.is_some()),
            ("exe", self.exe.is_some()),
            ("process", self.process.is_some()),
        ];
        let mut result = Ok(());
        for (key, _) in given.into_iter().filter(|(_, is_given)| *is_given) {
            result = Err(place
                .field(key)
                .error("a free port has no holder: remove this key, or remove expect: free"));
        }
        result
    }
}

fn resolve_address(text: &str, place: &Place<'_>) -> Result<IpAddr, Invalid> {
    let bare = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(text);
    match bare.parse::<IpAddr>() {
        Ok(address) => Ok(address.to_canonical()),
        Err(_) => Err(place.error(
            "not an IP address: write an address of this machine without a port, such as 127.0.0.1 or \"::1\"",
        )),
    }
}

fn resolve_units(units: OneOrMany, place: &Place<'_>) -> Result<Vec<String>, Invalid> {
    match units {
        OneOrMany::One(name) => Ok(vec![unit_name(&name).map_err(|wrong| place.error(wrong))?]),
        OneOrMany::Many(names) if names.is_empty() => {
            Err(place.error("empty list: write at least one unit, or remove this key"))
        }
        OneOrMany::Many(names) => all(names
            .iter()
            .enumerate()
            .map(|(index, name)| unit_name(name).map_err(|wrong| place.index(index).error(wrong)))),
    }
}

fn resolve_process(name: String, place: &Place<'_>) -> Result<String, Invalid> {
    if name.trim().is_empty() {
        return Err(place.error("blank: write the name of a process, such as nginx"));
    }
    if name.len() > MAX_PROCESS_NAME {
        return Err(place.error(format_args!(
            "{} bytes long, but Linux truncates the names of processes to {MAX_PROCESS_NAME} bytes: write the name as in \
             /proc/PID/comm, or use exe",
            name.len()
        )));
    }
    Ok(name)
}

impl PortSettings {
    /// Protocol, address and port, in the notation of ss(8): `tcp *:8080`, `udp 127.0.0.1:53`, `tcp [::1]:80`.
    pub fn target(&self) -> String {
        let Self { protocol, port, .. } = self;
        match self.address {
            None => format!("{protocol} *:{port}"),
            Some(IpAddr::V4(address)) => format!("{protocol} {address}:{port}"),
            Some(IpAddr::V6(address)) => format!("{protocol} [{address}]:{port}"),
        }
    }
}

impl super::KindFacts for PortSettings {
    /// Checks that run together share one query of the kernel's sockets.
    const SHARES_PHASE: bool = true;

    fn is_target_shortened(&self) -> bool {
        !self.units.is_empty() || self.user.is_some() || self.exe.is_some() || self.process.is_some()
    }
}

#[cfg(test)]
mod tests;
