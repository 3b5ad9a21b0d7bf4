//! One HTTP request and its response on a connection, over HTTP/1.1 or HTTP/2: what http and grpc checks, API clients and
//! proxies share.

mod answer_first;
mod authorization;
mod exchange;
mod frames;
mod http2;

pub use self::answer_first::{AnswerFirst, is_gone};
pub use self::authorization::authorization;
pub use self::exchange::{Driver, Exchange, MAX_HEAD_BYTES, Unanswered, drive, problem};

/// The body of a request: whole, in memory.
pub type RequestBody = http_body_util::Full<bytes::Bytes>;
