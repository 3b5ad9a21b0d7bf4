//! The control socket: a Unix socket over which commands of this binary reach the running exporter. It works without any web
//! configuration. Its file mode decides who may connect.
//!
//! Protocol: the client sends one request as a line of JSON. The exporter sends one or more responses as lines of JSON. The last
//! one has `"done": true`, and `ok` or `error`. Then it closes the connection.

mod client;
mod line;
mod peer;
mod protocol;
mod server;

pub use client::{ClientError, request};
pub use peer::Peer;
pub use protocol::Request;
pub use server::{Handler, Handlers, Listener, MAX_CONNECTIONS, encode, serve};
