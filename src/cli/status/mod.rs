//! `upkeep_exporter status`: prints the status from a running exporter.

mod client;
mod flags;
mod response;

use std::process::ExitCode;

use super::exit::{WRONG_USAGE, print_error};
use super::runtime;
use super::select::select;
use super::show::{RoundError, StatusReport, repeat};
use client::StatusClient;
pub use flags::StatusFlags;

/// Requests the status from the exporter, once or in rounds.
pub fn status(flags: &StatusFlags) -> anyhow::Result<ExitCode> {
    let mut client = match StatusClient::new(flags) {
        Ok(client) => client,
        Err(message) => {
            print_error(&message);
            return Ok(WRONG_USAGE.into());
        }
    };
    let runtime = runtime::start("status", None)?;
    let result = runtime.block_on(repeat(&flags.show, async || {
        let body = client.get().await.map_err(RoundError::Unknown)?;
        let report = response::parse(&body)
            .map_err(|error| RoundError::Unknown(format!("{}: {error}", client.shown())))?;
        select_services(report, &flags.services)
            .map_err(|message| RoundError::Usage(message + &flags.show.hint(&flags.services)))
    }));
    runtime.shutdown_background();
    result
}

/// Removes the services that are not named in `words`.
fn select_services(report: StatusReport, words: &[String]) -> Result<StatusReport, String> {
    let StatusReport {
        generated_at,
        services,
        ..
    } = report;
    let named = services
        .iter()
        .map(|service| (service.key.as_str(), service.name.as_str()));
    let mut selected = select(named, words)?.into_iter();
    let services = services
        .into_iter()
        .filter(|_| selected.next().unwrap_or_default());
    Ok(StatusReport::new(generated_at, services.collect()))
}
