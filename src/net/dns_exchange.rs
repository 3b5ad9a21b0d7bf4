//! Sends a query to a name server and receives its response, over UDP or a connection.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::{fmt, io};

use hickory_proto::op::{Header, Message, MessageType, Query, ResponseCode};
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder};
use rustix::net::{RecvFlags, recv};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, Interest};
use tokio::net::UdpSocket;

use crate::model::{Problem, Reason};
use crate::net::{io_error, shortage, tls};

/// The longest message: over connections, its length has two bytes (RFC 1035, section 4.2.2).
pub const MAX_MESSAGE: usize = u16::MAX as usize;
/// The length of the header (RFC 1035, section 4.1.1).
const HEADER_BYTES: usize = 12;
/// The bit of the header's third byte that marks a response.
const IS_RESPONSE: u8 = 0x80;

/// Encodes a query.
///
/// # Errors
/// If it can't be encoded.
pub fn encode(query: &Message) -> Result<Vec<u8>, Problem> {
    let encoded = query.to_vec();
    encoded.map_err(|error| Problem::new(Reason::Internal, format_args!("encoding the query: {error}")))
}

/// Opens a UDP socket that is connected to `peer`. It receives datagrams and errors of this peer only.
///
/// # Errors
/// Why the socket could not be opened.
pub async fn connect_udp(peer: SocketAddr, source: Option<IpAddr>) -> Result<UdpSocket, Problem> {
    let any = match peer {
        SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    let source = source.unwrap_or(any);
    let socket = UdpSocket::bind(SocketAddr::new(source, 0))
        .await
        .map_err(|error| io_error::explain_bind(source, error))
        .and_then(shortage::keep_reserve)
        .map_err(|error| udp_problem(peer, &error))?;
    let connected = socket.connect(peer).await;
    connected.map_err(|error| udp_problem(peer, &error))?;
    Ok(socket)
}

/// Sends an encoded query in a datagram.
///
/// # Errors
/// Why it could not be sent.
pub async fn send(socket: &UdpSocket, peer: SocketAddr, query: &[u8]) -> Result<(), Problem> {
    let sent = socket.send(query).await;
    sent.map(|_| ()).map_err(|error| udp_problem(peer, &error))
}

/// Waits for the response in a datagram. Ignores responses to other queries, which may be late or forged. Calls `on_ignored`
/// with the number of ignored datagrams. Cancel safe.
///
/// # Errors
/// Why there is no response.
pub async fn receive(
    socket: &UdpSocket,
    peer: SocketAddr,
    query: &Message,
    mut on_ignored: impl FnMut(u64),
) -> Result<Vec<u8>, Problem> {
    let mut ignored: u64 = 0;
    loop {
        // ICMP errors of routers and of the peer's system do not make a socket readable, so this waits for errors as well.
        // The buffer is allocated once something arrived, since many queries may wait at a time.
        let received = socket.async_io(Interest::READABLE | Interest::ERROR, || {
            let mut datagram = vec![0; MAX_MESSAGE];
            let (length, _) = recv(socket, datagram.as_mut_slice(), RecvFlags::empty())?;
            datagram.truncate(length);
            Ok(datagram)
        });
        let datagram = received.await.map_err(|error| udp_problem(peer, &error))?;
        if datagram.starts_with(&query.metadata.id.to_be_bytes())
            && datagram.get(2).is_some_and(|flags| flags & IS_RESPONSE != 0)
            && is_response_to(peer, &datagram, query)?
        {
            return Ok(datagram);
        }
        ignored += 1;
        on_ignored(ignored);
    }
}

/// Sends a query over a connection and reads the response.
///
/// # Errors
/// Why there is no response, or that it does not match the query.
pub async fn exchange_over_stream(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    peer: SocketAddr,
    query: &Message,
    encoded: &[u8],
) -> Result<Vec<u8>, Problem> {
    let length = u16::try_from(encoded.len()).unwrap_or(u16::MAX);
    let framed = [&length.to_be_bytes(), encoded].concat();
    let exchanged = async {
        stream.write_all(&framed).await?;
        stream.flush().await?;
        let length = stream.read_u16().await?;
        let mut message = vec![0; usize::from(length)];
        stream.read_exact(&mut message).await?;
        Ok(message)
    };
    let message = exchanged.await.map_err(|error| stream_problem(peer, &error))?;
    if !is_response_to(peer, &message, query)? {
        let text = format_args!("{peer}: the response does not match the query");
        return Err(Problem::new(Reason::Protocol, text));
    }
    Ok(message)
}

/// Parses a message.
///
/// # Errors
/// Why it is not a valid DNS message.
pub fn parse(peer: SocketAddr, message: &[u8]) -> Result<Message, Problem> {
    check_length(peer, message)?;
    Message::from_vec(message).map_err(|error| malformed(peer, &error))
}

/// The problem of a message that is not a valid DNS message.
pub fn malformed(peer: SocketAddr, error: &impl fmt::Display) -> Problem {
    let message = format_args!("{peer}: the response is not a DNS message: {error}");
    Problem::new(Reason::Protocol, message)
}

fn check_length(peer: SocketAddr, message: &[u8]) -> Result<(), Problem> {
    match message.len() < HEADER_BYTES {
        true => Err(malformed(
            peer,
            &format_args!("it has only {} bytes", message.len()),
        )),
        false => Ok(()),
    }
}

/// Whether a message is the response to this query. It must repeat the question, unless it is an error: a server that could not
/// read the question, or refuses it, need not repeat it.
fn is_response_to(peer: SocketAddr, message: &[u8], query: &Message) -> Result<bool, Problem> {
    check_length(peer, message)?;
    let mut decoder = BinDecoder::new(message);
    let header = Header::read(&mut decoder).map_err(|error| malformed(peer, &error))?;
    let mut questions = Vec::new();
    // Some servers refuse a query with a header only, whose counts are those of other responses.
    if message.len() > HEADER_BYTES {
        for _ in 0..header.counts.queries {
            questions.push(Query::read(&mut decoder).map_err(|error| malformed(peer, &error))?);
        }
    }
    let has_question = match questions.as_slice() {
        [] => header.metadata.response_code != ResponseCode::NoError,
        // The comparison of names ignores case (RFC 4343).
        questions => questions == query.queries.as_slice(),
    };
    let is_response = header.metadata.message_type == MessageType::Response;
    Ok(is_response && header.metadata.id == query.metadata.id && has_question)
}

/// The problem of a UDP socket.
fn udp_problem(peer: SocketAddr, error: &io::Error) -> Problem {
    io_error::connect_problem(peer, error, format_args!("querying {peer} over UDP: {error}"))
}

/// The problem of a connection.
pub fn stream_problem(peer: SocketAddr, error: &io::Error) -> Problem {
    let fault = error
        .get_ref()
        .and_then(|cause| cause.downcast_ref::<rustls::Error>());
    match fault {
        Some(fault) => Problem::new(
            Reason::Tls,
            format_args!("querying {peer}: {}", tls::error_text(fault)),
        ),
        None if error.kind() == io::ErrorKind::UnexpectedEof => {
            let message =
                format_args!("querying {peer}: it closed the connection before the response was complete");
            Problem::new(Reason::Closed, message)
        }
        None => io_error::connect_problem(peer, error, format_args!("querying {peer}: {error}")),
    }
}
