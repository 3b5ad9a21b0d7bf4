//! The values of templates.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::attributes::Attributes;

/// The variables of a process.
pub const VARIABLES: [&str; 8] = [
    "Cgroups",
    "Comm",
    "ExeBase",
    "ExeFull",
    "Matches",
    "PID",
    "StartTime",
    "Username",
];

/// Nanoseconds in a second.
pub const NANOSECONDS: i64 = 1_000_000_000;

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    /// All variables: the value of `.` at first.
    Process(&'a Attributes),
    /// A text.
    Text(Cow<'a, str>),
    /// A whole number.
    Number(i64),
    /// A truth value.
    Bool(bool),
    /// A point in time, in nanoseconds after 1970.
    Time(i64),
    /// A list.
    List(&'a [String]),
    /// A mapping.
    Map(&'a BTreeMap<String, String>),
    /// A name that a mapping does not have.
    Absent,
}

impl<'a> Value<'a> {
    /// A text.
    pub fn text(text: impl Into<Cow<'a, str>>) -> Self {
        Self::Text(text.into())
    }

    /// Whether `if` takes its first branch.
    pub fn is_true(&self) -> bool {
        match self {
            Self::Process(_) | Self::Time(_) => true,
            Self::Text(text) => !text.is_empty(),
            Self::Number(number) => *number != 0,
            Self::Bool(value) => *value,
            Self::List(items) => !items.is_empty(),
            Self::Map(entries) => !entries.is_empty(),
            Self::Absent => false,
        }
    }

    /// The variable, field or entry with this name. `None` if the value has no fields.
    pub fn field(&self, name: &str) -> Option<Self> {
        Some(match (self, name) {
            (Self::Process(process), _) => variable(process, name)?,
            (Self::Map(entries), _) => entries.get(name).map_or(Self::Absent, Self::text),
            (Self::Time(nanoseconds), "Unix") => Self::Number(nanoseconds.div_euclid(NANOSECONDS)),
            _ => return None,
        })
    }
}

/// The variable with this name.
fn variable<'a>(process: &'a Attributes, name: &str) -> Option<Value<'a>> {
    Some(match name {
        "Cgroups" => Value::List(&process.cgroups),
        "Comm" => Value::text(&process.comm),
        "ExeBase" => Value::text(&process.exe_base),
        "ExeFull" => Value::text(&process.exe_full),
        "Matches" => Value::Map(&process.matches),
        "PID" => Value::Number(process.pid),
        "StartTime" => Value::Time(process.start_nanoseconds),
        "Username" => Value::text(&process.username),
        _ => return None,
    })
}
