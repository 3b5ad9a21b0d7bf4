//! What the exporter watches: sockets that this process serves, and processes, each of which can be made to fail.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::judge::{Kind, Tier};
use crate::plan::{Nature, Service};

/// How late a slow target answers.
const LATE: Duration = Duration::from_secs(2);

/// What a client that is not answered may have to wait for in the queue of a listener.
const BACKLOG: u32 = 64;

/// One target.
pub enum Target {
    Socket(Socket),
    Process(Process),
}

impl Target {
    /// Starts what `service` is; `number` is its own.
    pub fn start(service: &Service, number: usize) -> Self {
        match service.nature {
            Nature::Process => Self::Process(Process::start(number)),
            nature => Self::Socket(Socket::start(nature)),
        }
    }

    /// Its service as the exporter's configuration has it.
    pub fn stanza(&self, service: &Service) -> String {
        let check = match (self, service.nature) {
            (Self::Process(process), _) => format!("kind: process, match: '{}'", process.mark),
            (Self::Socket(socket), Nature::Http) => {
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

    /// Makes it fail, or be well again.
    pub async fn set(&mut self, fault: Option<Kind>) {
        match self {
            Self::Socket(socket) => socket.set(fault).await,
            Self::Process(process) if fault.is_some() => process.kill(),
            Self::Process(process) => process.child = Process::spawn(&process.mark),
        }
    }
}

/// A server on a port of its own.
pub struct Socket {
    address: SocketAddr,
    fault: watch::Sender<Option<Kind>>,
    /// Whether it listens.
    listens: watch::Receiver<bool>,
    task: JoinHandle<()>,
}

impl Socket {
    fn start(nature: Nature) -> Self {
        // Bound and never listening, it keeps the port while nobody listens there.
        let keeper = reusable(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        let address = keeper.local_addr().unwrap();
        let (fault, of_task) = watch::channel(None);
        let (listening, listens) = watch::channel(false);
        let task = tokio::spawn(serve(keeper, nature, of_task, listening));
        Self {
            address,
            fault,
            listens,
            task,
        }
    }

    async fn set(&mut self, fault: Option<Kind>) {
        self.fault.send_replace(fault);
        let should_listen = fault != Some(Kind::Refuse);
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
    nature: Nature,
    mut fault: watch::Receiver<Option<Kind>>,
    listening: watch::Sender<bool>,
) {
    let address = keeper.local_addr().unwrap();
    loop {
        if *fault.borrow_and_update() != Some(Kind::Refuse) {
            let listener = reusable(address).listen(BACKLOG).unwrap();
            listening.send_replace(true);
            accept(&listener, nature, &mut fault).await;
        }
        // The listener is closed now.
        listening.send_replace(false);
        if fault
            .wait_for(|fault| *fault != Some(Kind::Refuse))
            .await
            .is_err()
        {
            return;
        }
    }
}

/// Accepts until nobody shall listen any more.
async fn accept(listener: &TcpListener, nature: Nature, fault: &mut watch::Receiver<Option<Kind>>) {
    loop {
        let of_client = fault.clone();
        tokio::select! {
            _ = fault.wait_for(|fault| *fault == Some(Kind::Refuse)) => return,
            accepted = listener.accept() => {
                // What a client that went away leaves behind is no connection.
                if let Ok((stream, _)) = accepted {
                    tokio::spawn(answer(stream, nature, of_client));
                }
            }
        }
    }
}

/// Answers one client as the fault of this moment has it.
async fn answer(mut stream: TcpStream, nature: Nature, mut fault: watch::Receiver<Option<Kind>>) {
    let present = *fault.borrow();
    match present {
        Some(Kind::Reset) => {
            // The connection is reset when it is dropped.
            stream.set_zero_linger().unwrap();
            return;
        }
        // As a process that was stopped does, it answers when it can again.
        Some(Kind::Hang) => {
            let is_over = |fault: &Option<Kind>| *fault != Some(Kind::Hang);
            if fault.wait_for(is_over).await.is_err() {
                return;
            }
        }
        Some(Kind::Slow) => tokio::time::sleep(LATE).await,
        _ => {}
    }
    let is_well = present != Some(Kind::Status);
    let text = match (nature, is_well) {
        (Nature::Http, true) => "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok",
        (Nature::Http, false) => {
            "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        }
        (_, true) => "220 ready\r\n",
        (_, false) => "421 not now\r\n",
    };
    if nature == Nature::Http {
        let mut request = [0; 4096];
        let Ok(1..) = stream.read(&mut request).await else {
            return;
        };
    }
    // The other side may have given up by now.
    let _ = stream.write_all(text.as_bytes()).await;
}

/// A process that sleeps. Its argument, found nowhere else, is what a check looks for.
pub struct Process {
    mark: String,
    child: Child,
}

impl Process {
    fn start(number: usize) -> Self {
        // Years, in seconds, with this process's id and a number of its own.
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
        // It runs until it is killed here, and its end is waited for, so that no zombie is left.
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may be dead already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
