//! Files that change while the exporter runs.

use std::fs;
use std::path::Path;

use crate::common::servers::eventually;
use crate::guarded::{Guarded, LONG, TLS, hash};

const GAUGE: &str = "upkeep_web_config_last_reload_successful";

/// Waits until the gauge has this value; `flags` are the options of curl.
async fn gauge_becomes(guarded: &Guarded, flags: &[&str], value: u8) {
    let line = format!("\n{GAUGE} {value}\n");
    eventually(&format!("{line}\n{}", guarded.log()), LONG, || async {
        guarded
            .https("/metrics", flags)
            .body
            .contains(&line)
            .then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_rotated_certificate_is_shown_to_the_next_connection() {
    let guarded = Guarded::start(TLS).await;
    let next = crate::common::targets::tls::Authority::new("the next authority");
    assert_eq!(guarded.https("/metrics", &[]).status, 200);
    // The files are replaced one after the other, so for a moment they do not match.
    guarded.write_identity("server", &next.issue(&["localhost"], 2099));
    guarded.write("ca.crt", &next.pem());
    eventually("the next certificate", LONG, || async {
        (guarded.https("/metrics", &[]).exit == 0).then_some(())
    })
    .await;
    gauge_becomes(&guarded, &[], 1).await;
    assert!(!guarded.log().contains("level=error"), "{}", guarded.log());
}

#[tokio::test]
async fn after_an_error_the_last_valid_file_stays_in_use_and_one_error_is_logged() {
    let guarded = Guarded::start(TLS).await;
    guarded.write("server.crt", "no certificate");
    gauge_becomes(&guarded, &[], 0).await;
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    assert_eq!(guarded.https("/metrics", &[]).status, 200);
    let log = guarded.log();
    let errors = log.lines().filter(|line| line.contains("level=error")).count();
    assert_eq!(errors, 1, "{log}");
    assert!(
        log.contains("tls_server_config.cert_file: ") && log.contains("contains no certificate"),
        "{log}"
    );
    // Fixed, although web.yml itself did not change.
    guarded.write_identity("server", &guarded.authority.issue(&["localhost"], 2099));
    gauge_becomes(&guarded, &[], 1).await;
}

#[tokio::test]
async fn removed_users_are_refused_and_protection_stays() {
    let (alice, bob) = (hash("wonderland", 4), hash("builder", 4));
    let both = format!("{TLS}basic_auth_users:\n  alice: {alice}\n  bob: {bob}\n");
    let guarded = Guarded::start(&both).await;
    let status = |user: &str| guarded.https("/-/healthy", &["-u", user]).status;
    assert_eq!((status("alice:wonderland"), status("bob:builder")), (200, 200));
    guarded.write("web.yml", &format!("{TLS}basic_auth_users:\n  alice: {alice}\n"));
    eventually("bob is refused", LONG, || async {
        (status("bob:builder") == 401).then_some(())
    })
    .await;
    assert_eq!(status("alice:wonderland"), 200);
    // Truncated, as by a full disk.
    for text in ["", TLS, "basic_auth_users:\n"] {
        guarded.write("web.yml", text);
        gauge_becomes(&guarded, &["-u", "alice:wonderland"], 0).await;
        assert_eq!(guarded.https("/-/healthy", &[]).status, 401, "{text}");
        guarded.write("web.yml", &both);
        gauge_becomes(&guarded, &["-u", "alice:wonderland"], 1).await;
    }
    let log = guarded.log();
    assert!(
        log.contains("basic_auth_users was removed: restart the exporter to serve without users"),
        "{log}"
    );
}

#[tokio::test]
async fn a_truncated_file_does_not_admit_clients_without_a_certificate() {
    let strict = format!(
        "{TLS}  client_ca_file: ca.crt\n  client_auth_type: RequireAndVerifyClientCert\n  client_allowed_sans: [prometheus.example.org]\n"
    );
    let guarded = Guarded::start(&strict).await;
    let identity = guarded.authority.issue(&["prometheus.example.org"], 2099);
    guarded.write_identity("client", &identity);
    let (cert, key) = (guarded.path("client.crt"), guarded.path("client.key"));
    let client = ["--cert", cert.to_str().unwrap(), "--key", key.to_str().unwrap()];
    for (text, key) in [
        (TLS.to_owned(), "client_auth_type"),
        (
            format!("{TLS}  client_ca_file: ca.crt\n  client_auth_type: VerifyClientCertIfGiven\n"),
            "client_auth_type",
        ),
        (
            format!("{TLS}  client_auth_type: RequireAnyClientCert\n"),
            "client_auth_type",
        ),
        (
            format!("{TLS}  client_ca_file: ca.crt\n  client_auth_type: RequireAndVerifyClientCert\n"),
            "client_allowed_sans",
        ),
    ] {
        guarded.write("web.yml", &text);
        gauge_becomes(&guarded, &client, 0).await;
        assert_ne!(guarded.https("/-/healthy", &[]).exit, 0, "{text}");
        let message = format!("tls_server_config.{key} requires less of clients");
        assert!(guarded.log().contains(&message), "{}", guarded.log());
        guarded.write("web.yml", &strict);
        gauge_becomes(&guarded, &client, 1).await;
    }
}

#[tokio::test]
async fn symbolic_links_are_followed() {
    // As Kubernetes mounts secrets.
    let mut guarded = Guarded::prepare(TLS);
    let set = |guarded: &Guarded, name: &str| {
        fs::create_dir(guarded.path(name)).unwrap();
        guarded.write_identity(
            &format!("{name}/server"),
            &guarded.authority.issue(&["localhost"], 2099),
        );
        std::os::unix::fs::symlink(name, guarded.path("next-link")).unwrap();
        fs::rename(guarded.path("next-link"), guarded.path("current")).unwrap();
    };
    set(&guarded, "first");
    for file in ["server.crt", "server.key"] {
        fs::remove_file(guarded.path(file)).unwrap();
        std::os::unix::fs::symlink(Path::new("current").join(file), guarded.path(file)).unwrap();
    }
    guarded.launch().await;
    assert_eq!(guarded.https("/metrics", &[]).status, 200);
    set(&guarded, "second");
    eventually("the web configuration is reloaded", LONG, || async {
        guarded
            .log()
            .contains("reloaded the web configuration")
            .then_some(())
    })
    .await;
    assert_eq!(guarded.https("/metrics", &[]).status, 200);
}
