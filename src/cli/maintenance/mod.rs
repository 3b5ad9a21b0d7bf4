//! `upkeep_exporter maintenance`: starts, lists, ends and extends maintenance windows of a running exporter.

mod flags;
mod output;

use std::io::Write;
use std::process::ExitCode;

use anyhow::{Context, bail};

use super::control_flags::OutputFlags;
use super::control_socket;
use super::exit::print_error;
use crate::control::Request;
use crate::maintenance::{self, Response, Scope};
use flags::Action;
pub use flags::MaintenanceFlags;

/// Sends the request to the exporter and prints the response.
pub fn maintenance(flags: MaintenanceFlags) -> anyhow::Result<ExitCode> {
    let (request, output) = request(flags.action)?;
    let is_list = request == maintenance::Request::List;
    let value = control_socket::send(output.control_socket.as_deref(), &Request::Maintenance(request))?;
    let response: Response = serde_json::from_value(value)
        .context("reading the response; use the same version of upkeep_exporter as the running exporter")?;
    let text = match (output.json, is_list) {
        (true, _) => serde_json::to_string_pretty(&response)? + "\n",
        (false, true) => output::table(&response.windows),
        (false, false) => output::changes(&response.windows),
    };
    std::io::stdout()
        .write_all(text.as_bytes())
        .context("writing to standard output")?;
    for warning in &response.warnings {
        print_error(&format_args!("warning: {}", super::show::clean(warning)));
    }
    Ok(ExitCode::SUCCESS)
}

fn request(action: Action) -> anyhow::Result<(maintenance::Request, OutputFlags)> {
    Ok(match action {
        Action::Start {
            services,
            groups,
            all,
            length,
            reason,
            output,
        } => {
            if !all && services.is_empty() && groups.is_empty() {
                bail!("name services, or groups with --group, or use --all");
            }
            let request = maintenance::Request::Start {
                scope: Scope {
                    services,
                    groups,
                    all,
                },
                seconds: length.as_secs(),
                reason,
            };
            (request, output)
        }
        Action::List { output } => (maintenance::Request::List, output),
        Action::End { window, output } => (maintenance::Request::End { window }, output),
        Action::Extend { window, by, output } => {
            let seconds = by.as_secs();
            (maintenance::Request::Extend { window, seconds }, output)
        }
    })
}
