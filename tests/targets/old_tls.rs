//! TLS with old servers: messages name the unsupported feature.

use super::*;
use crate::common::old_tls::{OldServer, UNSUPPORTED, certificate};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unsupported_versions_and_ciphers_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let own = certificate(dir.path(), "own", "rsa:2048", None, &[]);
    for (what, arguments, named) in UNSUPPORTED {
        let server = OldServer::start(dir.path(), &own, arguments).await;
        let ran = http(json!({"url": server.url(), "tls_config": {"ca_file": own.pem}})).await;
        ran.failed(Reason::Tls, named);
        let address = format!("127.0.0.1:{}", server.port);
        let options = json!({"address": address, "tls": true, "tls_config": {"insecure_skip_verify": true}});
        let Some(Err(problem)) = tcp(options).await.result else {
            panic!("{what} is supported")
        };
        assert!(problem.message().contains(named), "{what}: {problem}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unsupported_keys_and_signatures_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let authority = certificate(dir.path(), "authority", "rsa:2048", None, &[]);
    let weak = certificate(dir.path(), "weak", "rsa:1024", None, &[]);
    for (name, key, issuer, more, text) in [
        (
            "short",
            "rsa:1024",
            &authority,
            &[][..],
            "(CN=short) has an RSA key of 1024 bits (supported: 2048 to 8192)",
        ),
        (
            "below",
            "rsa:2048",
            &weak,
            &[],
            "(CN=weak) has an RSA key of 1024 bits",
        ),
        (
            "old",
            "rsa:2048",
            &authority,
            &["-sha1"],
            "(CN=old) is signed with SHA-1, which is not supported",
        ),
        (
            "any",
            "rsa:2048",
            &authority,
            &["-addext", "extendedKeyUsage=anyExtendedKeyUsage"],
            "issue it with serverAuth in its extended key usage (anyExtendedKeyUsage does not count)",
        ),
    ] {
        let own = certificate(dir.path(), name, key, Some(issuer), more);
        let server = OldServer::start(dir.path(), &own, &["-cipher", "ALL:@SECLEVEL=0"]).await;
        let ran = http(json!({"url": server.url(), "tls_config": {"ca_file": issuer.pem}})).await;
        ran.failed(Reason::Tls, text);
        http(json!({"url": server.url(), "tls_config": {"insecure_skip_verify": true}}))
            .await
            .succeeded();
    }
}
