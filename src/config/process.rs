//! The configuration of process checks.

mod exclude;
mod pid_namespace;
mod texts;
mod user;

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

pub use exclude::Exclude;
pub use pid_namespace::PidNamespace;
pub use texts::Texts;
pub use user::User;

use super::pattern::Pattern;
use super::place::{Invalid, Place, all};

/// The longest target, in bytes; a longer one is cut.
const MAX_TARGET_BYTES: usize = 200;

/// The options of a process check, as written. A process is counted when all that is given here holds for it.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProcessOptions {
    /// One string or a list: any of them is found, upper and lower case alike, in the process's name or its command line
    /// (arguments separated by spaces, the first 128 KiB).
    #[serde(rename = "match")]
    pub matches: Option<Texts>,
    /// A regular expression found in the name or in the command line; case matters, `(?i)` at its start ends that.
    pub regex: Option<String>,
    /// The effective user: a name in /etc/passwd, or a number.
    pub user: Option<User>,
    /// The absolute path of the executable, or of a symbolic link to it. Looking at other users' executables needs
    /// CAP_SYS_PTRACE.
    pub exe: Option<PathBuf>,
    /// The fewest processes that are enough; 1 by default.
    pub min: Option<u64>,
    /// The most processes that are not too many; no limit by default.
    pub max: Option<u64>,
    /// One regular expression or a list: every one is found in the command line (arguments separated by spaces, the first
    /// 128 KiB), so a process without one does not match.
    pub cmdline_regex: Option<Texts>,
    /// What is not counted although all else holds: one string or a list, any of which is found as by match; or a mapping
    /// with match and regex.
    pub exclude: Option<Exclude>,
    /// Which processes count: any that /proc shows (default), or own, those of the pid namespace that /proc belongs to. On
    /// a host, own leaves out what runs in containers.
    pub pid_namespace: Option<PidNamespace>,
}

/// What a process check needs, resolved. At least one of the criteria is there.
#[derive(Clone, Debug, PartialEq)]
pub struct ProcessSettings {
    /// The strings of which any is found; empty where not given.
    pub matches: Vec<String>,
    /// The same as an expression; there where `matches` is not empty.
    pub any_match: Option<Pattern>,
    /// The expression that is found.
    pub regex: Option<Pattern>,
    /// The effective user.
    pub user: Option<User>,
    /// The executable, or a symbolic link to it.
    pub exe: Option<PathBuf>,
    /// The fewest processes that are enough.
    pub min: u64,
    /// The most processes that are not too many.
    pub max: Option<u64>,
    /// The expressions all of which are found in the command line.
    pub cmdline_regex: Vec<Pattern>,
    /// The expressions any of which keeps a process from being counted.
    pub exclude: Vec<Pattern>,
    /// Which processes count.
    pub pid_namespace: PidNamespace,
}

impl ProcessOptions {
    /// What the options at `place` resolve to.
    ///
    /// # Errors
    /// When something is wrong with them; all of it is reported at its place.
    pub fn resolve(self, place: &Place<'_>) -> Result<ProcessSettings, Invalid> {
        let nothing = self.matches.is_none()
            && self.regex.is_none()
            && self.cmdline_regex.is_none()
            && self.user.is_none()
            && self.exe.is_none();
        let criteria = if nothing {
            Err(place.error(
                "a process check needs something to look for: give match, regex, cmdline_regex, user or exe",
            ))
        } else {
            Ok(())
        };
        let matching = self
            .matches
            .map(|texts| texts.resolve(&place.field("match")))
            .transpose();
        let regex = self
            .regex
            .map(|source| resolve_regex(&source, &place.field("regex")))
            .transpose();
        let user = self
            .user
            .map(|user| user.resolve(&place.field("user")))
            .transpose();
        let exe = self
            .exe
            .map(|path| resolve_exe(path, &place.field("exe")))
            .transpose();
        let limits = resolve_limits(self.min, self.max, place);
        let cmdline_regex = self
            .cmdline_regex
            .map(|list| resolve_regexes(list, &place.field("cmdline_regex")))
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

fn resolve_regexes(list: Texts, place: &Place<'_>) -> Result<Vec<Pattern>, Invalid> {
    match list {
        Texts::One(source) => Ok(vec![resolve_regex(&source, place)?]),
        Texts::Many(sources) if sources.is_empty() => {
            Err(place.error("an empty list says nothing; give at least one regular expression"))
        }
        Texts::Many(sources) => all(sources
            .iter()
            .enumerate()
            .map(|(index, source)| resolve_regex(source, &place.index(index)))),
    }
}

fn resolve_regex(source: &str, place: &Place<'_>) -> Result<Pattern, Invalid> {
    if source.is_empty() {
        return Err(place.error("an empty regular expression matches every process; give a part of the name or of the command line"));
    }
    Pattern::new(source).map_err(|cause| {
        place.error(format_args!(
            "not a regular expression: {cause}; the syntax is RE2's"
        ))
    })
}

fn resolve_exe(path: PathBuf, place: &Place<'_>) -> Result<PathBuf, Invalid> {
    if path.is_absolute() {
        return Ok(path);
    }
    Err(place.error(format_args!(
        "\"{}\" is not an absolute path; give the executable's whole path, such as /usr/sbin/nginx, or use match",
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
            let hint = if min.is_none() {
                "; min is 1 where it is not given"
            } else {
                ""
            };
            Err(place.field("max").error(format_args!(
                "max ({upper}) is less than min ({lower}), so that no number of processes is right{hint}"
            )))
        }
        (0, None) => {
            place
                .field("min")
                .remark("with min 0 and no max every number of processes is right: this check only measures");
            Ok((0, None))
        }
        limits => Ok(limits),
    }
}

impl ProcessSettings {
    /// What is looked for, in at most 200 bytes.
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
        if target.len() > MAX_TARGET_BYTES {
            let longest = MAX_TARGET_BYTES - '\u{2026}'.len_utf8();
            let end = (0..=longest).rev().find(|&end| target.is_char_boundary(end));
            target.truncate(end.unwrap_or(0));
            target.push('\u{2026}');
        }
        target
    }
}

impl super::KindFacts for ProcessSettings {
    /// Checks that run together share one scan of /proc.
    const SHARES_PHASE: bool = true;
}

#[cfg(test)]
mod tests;
