//! `upkeep_exporter heal`: reports, pauses and resumes the healing of a running exporter.

mod flags;
mod output;

use std::io::Write;
use std::process::ExitCode;

use anyhow::Context;

use super::control_socket;
use super::exit::print_error;
use crate::control;
use crate::heal::{Request, Response};
use flags::Action;
pub use flags::HealFlags;

/// Sends the request to the exporter and prints the response.
pub fn heal(flags: HealFlags) -> anyhow::Result<ExitCode> {
    let (request, output) = match flags.action {
        Action::Status { service, output } => (Request::Status { service }, output),
        Action::Pause {
            service,
            length,
            reason,
            output,
        } => {
            let seconds = length.map(|length| length.as_secs());
            let request = Request::Pause {
                service,
                seconds,
                reason,
            };
            (request, output)
        }
        Action::Resume { service, output } => (Request::Resume { service }, output),
    };
    let message = control::Request::Heal(request.clone());
    let value = control_socket::send(output.control_socket.as_deref(), &message)?;
    let response: Response = serde_json::from_value(value)
        .context("reading the response; use the same version of upkeep_exporter as the running exporter")?;
    let text = match (output.json, &request) {
        (true, _) => serde_json::to_string_pretty(&response)? + "\n",
        (false, Request::Status { service: Some(_) }) => output::details(&response),
        (false, Request::Status { service: None }) => output::overview(&response),
        (false, Request::Pause { service, .. }) => output::paused(&response, service.as_deref()),
        (false, Request::Resume { service }) => output::resumed(service.as_deref()),
    };
    std::io::stdout()
        .write_all(text.as_bytes())
        .context("writing to standard output")?;
    for warning in &response.warnings {
        print_error(&format_args!("warning: {}", super::show::clean(warning)));
    }
    Ok(ExitCode::SUCCESS)
}
