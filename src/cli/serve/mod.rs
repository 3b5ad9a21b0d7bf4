//! Runs the server: from flags to a running exporter, and the signals that it handles.

mod activation;
mod flags;
mod listen;

use std::future::Future;
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};

use anyhow::Context;
use tokio::runtime::Handle;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tracing::{error, info, warn};

use super::embedded::discovery;
use super::own_checks::remove_failing_checks;
use super::paths::first_directory;
use super::process_flags::ProcessFlags;
use super::{control_socket, embedded, runtime};
use crate::config::{ConfigError, ConfigFiles};
use crate::discover::Continuous;
use crate::model::SystemClock;
use crate::reload::{Loader, WatchedFiles};
use crate::web::{Listener, WebConfig};
use crate::{Setup, log};
use activation::InheritedSocket;
pub use flags::ServeFlags;
use listen::ListenAddress;

/// The maximum number of threads that handle requests, in addition to those that render. Requests are few. Checks have a thread
/// per core.
const MAX_WEB_THREADS: usize = 4;

/// Serves until SIGTERM or SIGINT.
pub fn serve(flags: ServeFlags) -> anyhow::Result<ExitCode> {
    // This comes first: it must run before the log and the runtimes start threads.
    let inherited = if flags.systemd_socket {
        activation::take_sockets()?
    } else {
        Vec::new()
    };
    // Dropping the guard flushes the log.
    let _log_guard = log::start(flags.log_level, flags.log_format);
    runtime::raise_open_files();
    // Two runtimes, so that checks that use all of their threads do not delay scrapes.
    let web_runtime = runtime::start("web", Some(MAX_WEB_THREADS))?;
    let check_runtime = runtime::start("checks", Some(runtime::check_threads()))?;
    let checks = check_runtime.handle().clone();
    let result = web_runtime.block_on(run_until_terminated(flags, inherited, checks));
    // A thread that hangs in the kernel, such as one that reads a file, must not delay the end.
    web_runtime.shutdown_background();
    check_runtime.shutdown_background();
    result.map(|()| ExitCode::SUCCESS)
}

async fn run_until_terminated(
    flags: ServeFlags,
    inherited: Vec<InheritedSocket>,
    checks: Handle,
) -> anyhow::Result<()> {
    let hangup = handle_hangups()?;
    let mut shutdown = std::pin::pin!(handle_termination()?);
    // Loading a large configuration takes seconds, and a file system may hang. Both can be terminated.
    let setup = tokio::select! {
        setup = setup(flags, inherited, checks) => setup?,
        () = &mut shutdown => return Ok(()),
    };
    crate::run(setup, hangup, shutdown)
        .await
        .context("opening the state directory")
}

async fn setup(flags: ServeFlags, inherited: Vec<InheritedSocket>, checks: Handle) -> anyhow::Result<Setup> {
    let web_config = match flags.web_config_file.clone() {
        Some(file) => tokio::task::spawn_blocking(move || WebConfig::open(file))
            .await
            .context("loading the web configuration")?
            .map_err(|findings| anyhow::anyhow!("invalid web configuration:\n{findings}"))?,
        None => WebConfig::none(),
    };
    if flags.enable_admin_api && !web_config.has_users() {
        anyhow::bail!(
            "--web.enable-admin-api needs users, so that not everybody can stop services: add basic_auth_users to the web \
             configuration (--web.config.file)"
        );
    }
    let listeners = open_listeners(&flags, inherited)?;
    let port = listeners.iter().find_map(Listener::port);
    let is_guarded = web_config.has_tls() || web_config.has_users();
    let files = (!flags.config_files.is_empty()).then(|| Arc::new(ConfigFiles::new(flags.config_files)));
    let discovery = (files.is_none() && !flags.no_discover)
        .then(|| discovery(flags.procfs.clone(), flags.discover_interval));
    let source = match &files {
        Some(files) => Source::Files(Arc::clone(files)),
        None => Source::Embedded {
            port,
            is_guarded,
            discovery: discovery.clone(),
        },
    };
    let load = loader(source, flags.process);
    let first_load = Arc::clone(&load);
    let config = tokio::task::spawn_blocking(move || first_load())
        .await
        .context("loading the configuration")?
        .map_err(invalid)?;
    if let Some(findings) = &config.errors {
        error!(error = %findings, "some configuration files have errors; they are not in use");
    }
    let control = control_socket::open(flags.control_socket.as_deref())?;
    log_listeners(&listeners, &web_config, &flags.telemetry_path)?;
    Ok(Setup {
        listeners,
        web_config,
        config,
        load,
        watched_files: files
            .filter(|_| flags.config_auto_reload)
            .map(|files| WatchedFiles {
                files,
                poll_interval: flags.config_auto_reload_interval,
            }),
        discovery,
        clock: Arc::new(SystemClock::new()),
        state_dir: flags
            .state_dir
            .or_else(|| first_directory(&std::env::var_os("STATE_DIRECTORY")?)),
        status_file: flags.status_file,
        control,
        procfs: flags.procfs,
        telemetry_path: flags.telemetry_path,
        has_native_histograms: flags.native_histograms,
        probe_timeout_offset: flags.probe_timeout_offset,
        enable_lifecycle: flags.enable_lifecycle,
        enable_badges: flags.badges,
        enable_admin_api: flags.enable_admin_api,
        allowed_hosts: flags.allowed_hosts.into_iter().collect(),
        no_heal: flags.no_heal,
        checks: Some(checks),
    })
}

/// The error of an invalid configuration. Each finding is on its own line.
fn invalid(findings: ConfigError) -> anyhow::Error {
    anyhow::anyhow!("invalid configuration:\n{findings}")
}

/// Opens the listeners: the inherited sockets, or the addresses if there are none.
fn open_listeners(flags: &ServeFlags, inherited: Vec<InheritedSocket>) -> anyhow::Result<Vec<Listener>> {
    let open = |address: &ListenAddress| {
        address.bind().with_context(|| {
            format!("listening on {address} (choose another address with --web.listen-address)")
        })
    };
    if inherited.is_empty() {
        return flags.listen_addresses.iter().map(open).collect();
    }
    inherited
        .into_iter()
        .map(InheritedSocket::into_listener)
        .collect::<Result<_, _>>()
        .context("using the sockets from systemd (--web.systemd-socket)")
}

/// Logs the addresses of the listeners.
fn log_listeners(listeners: &[Listener], web_config: &WebConfig, telemetry_path: &str) -> anyhow::Result<()> {
    let scheme = if web_config.has_tls() { "https" } else { "http" };
    for listener in listeners {
        match listener {
            Listener::Tcp(listener) => {
                let bound = listener.local_addr()?;
                let metrics = metrics_url(scheme, bound, telemetry_path);
                info!(address = %bound, %metrics, "listening");
            }
            Listener::Unix(listener, _) => {
                let bound = listener.local_addr()?;
                let path = bound.as_pathname().unwrap_or(Path::new("")).display();
                info!(address = %format_args!("unix:{path}"), scheme, "listening");
            }
        }
    }
    Ok(())
}

/// The URL of the metrics for a client on this machine.
fn metrics_url(scheme: &str, bound: SocketAddr, telemetry_path: &str) -> String {
    if bound.ip().is_unspecified() {
        format!("{scheme}://localhost:{}{telemetry_path}", bound.port())
    } else {
        format!("{scheme}://{bound}{telemetry_path}")
    }
}

/// Where the configuration comes from.
enum Source {
    /// Files.
    Files(Arc<ConfigFiles>),
    /// The embedded default, with what is discovered.
    Embedded {
        /// The port that the exporter listens on.
        port: Option<u16>,
        /// Whether the server uses TLS or authentication.
        is_guarded: bool,
        /// `None` if it is turned off.
        discovery: Option<Arc<Continuous>>,
    },
}

/// A function that loads the configuration and logs its warnings. If the file of process names has errors, its last valid content stays
/// in use, and the other files are loaded.
fn loader(source: Source, process: ProcessFlags) -> Arc<Loader> {
    let last_groups = Mutex::default();
    Arc::new(move || {
        let mut loaded = match &source {
            Source::Files(files) => files.load()?,
            Source::Embedded {
                port,
                is_guarded,
                discovery,
            } => {
                let mut config = embedded::load(*port, discovery.as_deref())?;
                remove_failing_checks(&mut config, port.is_some(), *is_guarded);
                config.into()
            }
        };
        process.add_to_files(&mut loaded, &last_groups)?;
        for warning in &loaded.warnings {
            warn!(%warning, "configuration");
        }
        Ok(loaded)
    })
}

fn handle_hangups() -> anyhow::Result<mpsc::Receiver<()>> {
    let mut hangup = signal(SignalKind::hangup()).context("listening to SIGHUP")?;
    // Several signals during a reload cause only one more reload.
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            let _ = sender.try_send(());
        }
    });
    Ok(receiver)
}

fn handle_termination() -> anyhow::Result<impl Future<Output = ()>> {
    let mut interrupt = signal(SignalKind::interrupt()).context("listening to SIGINT")?;
    let mut terminate = signal(SignalKind::terminate()).context("listening to SIGTERM")?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => info!("interrupted"),
            _ = terminate.recv() => info!("terminated"),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_logged_url_works_on_this_machine() {
        for (bound, expected) in [
            ("[::]:10100", "http://localhost:10100/m"),
            ("0.0.0.0:1", "http://localhost:1/m"),
            ("127.0.0.1:1", "http://127.0.0.1:1/m"),
            ("[::1]:1", "http://[::1]:1/m"),
        ] {
            assert_eq!(metrics_url("http", bound.parse().unwrap(), "/m"), expected);
        }
    }
}
