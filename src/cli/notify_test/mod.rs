//! `upkeep_exporter notify-test`: sends a test alert to an Alertmanager, and reports which receivers notify somebody.

mod alert;
mod alertmanager;
mod counts;

use std::process::ExitCode;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::configuration;
use super::connection_flags::ConnectionFlags;
use super::exit::{WRONG_USAGE, print_error, print_line};
use super::runtime;
use super::select::retain_selected;
use super::server_client::ServerClient;
use crate::config::duration;
use alert::{Severity, TestAlert};
use alertmanager::{Alertmanager, State};
use counts::Counts;

/// How often the Alertmanager is queried.
const POLL: Duration = Duration::from_millis(500);
/// How long to wait for further integrations after the first one has been notified.
const MORE: Duration = Duration::from_secs(3);
/// The longest test alert. Nobody should wait longer for its end.
const MAX_LENGTH: Duration = Duration::from_secs(3_600);

/// The flags of `notify-test`.
#[derive(Debug, clap::Args)]
pub struct NotifyTestFlags {
    /// URL of the Alertmanager
    #[arg(long, value_name = "URL")]
    alertmanager: String,

    /// Service whose labels the alert has, by key or name; default: a service that does not exist
    #[arg(long, value_name = "SERVICE", requires = "config_files")]
    service: Option<String>,

    /// Configuration file of the service, or a directory of files. Can be repeated
    #[arg(long = "config.file", value_name = "PATH")]
    config_files: Vec<std::path::PathBuf>,

    /// Severity of the alert. With the shipped configuration, `critical` pages somebody
    #[arg(long, value_name = "SEVERITY", value_enum, default_value_t = Severity::Warning)]
    severity: Severity,

    /// How long the alert fires, longer than group_wait of its route. The Alertmanager notifies of its end if the receiver has send_resolved
    #[arg(long = "for", value_name = "DURATION", default_value = "1m", value_parser = parse_length)]
    length: Duration,

    /// How long to wait for the notification; 0s to not wait
    #[arg(long, value_name = "DURATION", default_value = "45s", value_parser = parse_wait)]
    wait: Duration,

    #[command(flatten)]
    connection: ConnectionFlags,
}

fn parse_length(text: &str) -> Result<Duration, String> {
    let length = duration::parse(text).map_err(|error| error.to_string())?;
    (Duration::from_secs(1) <= length && length <= MAX_LENGTH)
        .then_some(length)
        .ok_or_else(|| "write a duration from 1s to 1h".to_owned())
}

fn parse_wait(text: &str) -> Result<Duration, String> {
    duration::parse(text).map_err(|error| error.to_string())
}

/// Sends the alert and waits for its notification.
pub fn notify_test(flags: &NotifyTestFlags) -> anyhow::Result<ExitCode> {
    let alert = match build_alert(flags) {
        Ok(Some(alert)) => alert,
        Ok(None) => return Ok(WRONG_USAGE.into()),
        Err(message) => {
            print_error(&message);
            return Ok(WRONG_USAGE.into());
        }
    };
    let client = match ServerClient::new("--alertmanager", &flags.alertmanager, &flags.connection) {
        Ok(client) => client,
        Err(message) => {
            print_error(&message);
            return Ok(WRONG_USAGE.into());
        }
    };
    let runtime = runtime::start("notify-test", Some(1))?;
    let result = runtime.block_on(send(&Alertmanager::new(client), &alert, flags.wait));
    runtime.shutdown_background();
    result
}

/// Builds the alert. `None` if the configuration is not valid and its errors are printed.
fn build_alert(flags: &NotifyTestFlags) -> Result<Option<TestAlert>, String> {
    let Some(service) = &flags.service else {
        return Ok(Some(TestAlert::of_no_service(flags.severity, flags.length)));
    };
    let Some(mut config) = configuration::load(&flags.config_files) else {
        return Ok(None);
    };
    retain_selected(&mut config, std::slice::from_ref(service))?;
    let service = config
        .services
        .first()
        .ok_or("the configuration has no service")?;
    Ok(Some(TestAlert::of(service, flags.severity, flags.length)))
}

async fn send(alertmanager: &Alertmanager, alert: &TestAlert, wait: Duration) -> anyhow::Result<ExitCode> {
    // Without counters, the receivers are known nevertheless.
    let before = alertmanager.counts().await.ok();
    alertmanager.post(alert).await?;
    print_line(&format_args!(
        "sent the test alert {alert} to {}",
        alertmanager.shown()
    ))?;
    if wait.is_zero() {
        return Ok(ExitCode::SUCCESS);
    }
    let deadline = Instant::now() + wait;
    let Some(state) = wait_for_state(alertmanager, alert, deadline).await? else {
        print_error(&"the Alertmanager accepted the alert but does not list it: is its clock correct?");
        return Ok(ExitCode::FAILURE);
    };
    print_line(&format_args!("receivers: {}", state.receivers.join(", ")))?;
    if let Some(cause) = state.suppressed_by() {
        print_error(&format_args!(
            "the Alertmanager does not notify anybody: the alert is {cause}"
        ));
        return Ok(ExitCode::FAILURE);
    }
    let Some(before) = before else {
        print_line(&"whether it was delivered is not known, because the Alertmanager has no /metrics here")?;
        return Ok(ExitCode::SUCCESS);
    };
    let counts = wait_for_counts(alertmanager, &before, deadline).await?;
    report_counts(&counts, wait)
}

/// Waits until the Alertmanager lists the alert with its receivers.
async fn wait_for_state(
    alertmanager: &Alertmanager,
    alert: &TestAlert,
    deadline: Instant,
) -> anyhow::Result<Option<State>> {
    loop {
        if let Some(state) = alertmanager.state(alert).await? {
            return Ok(Some(state));
        }
        if Instant::now() >= deadline {
            return Ok(None);
        }
        sleep(POLL).await;
    }
}

/// Waits until notifications were sent or failed, and returns how many for each integration.
async fn wait_for_counts(
    alertmanager: &Alertmanager,
    before: &Counts,
    deadline: Instant,
) -> anyhow::Result<Counts> {
    let mut deadline = deadline;
    let mut seen = false;
    loop {
        let counts = alertmanager.counts().await?.since(before);
        if !counts.is_empty() && !seen {
            seen = true;
            deadline = deadline.min(Instant::now() + MORE);
        }
        if Instant::now() >= deadline {
            return Ok(counts);
        }
        sleep(POLL).await;
    }
}

/// Prints the counts. The exit code is 1 if a notification failed, or there was none.
fn report_counts(counts: &Counts, wait: Duration) -> anyhow::Result<ExitCode> {
    if counts.is_empty() {
        print_error(&format_args!(
            "no notification within {}: group_wait of its route may be longer than that or than the alert (set --wait and --for), or the \
             receiver has no integration",
            duration::DurationText(wait)
        ));
        return Ok(ExitCode::FAILURE);
    }
    let mut code = ExitCode::SUCCESS;
    for (integration, count) in counts.iter() {
        if count.failed > 0 {
            code = ExitCode::FAILURE;
            print_error(&format_args!(
                "{integration}: {} of {} requests failed; the log of the Alertmanager has the reason",
                count.failed, count.sent
            ));
        } else {
            print_line(&format_args!("{integration}: delivered"))?;
        }
    }
    print_line(
        &"the counts include other alerts that the Alertmanager sent in this time; look for the message",
    )?;
    Ok(code)
}
