//! Serving: from flags to a running exporter, and the signals that it listens to.

use std::ffi::OsStr;
use std::future::Future;
use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tracing::{info, warn};

use super::ServeFlags;
use super::listen::ListenAddress;
use crate::config::ConfigError;
use crate::model::SystemClock;
use crate::reload::Loader;
use crate::{Setup, config, log};

/// Serves until SIGTERM or SIGINT.
pub fn serve(flags: ServeFlags) -> anyhow::Result<ExitCode> {
    let _flushed_at_the_end = log::start(flags.log_level, flags.log_format);
    raise_open_files();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("starting the runtime")?;
    let result = runtime.block_on(until_terminated(flags));
    // A thread that hangs in the kernel (a file or a command line being read) must not delay the end.
    runtime.shutdown_background();
    result.map(|()| ExitCode::SUCCESS)
}

async fn until_terminated(flags: ServeFlags) -> anyhow::Result<()> {
    let hangup = hangups()?;
    let mut shutdown = std::pin::pin!(terminated()?);
    // A large configuration takes seconds, one on a file system that hangs forever: ended all the same.
    let setup = tokio::select! {
        setup = setup(flags) => setup?,
        () = &mut shutdown => return Ok(()),
    };
    crate::run(setup, hangup, shutdown)
        .await
        .context("opening the state directory")
}

async fn setup(flags: ServeFlags) -> anyhow::Result<Setup> {
    let listeners = bind(&flags.listen_addresses, &flags.telemetry_path)?;
    let port = listeners
        .first()
        .and_then(|listener| Some(listener.local_addr().ok()?.port()));
    let load = loader(flags.config_file, port);
    let first = Arc::clone(&load);
    let config = tokio::task::spawn_blocking(move || first())
        .await
        .context("loading the configuration")?
        .map_err(unusable)?;
    Ok(Setup {
        listeners,
        config,
        load,
        clock: Arc::new(SystemClock::new()),
        state_dir: flags
            .state_dir
            .or_else(|| first_directory(&std::env::var_os("STATE_DIRECTORY")?)),
        procfs: flags.procfs,
        telemetry_path: flags.telemetry_path,
        enable_lifecycle: flags.enable_lifecycle,
    })
}

/// The findings stand on lines of their own, each with its place.
fn unusable(findings: ConfigError) -> anyhow::Error {
    anyhow::anyhow!("the configuration can't be used:\n{findings}")
}

fn bind(addresses: &[ListenAddress], telemetry_path: &str) -> anyhow::Result<Vec<TcpListener>> {
    let open = |address: &ListenAddress| {
        let listener = address.bind().with_context(|| {
            format!("listening on {address} (choose another address with --web.listen-address)")
        })?;
        let bound = listener.local_addr()?;
        info!(address = %bound, metrics = %metrics_url(bound, telemetry_path), "listening");
        Ok(TcpListener::from_std(listener)?)
    };
    addresses.iter().map(open).collect()
}

/// Where to look: the URL of the metrics, for a browser or a scraper on this machine.
fn metrics_url(bound: SocketAddr, telemetry_path: &str) -> String {
    if bound.ip().is_unspecified() {
        format!("http://localhost:{}{telemetry_path}", bound.port())
    } else {
        format!("http://{bound}{telemetry_path}")
    }
}

/// Loads `file`, or without one the embedded default for an exporter that listens on `port`; logs the remarks.
fn loader(file: Option<PathBuf>, port: Option<u16>) -> Arc<Loader> {
    Arc::new(move || {
        let loaded = match (&file, port) {
            (Some(file), _) => config::load(file)?,
            (None, Some(port)) => config::embedded_default_on(port)?,
            (None, None) => config::embedded_default()?,
        };
        for remark in &loaded.remarks {
            warn!(%remark, "configuration");
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
            assert_eq!(metrics_url(bound.parse().unwrap(), "/m"), expected);
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
