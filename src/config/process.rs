//! The configuration of process checks.

mod exclude;
mod one_or_many;
mod pid_namespace;
mod user;

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

pub use exclude::Exclude;
pub use one_or_many::OneOrMany;
pub use pid_namespace::PidNamespace;
pub use user::User;

use super::pattern::Pattern;
use super::place::{Invalid, Place};
use crate::model::ellipsize;

/// The longest target, in bytes. Longer ones are truncated.
const MAX_TARGET_BYTES: usize = 200;

/// The options of a process check. It counts the processes that match all given criteria.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProcessOptions {
    /// A string or a list of strings. Any of them must be in the process's name or command line, ignoring case. The command
    /// line has its arguments separated by spaces; only the first 128 KiB are used.
    #[serde(rename = "match")]
    pub matches: Option<OneOrMany>,
    /// Regular expression that must match the name or the command line. Case matters; (?i) at its start ignores case.
    #[schemars(length(min = 1))]
    pub regex: Option<String>,
    /// Effective user: a name in /etc/passwd, or a number.
    pub user: Option<User>,
    /// Absolute path of the executable, or of a symbolic link to it. To see executables of other users, the exporter needs
    /// CAP_SYS_PTRACE.
    #[schemars(regex(pattern = "^/"))]
    pub exe: Option<PathBuf>,
    /// Minimum number of processes. Default: 1.
    pub min: Option<u64>,
    /// Maximum number of processes. Default: no limit.
    pub max: Option<u64>,
    /// A regular expression or a list of them. All must match the command line, so processes without one do not match.
    pub cmdline_regex: Option<OneOrMany>,
    /// Processes to ignore although they match: a string or a list of strings, as for match, or a mapping with match and
    /// regex.
    pub exclude: Option<Exclude>,
    /// Which processes count: any that /proc shows, or own for the pid namespace that /proc belongs to. On a host, own ignores
    /// processes in containers. Default: any.
    pub pid_namespace: Option<PidNamespace>,
}

/// The settings of a process check, with at least one criterion.
#[derive(Clone, Debug, PartialEq)]
pub struct ProcessSettings {
    /// The strings of which any must be found; empty if not given.
    pub matches: Vec<String>,
    /// The expression that finds any of `matches`, unless that is empty.
    pub any_match: Option<Pattern>,
    /// The expression that must match.
    pub regex: Option<Pattern>,
    /// The effective user.
    pub user: Option<User>,
    /// The executable, or a symbolic link to it.
    pub exe: Option<PathBuf>,
    /// The minimum number of processes.
    pub min: u64,
    /// The maximum number of processes.
    pub max: Option<u64>,
    /// The expressions that must all match the command line.
    pub cmdline_regex: Vec<Pattern>,
    /// The expressions of which none may match.
    pub exclude: Vec<Pattern>,
    /// Which processes count.
    pub pid_namespace: PidNamespace,
}

impl ProcessOptions {
    /// Resolves the options at `place`.
    ///
    /// # Errors
    /// Reported at their keys.
    pub fn resolve(self, place: &Place<'_>) -> Result<ProcessSettings, Invalid> {
        let nothing = self.matches.is_none()
            && self.regex.is_none()
            && self.cmdline_regex.is_none()
            && self.user.is_none()
            && self.exe.is_none();
        let criteria = if nothing {
            Err(place
                .error("the process check has no criteria: add match, regex, cmdline_regex, user or exe"))
        } else {
            Ok(())
        };
        let matching = self
            .matches
            .map(|texts| texts.resolve(&place.field("match")))
            .transpose();
        let regex = self
            .regex
            .map(|source| one_or_many::resolve_regex(&source, &place.field("regex")))
            .transpose();
        let user = self
            .user
            .map(|user| user.resolve(&place.field("user")))
            .transpose();
        let exe = self
            .exe
            .map(|path| absolute_path(path, "match", &place.field("exe")))
            .transpose();
        let limits = resolve_limits(self.min, self.max, place);
        let cmdline_regex = self
            .cmdline_regex
            .map(|list| list.resolve_regexes(&place.field("cmdline_regex")))
            .transpose();
        let exclude = self
            .exclude
            .map(|exclude| exclude.resolve(&place.field("exclude")))
            .transpose();
        let (matching, regex, user, exe, (min, max)) = (matching?, regex?, user?, exe?, limits?);
        criteria?;
        let (matches, any_match) = matching.unzip();
        Ok(ProcessSettings {
            matches: matches.unwrap_or_default(),
            any_match,
            regex,
            user,
            exe,
            min,
            max,
            cmdline_regex: cmdline_regex?.unwrap_or_default(),
            exclude: exclude?.unwrap_or_default(),
            pid_namespace: self.pid_namespace.unwrap_or_default(),
        })
    }
}

/// Validates the path of an executable. `alternative` is the key for programs without a known path.
///
/// # Errors
/// Reported at `place` if the path is relative.
pub(super) fn absolute_path(path: PathBuf, alternative: &str, place: &Place<'_>) -> Result<PathBuf, Invalid> {
    if path.is_absolute() {
        return Ok(path);
    }
    Err(place.error(format_args!(
        "\"{}\" is not an absolute path: write the whole path, such as /usr/sbin/nginx, or use {alternative}",
        path.display()
    )))
}

fn resolve_limits(
    min: Option<u64>,
    max: Option<u64>,
    place: &Place<'_>,
) -> Result<(u64, Option<u64>), Invalid> {
    match (min.unwrap_or(1), max) {
        (lower, Some(upper)) if lower > upper => {
            let hint = if min.is_none() { ", the default" } else { "" };
            Err(place.field("max").error(format_args!(
                "{upper} is less than min ({lower}{hint}): write at least {lower}, or set min"
            )))
        }
        (0, None) => {
            place
                .field("min")
                .warn("with min: 0 and no max, this check never fails: it only exports metrics");
            Ok((0, None))
        }
        limits => Ok(limits),
    }
}

impl ProcessSettings {
    /// The criteria, in at most 200 bytes.
    pub fn target(&self) -> String {
        let mut parts = Vec::new();
        if !self.matches.is_empty() {
            parts.push(self.matches.join(","));
        }
        parts.extend(self.regex.iter().map(|regex| format!("regex={}", regex.as_str())));
        let cmdline = self.cmdline_regex.iter();
        parts.extend(cmdline.map(|regex| format!("cmdline_regex={}", regex.as_str())));
        parts.extend(self.user.iter().map(|user| format!("user={user}")));
        parts.extend(self.exe.iter().map(|path| format!("exe={}", path.display())));
        let mut target = parts.join(" ");
        ellipsize(&mut target, MAX_TARGET_BYTES);
        target
    }
}

impl super::KindFacts for ProcessSettings {
    /// Checks that run together share one scan of /proc.
    const SHARES_PHASE: bool = true;
}

#[cfg(test)]
mod tests;
