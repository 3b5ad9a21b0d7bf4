//! HTTP/1.1 and HTTP/2 on a connection, with bounds to what a client can make them hold.

use std::convert::Infallible;
use std::sync::Arc;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulConnection;
use tokio::io::{AsyncRead, AsyncWrite};

use super::body::{Answering, ResponseBody};
use super::connections::Activity;
use super::socket::Handle;
use super::stream::{Limited, Protocol};
use super::throttle::Peer;
use super::{AuthLayer, State};

/// The longest head of a request, in bytes, and the most header fields in it.
const MAX_HEAD_BYTES: u16 = 16 * 1024;
const MAX_HEADERS: usize = 100;
/// What hyper may buffer of a connection in each direction, in bytes.
const MAX_BUFFER_BYTES: usize = 32 * 1024;
/// The most requests of a connection that are under way at once: a browser asks for all its tabs over one connection, and a
/// stream of events lasts. A client that does not read makes each of them hold two chunks of its body.
const MAX_STREAMS: u32 = 16;
/// What may wait of the body of each of them for the client to read, in bytes.
const MAX_STREAM_BYTES: usize = 8 * 1024;
/// What may come of the bodies of requests before it is read, in bytes; nothing here reads one.
const MAX_WINDOW_BYTES: u32 = 64 * 1024;

/// What answers the requests of a connection.
pub(super) struct Answerer {
    pub auth_layer: Arc<AuthLayer>,
    pub state: Arc<State>,
    pub client: Client,
    pub activity: Arc<Activity>,
}

/// Who is at the other end of a connection; each of its requests bears it as an extension.
#[derive(Clone, Debug)]
pub(super) struct Client {
    pub peer: Peer,
    pub socket: Handle,
}

impl Answerer {
    fn answer(
        &self,
        mut request: Request<Incoming>,
    ) -> impl Future<Output = Result<Response<ResponseBody>, Infallible>> + Send + use<> {
        // From now on, not from when the future is first polled, the connection is busy.
        let answering = Answering::new(&self.activity);
        request.extensions_mut().insert(self.client.clone());
        let (auth_layer, state) = (Arc::clone(&self.auth_layer), Arc::clone(&self.state));
        auth_layer.answer(self.client.clone(), state, request, answering)
    }
}

/// Speaks HTTP/1.1 over `stream`.
pub(super) fn http1<S: AsyncRead + AsyncWrite + Send + Unpin + 'static>(
    stream: S,
    answerer: Answerer,
) -> impl GracefulConnection<Error = hyper::Error> + Send {
    let io = TokioIo::new(Limited::new(
        stream,
        Protocol::Http1,
        Arc::clone(&answerer.activity),
    ));
    let service = service_fn(move |request| answerer.answer(request));
    conn::http1::Builder::new()
        .half_close(true)
        .max_headers(MAX_HEADERS)
        .max_header_size(MAX_HEAD_BYTES.into())
        .max_buf_size(MAX_BUFFER_BYTES)
        // The stream does it, and tells waiting for a request from waiting between requests.
        .header_read_timeout(None)
        .serve_connection(io, service)
}

/// Speaks HTTP/2 over `stream`.
pub(super) fn http2<S: AsyncRead + AsyncWrite + Send + Unpin + 'static>(
    stream: S,
    answerer: Answerer,
) -> impl GracefulConnection<Error = hyper::Error> + Send {
    let io = TokioIo::new(Limited::new(
        stream,
        Protocol::Http2,
        Arc::clone(&answerer.activity),
    ));
    let service = service_fn(move |request| answerer.answer(request));
    conn::http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(MAX_HEAD_BYTES.into())
        .max_send_buf_size(MAX_STREAM_BYTES)
        .initial_stream_window_size(MAX_WINDOW_BYTES)
        .initial_connection_window_size(MAX_WINDOW_BYTES)
        .serve_connection(io, service)
}
