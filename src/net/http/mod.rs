//! One HTTP request and its response on a connection, over HTTP/1.1 or HTTP/2. Used by http, grpc and websocket checks, API clients
//! and proxies.

mod authorization;
#[doc(hidden)]
pub mod beside_hyper;
mod date;
mod driver;
mod early_response;
mod exchange;
mod frames;
mod header_files;
mod http1;
mod http2;
mod http2_driver;
mod limits;
mod problems;
mod upgrade;

pub use self::authorization::authorization;
pub use self::date::date;
pub use self::driver::{Driver, drive};
pub use self::early_response::{EarlyResponse, is_gone};
pub use self::exchange::Exchange;
pub use self::header_files::add_header_files;
pub use self::http2::NoResponse;
pub use self::limits::MAX_HEAD_BYTES;
pub use self::problems::of_hyper as problem;
pub use self::upgrade::{UpgradedStream, upgrade};
