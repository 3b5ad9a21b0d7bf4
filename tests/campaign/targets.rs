//! Targets of the checks that can fail on demand: sockets served by this process, and child processes.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::judge::{FaultKind, Tier};
use crate::plan::{Service, ServiceKind};

/// Response time of a slow target.
const LATE: Duration = Duration::from_secs(2);

/// Length of the accept queue of a listener.
const BACKLOG: u32 = 64;

/// One target.
pub enum Target {
    Socket(Socket),
    Process(Process),
}

impl Target {
    /// Starts the target of `service`. `number` is unique.
    pub fn start(service: &Service, number: usize) -> Self {
        match service.kind {
            ServiceKind::Process => Self::Process(Process::start(number)),
            kind => Self::Socket(Socket::start(kind)),
        }
    }

    /// The service in the form of the exporter's configuration.
    pub fn service_yaml(&self, service: &Service) -> String {
        let check = match (self, service.kind) {
            (Self::Process(process), _) => format!("kind: process, match: '{}'", process.mark),
            (Self::Socket(socket), ServiceKind::Http) => {
                format!("kind: http, url: 'http://{}/'", socket.address)
            }
            (Self::Socket(socket), _) => format!(
                "kind: tcp, address: '{}', query_response: [{{ expect: '^220 ' }}]",
                socket.address
            ),
        };
        let tier = match service.tier {
            Tier::Critical => "critical",
            Tier::Tolerant => "tolerant",
        };
        format!(
            "  - {{ key: {}, group: campaign, tier: {tier}, checks: [{{ {check} }}] }}\n",
            service.key
        )
    }

    /// Sets or clears the fault.
    pub async fn set(&mut self, fault: Option<FaultKind>) {
        match self {
            Self::Socket(socket) => socket.set(fault).await,
            Self::Process(process) if fault.is_some() => process.kill(),
            Self::Process(process) => process.child = Process::spawn(&process.mark),
        }
    }
}

/// A server on its own port.
pub struct Socket {
    address: SocketAddr,
    fault: watch::Sender<Option<FaultKind>>,
    listens: watch::Receiver<bool>,
    task: JoinHandle<()>,
}

impl Socket {
    fn start(kind: ServiceKind) -> Self {
        // A bound socket that never listens reserves the port while the listener is closed.
        let keeper = reusable(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        let address = keeper.local_addr().unwrap();
        let (fault, of_task) = watch::channel(None);
        let (listening, listens) = watch::channel(false);
        let task = tokio::spawn(serve(keeper, kind, of_task, listening));
        Self {
            address,
            fault,
            listens,
            task,
        }
    }

    async fn set(&mut self, fault: Option<FaultKind>) {
        self.fault.send_replace(fault);
        let should_listen = fault != Some(FaultKind::Refuse);
        self.listens
            .wait_for(|listens| *listens == should_listen)
            .await
            .expect("the server runs");
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn reusable(address: SocketAddr) -> TcpSocket {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind(address).unwrap();
    socket
}

async fn serve(
    keeper: TcpSocket,
    kind: ServiceKind,
    mut fault: watch::Receiver<Option<FaultKind>>,
    listening: watch::Sender<bool>,
) {
    let address = keeper.local_addr().unwrap();
    loop {
        if *fault.borrow_and_update() != Some(FaultKind::Refuse) {
            let listener = reusable(address).listen(BACKLOG).unwrap();
            listening.send_replace(true);
            accept(&listener, kind, &mut fault).await;
        }
        // The listener is closed here.
        listening.send_replace(false);
        if fault
            .wait_for(|fault| *fault != Some(FaultKind::Refuse))
            .await
            .is_err()
        {
            return;
        }
    }
}

/// Accepts connections until the fault is `Refuse`.
async fn accept(listener: &TcpListener, kind: ServiceKind, fault: &mut watch::Receiver<Option<FaultKind>>) {
    loop {
        let of_client = fault.clone();
        tokio::select! {
            _ = fault.wait_for(|fault| *fault == Some(FaultKind::Refuse)) => return,
            accepted = listener.accept() => {
                // Ignore clients that have already disconnected.
                if let Ok((stream, _)) = accepted {
                    tokio::spawn(answer(stream, kind, of_client));
                }
            }
        }
    }
}

/// Responds to one client, according to the current fault.
async fn answer(mut stream: TcpStream, kind: ServiceKind, mut fault: watch::Receiver<Option<FaultKind>>) {
    let present = *fault.borrow();
    match present {
        Some(FaultKind::Reset) => {
            // Dropping the stream resets the connection.
            stream.set_zero_linger().unwrap();
            return;
        }
        // Like a stopped process, it responds when the fault is over.
        Some(FaultKind::Hang) => {
            let is_over = |fault: &Option<FaultKind>| *fault != Some(FaultKind::Hang);
            if fault.wait_for(is_over).await.is_err() {
                return;
            }
        }
        Some(FaultKind::Slow) => tokio::time::sleep(LATE).await,
        _ => {}
    }
    let is_well = present != Some(FaultKind::Status);
    let text = match (kind, is_well) {
        (ServiceKind::Http, true) => "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok",
        (ServiceKind::Http, false) => {
            "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        }
        (_, true) => "220 ready\r\n",
        (_, false) => "421 not now\r\n",
    };
    if kind == ServiceKind::Http {
        let mut request = [0; 4096];
        let Ok(1..) = stream.read(&mut request).await else {
            return;
        };
    }
    // The client may have closed the connection.
    let _ = stream.write_all(text.as_bytes()).await;
}

/// A sleeping process. The check searches for its unique argument.
pub struct Process {
    mark: String,
    child: Child,
}

impl Process {
    fn start(number: usize) -> Self {
        // Many years in seconds, unique by process id and number.
        let mark = format!("9{:09}.{number:03}", std::process::id());
        Self {
            child: Self::spawn(&mark),
            mark,
        }
    }

    fn spawn(mark: &str) -> Child {
        let mut command = Command::new("sleep");
        command.arg(mark).stdin(Stdio::null());
        command.spawn().expect("coreutils are installed")
    }

    fn kill(&mut self) {
        // Wait for the end of the process, so that no zombie remains.
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may already be dead.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
