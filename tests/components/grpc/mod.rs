//! Tests of the grpc check with real gRPC servers and with other servers.

mod faults;

use std::time::{Duration, Instant};

use upkeep_exporter::model::{Reason, Report};

use crate::common::grpc::Grpc;
use crate::common::ran::{LONG, Ran, SHORT, check};
use crate::common::servers::eventually;
use crate::common::targets::tls::Authority;

/// Runs a new check with these keys once, like a probe.
async fn within(limit: Duration, keys: &str) -> Ran {
    let mut check = check(&format!("kind: grpc, {keys}"));
    let mut report = Report {
        probe: Some(Vec::new()),
        ..Report::default()
    };
    let started = Instant::now();
    let result = tokio::time::timeout(limit, check.run(&mut report)).await.ok();
    Ran {
        result,
        report,
        took: started.elapsed(),
    }
}

async fn once(keys: &str) -> Ran {
    within(LONG, keys).await
}

async fn shortly(keys: &str) -> Ran {
    within(SHORT, keys).await
}

/// The status code in the samples of the check.
fn code(ran: &Ran) -> Option<f64> {
    ran.value("upkeep_grpc_status_code", None)
}

/// The value of a probe sample.
#[track_caller]
fn probed(ran: &Ran, name: &str, label: &str) -> f64 {
    let samples = ran.report.probe.as_ref().unwrap().iter();
    let found: Vec<_> = samples
        .filter(|sample| sample.family.name == name && sample.labels.iter().all(|value| value == label))
        .collect();
    assert_eq!(found.len(), 1, "{name}: {found:?}");
    found[0].value
}

/// The serving status in the samples of the probe.
#[track_caller]
fn serving(ran: &Ran) -> Option<&'static str> {
    let statuses = ["UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"];
    let mut reported = statuses
        .into_iter()
        .filter(|status| probed(ran, "probe_grpc_healthcheck_response", status) > 0.0);
    let first = reported.next();
    assert_eq!(reported.next(), None);
    first
}

/// The TLS keys that trust this authority.
fn trusting(authority: &Authority) -> String {
    let ca = authority.pem().replace('\n', "\\n");
    format!("tls: true, tls_config: {{ ca: \"{ca}\" }}")
}

#[tokio::test]
async fn etcd_serves_with_and_without_tls() {
    let authority = Authority::new("authority");
    let identity = authority.issue(&["127.0.0.1"], 2099);
    for identity in [None, Some(&identity)] {
        let etcd = Grpc::etcd(identity).await;
        let tls = identity.map_or(String::new(), |_| format!(", {}", trusting(&authority)));
        let keys = format!("address: \"{}\"{tls}", etcd.address());
        // etcd listens before it serves.
        let ran = eventually("etcd serves", LONG, || async {
            Some(once(&keys).await).filter(|ran| ran.result == Some(Ok(())))
        })
        .await;
        ran.succeeded();
        assert_eq!((code(&ran), serving(&ran)), (Some(0.0), Some("SERVING")));
        assert_eq!(probed(&ran, "probe_grpc_status_code", ""), 0.0);
        assert_eq!(probed(&ran, "probe_grpc_ssl", "") > 0.0, identity.is_some());
        assert_eq!(ran.not_after().is_some(), identity.is_some());
        let phase = |name| probed(&ran, "probe_grpc_duration_seconds", name);
        assert!(phase("check") > 0.0 && phase("resolve") + phase("connect") > 0.0);
        assert_eq!(phase("tls") > 0.0, identity.is_some());
        let ran = once(&format!("{keys}, service: a.B")).await;
        ran.failed(
            Reason::Missing,
            &format!(
                "{}: NOT_FOUND: unknown service (the server does not know the service \"a.B\")",
                etcd.address()
            ),
        );
        assert_eq!((code(&ran), serving(&ran)), (Some(5.0), None));
        assert!(ran.report.response_time.is_some());
    }
}

#[tokio::test]
async fn every_status_and_code_has_a_reason() {
    let server = Grpc::python(None).await;
    let about = |service: &str| format!("address: \"{}\", service: \"{service}\"", server.address());
    for service in ["", "up"] {
        once(&about(service)).await.succeeded();
    }
    for (service, reason, text, status, number) in [
        (
            "down",
            Reason::State,
            "the service \"down\" is NOT_SERVING",
            Some("NOT_SERVING"),
            0.0,
        ),
        (
            "unsure",
            Reason::State,
            "the service \"unsure\" is UNKNOWN",
            Some("UNKNOWN"),
            0.0,
        ),
        (
            "gone",
            Reason::Missing,
            "\"gone\" is SERVICE_UNKNOWN",
            Some("SERVICE_UNKNOWN"),
            0.0,
        ),
        (
            "later",
            Reason::Protocol,
            "has the unknown serving status 9",
            None,
            0.0,
        ),
        ("other", Reason::Missing, "NOT_FOUND: unknown service", None, 5.0),
        (
            "login",
            Reason::Auth,
            "UNAUTHENTICATED: not now: 100 %",
            None,
            16.0,
        ),
        ("forbidden", Reason::Auth, "PERMISSION_DENIED: not now", None, 7.0),
        ("busy", Reason::Status, "RESOURCE_EXHAUSTED: not now", None, 8.0),
    ] {
        let ran = once(&about(service)).await;
        ran.failed(reason, text);
        assert_eq!((serving(&ran), code(&ran)), (status, Some(number)), "{service}");
        assert_eq!(probed(&ran, "probe_grpc_status_code", ""), number);
    }
    let ran = shortly(&about("hang")).await;
    ran.hung("requesting the health of the service \"hang\"");
    assert_eq!(
        (code(&ran), probed(&ran, "probe_grpc_status_code", "")),
        (None, 4.0)
    );
    assert!(probed(&ran, "probe_grpc_duration_seconds", "check") > 0.2);
    let without = Grpc::without_health().await;
    let ran = once(&format!("address: \"{}\"", without.address())).await;
    ran.failed(
        Reason::Protocol,
        "(the server has no health service, grpc.health.v1.Health)",
    );
    assert_eq!(code(&ran), Some(12.0));
}

#[tokio::test]
async fn tls_is_verified() {
    let authority = Authority::new("authority");
    let server = Grpc::python(Some(&authority.issue(&["127.0.0.1"], 2099))).await;
    let address = format!("address: \"{}\"", server.address());
    once(&format!("{address}, {}", trusting(&authority)))
        .await
        .succeeded();
    once(&format!("{address}, tls: true"))
        .await
        .failed(Reason::Tls, "issuer (CN=authority) is not trusted")
        .without_response();
    let ran = once(&address).await;
    assert!(
        matches!(ran.result, Some(Err(_))),
        "a plain connection to a TLS port"
    );
    let plain = Grpc::python(None).await;
    let ran = once(&format!(
        "address: \"{}\", {}",
        plain.address(),
        trusting(&authority)
    ))
    .await;
    assert!(matches!(ran.result, Some(Err(_))), "TLS to a plain port");
    assert_eq!(probed(&ran, "probe_grpc_ssl", ""), 0.0);
}
