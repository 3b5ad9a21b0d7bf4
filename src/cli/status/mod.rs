//! `upkeep_exporter status`: what a running exporter says, in the form of `check`.

mod client;
mod served;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use super::chosen::chosen;
use super::show::{Document, Failed, ShowFlags, repeat};
use super::{WRONG_USAGE, tell};
use crate::config::duration;
use client::Client;

/// The flags of `status`.
#[derive(Debug, clap::Args)]
pub struct StatusFlags {
    /// The services to show, by key or name; without any, all
    #[arg(value_name = "SERVICE")]
    services: Vec<String>,

    /// The exporter: http://HOST:PORT, https://..., or unix:/PATH of a socket
    #[arg(
        long,
        value_name = "URL",
        default_value = "http://localhost:10100",
        help_heading = "Exporter"
    )]
    url: String,

    /// The name to log in with (basic authentication)
    #[arg(long, value_name = "NAME", help_heading = "Exporter")]
    user: Option<String>,

    /// The file that holds the password
    #[arg(
        long,
        value_name = "PATH",
        requires = "user",
        conflicts_with = "password_env",
        help_heading = "Exporter"
    )]
    password_file: Option<PathBuf>,

    /// The environment variable that holds the password
    #[arg(long, value_name = "VARIABLE", requires = "user", help_heading = "Exporter")]
    password_env: Option<String>,

    /// The certificates (PEM) of the authorities to trust instead of the system's
    #[arg(long, value_name = "PATH", help_heading = "Exporter")]
    ca_file: Option<PathBuf>,

    /// Accept any certificate
    #[arg(long, help_heading = "Exporter")]
    insecure: bool,

    /// How long the answer may take, such as 500ms or 10s
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = some_time, help_heading = "Exporter")]
    timeout: Duration,

    #[command(flatten)]
    show: ShowFlags,
}

fn some_time(text: &str) -> Result<Duration, String> {
    match duration::parse(text).map_err(|error| error.to_string())? {
        Duration::ZERO => Err("no answer comes in no time: write one such as 10s".to_owned()),
        some => Ok(some),
    }
}

/// Asks the exporter, once or in rounds.
pub fn status(flags: &StatusFlags) -> anyhow::Result<ExitCode> {
    let mut client = match Client::new(flags) {
        Ok(client) => client,
        Err(message) => {
            tell(&message);
            return Ok(WRONG_USAGE.into());
        }
    };
    let runtime = super::runtime()?;
    let result = runtime.block_on(repeat(&flags.show, async || {
        let body = client.get().await.map_err(Failed::Unknown)?;
        let document = served::document(&body)
            .map_err(|error| Failed::Unknown(format!("{}: {error}", client.shown())))?;
        choose(document, &flags.services)
            .map_err(|message| Failed::Usage(message + &flags.show.hint(&flags.services)))
    }));
    runtime.shutdown_background();
    result
}

/// Leaves of the document's services those that are asked for.
fn choose(document: Document, asked: &[String]) -> Result<Document, String> {
    let Document {
        generated_at,
        services,
        ..
    } = document;
    let named = services
        .iter()
        .map(|service| (service.key.as_str(), service.name.as_str()));
    let mut is_chosen = chosen(named, asked)?.into_iter();
    let services = services
        .into_iter()
        .filter(|_| is_chosen.next().unwrap_or_default());
    Ok(Document::new(generated_at, services.collect()))
}
