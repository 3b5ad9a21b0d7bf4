//! Sockets that systemd opened for us (`--web.systemd-socket`; sd_listen_fds(3)).

use std::net::TcpListener;
use std::os::fd::AsFd;
use std::os::unix::net::UnixListener;

use anyhow::{Context, bail, ensure};
use listenfd::ListenFd;
use rustix::net::sockopt::socket_acceptconn;

use crate::web::Listener;

/// A socket that was handed over.
#[derive(Debug)]
pub enum Handed {
    /// Of TCP.
    Tcp(TcpListener),
    /// A Unix socket, whose file belongs to systemd.
    Unix(UnixListener),
}

/// Takes the sockets over; at least one. To be called before there are other threads, for it changes the environment.
pub fn take() -> anyhow::Result<Vec<Handed>> {
    // This one heeds LISTEN_PID strictly; the other one makes sockets of the descriptors.
    let count = sd_notify::listen_fds()
        .context("taking over systemd's sockets (--web.systemd-socket)")?
        .len();
    ensure!(
        count > 0,
        "--web.systemd-socket: no socket was handed over: start the socket unit (systemctl start \
         upkeep_exporter.socket), or leave the flag out"
    );
    let mut sockets = ListenFd::from_env();
    (0..count).map(|index| one(&mut sockets, index)).collect()
}

fn one(sockets: &mut ListenFd, index: usize) -> anyhow::Result<Handed> {
    let handed = if let Ok(Some(listener)) = sockets.take_tcp_listener(index) {
        listener.set_nonblocking(true)?;
        Handed::Tcp(listener)
    } else if let Ok(Some(listener)) = sockets.take_unix_listener(index) {
        listener.set_nonblocking(true)?;
        Handed::Unix(listener)
    } else {
        bail!(
            "--web.systemd-socket: socket {index} is neither TCP nor a Unix stream socket: write ListenStream= into the \
             socket unit, nothing else"
        );
    };
    let descriptor = match &handed {
        Handed::Tcp(listener) => listener.as_fd(),
        Handed::Unix(listener) => listener.as_fd(),
    };
    ensure!(
        socket_acceptconn(descriptor)?,
        "--web.systemd-socket: socket {index} is a connection: write Accept=no into the socket unit"
    );
    Ok(handed)
}

impl Handed {
    /// The listener, in the runtime that calls.
    pub fn into_listener(self) -> std::io::Result<Listener> {
        match self {
            Self::Tcp(listener) => Ok(tokio::net::TcpListener::from_std(listener)?.into()),
            Self::Unix(listener) => Ok(tokio::net::UnixListener::from_std(listener)?.into()),
        }
    }
}
