//! grpc probes of real servers, and of ports that speak something else.

use std::fs;

use super::{Difference, cases, compare_all};
use crate::common::grpc::Grpc;
use crate::common::servers::eventually;
use crate::common::targets::{Target, ok, tls};
use crate::exposition::family;

/// Where we differ in grpc probes alone.
pub const DIFFERENCES: &[Difference] = &[
    Difference {
        name: "A grpc module needs no options",
        explains: |case, _, _, _| case == "without options",
    },
    Difference {
        name: "The parameter hostname counts for TLS too",
        explains: |case, _, _, _| case == "TLS, called otherwise",
    },
    Difference {
        name: "Every part and every status of a grpc probe is told",
        explains: |_, series, theirs, ours| match family(series) {
            "probe_grpc_duration_seconds" => theirs.is_none() && ours.is_some(),
            "probe_grpc_healthcheck_response" => theirs.is_none() && ours == Some(0.0),
            _ => false,
        },
    },
    Difference {
        name: "Where there is no certificate, there is no end of one",
        explains: |_, series, theirs, ours| {
            series == "probe_ssl_earliest_cert_expiry" && theirs == Some(0.0) && ours.is_none()
        },
    },
    Difference {
        name: "The end of the chain is told by grpc probes too",
        explains: |_, series, theirs, ours| {
            series == "probe_ssl_last_chain_expiry_timestamp_seconds" && theirs.is_none() && ours.is_some()
        },
    },
    Difference {
        name: "The status code without an answer is an error's",
        explains: |case, series, theirs, ours| {
            let told = match case {
                "IPv6 wanted" | "unknown name" => (Some(0.0), Some(14.0)),
                "hanging" => (Some(5.0), Some(4.0)),
                "silent" => (Some(14.0), Some(4.0)),
                _ => return false,
            };
            series == "probe_grpc_status_code" && (theirs, ours) == told
        },
    },
];

const MODULES: &str = r#"
  plain: { prober: grpc, timeout: 3s, grpc: { service: "" } }
  bare: { prober: grpc, timeout: 3s }
  up: { prober: grpc, timeout: 3s, grpc: { service: up } }
  down: { prober: grpc, timeout: 3s, grpc: { service: down } }
  unsure: { prober: grpc, timeout: 3s, grpc: { service: unsure } }
  gone: { prober: grpc, timeout: 3s, grpc: { service: gone } }
  other: { prober: grpc, timeout: 3s, grpc: { service: other } }
  login: { prober: grpc, timeout: 3s, grpc: { service: login } }
  hang: { prober: grpc, timeout: 1s, grpc: { service: hang } }
  short: { prober: grpc, timeout: 1s, grpc: { service: "" } }
  our_tls: { prober: grpc, timeout: 3s, grpc: { tls: true, tls_config: { ca_file: CA } } }
  no_ca: { prober: grpc, timeout: 1s, grpc: { tls: true } }
  any_tls: { prober: grpc, timeout: 3s, grpc: { tls: true, tls_config: { insecure_skip_verify: true } } }
  ip4_only: { prober: grpc, timeout: 3s, grpc: { preferred_ip_protocol: ip4, ip_protocol_fallback: false } }
  ip6_only: { prober: grpc, timeout: 1s, grpc: { preferred_ip_protocol: ip6, ip_protocol_fallback: false } }
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn grpc_probes_tell_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let authority = tls::Authority::new("test authority");
    let ca = dir.path().join("ca.pem");
    fs::write(&ca, authority.pem()).unwrap();
    let identity = authority.issue(&["127.0.0.1", "localhost"], 2099);
    let server = Grpc::python(None).await;
    let secure = Grpc::python(Some(&identity)).await;
    let expired = Grpc::python(Some(&authority.issue(&["127.0.0.1"], 2021))).await;
    let other_name = Grpc::python(Some(&authority.issue(&["example.org"], 2099))).await;
    let without = Grpc::without_health().await;
    let etcd = Grpc::etcd(None).await;
    // It listens before it serves.
    eventually("etcd serves", crate::common::exporter::LONG, || async {
        crate::common::servers::get(&format!("http://{}/health", etcd.address())).await
    })
    .await;
    let silent = Target::silent().await;
    let closing = Target::closing(false).await;
    let http = Target::answering(ok("fine")).await;
    let refusing = Target::refusing().await.to_string();
    let port = server.address().rsplit(':').next().unwrap().to_owned();
    let cases = cases(vec![
        ("serving", "plain", server.address()),
        ("without options", "bare", server.address()),
        ("by name", "plain", format!("localhost:{port}")),
        ("IPv4 wanted", "ip4_only", server.address()),
        ("IPv6 wanted", "ip6_only", server.address()),
        ("a service that serves", "up", server.address()),
        ("a service that does not serve", "down", server.address()),
        ("a service of which nothing is known", "unsure", server.address()),
        ("a service that is told to be unknown", "gone", server.address()),
        ("an unknown service", "other", server.address()),
        ("not logged in", "login", server.address()),
        ("hanging", "hang", server.address()),
        ("no health service", "plain", without.address()),
        ("etcd", "plain", etcd.address()),
        ("etcd, an unknown service", "up", etcd.address()),
        ("TLS", "our_tls", secure.address()),
        ("TLS not verified", "any_tls", expired.address()),
        ("TLS not trusted", "no_ca", secure.address()),
        ("TLS expired", "our_tls", expired.address()),
        ("TLS for another name", "our_tls", other_name.address()),
        (
            "TLS, called otherwise",
            "our_tls&hostname=example.org",
            other_name.address(),
        ),
        ("TLS to a server without", "any_tls", server.address()),
        ("in the clear to a server with TLS", "short", secure.address()),
        ("refusing", "short", refusing.clone()),
        ("refusing, TLS wanted", "any_tls", refusing),
        ("silent", "short", silent.address.to_string()),
        ("closing", "short", closing.address.to_string()),
        ("HTTP/1.1", "short", http.address.to_string()),
        ("unknown name", "short", "nonexistent.invalid:1".to_owned()),
    ]);
    let modules = MODULES.replace("CA", ca.to_str().unwrap());
    compare_all(&modules, &cases, DIFFERENCES).await;
}
