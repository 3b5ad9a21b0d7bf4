//! What the benchmark's own binary does when it is started as a helper process.

use std::net::SocketAddr;
use std::process::{Command, ExitCode};

use anyhow::{Context, bail};
use tokio::io::AsyncReadExt;
use tokio::net::TcpSocket;

/// The argument that makes this binary play a role.
pub const FLAG: &str = "--role";

/// The command that makes a process of its own play a role.
pub fn command(role: &str, address: SocketAddr) -> anyhow::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args([FLAG, role, &address.to_string()]);
    Ok(command)
}

/// Plays a role until killed.
pub fn play(arguments: &[String]) -> anyhow::Result<ExitCode> {
    match arguments {
        [role, address] if role == "hang" => {
            let address = address.parse().context("an address")?;
            tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?
                .block_on(hang(address))
        }
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
