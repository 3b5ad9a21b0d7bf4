//! http probes of servers that speak TLS as old ones do: OpenSSL's own, told to.

use super::{Difference, cases, compare_all, outcome};
use crate::common::old_tls::{OldServer, UNSUPPORTED, certificate};

/// Where we differ in TLS.
pub const DIFFERENCES: &[Difference] = &[Difference {
    name: "Old TLS is not supported",
    explains: |_, series, theirs, ours| outcome(series, theirs, ours, (1.0, 0.0)),
}];

const MODULES: &str = r#"
  our_tls: { prober: http, timeout: 5s, http: { tls_config: { ca_file: CA } } }
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http_probes_of_old_servers_tell_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let authority = certificate(dir, "authority", "rsa:2048", None, &[]);
    let own = certificate(dir, "own", "rsa:2048", Some(&authority), &[]);
    let short = certificate(dir, "short", "rsa:1024", Some(&authority), &[]);
    let usage = ["-addext", "extendedKeyUsage=anyExtendedKeyUsage"];
    let any = certificate(dir, "any", "rsa:2048", Some(&authority), &usage);
    let mut servers = Vec::new();
    let names = ["key exchange", "CBC", "P-521", "SHA-1"];
    for (name, (_, arguments, _)) in names.into_iter().zip(UNSUPPORTED) {
        servers.push((name, OldServer::start(dir, &own, arguments).await));
    }
    let lenient = ["-cipher", "ALL:@SECLEVEL=0"];
    servers.push((
        "a key of 1024 bits",
        OldServer::start(dir, &short, &lenient).await,
    ));
    servers.push((
        "a certificate for any use",
        OldServer::start(dir, &any, &[]).await,
    ));
    let all = servers
        .iter()
        .map(|(name, server)| (*name, "our_tls", server.url()));
    let modules = MODULES.replace("CA", authority.pem.to_str().unwrap());
    compare_all(&modules, &cases(all.collect()), DIFFERENCES).await;
}
