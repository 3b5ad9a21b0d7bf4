//! The user at the other end of a connection.

use std::fmt;

use tokio::net::UnixStream;

/// Where users are listed. Users from elsewhere (a directory service) are shown by their id: the C library's plug-ins for their
/// names can block on the network.
const PASSWD: &str = "/etc/passwd";

/// The user at the other end of a connection, as the kernel reports it (SO_PEERCRED, unix(7)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The user's id.
    pub uid: u32,
    /// The user's name, if it is in `/etc/passwd`.
    pub name: Option<String>,
}

impl Peer {
    /// Identifies the user. Reads a file, so it may block.
    ///
    /// # Errors
    /// If the kernel does not report the user.
    pub fn of(stream: &UnixStream) -> std::io::Result<Self> {
        let uid = stream.peer_cred()?.uid();
        let name = std::fs::read(PASSWD).ok().and_then(|text| find(&text, uid));
        Ok(Self { uid, name })
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => f.write_str(name),
            None => write!(f, "uid {}", self.uid),
        }
    }
}

/// Finds the name of a user in the text of a passwd(5) file.
fn find(text: &[u8], uid: u32) -> Option<String> {
    text.split(|&byte| byte == b'\n').find_map(|line| {
        let mut fields = std::str::from_utf8(line).ok()?.split(':');
        let name = fields.next().filter(|name| !name.is_empty())?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_names_by_id() {
        let text = b"root:x:0:0:root:/root:/bin/sh\nbad\n:x:7:\nwww-data:x:33:33::/:\n\xff:x:5:5::/:";
        for (uid, name) in [
            (0, Some("root")),
            (33, Some("www-data")),
            (5, None),
            (7, None),
            (3, None),
        ] {
            assert_eq!(find(text, uid).as_deref(), name, "{uid}");
        }
        let peer = |name: Option<&str>| Peer {
            uid: 70_000,
            name: name.map(str::to_owned),
        };
        assert_eq!(peer(None).to_string(), "uid 70000");
        assert_eq!(peer(Some("ops")).to_string(), "ops");
    }

    #[tokio::test]
    async fn the_kernel_reports_the_user() {
        let (near, _far) = UnixStream::pair().unwrap();
        assert_eq!(Peer::of(&near).unwrap().uid, rustix::process::getuid().as_raw());
    }
}
