//! TLS for checks: the handshake, the stream after it, and problems that a person can act on.

mod client;
pub mod probe_samples;
mod problem;
mod stream;
mod weakness;

pub use self::client::TlsClient;
pub use self::problem::{error_text, from_handshake_error};
pub use self::stream::TlsStream;
