//! `upkeep_exporter polkit-rule`: prints a rule of polkit that allows the exporter's user to heal the configured units.

mod aliases;
mod rule;

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;

use super::configuration;
use super::exit::{WRONG_USAGE, print_error};
use super::select::select;
use crate::config::Target;
use crate::config::heal::{HealAction, HealMode};
use crate::config::systemd::BusAddress;
use crate::config::{Config, KindSettings, Service};
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
    /// Configuration file, or a directory of files (*.yml, *.yaml). Can be repeated; default: the embedded configuration
    #[arg(long = "config.file", value_name = "PATH")]
    config_files: Vec<PathBuf>,

    /// User that the exporter runs as
    #[arg(long, value_name = "NAME", default_value = DEFAULT_USER, value_parser = user_name)]
    user: String,

    /// Services whose units to allow, by key or name, separated by commas; default: all
    #[arg(long = "service", value_name = "SERVICE", value_delimiter = ',')]
    services: Vec<String>,

    /// Actions to allow; default: the action of `heal`, and with --all also start and restart
    #[arg(long = "verb", value_name = "VERB", value_delimiter = ',')]
    verbs: Vec<Verb>,

    /// Also allow the units of all systemd checks; default: only units that the exporter heals (mode: act)
    #[arg(long)]
    all: bool,
}

/// Prints the rule. Its text depends on the configuration and the flags only.
pub fn polkit_rule(flags: &PolkitRuleFlags) -> anyhow::Result<ExitCode> {
    let Some(config) = configuration::load(&flags.config_files) else {
        return Ok(ExitCode::FAILURE);
    };
    let units = match Units::collect(&config, flags) {
        Ok(units) => units,
        Err(message) => {
            print_error(&message);
            return Ok(WRONG_USAGE.into());
        }
    };
    for warning in units.warnings(flags.all, Path::new("/")) {
        print_error(&format_args!("warning: {warning}"));
    }
    let rule = Rule {
        user: &flags.user,
        allowed: &units.allowed,
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

/// The actions on units that the flags select.
#[derive(Debug, Default)]
struct Units {
    /// Actions on units of the system's manager.
    allowed: BTreeSet<(String, Verb)>,
    /// Units of other managers, with the addresses of their buses.
    skipped: BTreeSet<(String, String)>,
}

impl Units {
    /// Collects the actions of the services that the flags name. All services if they name none.
    ///
    /// # Errors
    /// When a name is not a service.
    fn collect(config: &Config, flags: &PolkitRuleFlags) -> Result<Self, String> {
        let named = config
            .services
            .iter()
            .map(|service| (service.key.as_str(), service.name.as_str()));
        let selected = select(named, &flags.services)?;
        let mut units = Self::default();
        for (service, _) in config
            .services
            .iter()
            .zip(selected)
            .filter(|(_, is_selected)| *is_selected)
        {
            units.add_heal_target(service, &flags.verbs);
            if flags.all {
                units.add_checked(service, &flags.verbs);
            }
        }
        Ok(units)
    }

    /// Adds the unit that the exporter acts on. A dry run, and a store of data that healing must not touch, need no permission.
    fn add_heal_target(&mut self, service: &Service, verbs: &[Verb]) {
        let Some(heal) = &service.heal else { return };
        let Some(Target::Unit { name, bus }) = &heal.target else {
            return;
        };
        if heal.mode != HealMode::Act || heal.stateful.is_some() {
            return;
        }
        let verb = match heal.action {
            HealAction::Restart => Verb::Restart,
            HealAction::Start => Verb::Start,
            // The exporter runs the command itself, and does not ask systemd.
            HealAction::Command(_) => return,
        };
        let default = [verb];
        self.add(name, bus, if verbs.is_empty() { &default } else { verbs });
    }

    /// Adds the units of the service's systemd checks.
    fn add_checked(&mut self, service: &Service, verbs: &[Verb]) {
        const DEFAULT: &[Verb] = &[Verb::Start, Verb::Restart];
        let verbs = if verbs.is_empty() { DEFAULT } else { verbs };
        for check in &service.checks {
            if let KindSettings::Systemd(settings) = &check.kind {
                self.add(&settings.unit, &settings.bus, verbs);
            }
        }
    }

    fn add(&mut self, unit: &str, bus: &BusAddress, verbs: &[Verb]) {
        match bus {
            BusAddress::Address(address) if !SYSTEM_BUSES.contains(&address.as_str()) => {
                self.skipped.insert((unit.to_owned(), address.clone()));
            }
            _ => self
                .allowed
                .extend(verbs.iter().map(|verb| (unit.to_owned(), *verb))),
        }
    }

    /// Why the rule allows less than the reader may expect. `all` is the flag. `root` is the root of the file system with the unit
    /// files.
    fn warnings(&self, all: bool, root: &Path) -> Vec<String> {
        let mut warnings = Vec::new();
        for (unit, address) in &self.skipped {
            warnings.push(format!(
                "the rule does not contain {unit}: its bus is {address}, not the system bus"
            ));
        }
        let names: BTreeSet<&String> = self.allowed.iter().map(|(unit, _)| unit).collect();
        for unit in names {
            if let Some(own) = aliases::own_name(unit, root) {
                warnings.push(format!(
                    "{unit} is an alias of {own} on this machine: polkit compares {own} with the rule, so write {own} in the configuration"
                ));
            }
        }
        if self.allowed.is_empty() {
            let why = match all {
                true => "no selected service has a systemd check of the system's manager",
                false => {
                    "no selected service heals a unit; set heal: { mode: act } in a service, or use --all to allow all checked units"
                }
            };
            warnings.push(format!("the rule allows nothing: {why}"));
        }
        warnings
    }
}

#[cfg(test)]
mod tests;
