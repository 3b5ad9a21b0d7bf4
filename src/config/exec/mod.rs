//! The configuration of exec checks.

mod arguments;

use std::path::PathBuf;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;

use super::place::{Invalid, Place};
use super::process::User;
use super::secret::Secret;

/// The longest argument, in bytes, and the largest number of arguments. The kernel allows 128 KiB each (execve(2)).
const MAX_ARGUMENT_BYTES: usize = 4096;
const MAX_ARGUMENTS: usize = 256;

/// The options of an exec check. It runs a program, such as a plugin of Nagios, without a shell.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExecOptions {
    /// Absolute path of the program, in one of exec.allowed_directories, and its arguments. No shell reads them.
    #[schemars(length(min = 1))]
    pub command: Option<Vec<String>>,
    /// Meaning of the result. nagios: exit status 0 is up, 1 degraded, 2 down, 3 unknown; the output has a message and performance
    /// data. exit-code: 0 is up, everything else down. prometheus: as exit-code, and the output has metrics in the text format.
    /// Default: nagios.
    pub format: Option<ExecFormat>,
    /// User who runs the program: a name in /etc/passwd, or a number. Its group is the user's. Only root can run programs as
    /// another user. Default: the exporter's user.
    pub user: Option<User>,
}

/// The meaning of a result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ExecFormat {
    /// As a plugin of Nagios.
    #[default]
    Nagios,
    /// Only the exit status.
    ExitCode,
    /// The exit status, and metrics on the standard output.
    Prometheus,
}

/// The settings of an exec check.
#[derive(Clone, Debug, PartialEq)]
pub struct ExecSettings {
    /// The program.
    pub program: PathBuf,
    /// Its arguments, which may be secrets.
    pub arguments: Vec<Secret>,
    /// What messages must not show of them.
    pub secrets: Vec<Secret>,
    /// The meaning of its result.
    pub format: ExecFormat,
    /// Who runs it, if not the exporter's user.
    pub user: Option<User>,
    /// The directories that may contain it.
    pub allowed: Arc<[PathBuf]>,
}

impl ExecOptions {
    /// Resolves the options at `place`.
    ///
    /// # Errors
    /// Reported at their keys.
    pub fn resolve(self, place: &Place<'_>) -> Result<ExecSettings, Invalid> {
        let user = self
            .user
            .map(|user| user.resolve(&place.field("user")))
            .transpose();
        let place = &place.field("command");
        let advice = "write the absolute path of a program and its arguments, such as command: \
                      [/usr/lib/nagios/plugins/check_load, -w, 5, -c, 10]";
        let mut words = self.command.unwrap_or_default().into_iter();
        let Some(program) = words.next() else {
            return Err(place.error(format_args!("command is missing: {advice}")));
        };
        let arguments: Vec<String> = words.collect();
        let is_long = |word: &&String| word.len() > MAX_ARGUMENT_BYTES;
        if arguments.len() > MAX_ARGUMENTS || arguments.iter().any(|word| is_long(&word)) {
            return Err(place.error(format_args!(
                "too long: write at most {MAX_ARGUMENTS} arguments of at most {MAX_ARGUMENT_BYTES} bytes"
            )));
        }
        if arguments.iter().any(|word| word.contains('\0')) {
            return Err(place.error("an argument contains a zero byte: remove it"));
        }
        let program_place = place.index(0);
        let program = PathBuf::from(program);
        let is_plain = program.components().all(|part| part.as_os_str() != "..");
        if !program.is_absolute() || !is_plain || program.file_name().is_none() {
            return Err(program_place.error(format_args!("not an absolute path without ..: {advice}")));
        }
        let allowed = place.exec_directories();
        let is_allowed = allowed
            .directories
            .iter()
            .any(|directory| program.starts_with(directory));
        if !is_allowed && allowed.is_incomplete {
            program_place.warn(
                "does not run until the configuration file with exec.allowed_directories is valid and lists its directory",
            );
        } else if !is_allowed {
            return Err(program_place.error(match allowed.directories[..] {
                [] => "no program may be run: list the directories of your programs at the top level, such as exec: { \
                       allowed_directories: [/usr/lib/nagios/plugins] }"
                    .to_owned(),
                _ => "not in one of exec.allowed_directories: move the program there, or add its directory".to_owned(),
            }));
        }
        Ok(ExecSettings {
            program,
            secrets: arguments::secrets(&arguments),
            arguments: arguments.into_iter().map(Secret::new).collect(),
            format: self.format.unwrap_or_default(),
            user: user?,
            allowed: allowed.directories.as_slice().into(),
        })
    }
}

impl ExecSettings {
    /// The path of the program. Arguments may contain secrets.
    pub fn target(&self) -> String {
        self.program.display().to_string()
    }
}

/// The largest number of values that one run exports.
pub const MAX_VALUES: u64 = 100;

impl super::KindFacts for ExecSettings {
    fn values_at_once(&self, label: &str) -> Option<u64> {
        match (label, self.format) {
            ("name", ExecFormat::ExitCode) => Some(0),
            ("name", ExecFormat::Nagios | ExecFormat::Prometheus) => Some(MAX_VALUES),
            // The number of names is that of all values.
            ("unit" | "labels", _) => Some(1),
            _ => None,
        }
    }

    fn is_target_shortened(&self) -> bool {
        !self.arguments.is_empty()
    }
}
