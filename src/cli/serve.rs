//! Serving: from flags to a running exporter, and the signals that it listens to.

use std::ffi::OsStr;
use std::future::Future;
use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tracing::{info, warn};

use super::ServeFlags;
use super::activation::{self, Handed};
use super::listen::ListenAddress;
use super::own_check::keep_what_can_succeed;
use crate::config::ConfigError;
use crate::model::SystemClock;
use crate::reload::Loader;
use crate::web::{Listener, WebConfig};
use crate::{Setup, config, log};

/// Serves until SIGTERM or SIGINT.
pub fn serve(flags: ServeFlags) -> anyhow::Result<ExitCode> {
    // First of all: the log and the runtime have threads.
    let handed = if flags.systemd_socket {
        activation::take()?
    } else {
        Vec::new()
    };
    let _flushed_at_the_end = log::start(flags.log_level, flags.log_format);
    raise_open_files();
    let mut of_web = Builder::new_multi_thread();
    if let Ok(cores) = std::thread::available_parallelism() {
        of_web.worker_threads(cores.get().min(WEB_THREADS));
    }
    let of_web = runtime(&mut of_web, "web")?;
    let of_checks = runtime(&mut Builder::new_multi_thread(), "checks")?;
    let result = of_web.block_on(until_terminated(flags, handed, of_checks.handle().clone()));
    // A thread that hangs in the kernel (a file or a command line being read) must not delay the end.
    of_web.shutdown_background();
    of_checks.shutdown_background();
    result.map(|()| ExitCode::SUCCESS)
}

/// The most threads that serve requests, beside those that render. Requests are few; checks have as many as there are cores.
const WEB_THREADS: usize = 4;

/// A runtime of its own for the web and for the checks: checks that saturate their threads hold up no scrape.
fn runtime(builder: &mut Builder, name: &'static str) -> anyhow::Result<Runtime> {
    builder
        .thread_name(name)
        .enable_all()
        .build()
        .with_context(|| format!("starting the runtime of the {name}"))
}

async fn until_terminated(flags: ServeFlags, handed: Vec<Handed>, checks: Handle) -> anyhow::Result<()> {
    let hangup = hangups()?;
    let mut shutdown = std::pin::pin!(terminated()?);
    // A large configuration takes seconds, one on a file system that hangs forever: ended all the same.
    let setup = tokio::select! {
        setup = setup(flags, handed, checks) => setup?,
        () = &mut shutdown => return Ok(()),
    };
    crate::run(setup, hangup, shutdown)
        .await
        .context("opening the state directory")
}

async fn setup(flags: ServeFlags, handed: Vec<Handed>, checks: Handle) -> anyhow::Result<Setup> {
    let web_config = match flags.web_config_file.clone() {
        Some(file) => tokio::task::spawn_blocking(move || WebConfig::open(file))
            .await
            .context("loading the web configuration")?
            .map_err(|findings| anyhow::anyhow!("the web configuration can't be used:\n{findings}"))?,
        None => WebConfig::none(),
    };
    let listeners = listeners(&flags, handed)?;
    let port = listeners.iter().find_map(Listener::port);
    let is_guarded = web_config.has_tls() || web_config.has_users();
    let load = loader(flags.config_file, port, is_guarded);
    let first = Arc::clone(&load);
    let config = tokio::task::spawn_blocking(move || first())
        .await
        .context("loading the configuration")?
        .map_err(unusable)?;
    announce(&listeners, &web_config, &flags.telemetry_path)?;
    Ok(Setup {
        listeners,
        web_config,
        config,
        load,
        clock: Arc::new(SystemClock::new()),
        state_dir: flags
            .state_dir
            .or_else(|| first_directory(&std::env::var_os("STATE_DIRECTORY")?)),
        status_file: flags.status_file,
        procfs: flags.procfs,
        telemetry_path: flags.telemetry_path,
        probe_timeout_offset: flags.probe_timeout_offset,
        enable_lifecycle: flags.enable_lifecycle,
        allowed_hosts: flags.allowed_hosts.into_iter().collect(),
        checks: Some(checks),
    })
}

/// The findings stand on lines of their own, each with its place.
fn unusable(findings: ConfigError) -> anyhow::Error {
    anyhow::anyhow!("the configuration can't be used:\n{findings}")
}

/// What to listen on: what systemd handed over, or else the addresses.
fn listeners(flags: &ServeFlags, handed: Vec<Handed>) -> anyhow::Result<Vec<Listener>> {
    let open = |address: &ListenAddress| {
        address.bind().with_context(|| {
            format!("listening on {address} (choose another address with --web.listen-address)")
        })
    };
    if handed.is_empty() {
        return flags.listen_addresses.iter().map(open).collect();
    }
    let taken = handed.into_iter().map(Handed::into_listener);
    taken
        .collect::<Result<_, _>>()
        .context("taking over systemd's sockets")
}

/// Logs what is listened on, once nothing stands in the way of serving.
fn announce(listeners: &[Listener], web_config: &WebConfig, telemetry_path: &str) -> anyhow::Result<()> {
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

/// Where to look: the URL of the metrics, for a browser or a scraper on this machine.
fn metrics_url(scheme: &str, bound: SocketAddr, telemetry_path: &str) -> String {
    if bound.ip().is_unspecified() {
        format!("{scheme}://localhost:{}{telemetry_path}", bound.port())
    } else {
        format!("{scheme}://{bound}{telemetry_path}")
    }
}

/// Loads `file`, or without one the embedded default for an exporter that listens on `port`, behind TLS or users where
/// `is_guarded`; logs the warnings.
fn loader(file: Option<PathBuf>, port: Option<u16>, is_guarded: bool) -> Arc<Loader> {
    Arc::new(move || {
        let mut loaded = match (&file, port) {
            (Some(file), _) => config::load(file)?,
            (None, Some(port)) => config::embedded_default_on(port)?,
            (None, None) => config::embedded_default()?,
        };
        if file.is_none() {
            keep_what_can_succeed(&mut loaded.config, port.is_some(), is_guarded);
        }
        for warning in &loaded.warnings {
            warn!(%warning, "configuration");
        }
        Ok(loaded.config)
    })
}

/// systemd separates several state directories by colons; the first one is ours.
fn first_directory(directories: &OsStr) -> Option<PathBuf> {
    let first = directories.as_bytes().split(|byte| *byte == b':').next()?;
    (!first.is_empty()).then(|| OsStr::from_bytes(first).into())
}

/// Each run holds a socket, so as many as the system allows. Where it can't be raised, what there is must do.
pub fn raise_open_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(
        Resource::Nofile,
        Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        },
    ) {
        warn!(%error, "raising the limit of open files");
    }
}

fn hangups() -> anyhow::Result<mpsc::Receiver<()>> {
    let mut hangup = signal(SignalKind::hangup()).context("listening to SIGHUP")?;
    // One place: hangups that come while a reload is under way are one more reload, not many.
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            let _ = sender.try_send(());
        }
    });
    Ok(receiver)
}

fn terminated() -> anyhow::Result<impl Future<Output = ()>> {
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
    fn the_log_tells_where_to_look() {
        for (bound, expected) in [
            ("[::]:10100", "http://localhost:10100/m"),
            ("0.0.0.0:1", "http://localhost:1/m"),
            ("127.0.0.1:1", "http://127.0.0.1:1/m"),
            ("[::1]:1", "http://[::1]:1/m"),
        ] {
            assert_eq!(metrics_url("http", bound.parse().unwrap(), "/m"), expected);
        }
    }

    #[test]
    fn of_several_state_directories_the_first_is_ours() {
        for (variable, expected) in [
            ("", None),
            (":/b", None),
            ("/var/lib/a", Some("/var/lib/a")),
            ("/var/lib/a:/b", Some("/var/lib/a")),
        ] {
            assert_eq!(
                first_directory(OsStr::new(variable)),
                expected.map(PathBuf::from),
                "{variable}"
            );
        }
    }
}
