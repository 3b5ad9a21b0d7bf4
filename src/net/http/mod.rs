//! One HTTP request and its response on a connection, over HTTP/1.1 or HTTP/2. Used by http, grpc and websocket checks, API clients
//! and proxies.

mod authorization;
mod date;
mod early_response;
mod exchange;
mod frames;
mod header_files;
mod http2_driver;
mod upgrade;

pub use self::authorization::authorization;
pub use self::date::date;
pub use self::early_response::{EarlyResponse, is_gone};
pub use self::exchange::{Driver, Exchange, MAX_HEAD_BYTES, NoResponse, RequestBody, drive, problem};
pub use self::header_files::add_header_files;
pub use self::upgrade::{UpgradedStream, upgrade};
