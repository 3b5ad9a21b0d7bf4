//! One question to a name server and its answer, in datagrams or over a connection.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use hickory_proto::op::{Message, MessageType, ResponseCode};
use rustix::net::{RecvFlags, recv};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, Interest};
use tokio::net::UdpSocket;

use crate::model::{Problem, Reason};
use crate::net::{io_error, shortage, tls};

/// The longest message there is: over connections, two bytes tell its length (RFC 1035, section 4.2.2).
pub const MAX_MESSAGE: usize = u16::MAX as usize;
/// The bytes of the header (section 4.1.1).
const HEADER: usize = 12;
/// The bit of its third byte that tells an answer from a question.
const IS_ANSWER: u8 = 0x80;

/// The bytes of a question.
///
/// # Errors
/// Where it can't be written down.
pub fn pack(question: &Message) -> Result<Vec<u8>, Problem> {
    let packed = question.to_vec();
    packed.map_err(|error| Problem::new(Reason::Internal, format_args!("packing the question: {error}")))
}

/// A socket that talks with this address only; what others send does not get to it, and that nobody listens there does.
///
/// # Errors
/// Why there is none.
pub async fn udp(peer: SocketAddr, source: Option<IpAddr>) -> Result<UdpSocket, Problem> {
    let any = match peer {
        SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    let from = source.unwrap_or(any);
    let socket = UdpSocket::bind(SocketAddr::new(from, 0))
        .await
        .map_err(|error| io_error::explain_bind(from, error))
        .and_then(shortage::keep_reserve)
        .map_err(|error| failed(peer, &error))?;
    let connected = socket.connect(peer).await;
    connected.map_err(|error| failed(peer, &error))?;
    Ok(socket)
}

/// Sends a question in a datagram.
///
/// # Errors
/// Why it could not be sent.
pub async fn send(socket: &UdpSocket, peer: SocketAddr, packed: &[u8]) -> Result<(), Problem> {
    let sent = socket.send(packed).await;
    sent.map(|_| ()).map_err(|error| failed(peer, &error))
}

/// Waits for the answer in a datagram. Answers to other questions, which may be late ones or forged, do not count; `passed_over`
/// is called with their number. May be cancelled and called again.
///
/// # Errors
/// Why there is no answer.
pub async fn receive(
    socket: &UdpSocket,
    peer: SocketAddr,
    question: &Message,
    mut passed_over: impl FnMut(u64),
) -> Result<Message, Problem> {
    let mut others: u64 = 0;
    loop {
        // What routers and the peer's system say of a question wakes nobody who waits for datagrams only. Memory is taken
        // once something came: many questions may wait at a time.
        let received = socket.async_io(Interest::READABLE | Interest::ERROR, || {
            let mut datagram = vec![0; MAX_MESSAGE];
            let (length, _) = recv(socket, datagram.as_mut_slice(), RecvFlags::empty())?;
            datagram.truncate(length);
            Ok(datagram)
        });
        let datagram = received.await.map_err(|error| failed(peer, &error))?;
        if datagram.starts_with(&question.metadata.id.to_be_bytes())
            && datagram.get(2).is_some_and(|flags| flags & IS_ANSWER != 0)
        {
            let answer = parse(peer, &datagram)?;
            if answers(&answer, question) {
                return Ok(answer);
            }
        }
        others += 1;
        passed_over(others);
    }
}

/// Asks over a connection.
///
/// # Errors
/// Why there is no answer, or why it is none to this question.
pub async fn over_stream(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    peer: SocketAddr,
    question: &Message,
    packed: &[u8],
) -> Result<Message, Problem> {
    let length = u16::try_from(packed.len()).unwrap_or(u16::MAX);
    let framed = [&length.to_be_bytes(), packed].concat();
    let exchanged = async {
        stream.write_all(&framed).await?;
        stream.flush().await?;
        let length = stream.read_u16().await?;
        let mut message = vec![0; usize::from(length)];
        stream.read_exact(&mut message).await?;
        Ok(message)
    };
    let message = exchanged.await.map_err(|error| broken(peer, &error))?;
    let answer = parse(peer, &message)?;
    if answer.metadata.id != question.metadata.id || !answers(&answer, question) {
        let message = format_args!("{peer}: what came is no answer to the question that was sent");
        return Err(Problem::new(Reason::Protocol, message));
    }
    Ok(answer)
}

/// Reads a message.
///
/// # Errors
/// Why it is none.
pub fn parse(peer: SocketAddr, message: &[u8]) -> Result<Message, Problem> {
    if message.len() < HEADER {
        let message = format_args!(
            "{peer}: what came has {} bytes, which is no DNS message",
            message.len()
        );
        return Err(Problem::new(Reason::Protocol, message));
    }
    Message::from_vec(message).map_err(|error| {
        Problem::new(
            Reason::Protocol,
            format_args!("{peer}: what came is no DNS message: {error}"),
        )
    })
}

/// Whether a message with the right id answers this question. A server that could not read the question, or will not,
/// need not repeat it.
fn answers(answer: &Message, question: &Message) -> bool {
    let is_repeated = match answer.queries.as_slice() {
        [] => answer.metadata.response_code != ResponseCode::NoError,
        // Names are equal in any case (RFC 4343).
        queries => queries == question.queries.as_slice(),
    };
    answer.metadata.message_type == MessageType::Response && is_repeated
}

/// The problem of a socket for datagrams.
fn failed(peer: SocketAddr, error: &io::Error) -> Problem {
    io_error::connect_problem(peer, error, format_args!("asking {peer} in a datagram: {error}"))
}

/// The problem of a connection.
pub fn broken(peer: SocketAddr, error: &io::Error) -> Problem {
    let fault = error
        .get_ref()
        .and_then(|cause| cause.downcast_ref::<rustls::Error>());
    match fault {
        Some(fault) => Problem::new(
            Reason::Tls,
            format_args!("asking {peer}: {}", tls::error_text(fault)),
        ),
        None if error.kind() == io::ErrorKind::UnexpectedEof => {
            let message =
                format_args!("asking {peer}: it closed the connection before the answer was complete");
            Problem::new(Reason::Closed, message)
        }
        None => io_error::connect_problem(peer, error, format_args!("asking {peer}: {error}")),
    }
}
