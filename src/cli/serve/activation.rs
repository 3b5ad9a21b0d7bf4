//! Sockets that systemd passes (`--web.systemd-socket`, sd_listen_fds(3)).

use std::net::TcpListener;
use std::os::fd::AsFd;
use std::os::unix::net::UnixListener;

use anyhow::{Context, bail, ensure};
use listenfd::ListenFd;
use rustix::net::sockopt::socket_acceptconn;

use crate::web::Listener;

/// A socket from systemd.
#[derive(Debug)]
pub enum InheritedSocket {
    /// A TCP socket.
    Tcp(TcpListener),
    /// A Unix socket, whose file belongs to systemd.
    Unix(UnixListener),
}

/// Takes the sockets from systemd; at least one. It must be called before other threads start, because it changes the environment.
pub fn take_sockets() -> anyhow::Result<Vec<InheritedSocket>> {
    // sd_notify checks LISTEN_PID strictly; listenfd turns the descriptors into sockets.
    let count = sd_notify::listen_fds()
        .context("using the sockets from systemd (--web.systemd-socket)")?
        .len();
    ensure!(
        count > 0,
        "--web.systemd-socket: systemd passed no socket: start the socket unit (systemctl start \
         upkeep_exporter.socket), or remove the flag"
    );
    let mut sockets = ListenFd::from_env();
    (0..count).map(|index| take_socket(&mut sockets, index)).collect()
}

fn take_socket(sockets: &mut ListenFd, index: usize) -> anyhow::Result<InheritedSocket> {
    let socket = if let Ok(Some(listener)) = sockets.take_tcp_listener(index) {
        listener.set_nonblocking(true)?;
        InheritedSocket::Tcp(listener)
    } else if let Ok(Some(listener)) = sockets.take_unix_listener(index) {
        listener.set_nonblocking(true)?;
        InheritedSocket::Unix(listener)
    } else {
        bail!(
            "--web.systemd-socket: socket {index} is neither TCP nor a Unix stream socket: use only ListenStream= in the \
             socket unit"
        );
    };
    let descriptor = match &socket {
        InheritedSocket::Tcp(listener) => listener.as_fd(),
        InheritedSocket::Unix(listener) => listener.as_fd(),
    };
    ensure!(
        socket_acceptconn(descriptor)?,
        "--web.systemd-socket: socket {index} is a connection: set Accept=no in the socket unit"
    );
    Ok(socket)
}

impl InheritedSocket {
    /// Turns the socket into a listener of the current runtime.
    pub fn into_listener(self) -> std::io::Result<Listener> {
        match self {
            Self::Tcp(listener) => Ok(tokio::net::TcpListener::from_std(listener)?.into()),
            Self::Unix(listener) => Ok(tokio::net::UnixListener::from_std(listener)?.into()),
        }
    }
}
