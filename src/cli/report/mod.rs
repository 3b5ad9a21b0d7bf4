//! `upkeep_exporter report`: the uptime of services and groups over a range of time, with incidents, response times and error budgets.

mod collect;
mod csv;
mod document;
mod html;
mod incidents;
mod prometheus;
mod prometheus_api;
mod rfc3339;
mod sections;
mod text;

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::ValueEnum;
use jiff::Timestamp;

use super::connection_flags::ConnectionFlags;
use super::exit::{WRONG_USAGE, print_error};
use super::runtime;
use super::select::select;
use super::server_client::{RequestError, ServerClient};
use crate::config::duration;
use document::{Period, Report};

/// The longest range: what the exporter keeps.
const MAX_RANGE: Duration = Duration::from_secs(400 * 86_400);
/// The shortest range: Prometheus has one sample of the uptime per minute.
const MIN_RANGE: Duration = Duration::from_secs(3_600);

/// The flags of `report`.
#[derive(Debug, clap::Args)]
pub struct ReportFlags {
    /// Services to report, by key or name; default: all
    #[arg(value_name = "SERVICE")]
    services: Vec<String>,

    /// Length of the range, which ends now: 1h to 400d
    #[arg(long, value_name = "DURATION", default_value = "30d", value_parser = parse_range)]
    range: Duration,

    /// Output format
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value = "table")]
    output: Format,

    /// URL of the exporter, whose history is used
    #[arg(
        long,
        value_name = "URL",
        default_value = "http://localhost:10100",
        help_heading = "Connection"
    )]
    url: String,

    /// URL of a Prometheus with the recording rules, instead of the exporter's history. Includes all of its exporters
    #[arg(long, value_name = "URL", conflicts_with = "url", help_heading = "Connection")]
    prometheus: Option<String>,

    #[command(flatten)]
    connection: ConnectionFlags,
}

/// An output format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Tables for a terminal
    Table,
    /// Markdown
    Md,
    /// One row per service
    Csv,
    /// Everything
    Json,
    /// A page of its own
    Html,
}

fn parse_range(text: &str) -> Result<Duration, String> {
    let range = duration::parse(text).map_err(|error| error.to_string())?;
    (MIN_RANGE <= range && range <= MAX_RANGE)
        .then_some(range)
        .ok_or_else(|| "write a duration from 1h to 400d, such as 7d".to_owned())
}

/// Prints the report.
pub fn report(flags: &ReportFlags) -> anyhow::Result<ExitCode> {
    let period = Period::until(Timestamp::now(), flags.range);
    let (flag, url) = match &flags.prometheus {
        Some(url) => ("--prometheus", url),
        None => ("--url", &flags.url),
    };
    let client = match ServerClient::new(flag, url, &flags.connection) {
        Ok(client) => client.patient(),
        Err(message) => {
            print_error(&message);
            return Ok(WRONG_USAGE.into());
        }
    };
    let runtime = runtime::start("report", Some(1))?;
    let result: Result<Report, RequestError> = runtime.block_on(async {
        match &flags.prometheus {
            Some(_) => prometheus::collect(&client, period).await,
            None => collect::collect(&client, period).await,
        }
    });
    runtime.shutdown_background();
    let mut report = result?;
    let named = report
        .services
        .iter()
        .map(|row| (row.key.as_str(), row.name.as_str()));
    match select(named, &flags.services) {
        Ok(selected) => report.retain(&selected),
        Err(message) => {
            print_error(&message);
            return Ok(WRONG_USAGE.into());
        }
    }
    let text = format(&report, flags.output)?;
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(error).context("writing to standard output")
        }
        _ => Ok(ExitCode::SUCCESS),
    }
}

fn format(report: &Report, format: Format) -> anyhow::Result<String> {
    Ok(match format {
        Format::Table => text::format_table(report),
        Format::Md => text::format_markdown(report),
        Format::Csv => csv::format_csv(report)?,
        Format::Json => serde_json::to_string_pretty(report)? + "\n",
        Format::Html => html::format_html(report),
    })
}
