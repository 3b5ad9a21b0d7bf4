//! The texts about a port: who holds it, and what to do.

use std::collections::HashMap;

use crate::check::port_scan::{Answer, HeldSocket, unit};
use crate::config::port::{Expect, PortSettings, Protocol};
use crate::model::Finding;

/// How many sockets a message names. The findings contain all of them.
const MAX_NAMED: usize = 3;

/// What a capability would show.
const PRIVILEGE: &str = "the exporter may not read processes of other users without CAP_SYS_PTRACE";

/// The names of users by their ids.
pub type UserNames = HashMap<u32, String>;

/// Who holds a socket: `nginx (pid 12, user root, unit nginx.service)`.
pub fn holder(held: &HeldSocket, answer: &Answer, users: &UserNames) -> String {
    let first = held.holders.first();
    let name = match (first, answer.survey.coverage) {
        (Some(first), _) => String::from_utf8_lossy(&first.name).into_owned(),
        (None, Some(coverage)) if coverage.is_complete() => {
            "no visible process (the kernel, or a process in another pid namespace)".to_owned()
        }
        (None, _) => "an unknown process".to_owned(),
    };
    let user = held.socket.user;
    let mut facts = Vec::new();
    facts.extend(first.map(|first| format!("pid {}", first.process)));
    facts.push(match users.get(&user) {
        Some(name) => format!("user {name}"),
        None => format!("user {user}"),
    });
    facts.extend(unit_of(held).map(|unit| format!("unit {unit}")));
    let more = match held.holders.len() {
        0 | 1 => String::new(),
        count => format!(" and {} more", count - 1),
    };
    format!("{name} ({}){more}", facts.join(", "))
}

/// The unit of the first process, or else that in which the socket was opened. For systemd itself, it is the socket unit for
/// which it holds the socket.
fn unit_of(held: &HeldSocket) -> Option<&str> {
    let process = held.holders.first().and_then(|first| first.cgroup.as_deref());
    let process = process.and_then(unit);
    let socket = held.cgroup.as_deref().and_then(unit);
    match process {
        None | Some("init.scope") => socket.or(process),
        Some(_) => process,
    }
}

/// The sockets and who holds them, for a message.
pub fn holders(sockets: &[&HeldSocket], answer: &Answer, users: &UserNames) -> String {
    let mut texts: Vec<String> = sockets
        .iter()
        .take(MAX_NAMED)
        .map(|held| format!("{} by {}", held.socket, holder(held, answer, users)))
        .collect();
    if sockets.len() > MAX_NAMED {
        texts.push(format!("{} more sockets", sockets.len() - MAX_NAMED));
    }
    texts.join(", ")
}

/// Who should hold the port: `unit app.service, user app`. Empty if any program may.
pub fn expected(settings: &PortSettings) -> String {
    let mut parts = Vec::new();
    if !settings.units.is_empty() {
        parts.push(format!("unit {}", settings.units.join(" or ")));
    }
    parts.extend(settings.user.iter().map(|user| format!("user {user}")));
    parts.extend(settings.exe.iter().map(|path| format!("exe {}", path.display())));
    parts.extend(settings.process.iter().map(|name| format!("process {name}")));
    parts.join(", ")
}

/// Why the holder is not known.
pub fn unknown(answer: &Answer) -> String {
    let survey = &answer.survey;
    let mut text = match survey.coverage {
        Some(coverage) if coverage.is_unsettled => {
            "sockets of the port are opened and closed all the time".to_owned()
        }
        Some(coverage) if coverage.unreadable > 0 => PRIVILEGE.to_owned(),
        Some(coverage) if coverage.is_partial => {
            "the exporter does not see all processes: is /proc mounted with hidepid, ProtectProc= set, or the pid namespace that of a \
             container?"
                .to_owned()
        }
        _ => PRIVILEGE.to_owned(),
    };
    if let Some(error) = survey.netlink_error {
        text.push_str(&format!(
            "; the control groups of sockets are not known either, because sock_diag failed ({error}): allow AF_NETLINK \
             (RestrictAddressFamilies=)"
        ));
    }
    text
}

/// The next free port of the configured range: the first one above the port, or else the first one in the range.
pub fn suggestion(settings: &PortSettings, answer: &Answer) -> Option<String> {
    let range = settings.range.as_ref()?;
    let held = answer.survey.held(settings.protocol)?;
    let is_free = |port: &u16| !held.contains(*port) && *port != settings.port;
    let above = range.ports().find(|port| *port > settings.port && is_free(port));
    Some(match above.or_else(|| range.ports().find(is_free)) {
        Some(port) => format!("the next free port of {range} is {port}"),
        None => format!("no port of {range} is free"),
    })
}

/// What to add to `unit` if systemd holds the port for a socket unit.
pub fn socket_unit_hint(settings: &PortSettings, sockets: &[&HeldSocket]) -> String {
    let hint = sockets
        .iter()
        .filter_map(|held| unit_of(held))
        .find(|unit| unit.ends_with(".socket"));
    match hint {
        Some(unit) if !settings.units.is_empty() => {
            format!("; systemd opened it for {unit}: add that to unit if it belongs to the service")
        }
        _ => String::new(),
    }
}

/// A finding about a socket of another program.
pub fn conflict(held: &HeldSocket, answer: &Answer, settings: &PortSettings, users: &UserNames) -> Finding {
    let wanted = match (settings.expect, expected(settings)) {
        (Expect::Free, _) => "; expected to be free".to_owned(),
        (Expect::Held, expected) => format!("; expected {expected}"),
    };
    Finding {
        subject: held.socket.to_string(),
        state: "conflict",
        detail: format!("held by {}{wanted}", holder(held, answer, users)),
        fix: stop_command(held),
    }
}

/// The command that stops the holder: its unit, or else its process. There is none for systemd itself, and for units that
/// contain more than one program.
fn stop_command(held: &HeldSocket) -> Option<String> {
    let is_program =
        |unit: &&str| (unit.ends_with(".service") || unit.ends_with(".socket")) && !unit.starts_with("user@");
    if let Some(unit) = unit_of(held).filter(is_program) {
        return Some(format!("systemctl stop {unit}"));
    }
    let first = held.holders.first().filter(|first| first.process > 1)?;
    Some(format!("kill {}", first.process))
}

/// The command that shows the holders of the port.
pub fn show_command(settings: &PortSettings) -> String {
    let options = match settings.protocol {
        Protocol::Tcp => "-ltnpe",
        Protocol::Udp => "-uanpe",
    };
    format!("ss {options} 'sport = :{}'", settings.port)
}

#[cfg(test)]
mod tests;
