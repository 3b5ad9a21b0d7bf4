//! Certificates of clients.

use crate::common::targets::tls::{Authority, self_signed};
use crate::guarded::{Guarded, TLS};

/// Starts an exporter whose clients may have the certificates `good`, `other` (another name), `old` (expired), `foreign`
/// (another authority) and `own` (self-signed).
async fn start(keys: &str) -> Guarded {
    let mut guarded = Guarded::prepare(&format!("{TLS}{keys}"));
    let names = ["prometheus.example.org", "192.0.2.7"];
    let identities = [
        ("good", guarded.authority.issue(&names, 2099)),
        ("other", guarded.authority.issue(&["other.example.org"], 2099)),
        ("old", guarded.authority.issue(&names, 2021)),
        ("foreign", Authority::new("foreign").issue(&names, 2099)),
        ("own", self_signed(&names)),
    ];
    for (name, identity) in &identities {
        guarded.write_identity(name, identity);
    }
    guarded.launch().await;
    guarded
}

/// Reports whether a client with this certificate gets the metrics, in every version of TLS and HTTP.
fn is_served(guarded: &Guarded, name: Option<&str>) -> bool {
    let served = ["1.2", "1.3"].map(|version| {
        let (certificate, key) = (
            format!("{}.crt", name.unwrap_or_default()),
            format!("{}.key", name.unwrap_or_default()),
        );
        let mut arguments = vec!["--tls-max", version];
        if name.is_some() {
            arguments.extend(["--cert", &certificate, "--key", &key]);
        }
        let http2 = guarded.https("/metrics", &[&arguments[..], &["--http2"]].concat());
        let http1 = guarded.https("/metrics", &[&arguments[..], &["--http1.1"]].concat());
        assert_eq!(http1.exit == 0, http2.exit == 0, "{http1:?} {http2:?}");
        http1.exit == 0 && http1.status == 200
    });
    assert_eq!(served[0], served[1], "{name:?}");
    served[0]
}

#[tokio::test]
async fn every_type_of_client_authentication_admits_the_right_clients() {
    let clients = [
        None,
        Some("good"),
        Some("other"),
        Some("old"),
        Some("foreign"),
        Some("own"),
    ];
    for (keys, admitted) in [
        ("", [true, true, true, true, true, true]),
        (
            "client_auth_type: NoClientCert",
            [true, true, true, true, true, true],
        ),
        (
            "client_auth_type: RequestClientCert",
            [true, true, true, true, true, true],
        ),
        (
            "client_auth_type: RequireAnyClientCert",
            [false, true, true, true, true, true],
        ),
        (
            "client_auth_type: VerifyClientCertIfGiven\n  client_ca_file: ca.crt",
            [true, true, true, false, false, false],
        ),
        (
            "client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.crt",
            [false, true, true, false, false, false],
        ),
    ] {
        let guarded = start(&format!("  {keys}\n")).await;
        for (client, admitted) in clients.into_iter().zip(admitted) {
            assert_eq!(is_served(&guarded, client), admitted, "{keys}: {client:?}");
        }
    }
}

#[tokio::test]
async fn clients_must_have_one_of_the_allowed_names() {
    for (names, good) in [
        ("[prometheus.example.org]", true),
        ("[somebody.example.org, 192.0.2.7]", true),
        ("[somebody.example.org]", false),
        ("['*.example.org']", false),
    ] {
        let guarded = start(&format!(
            "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.crt\n  client_allowed_sans: {names}\n"
        ))
        .await;
        assert_eq!(is_served(&guarded, Some("good")), good, "{names}");
        for refused in [None, Some("other"), Some("foreign")] {
            assert!(!is_served(&guarded, refused), "{names}: {refused:?}");
        }
    }
    // The names are checked even without an authority.
    let guarded =
        start("  client_auth_type: RequireAnyClientCert\n  client_allowed_sans: [prometheus.example.org]\n")
            .await;
    assert!(is_served(&guarded, Some("own")) && !is_served(&guarded, Some("other")));
}
