//! HTTP/1.1 and HTTP/2 on a connection, with bounds on buffered data.

use std::convert::Infallible;
use std::sync::Arc;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulConnection;
use tokio::io::{AsyncRead, AsyncWrite};

use super::admission_layer::AdmissionLayer;
use super::body::{ResponseBody, ResponseInProgress};
use super::client::Client;
use super::connections::Activity;
use super::state::State;
use super::stream::{Limited, Protocol};

/// The largest request header, in bytes, and the maximum number of fields in it.
const MAX_HEAD_BYTES: u16 = 16 * 1024;
const MAX_HEADERS: usize = 100;
/// The maximum number of bytes that hyper buffers per connection in each direction.
const MAX_BUFFER_BYTES: usize = 32 * 1024;
/// The maximum number of concurrent requests per connection. A browser uses one connection for all its tabs, and event streams
/// last. If the client does not read, each request holds two chunks of its body.
const MAX_STREAMS: u32 = 16;
/// The maximum number of bytes of each response body that wait for the client to read.
const MAX_STREAM_BYTES: usize = 8 * 1024;
/// The maximum number of bytes of request bodies that the client may send before they are read. Nothing here reads them.
const MAX_WINDOW_BYTES: u32 = 64 * 1024;

/// Handles the requests of one connection.
pub(super) struct RequestHandler {
    pub admission_layer: Arc<AdmissionLayer>,
    pub state: Arc<State>,
    pub client: Client,
    pub activity: Arc<Activity>,
}

impl RequestHandler {
    fn handle(
        &self,
        mut request: Request<Incoming>,
    ) -> impl Future<Output = Result<Response<ResponseBody>, Infallible>> + Send + use<> {
        // The connection is busy from now on, not from the first poll of the future.
        let in_progress = ResponseInProgress::new(&self.activity);
        request.extensions_mut().insert(self.client.clone());
        let (admission_layer, state) = (Arc::clone(&self.admission_layer), Arc::clone(&self.state));
        admission_layer.handle(self.client.clone(), state, request, in_progress)
    }
}

/// Serves HTTP/1.1 on `stream`.
pub(super) fn http1<S: AsyncRead + AsyncWrite + Send + Unpin + 'static>(
    stream: S,
    handler: RequestHandler,
) -> impl GracefulConnection<Error = hyper::Error> + Send {
    let io = TokioIo::new(Limited::new(
        stream,
        Protocol::Http1,
        Arc::clone(&handler.activity),
    ));
    let service = service_fn(move |request| handler.handle(request));
    conn::http1::Builder::new()
        .half_close(true)
        .max_headers(MAX_HEADERS)
        .max_header_size(MAX_HEAD_BYTES.into())
        .max_buf_size(MAX_BUFFER_BYTES)
        // `Limited` has separate timeouts for the first byte of a request and for the rest.
        .header_read_timeout(None)
        .serve_connection(io, service)
}

/// Serves HTTP/2 on `stream`.
pub(super) fn http2<S: AsyncRead + AsyncWrite + Send + Unpin + 'static>(
    stream: S,
    handler: RequestHandler,
) -> impl GracefulConnection<Error = hyper::Error> + Send {
    let io = TokioIo::new(Limited::new(
        stream,
        Protocol::Http2,
        Arc::clone(&handler.activity),
    ));
    let service = service_fn(move |request| handler.handle(request));
    conn::http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(MAX_HEAD_BYTES.into())
        .max_send_buf_size(MAX_STREAM_BYTES)
        .initial_stream_window_size(MAX_WINDOW_BYTES)
        .initial_connection_window_size(MAX_WINDOW_BYTES)
        .serve_connection(io, service)
}
