//! The client of a connection.

use super::peer::Peer;
use super::socket::Handle;

/// The client of a connection. Every request of the connection carries it as an extension.
#[derive(Clone, Debug)]
pub(super) struct Client {
    pub peer: Peer,
    pub socket: Handle,
}
