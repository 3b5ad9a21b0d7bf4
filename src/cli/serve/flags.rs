//! The flags of the server.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{OsStringValueParser, TypedValueParser};

use super::listen::ListenAddress;
use crate::cli::process_flags::ProcessFlags;
use crate::{log, web};

/// The minimum of `--config.auto-reload-interval` and `--discover.interval`: every look reads the versions of all files, or the processes
/// of the machine.
const MIN_POLL_INTERVAL: Duration = Duration::from_secs(1);

/// The flags of the server.
#[derive(Debug, clap::Args)]
pub struct ServeFlags {
    /// Configuration file, or a directory of files (*.yml, *.yaml). Can be repeated; default: the services found on this machine
    #[arg(help_heading = "Configuration", long = "config.file", value_name = "PATH")]
    pub config_files: Vec<PathBuf>,

    /// Reload the configuration when its files change
    #[arg(
        help_heading = "Configuration",
        long = "config.auto-reload",
        alias = "config.enable-auto-reload",
        requires = "config_files"
    )]
    pub config_auto_reload: bool,

    /// Seconds between two looks for changes that the system does not report, with --config.auto-reload
    #[arg(
        help_heading = "Configuration",
        long = "config.auto-reload-interval",
        value_name = "SECONDS",
        default_value = "30",
        value_parser = poll_interval
    )]
    pub config_auto_reload_interval: Duration,

    /// Without a configuration file, do not look for services on this machine
    #[arg(help_heading = "Configuration", long = "no-discover")]
    pub no_discover: bool,

    /// Seconds between two looks for new services on this machine, without a configuration file
    #[arg(
        help_heading = "Configuration",
        long = "discover.interval",
        value_name = "SECONDS",
        default_value = "300",
        value_parser = poll_interval
    )]
    pub discover_interval: Duration,

    #[command(flatten)]
    pub process: ProcessFlags,

    /// Check the configuration and exit: 0 if it is valid, 1 if not
    #[arg(help_heading = "Configuration", long = "config.check")]
    pub config_check: bool,

    /// Address to listen on: HOST:PORT, :PORT for all addresses, or unix:/PATH. Can be repeated
    #[arg(
        help_heading = "Web",
        long = "web.listen-address",
        value_name = "ADDRESS",
        default_value = ":10100"
    )]
    pub listen_addresses: Vec<ListenAddress>,

    /// Use the sockets that systemd passes instead of --web.listen-address
    #[arg(
        help_heading = "Web",
        long = "web.systemd-socket",
        conflicts_with = "listen_addresses"
    )]
    pub systemd_socket: bool,

    /// Web configuration file: TLS and authentication, see docs/WEB.md
    #[arg(help_heading = "Web", long = "web.config.file", value_name = "PATH")]
    pub web_config_file: Option<PathBuf>,

    /// Path of the metrics
    #[arg(help_heading = "Web", long = "web.telemetry-path", value_name = "PATH", default_value = "/metrics", value_parser = telemetry_path)]
    pub telemetry_path: String,

    /// Export response times as native histograms too, to scrapers that request Protocol Buffers, see docs/METRICS.md
    #[arg(help_heading = "Web", long = "metrics.native-histograms")]
    pub native_histograms: bool,

    /// Seconds to subtract from the scrape timeout of /probe
    #[arg(
        help_heading = "Web",
        long = "probe.timeout-offset",
        alias = "timeout-offset",
        value_name = "SECONDS",
        default_value = "0.5",
        value_parser = seconds
    )]
    pub probe_timeout_offset: Duration,

    /// Enable reloads by POST /-/reload
    #[arg(help_heading = "Web", long = "web.enable-lifecycle")]
    pub enable_lifecycle: bool,

    /// Serve badges, pictures of the status and the uptime, at /badge/SERVICE.svg and /badge/group/GROUP.svg
    #[arg(help_heading = "Web", long = "web.badges")]
    pub badges: bool,

    /// Enable starting, stopping and restarting services by POST /api/services/{service}/restart; needs users, see docs/WEB.md
    #[arg(help_heading = "Web", long = "web.enable-admin-api")]
    pub enable_admin_api: bool,

    /// Accept only requests for these hosts, as protection against DNS rebinding, see docs/WEB.md
    #[arg(
        help_heading = "Web",
        long = "web.allowed-hosts",
        value_name = "HOST[:PORT]",
        value_delimiter = ','
    )]
    pub allowed_hosts: Vec<web::AllowedHost>,

    /// Directory for state that survives restarts; default: $STATE_DIRECTORY from systemd, otherwise none
    #[arg(help_heading = "State", long = "state.dir", value_name = "PATH")]
    pub state_dir: Option<PathBuf>,

    /// Write the status as JSON to this file, at least every 10 s
    #[arg(help_heading = "State", long = "status.file", value_name = "PATH")]
    pub status_file: Option<PathBuf>,

    /// Control socket for commands such as maintenance; default: control.sock in the runtime directory. Empty disables it
    #[arg(
        help_heading = "State",
        long = "control.socket",
        value_name = "PATH",
        value_parser = OsStringValueParser::new().map(PathBuf::from)
    )]
    pub control_socket: Option<PathBuf>,

    /// Heal nothing, whatever the configuration says: no restarts, no commands
    #[arg(help_heading = "Healing", long = "no-heal", alias = "no-restart")]
    pub no_heal: bool,

    /// Mount point of the proc file system
    #[arg(
        help_heading = "Configuration",
        long = "path.procfs",
        value_name = "PATH",
        default_value = "/proc"
    )]
    pub procfs: PathBuf,

    /// Minimum level of log lines
    #[arg(
        help_heading = "Logging",
        long = "log.level",
        value_name = "LEVEL",
        value_enum,
        default_value = "info"
    )]
    pub log_level: log::Level,

    /// Format of log lines
    #[arg(
        help_heading = "Logging",
        long = "log.format",
        value_name = "FORMAT",
        value_enum,
        default_value = "logfmt"
    )]
    pub log_format: log::Format,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: Option<f64> = text.parse().ok();
    let duration = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    duration.ok_or_else(|| "write a number of seconds, such as 0.5".to_owned())
}

fn poll_interval(text: &str) -> Result<Duration, String> {
    seconds(text)
        .ok()
        .filter(|interval| *interval >= MIN_POLL_INTERVAL)
        .ok_or_else(|| "write a number of seconds of at least 1, such as 30".to_owned())
}

fn telemetry_path(text: &str) -> Result<String, String> {
    match text {
        path if web::is_reserved_path(path) => Err(format!(
            "{path} is already in use; choose another path, such as /metrics"
        )),
        path if path.starts_with('/')
            && path
                .bytes()
                .all(|byte| byte.is_ascii_graphic() && !b"?#".contains(&byte)) =>
        {
            Ok(path.to_owned())
        }
        _ => Err("a path must begin with / and must not contain spaces, ? or #".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn healing_is_disabled_by_both_names_of_the_flag() {
        use clap::{Args, FromArgMatches};

        for (flag, expected) in [
            (None, false),
            (Some("--no-heal"), true),
            (Some("--no-restart"), true),
        ] {
            let command = ServeFlags::augment_args(clap::Command::new("upkeep_exporter"));
            let arguments = ["upkeep_exporter"].into_iter().chain(flag);
            let matches = command.try_get_matches_from(arguments).unwrap();
            let flags = ServeFlags::from_arg_matches(&matches).unwrap();
            assert_eq!(flags.no_heal, expected, "{flag:?}");
        }
    }

    #[test]
    fn a_telemetry_path_is_checked() {
        assert_eq!(telemetry_path("/metrics").unwrap(), "/metrics");
        for wrong in [
            "",
            "metrics",
            "/",
            "/-/x",
            "/a b",
            "/a?b",
            "/ä",
            "/probe",
            "/api/status",
            "/api/status/x",
            "/assets/x",
        ] {
            assert!(telemetry_path(wrong).is_err(), "{wrong}");
        }
    }
}
