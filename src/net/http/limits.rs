//! The limits of responses.

/// The longest head of a response, in bytes.
pub const MAX_HEAD_BYTES: usize = 64 << 10;
/// The maximum number of header fields of a response. This is hyper's default. If the limit is set, hyper
/// allocates memory for every response.
pub const MAX_HEADERS: usize = 100;
