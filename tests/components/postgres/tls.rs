//! TLS: what each sslmode accepts, and invalid certificates.

use super::*;
use crate::common::targets::tls::{Authority, Identity};

/// Makes the server use this certificate.
fn show(server: &Postgres, identity: &Identity) {
    let certificate = server.write("server.crt", &identity.certificate);
    let key = server.write("server.key", &identity.key);
    server.sql("ALTER SYSTEM SET ssl = on");
    server.sql(&format!(
        "ALTER SYSTEM SET ssl_cert_file = '{}'",
        certificate.display()
    ));
    server.sql(&format!("ALTER SYSTEM SET ssl_key_file = '{}'", key.display()));
    server.reload();
}

#[tokio::test]
async fn every_sslmode_accepts_what_libpq_accepts() {
    const END_2099: f64 = 4_070_908_800.0;
    let server = Postgres::start("");
    let authority = Authority::new("test authority");
    let stranger = Authority::new("stranger");
    let ca = server.write("ca.pem", &authority.pem()).display().to_string();
    let url = |options: &str| format!("{}?{}", server.app(), options.replace("CA", &ca));
    let is_encrypted = "query: 'SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()', expect:";
    let (yes, no) = (format!("{is_encrypted} t"), format!("{is_encrypted} f"));

    once(&url("sslmode=prefer"), &no).await.succeeded();
    show(&server, &authority.issue(&["127.0.0.1"], 2099));
    for options in [
        "sslmode=prefer",
        "sslmode=require",
        "sslmode=require&sslrootcert=CA",
        "sslmode=verify-ca&sslrootcert=CA",
        "sslmode=verify-full&sslrootcert=CA",
    ] {
        let ran = once(&url(options), &yes).await;
        assert_eq!(ran.succeeded().not_after(), Some(END_2099), "{options}");
    }
    once(&url("sslmode=disable"), &no).await.succeeded();
    once(&url("sslmode=allow"), &no).await.succeeded();
    let mut kept = postgres(&url("sslmode=require"), &yes);
    for _ in 0..3 {
        // A reused session still reports when the certificate expires.
        assert_eq!(run!(kept, LONG).succeeded().not_after(), Some(END_2099));
    }
    assert_eq!(server.sessions(), 1);
    drop(kept);
    let ran = once(&url("sslmode=verify-full"), "").await;
    ran.failed(Reason::Tls, "issuer (CN=test authority) is not trusted")
        .failed(Reason::Tls, "set sslrootcert");

    show(&server, &authority.issue(&["other.example"], 2099));
    once(&url("sslmode=verify-ca&sslrootcert=CA"), &yes)
        .await
        .succeeded();
    once(&url("sslmode=require&sslrootcert=CA"), &yes)
        .await
        .succeeded();
    once(&url("sslmode=verify-full&sslrootcert=CA"), "").await.failed(
        Reason::Tls,
        "the certificate is not valid for 127.0.0.1: it is valid for other.example",
    );
    show(&server, &authority.issue(&["127.0.0.1"], 2021));
    once(&url("sslmode=require"), &yes).await.succeeded();
    for options in [
        "sslmode=verify-ca&sslrootcert=CA",
        "sslmode=verify-full&sslrootcert=CA",
    ] {
        let ran = once(&url(options), "").await;
        ran.failed(Reason::Tls, "the certificate expired on Fri, 01 Jan 2021")
            .without_response();
    }
    // With sslmode=prefer, libpq continues without TLS.
    once(&url("sslmode=prefer&sslrootcert=CA"), &no).await.succeeded();
    show(&server, &stranger.issue(&["127.0.0.1"], 2099));
    for options in [
        "sslmode=require&sslrootcert=CA",
        "sslmode=verify-ca&sslrootcert=CA",
    ] {
        once(&url(options), "")
            .await
            .failed(Reason::Tls, "issuer (CN=stranger) is not trusted");
    }
    server.freed();

    // A dropped session sends Terminate; otherwise the server would log a lost client.
    assert!(
        !server.log().contains("could not receive data"),
        "{}",
        server.log()
    );
    // The server accepts connections only with TLS, or only without.
    server.allow("local all all trust\nhostssl all app 127.0.0.1/32 scram-sha-256\nhost all postgres 127.0.0.1/32 scram-sha-256\n");
    once(&url("sslmode=allow"), &yes).await.succeeded();
    once(&url("sslmode=prefer"), &yes).await.succeeded();
    once(&url("sslmode=disable"), "")
        .await
        .failed(Reason::Auth, "no encryption (SQLSTATE 28000)");
    server.allow("local all all trust\nhostnossl all app 127.0.0.1/32 scram-sha-256\nhost all postgres 127.0.0.1/32 scram-sha-256\n");
    once(&url("sslmode=prefer"), &no).await.succeeded();
    once(&url("sslmode=require"), "")
        .await
        .failed(Reason::Auth, "SSL encryption");
    server.freed();
}

#[tokio::test]
async fn a_client_certificate_is_sent_if_the_server_requests_it() {
    let server = Postgres::start("");
    let authority = Authority::new("test authority");
    let ca = server.write("ca.pem", &authority.pem()).display().to_string();
    let client = authority.issue(&["client"], 2099);
    let stranger = Authority::new("stranger").issue(&["client"], 2099);
    server.sql(&format!("ALTER SYSTEM SET ssl_ca_file = '{ca}'"));
    show(&server, &authority.issue(&["127.0.0.1"], 2099));
    server.allow(
        "local all all trust\nhost all postgres 127.0.0.1/32 scram-sha-256\nhostssl all app 127.0.0.1/32 scram-sha-256 clientcert=verify-ca\n",
    );
    let url = |identity: &Identity| {
        let certificate = server.write("client.crt", &identity.certificate);
        let key = server.write("client.key", &identity.key);
        let (certificate, key) = (certificate.display(), key.display());
        format!(
            "{}?sslmode=verify-full&sslrootcert={ca}&sslcert={certificate}&sslkey={key}",
            server.app()
        )
    };
    once(&url(&client), "").await.succeeded();
    once(&url(&stranger), "")
        .await
        .failed(Reason::Tls, "the server rejected the client certificate");
    let without = format!("{}?sslmode=require", server.app());
    once(&without, "")
        .await
        .failed(Reason::Auth, "connection requires a valid client certificate");
    server.freed();
}
