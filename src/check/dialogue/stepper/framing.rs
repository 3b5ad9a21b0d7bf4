//! How the input of a dialogue is split.

/// The maximum length of a message, in bytes.
pub const MAX_MESSAGE_BYTES: usize = 1 << 20;

/// How input is split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// Lines end with a line feed. Lines that do not match are skipped.
    Lines,
    /// The connection has messages.
    Messages,
}

impl Framing {
    /// The name of what is received and sent.
    pub const fn unit(self) -> &'static str {
        match self {
            Self::Lines => "line",
            Self::Messages => "message",
        }
    }
}
