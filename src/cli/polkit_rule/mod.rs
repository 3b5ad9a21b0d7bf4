//! `upkeep_exporter polkit-rule`: prints a rule of polkit that allows the exporter's user to manage units of the configuration.

mod aliases;
mod rule;

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;

use super::exit::{WRONG_USAGE, print_error};
use super::select::select;
use crate::config::systemd::BusAddress;
use crate::config::{self, Config, KindSettings};
use rule::{Rule, Verb};

/// The user of the service that `deploy/install.sh` installs.
const DEFAULT_USER: &str = "upkeep_exporter";

/// Addresses of the system bus, which a check may contain although they are the default.
const SYSTEM_BUSES: [&str; 2] = [
    "unix:path=/run/dbus/system_bus_socket",
    "unix:path=/var/run/dbus/system_bus_socket",
];

/// The flags of `polkit-rule`.
#[derive(Debug, clap::Args)]
pub struct PolkitRuleFlags {
    /// Configuration file; default: the embedded configuration
    #[arg(long = "config.file", value_name = "PATH")]
    config_file: Option<PathBuf>,

    /// User that the exporter runs as
    #[arg(long, value_name = "NAME", default_value = DEFAULT_USER, value_parser = user_name)]
    user: String,

    /// Services whose units to allow, by key or name; default: all
    #[arg(long = "service", value_name = "SERVICE", value_delimiter = ',')]
    services: Vec<String>,

    /// Actions to allow
    #[arg(
        long = "verb",
        value_name = "VERB",
        value_delimiter = ',',
        default_values = ["start", "restart"]
    )]
    verbs: Vec<Verb>,
}

/// Prints the rule. Its text depends on the configuration and the flags only.
pub fn polkit_rule(flags: &PolkitRuleFlags) -> anyhow::Result<ExitCode> {
    let loaded = match &flags.config_file {
        Some(file) => config::load(file),
        None => config::embedded_default(),
    };
    let config = match loaded {
        Ok(loaded) => {
            loaded.warnings.iter().for_each(|warning| print_error(warning));
            loaded.config
        }
        Err(findings) => {
            print_error(&findings);
            return Ok(ExitCode::FAILURE);
        }
    };
    let units = match Units::collect(&config, &flags.services) {
        Ok(units) => units,
        Err(message) => {
            print_error(&message);
            return Ok(WRONG_USAGE.into());
        }
    };
    for warning in units.warnings(Path::new("/")) {
        print_error(&format_args!("warning: {warning}"));
    }
    let allowed = units.allowed.iter();
    let allowed = allowed.flat_map(|unit| flags.verbs.iter().map(|verb| (unit.clone(), *verb)));
    let rule = Rule {
        user: &flags.user,
        allowed: &allowed.collect(),
    };
    write!(std::io::stdout(), "{rule}").context("writing to standard output")?;
    Ok(ExitCode::SUCCESS)
}

fn user_name(written: &str) -> Result<String, String> {
    let is_valid = |c: char| c.is_ascii_graphic() && !matches!(c, ':' | '/' | ',');
    if !written.is_empty() && written.chars().all(is_valid) {
        Ok(written.to_owned())
    } else {
        Err("not a valid user name".to_owned())
    }
}

/// The units of the systemd checks of some services.
#[derive(Debug, Default)]
struct Units {
    /// Units of the system's manager.
    allowed: BTreeSet<String>,
    /// Units of other managers, with the addresses of their buses.
    skipped: BTreeSet<(String, String)>,
}

impl Units {
    /// Collects the units of the services that are named in `words`. All services if there are no words.
    ///
    /// # Errors
    /// When a word is not a service.
    fn collect(config: &Config, words: &[String]) -> Result<Self, String> {
        let named = config
            .services
            .iter()
            .map(|service| (service.key.as_str(), service.name.as_str()));
        let selected = select(named, words)?;
        let mut units = Self::default();
        for (service, _) in config.services.iter().zip(selected).filter(|(_, is)| *is) {
            for check in &service.checks {
                let KindSettings::Systemd(settings) = &check.kind else {
                    continue;
                };
                let unit = settings.unit.clone();
                match &settings.bus {
                    BusAddress::Address(address) if !SYSTEM_BUSES.contains(&address.as_str()) => {
                        units.skipped.insert((unit, address.clone()));
                    }
                    _ => {
                        units.allowed.insert(unit);
                    }
                }
            }
        }
        Ok(units)
    }

    /// Why the rule allows less than the reader may expect. `root` is the root of the file system with the unit files.
    fn warnings(&self, root: &Path) -> Vec<String> {
        let mut warnings = Vec::new();
        for (unit, address) in &self.skipped {
            warnings.push(format!(
                "the rule does not contain {unit}: its bus is {address}, not the system bus"
            ));
        }
        for unit in &self.allowed {
            if let Some(own) = aliases::own_name(unit, root) {
                warnings.push(format!(
                    "{unit} is an alias of {own} on this machine: polkit compares {own} with the rule, so write {own} in the check"
                ));
            }
        }
        if self.allowed.is_empty() {
            warnings.push("the rule allows nothing: no selected service has a systemd check".to_owned());
        }
        warnings
    }
}

#[cfg(test)]
mod tests;
