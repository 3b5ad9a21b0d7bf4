//! The D-Bus calls that the check makes and the signals that it handles. See org.freedesktop.systemd1(5) and the D-Bus
//! specification, "Message Bus Messages".

use std::sync::Arc;

use zbus::Message;
use zbus::message::{Body, Flags, Header};

/// systemd's well-known name.
const SYSTEMD: &str = "org.freedesktop.systemd1";

/// The path and the interface of systemd's manager object.
const MANAGER: (&str, &str) = ("/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager");

/// The name of the bus itself, which is also its interface, and its path.
const BUS: &str = "org.freedesktop.DBus";
const BUS_PATH: &str = "/org/freedesktop/DBus";

/// Two match rules for all units, because a bus allows only 512 rules per connection, and one for changes of systemd's owner.
const RULES: [&str; 3] = [
    "type='signal',sender='org.freedesktop.systemd1',path_namespace='/org/freedesktop/systemd1/unit',\
     interface='org.freedesktop.DBus.Properties',member='PropertiesChanged'",
    "type='signal',sender='org.freedesktop.systemd1',path='/org/freedesktop/systemd1',\
     interface='org.freedesktop.systemd1.Manager'",
    "type='signal',sender='org.freedesktop.DBus',interface='org.freedesktop.DBus',member='NameOwnerChanged',\
     arg0='org.freedesktop.systemd1'",
];

/// A method call.
#[derive(Debug)]
pub(super) enum Call {
    /// Requests signals from the bus.
    AddMatch(&'static str),
    /// Requests systemd's unique name from the bus.
    Owner,
    /// Enables signals of systemd.
    Subscribe,
    /// Requests the states of units, in this order.
    List(Vec<Arc<str>>),
    /// Requests all properties of the unit, by its object path.
    Details(Arc<str>, Box<str>),
}

impl Call {
    /// The first calls of a session.
    pub fn initial() -> Vec<Self> {
        RULES
            .into_iter()
            .map(Self::AddMatch)
            .chain([Self::Owner])
            .collect()
    }

    /// The method's name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::AddMatch(_) => "AddMatch",
            Self::Owner => "GetNameOwner",
            Self::Subscribe => "Subscribe",
            Self::List(_) => "ListUnitsByNames",
            Self::Details(..) => "GetAll",
        }
    }

    /// Builds the message.
    pub fn message(&self) -> zbus::Result<Message> {
        let (path, interface, destination) = match self {
            Self::AddMatch(_) | Self::Owner => (BUS_PATH, BUS, BUS),
            Self::Subscribe | Self::List(_) => (MANAGER.0, MANAGER.1, SYSTEMD),
            Self::Details(_, path) => (&**path, "org.freedesktop.DBus.Properties", SYSTEMD),
        };
        // If systemd does not run, the bus must not try to start it.
        let builder = Message::method_call(path, self.name())
            .destination(destination)
            .interface(interface)
            .with_flags(Flags::NO_AUTO_START);
        match self {
            Self::AddMatch(rule) => builder.build(rule),
            Self::Owner => builder.build(&SYSTEMD),
            Self::Subscribe => builder.build(&()),
            Self::List(names) => {
                let names: Vec<&str> = names.iter().map(|name| &**name).collect();
                builder.build(&names)
            }
            // An empty interface means all interfaces: one call returns the properties of the unit and of the service.
            Self::Details(..) => builder.build(&""),
        }
    }
}

/// A signal that the check handles.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Signal<'a> {
    /// Properties of the unit at this path changed; the body contains them.
    Changed { path: &'a str },
    /// systemd has reloaded all unit files.
    Reloaded,
    /// A unit was loaded or unloaded.
    Announced { unit: &'a str, is_removal: bool },
    /// systemd appeared on the bus (its unique name) or left it (empty).
    OwnerChanged { owner: &'a str },
}

impl<'a> Signal<'a> {
    /// Parses a message. `None` if the signal is not handled or malformed.
    pub fn parse(header: &'a Header<'_>, body: &'a Body) -> Option<Self> {
        let interface = header.interface()?.as_str();
        match (interface, header.member()?.as_str()) {
            ("org.freedesktop.DBus.Properties", "PropertiesChanged") => Some(Self::Changed {
                path: header.path()?.as_str(),
            }),
            ("org.freedesktop.systemd1.Manager", "Reloading") => {
                let is_beginning: bool = body.deserialize().ok()?;
                (!is_beginning).then_some(Self::Reloaded)
            }
            ("org.freedesktop.systemd1.Manager", member @ ("UnitNew" | "UnitRemoved")) => {
                let (unit, _): (&str, zbus::ObjectPath<'_>) = body.deserialize().ok()?;
                Some(Self::Announced {
                    unit,
                    is_removal: member == "UnitRemoved",
                })
            }
            (BUS, "NameOwnerChanged") => {
                let (name, _, owner): (&str, &str, &str) = body.deserialize().ok()?;
                (name == SYSTEMD).then_some(Self::OwnerChanged { owner })
            }
            _ => None,
        }
    }
}
