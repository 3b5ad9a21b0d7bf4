//! `upkeep_exporter discover`: prints or writes a configuration for the services of this machine, or compares it with a file.

mod write;

use std::io::Write;
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;

use super::exit::{WRONG_USAGE, print_error};
use super::runtime;
use crate::config::systemd::BusAddress;
use crate::config::{load, parse};
use crate::discover::{Difference, Options, discover};
use write::write_file;

/// The flags of `discover`.
#[derive(Debug, clap::Args)]
pub struct DiscoverFlags {
    /// Write the configuration to this file instead of standard output
    #[arg(long, value_name = "FILE", conflicts_with = "diff")]
    write: Option<PathBuf>,

    /// Replace the file of --write if it exists
    #[arg(long, requires = "write")]
    force: bool,

    /// Print what is new or gone compared with this configuration file, or directory of files; exit code 1 if anything is
    #[arg(long, value_name = "FILE")]
    diff: Option<PathBuf>,

    /// Also connect to ports that listen only on this address of the machine. Can be repeated; default: loopback only
    #[arg(long = "address", value_name = "IP")]
    addresses: Vec<IpAddr>,

    /// Mount point of the proc file system
    #[arg(long = "path.procfs", value_name = "PATH", default_value = "/proc")]
    procfs: PathBuf,
}

/// Looks at the machine, and prints, writes or compares the result.
pub fn discover_services(flags: &DiscoverFlags) -> anyhow::Result<ExitCode> {
    // The file comes first: looking at the machine takes seconds.
    let before = match &flags.diff {
        Some(file) => match load(file) {
            Ok(loaded) => Some(loaded.config),
            Err(findings) => {
                print_error(&findings);
                return Ok(WRONG_USAGE.into());
            }
        },
        None => None,
    };
    if let Some(file) = flags
        .write
        .as_deref()
        .filter(|file| !flags.force && file.exists())
    {
        print_error(&format_args!(
            "{} exists: use --force to replace it",
            file.display()
        ));
        return Ok(ExitCode::FAILURE);
    }
    runtime::raise_open_files();
    let runtime = runtime::start("discover", None)?;
    let discovered = runtime.block_on(discover(&options(flags.procfs.clone(), flags.addresses.clone())));
    // A thread that hangs in the kernel must not delay the end.
    runtime.shutdown_background();
    let found = parse(&discovered.text, "(discovered)").map_err(|findings| {
        anyhow::anyhow!(
            "the discovered configuration is not valid; this is a bug in the exporter:\n{findings}"
        )
    })?;
    if let Some(before) = before {
        let difference = Difference::between(&before, &found.config, &discovered.running);
        for gap in &discovered.gaps {
            print_error(gap);
        }
        print_difference(&difference)?;
        return Ok(match difference.is_empty() {
            true => ExitCode::SUCCESS,
            false => ExitCode::FAILURE,
        });
    }
    match &flags.write {
        Some(file) => {
            write_file(file, &discovered.text, flags.force)
                .with_context(|| format!("writing {}", file.display()))?;
            let services = found.config.services.len();
            let noun = if services == 1 { "service" } else { "services" };
            print_error(&format_args!("wrote {services} {noun} to {}", file.display()));
        }
        None => write!(std::io::stdout(), "{}", discovered.text).context("writing to standard output")?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The options of a look at this machine.
pub fn options(procfs: PathBuf, addresses: Vec<IpAddr>) -> Options {
    Options {
        procfs,
        bus: BusAddress::System,
        engine: std::env::var("DOCKER_HOST").ok(),
        addresses,
    }
}

fn print_difference(difference: &Difference) -> anyhow::Result<()> {
    let mut out = std::io::stdout();
    let lines = [("new ", &difference.new), ("gone", &difference.gone)];
    for (word, subjects) in lines {
        for subject in subjects {
            writeln!(out, "{word}  {subject}").context("writing to standard output")?;
        }
    }
    Ok(())
}
