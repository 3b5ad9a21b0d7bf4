//! The flags for a configuration file of process-exporter.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use clap::ArgAction;

use crate::config::process_groups::{ProcessGroupSettings, Switches};
use crate::config::{Config, ConfigError, ConfigFile, Diagnostic, LoadedFiles, duration, process_names_file};

/// The flags of process groups. Except for the first one, they have the names and defaults of process-exporter's flags.
#[derive(Clone, Debug, clap::Args)]
pub struct ProcessFlags {
    /// Configuration file of process-exporter: serve its metrics at /metrics/processes, see docs/MIGRATION-PROCESS-EXPORTER.md
    #[arg(help_heading = HEADING, long = "process.config", value_name = "PATH")]
    pub file: Option<PathBuf>,

    /// Add processes that match no rule to the group of their closest ancestor that has one
    #[arg(
        help_heading = HEADING, long = "process.children", value_name = "BOOL", requires = "file",
        action = ArgAction::Set, default_value = "true", num_args = 0..=1, require_equals = true, default_missing_value = "true"
    )]
    pub children: bool,

    /// Serve metrics of threads by name
    #[arg(
        help_heading = HEADING, long = "process.threads", value_name = "BOOL", requires = "file",
        action = ArgAction::Set, default_value = "true", num_args = 0..=1, require_equals = true, default_missing_value = "true"
    )]
    pub threads: bool,

    /// Read the proportional memory, which takes time for large processes
    #[arg(
        help_heading = HEADING, long = "process.gather-smaps", value_name = "BOOL", requires = "file",
        action = ArgAction::Set, default_value = "true", num_args = 0..=1, require_equals = true, default_missing_value = "true"
    )]
    pub gather_smaps: bool,

    /// Compare processes without a group with the rules again at every scrape
    #[arg(
        help_heading = HEADING, long = "process.recheck", value_name = "BOOL", requires = "file",
        action = ArgAction::Set, default_value = "false", num_args = 0..=1, require_equals = true, default_missing_value = "true"
    )]
    pub recheck: bool,

    /// Compare them again only up to this age, such as 30s
    #[arg(
        help_heading = HEADING, long = "process.recheck-with-time-limit", value_name = "DURATION", requires = "file",
        value_parser = age
    )]
    pub recheck_with_time_limit: Option<Duration>,

    /// Forget groups when their last process ends
    #[arg(
        help_heading = HEADING, long = "process.remove-empty-groups", value_name = "BOOL", requires = "file",
        action = ArgAction::Set, default_value = "false", num_args = 0..=1, require_equals = true, default_missing_value = "true"
    )]
    pub remove_empty_groups: bool,
}

const HEADING: &str = "Process groups";

fn age(text: &str) -> Result<Duration, duration::DurationError> {
    duration::parse(text)
}

impl ProcessFlags {
    /// Adds the groups of the file, if one is given, and its warnings to a configuration.
    ///
    /// # Errors
    /// When the file can't be read, all errors of its content, or when the configuration has groups too.
    pub fn add_to(&self, config: &mut Config, warnings: &mut Vec<Diagnostic>) -> Result<(), ConfigError> {
        let Some(file) = &self.file else { return Ok(()) };
        if config.process_groups.is_some() {
            let message = "the configuration file has process_groups too: remove them there, or remove --process.config";
            return Err(ConfigError {
                errors: vec![Diagnostic {
                    is_error: true,
                    file: file.display().to_string().into(),
                    line: 0,
                    column: 0,
                    path: String::new(),
                    message: message.to_owned(),
                }],
                is_cut: false,
            });
        }
        let (rules, of_file) = process_names_file::load(file)?;
        let switches = self.switches();
        config.process_groups = Some(Arc::new(ProcessGroupSettings { rules, switches }));
        warnings.extend(of_file);
        Ok(())
    }

    /// Adds the groups of the file, if one is given. If it has errors, its `last` valid groups stay in use, and the errors are added to
    /// those of the other files.
    ///
    /// # Errors
    /// As [`Self::add_to`], if there is nothing else to serve: no other file, and no last groups.
    pub fn add_to_files(
        &self,
        loaded: &mut LoadedFiles,
        last: &Mutex<Option<Arc<ProcessGroupSettings>>>,
    ) -> Result<(), ConfigError> {
        let Some(file) = &self.file else { return Ok(()) };
        let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
        let added = self.add_to(&mut loaded.config, &mut loaded.warnings);
        let is_valid = added.is_ok();
        match added {
            Ok(()) => last.clone_from(&loaded.config.process_groups),
            Err(findings) if loaded.files.is_empty() && last.is_none() => return Err(findings),
            Err(findings) => {
                // The other file with groups, if there is one, has precedence.
                if loaded.config.process_groups.is_none() {
                    loaded.config.process_groups.clone_from(&last);
                }
                match &mut loaded.errors {
                    Some(errors) => {
                        errors.errors.extend(findings.errors);
                        errors.is_cut |= findings.is_cut;
                    }
                    None => loaded.errors = Some(findings),
                }
            }
        }
        loaded.files.push(ConfigFile {
            name: file.display().to_string().into(),
            is_valid,
        });
        Ok(())
    }

    fn switches(&self) -> Switches {
        let limit = self.recheck_with_time_limit.filter(|limit| !limit.is_zero());
        Switches {
            children: self.children,
            threads: self.threads,
            smaps: self.gather_smaps,
            recheck: self.recheck || limit.is_some(),
            recheck_limit: limit,
            remove_empty_groups: self.remove_empty_groups,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::{Args, FromArgMatches};

    use super::*;

    fn switches(arguments: &[&str]) -> Result<Switches, String> {
        let command = ProcessFlags::augment_args(clap::Command::new("x"));
        let arguments = ["x"].iter().chain(arguments);
        let matches = command
            .try_get_matches_from(arguments)
            .map_err(|error| error.to_string())?;
        let flags = ProcessFlags::from_arg_matches(&matches).map_err(|error| error.to_string())?;
        Ok(flags.switches())
    }

    #[test]
    fn the_flags_are_those_of_process_exporter() {
        let defaults = Switches::default();
        assert_eq!(switches(&["--process.config=x"]), Ok(defaults));
        let changed = switches(&[
            "--process.config=x",
            "--process.children=false",
            "--process.threads=false",
            "--process.gather-smaps=false",
            "--process.recheck-with-time-limit=30s",
            "--process.remove-empty-groups",
        ]);
        let expected = Switches {
            children: false,
            threads: false,
            smaps: false,
            recheck: true,
            recheck_limit: Some(Duration::from_secs(30)),
            remove_empty_groups: true,
        };
        assert_eq!(changed, Ok(expected));
    }

    #[test]
    fn a_file_with_errors_does_not_stop_the_others() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("all.yaml");
        let path_flag = format!("--process.config={}", path.display());
        let command = ProcessFlags::augment_args(clap::Command::new("x"));
        let matches = command.try_get_matches_from(["x", &path_flag]).unwrap();
        let flags = ProcessFlags::from_arg_matches(&matches).unwrap();
        let other = || LoadedFiles {
            files: vec![ConfigFile {
                name: "upkeep.yml".into(),
                is_valid: true,
            }],
            ..LoadedFiles::default()
        };
        let last = Mutex::default();
        let load = |text: &str, mut loaded: LoadedFiles| {
            std::fs::write(&path, text).unwrap();
            flags.add_to_files(&mut loaded, &last).map(|()| {
                let valid: Vec<bool> = loaded.files.iter().map(|file| file.is_valid).collect();
                let rules = loaded.config.process_groups.map(|groups| groups.rules.len());
                (valid, rules, loaded.errors.is_some())
            })
        };
        let (good, bad) = (
            "process_names: [{ comm: [a] }]\n",
            "process_names: [{ name: '{{.Nope}}', comm: [a] }]\n",
        );
        // Alone, there is nothing to serve.
        assert!(load(bad, LoadedFiles::default()).is_err());
        assert_eq!(load(bad, other()), Ok((vec![true, false], None, true)));
        assert_eq!(load(good, other()), Ok((vec![true, true], Some(1), false)));
        assert_eq!(load(bad, other()), Ok((vec![true, false], Some(1), true)));
    }

    #[test]
    fn they_need_the_file() {
        assert_eq!(switches(&[]), Ok(Switches::default()));
        assert!(switches(&["--process.recheck"]).is_err_and(|error| error.contains("--process.config")));
    }
}
