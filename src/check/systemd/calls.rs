//! The D-Bus calls that are made and the signals that are understood. See org.freedesktop.systemd1(5) and the D-Bus
//! specification, "Message Bus Messages".

use std::sync::Arc;

use zbus::Message;
use zbus::message::{Body, Flags, Header};

/// systemd's well-known name.
const SYSTEMD: &str = "org.freedesktop.systemd1";

/// The path and the interface of its manager.
const MANAGER: (&str, &str) = ("/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager");

/// The bus's own name, which is its interface too, and path.
const BUS: &str = "org.freedesktop.DBus";
const BUS_PATH: &str = "/org/freedesktop/DBus";

/// Two rules for all units, for a bus allows a connection 512 rules, and one for systemd's coming and going.
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
    /// Asks the bus for signals.
    AddMatch(&'static str),
    /// Asks the bus for systemd's unique name.
    Owner,
    /// Makes systemd send signals at all.
    Subscribe,
    /// Asks for the states of units, in this order.
    List(Vec<Arc<str>>),
    /// Asks for all properties of the unit, by its object path.
    Details(Arc<str>, Box<str>),
}

impl Call {
    /// What a conversation begins with.
    pub fn opening() -> Vec<Self> {
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

    /// The message to send.
    pub fn message(&self) -> zbus::Result<Message> {
        let (path, interface, destination) = match self {
            Self::AddMatch(_) | Self::Owner => (BUS_PATH, BUS, BUS),
            Self::Subscribe | Self::List(_) => (MANAGER.0, MANAGER.1, SYSTEMD),
            Self::Details(_, path) => (&**path, "org.freedesktop.DBus.Properties", SYSTEMD),
        };
        // Where systemd is not, the bus must not try to start it.
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
            // The empty interface stands for all of them: one call brings the unit's and the service's properties.
            Self::Details(..) => builder.build(&""),
        }
    }
}

/// A signal of interest.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Signal<'a> {
    /// Properties of the unit at this path changed; the body says which.
    Changed { path: &'a str },
    /// systemd has read all unit files again.
    Reloaded,
    /// A unit was loaded or unloaded.
    Announced { unit: &'a str, is_removal: bool },
    /// systemd came (its unique name) or went (empty).
    OwnerChanged { owner: &'a str },
}

impl<'a> Signal<'a> {
    /// The signal in a message, if it is one of interest and well-formed.
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
