//! A real name server (Knot DNS) on a free port, with a zone of all record types that checks support.

use std::fs;
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use super::servers::{Server, eventually, free_port, tool};

/// The time limit for the start, long enough for a busy machine.
const START_LIMIT: Duration = Duration::from_secs(20);

/// The zone example.org. The response for `big` does not fit into a datagram.
const ZONE: &str = r#"$ORIGIN example.org.
$TTL 300
@ SOA ns1 hostmaster 2024010203 3600 600 86400 60
@ NS ns1
@ MX 10 mail
@ TXT "v=spf1 -all" "say \"hi\" back\\slash" "caf\233"
@ CAA 0 issue "letsencrypt.org"
@ CAA 128 iodef "mailto:hostmaster@example.org"
ns1 A 192.0.2.1
ns1 AAAA 2001:db8::1
mail A 192.0.2.2
www CNAME ns1
pointer PTR www
_sip._tcp SRV 5 10 5060 ns1
host HINFO "RFC8482" ""
we\.ird\032x A 192.0.2.77
unknown TYPE65280 \# 4 01020304
tlsa TLSA 3 1 1 aabbccddeeff00112233445566778899aabbccddeeff00112233445566778899
sshfp SSHFP 4 2 aabbccddeeff00112233445566778899aabbccddeeff00112233445566778899
naptr NAPTR 100 10 "u" "E2U+sip" "!^.*$!sip:info@example.org!" .
service HTTPS 1 . alpn=h2
alias DNAME example.net.
child NS ns1
child DS 12345 13 2 aabbccddeeff00112233445566778899aabbccddeeff00112233445566778899
"#;

/// A running name server. Dropping it stops the server.
pub struct Knot {
    server: Server,
    _dir: TempDir,
    pub address: SocketAddr,
}

impl Knot {
    /// Starts it with the zones example.org and broken.test. The file of the latter is missing.
    pub async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().display();
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let config = format!(
            "server:\n  listen: 127.0.0.1@{port}\n  rundir: {path}\n\
             log:\n  - target: stderr\n    any: info\n\
             database:\n  storage: {path}/db\n\
             template:\n  - id: default\n    storage: {path}\n    file: \"%s.zone\"\n    journal-content: none\n    \
             zonefile-load: whole\n    zonefile-sync: -1\n\
             zone:\n  - domain: example.org\n  - domain: broken.test\n",
            port = address.port()
        );
        fs::create_dir(dir.path().join("db")).unwrap();
        fs::write(dir.path().join("knot.conf"), config).unwrap();
        let big: String = (0..4)
            .map(|index| format!("big TXT \"{index}{}\"\n", "a".repeat(200)))
            .collect();
        fs::write(dir.path().join("example.org.zone"), format!("{ZONE}{big}")).unwrap();
        let mut command = Command::new(tool("knotd", "knot"));
        command.arg("-c").arg(dir.path().join("knot.conf"));
        let server = Server::start("knotd", command, dir.path());
        eventually("knotd has loaded its zone", START_LIMIT, || async {
            let log = server.log();
            (log.contains("loaded, serial") && log.contains("server started")).then_some(())
        })
        .await;
        Self {
            server,
            _dir: dir,
            address,
        }
    }

    /// Sends a signal.
    pub fn signal(&self, signal: rustix::process::Signal) {
        self.server.signal(signal);
    }

    /// Kills it, like a crash.
    pub fn kill(&mut self) {
        self.server.kill();
    }
}
