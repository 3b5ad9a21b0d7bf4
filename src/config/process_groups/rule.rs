//! A rule: which processes it matches, and how it names them.

use std::collections::HashSet;

use schemars::JsonSchema;
use serde::Deserialize;

use super::template::{DEFAULT_NAME, Template};
use crate::config::pattern::Pattern;
use crate::config::place::{Invalid, Place, all};

/// A rule as it is written. A process must meet all of its keys.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("anyOf" = [{ "required": ["comm"] }, { "required": ["exe"] }, { "required": ["cmdline"] }]))]
pub struct NamingRuleOptions {
    /// Template of the group's name, such as {{.ExeBase}}:{{.Matches.Port}}. The variables are .Comm, .ExeBase, .ExeFull,
    /// .Username, .PID, .StartTime, .Matches and .Cgroups. Default: {{.ExeBase}}.
    pub name: Option<String>,
    /// Names of processes as in /proc/PID/stat, at most 15 bytes. One of them must be equal.
    pub comm: Option<Vec<String>>,
    /// First arguments, or only their last part if there is no slash. One of them must be equal.
    pub exe: Option<Vec<String>>,
    /// Regular expressions. All must match the command line. Named groups are the variable .Matches.
    pub cmdline: Option<Vec<String>>,
}

/// A rule with at least one criterion.
#[derive(Clone, Debug, PartialEq)]
pub struct NamingRule {
    /// The names of which one must be equal.
    pub comms: Option<HashSet<Vec<u8>>>,
    /// The executables of which one must be equal.
    pub exes: Option<HashSet<Executable>>,
    /// The expressions that must match the command line.
    pub cmdline: Option<Vec<Pattern>>,
    /// The name of the group.
    pub name: Template,
}

/// An executable in a rule.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Executable {
    /// The last part of the first argument.
    Base(Vec<u8>),
    /// The whole first argument.
    Full(Vec<u8>),
}

impl NamingRuleOptions {
    /// Resolves the rule at `place`. `is_partial` says that errors of its keys were reported, so that they are missing here.
    ///
    /// # Errors
    /// Reported at its keys.
    pub fn resolve(self, place: &Place<'_>, is_partial: bool) -> Result<NamingRule, Invalid> {
        if is_partial {
            return Err(Invalid);
        }
        if self.comm.is_none() && self.exe.is_none() && self.cmdline.is_none() {
            return Err(place.error("the rule has no criteria: add comm, exe or cmdline"));
        }
        let cmdline = self.cmdline.map(|sources| {
            let place = place.field("cmdline");
            let patterns = sources.iter().enumerate();
            all(patterns.map(|(index, source)| place.index(index).compile_pattern(source)))
        });
        // As in process-exporter, an empty name is the default.
        let source = self.name.filter(|name| !name.is_empty());
        let name = Template::parse(source.as_deref().unwrap_or(DEFAULT_NAME)).map_err(|error| {
            place
                .field("name")
                .error(format_args!("not a supported template: {error}"))
        });
        let executable = |text: String| match text.contains('/') {
            true => Executable::Full(text.into_bytes()),
            false => Executable::Base(text.into_bytes()),
        };
        let (cmdline, name) = (cmdline.transpose(), name);
        Ok(NamingRule {
            comms: self
                .comm
                .map(|names| names.into_iter().map(String::into_bytes).collect()),
            exes: self.exe.map(|paths| paths.into_iter().map(executable).collect()),
            cmdline: cmdline?,
            name: name?,
        })
    }
}
