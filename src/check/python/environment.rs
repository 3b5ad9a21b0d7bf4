//! The facts about an interpreter and its machine that markers use.

use std::borrow::Cow;
use std::str::FromStr;

use pep440_rs::{Version, VersionSpecifiers};

/// No release of Python has a higher patch version.
const MAX_PATCH: u32 = 99;

/// The facts. Python itself is not started, so they come from files and from the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Environment {
    /// Major and minor version: `3.11`.
    pub minor_version: String,
    /// The complete version: `3.11.2`; `None` if no file gives it.
    pub full_version: Option<String>,
    /// The implementation: `CPython` or `PyPy`.
    pub implementation: String,
    /// The kernel's machine: `x86_64`.
    pub machine: String,
    /// The kernel's release.
    pub release: String,
    /// The kernel's version.
    pub version: String,
}

/// The value of a variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// A known value.
    Text(Cow<'a, str>),
    /// A version from the first to the second one.
    Between(String, String),
}

impl Environment {
    /// The value of a variable of PEP 508.
    pub fn value(&self, variable: &str) -> Value<'_> {
        Value::Text(Cow::Borrowed(match variable {
            "python_version" => &self.minor_version,
            "python_full_version" => return self.python_version(),
            // The version of CPython is that of the language. PyPy's is in none of its files.
            "implementation_version" if self.is_cpython() => return self.python_version(),
            "implementation_version" => return Value::Between("0".to_owned(), "99".to_owned()),
            "os_name" => "posix",
            "sys_platform" => "linux",
            "platform_system" => "Linux",
            "platform_machine" => &self.machine,
            "platform_release" => &self.release,
            "platform_version" => &self.version,
            "platform_python_implementation" => &self.implementation,
            "implementation_name" => return Value::Text(self.implementation.to_lowercase().into()),
            _ => "",
        }))
    }

    /// Whether the interpreter meets `requires-python`; `None` if that is unknown.
    pub fn meets(&self, requires_python: &VersionSpecifiers) -> Option<bool> {
        let meets =
            |text: &str| Version::from_str(text).is_ok_and(|version| requires_python.contains(&version));
        match self.python_version() {
            Value::Text(text) => Some(meets(&text)),
            Value::Between(low, high) => (meets(&low) == meets(&high)).then(|| meets(&low)),
        }
    }

    /// The most exact version that is known.
    pub fn shown_version(&self) -> &str {
        self.full_version.as_deref().unwrap_or(&self.minor_version)
    }

    fn is_cpython(&self) -> bool {
        self.implementation == "CPython"
    }

    fn python_version(&self) -> Value<'_> {
        match &self.full_version {
            Some(version) => Value::Text(Cow::Borrowed(version)),
            None => Value::Between(
                format!("{}.0", self.minor_version),
                format!("{}.{MAX_PATCH}", self.minor_version),
            ),
        }
    }

    /// An environment on Linux with this version, for tests.
    pub fn for_tests(version: &str) -> Self {
        let minor_version = version.split('.').take(2).collect::<Vec<_>>().join(".");
        Self {
            full_version: (minor_version != version).then(|| version.to_owned()),
            minor_version,
            implementation: "CPython".to_owned(),
            machine: "x86_64".to_owned(),
            release: "6.1.0-13-amd64".to_owned(),
            version: "#1 SMP".to_owned(),
        }
    }
}
