//! Polls a connection of hyper together with its request, in the same task.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

use hyper::client::conn::http1;

use super::limits::MAX_HEAD_BYTES;

/// Reads and writes the bytes of a connection.
pub type Driver = Pin<Box<dyn Future<Output = hyper::Result<()>> + Send>>;

/// Waits for a future while the connection is driven. The future is polled before the connection, to send its requests, and
/// after it, to receive what arrived.
pub async fn drive<F: Future>(driver: &mut Option<Driver>, mut future: Pin<&mut F>) -> F::Output {
    poll_fn(|cx| {
        if let Poll::Ready(output) = future.as_mut().poll(cx) {
            return Poll::Ready(output);
        }
        if let Some(connection) = driver
            && connection.as_mut().poll(cx).is_ready()
        {
            // The request or the body receives the error as well.
            *driver = None;
        }
        future.as_mut().poll(cx)
    })
    .await
}

/// hyper's settings for HTTP/1.1, for connections that are upgraded.
pub fn http1_builder() -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .max_buf_size(MAX_HEAD_BYTES)
        .max_header_size(MAX_HEAD_BYTES)
        // User agents treat a line break in a value as a space (RFC 9112, section 5.2). Proxies remove spaces after a header
        // name (section 5.1).
        .allow_obsolete_multiline_headers_in_responses(true)
        .allow_spaces_after_header_name_in_responses(true);
    builder
}
