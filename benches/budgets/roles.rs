//! What the benchmark's own binary does when it is started as a helper process.

use std::net::SocketAddr;
use std::process::{Command, ExitCode};

use anyhow::{Context, bail};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use crate::bare_client;

/// The argument that makes this binary play a role.
pub const FLAG: &str = "--role";

/// The command that makes a process of its own play a role, with the addresses that it takes.
pub fn command(role: &str, addresses: &[SocketAddr]) -> anyhow::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command
        .args([FLAG, role])
        .args(addresses.iter().map(SocketAddr::to_string));
    Ok(command)
}

/// Plays a role until killed.
pub fn play(arguments: &[String]) -> anyhow::Result<ExitCode> {
    let (role, addresses) = arguments.split_first().context("no role")?;
    let addresses: Vec<SocketAddr> = addresses
        .iter()
        .map(|address| address.parse().context("an address"))
        .collect::<anyhow::Result<_>>()?;
    match (role.as_str(), addresses.as_slice()) {
        ("hang", &[address]) => tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?
            .block_on(hang(address)),
        ("client", &[address]) => bare_client::play(address),
        ("relay", &[address, target]) => tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()?
            .block_on(relay(address, target)),
        _ => bail!("there is no role {arguments:?}"),
    }
}

/// Takes every connection and never answers; a connection ends when the client closes it.
async fn hang(address: SocketAddr) -> anyhow::Result<ExitCode> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    let listener = socket.listen(4096)?;
    loop {
        let (mut stream, _) = listener
            .accept()
            .await
            .context("accepting; is the limit of open files too low?")?;
        tokio::spawn(async move {
            let mut request = [0; 512];
            while matches!(stream.read(&mut request).await, Ok(1..)) {}
        });
    }
}

/// The least that a program can do for a probe: for each request on a kept connection, one exchange with `target` on a new
/// one, then an answer as long as a probe's. Nothing is parsed, judged, timed or bounded.
async fn relay(address: SocketAddr, target: SocketAddr) -> anyhow::Result<ExitCode> {
    let listener = TcpListener::bind(address).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(async move {
            // A client that leaves ends its connection; a target that fails shows as a failed request in wrk.
            let _ = relay_connection(stream, target).await;
        });
    }
}

async fn relay_connection(mut client: TcpStream, target: SocketAddr) -> std::io::Result<()> {
    let question = format!("GET / HTTP/1.1\r\nHost: {target}\r\n\r\n");
    let body = "x".repeat(2000);
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    client.set_nodelay(true)?;
    let mut buffer = [0; 4096];
    while client.read(&mut buffer).await? > 0 {
        let mut stream = TcpStream::connect(target).await?;
        stream.write_all(question.as_bytes()).await?;
        while stream.read(&mut buffer).await? > 0 {}
        drop(stream);
        client.write_all(answer.as_bytes()).await?;
    }
    Ok(())
}
