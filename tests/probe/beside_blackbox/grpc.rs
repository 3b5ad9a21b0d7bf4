//! grpc probes of real servers, and of ports that speak something else.

use std::fs;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};

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
        name: "The parameter hostname also applies to TLS",
        explains: |case, _, _, _| case == "TLS, called otherwise",
    },
    Difference {
        name: "grpc probes always report all phases and statuses",
        explains: |_, series, theirs, ours| match family(series) {
            "probe_grpc_duration_seconds" => theirs.is_none() && ours.is_some(),
            "probe_grpc_healthcheck_response" => theirs.is_none() && ours == Some(0.0),
            _ => false,
        },
    },
    Difference {
        name: "grpc probes without TLS report no certificate expiry",
        explains: |_, series, theirs, ours| {
            series == "probe_ssl_earliest_cert_expiry" && theirs == Some(0.0) && ours.is_none()
        },
    },
    Difference {
        name: "grpc probes report the expiry of the chain",
        explains: |_, series, theirs, ours| {
            series == "probe_ssl_last_chain_expiry_timestamp_seconds" && theirs.is_none() && ours.is_some()
        },
    },
    Difference {
        name: "Without a response, the gRPC status code is an error",
        explains: |case, series, theirs, ours| {
            let told = match case {
                "IPv6 wanted" | "unknown name" => (Some(0.0), Some(14.0)),
                "hanging" => (Some(5.0), Some(4.0)),
                "silent" => (Some(14.0), Some(4.0)),
                "reset" => (Some(13.0), Some(14.0)),
                _ => return false,
            };
            series == "probe_grpc_status_code" && (theirs, ours) == told
        },
    },
    Difference {
        name: "A gRPC response must have the HTTP status 200",
        explains: |case, series, theirs, ours| {
            let code = match case {
                "http_201" => 2.0,
                "http_400" => 13.0,
                _ => return false,
            };
            let told = match series {
                "probe_grpc_status_code" => (Some(0.0), Some(code)),
                "probe_success" | "probe_grpc_healthcheck_response{serving_status=\"SERVING\"}" => {
                    (Some(1.0), Some(0.0))
                }
                _ => return false,
            };
            (theirs, ours) == told
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

/// A response that says SERVING.
const SERVING: &[u8] = b"\0\0\0\0\x02\x08\x01";

/// An answer by HTTP/2: its status and head, its body, and its trailers where there is a body.
struct Answer {
    name: &'static str,
    status: u16,
    head: &'static [(&'static str, &'static str)],
    body: &'static [u8],
    /// `None`: the stream ends with the body.
    trailers: Option<&'static [&'static str]>,
}

const fn answer(
    name: &'static str,
    status: u16,
    head: &'static [(&'static str, &'static str)],
    body: &'static [u8],
    trailers: Option<&'static [&'static str]>,
) -> Answer {
    Answer {
        name,
        status,
        head,
        body,
        trailers,
    }
}

const GRPC: (&str, &str) = ("content-type", "application/grpc");
const GRPC_PROTO: (&str, &str) = ("content-type", "application/grpc+proto");
const HTML: (&str, &str) = ("content-type", "text/html");
const WEB: (&str, &str) = ("content-type", "application/grpc-web");
const GZIP: (&str, &str) = ("grpc-encoding", "gzip");
const STATUS_OK: (&str, &str) = ("grpc-status", "0");

/// What no real server answers, by the service that is asked for.
const ANSWERS: [Answer; 30] = [
    answer("fine", 200, &[GRPC], SERVING, Some(&["0"])),
    answer("subtype", 200, &[GRPC_PROTO], SERVING, Some(&["0"])),
    answer("html", 200, &[HTML], SERVING, Some(&["0"])),
    answer("web", 200, &[WEB], SERVING, Some(&["0"])),
    answer("untyped", 200, &[], SERVING, Some(&["0"])),
    answer("typed_twice", 200, &[HTML, GRPC], SERVING, Some(&["0"])),
    answer("error_page", 500, &[HTML, STATUS_OK], SERVING, Some(&["0"])),
    answer("http_201", 201, &[GRPC], SERVING, Some(&["0"])),
    answer("http_400", 400, &[GRPC], SERVING, Some(&["0"])),
    answer("http_401", 401, &[HTML], b"", None),
    answer("http_403", 403, &[HTML], b"", None),
    answer("http_404", 404, &[HTML], b"", None),
    answer("http_429", 429, &[HTML], b"", None),
    answer("http_503", 503, &[HTML], b"", None),
    answer("fine_then_error", 200, &[GRPC], SERVING, Some(&["0", "14"])),
    answer("error_then_fine", 200, &[GRPC], SERVING, Some(&["14", "0"])),
    answer("no_number", 200, &[GRPC], SERVING, Some(&["x"])),
    answer("unknown_number", 200, &[GRPC], SERVING, Some(&["99"])),
    answer("no_status", 200, &[GRPC], SERVING, Some(&[])),
    answer("no_trailers", 200, &[GRPC], SERVING, None),
    answer("status_too_early", 200, &[GRPC, STATUS_OK], SERVING, None),
    answer("trailers_only", 200, &[GRPC, STATUS_OK], b"", None),
    answer("head_only", 200, &[GRPC], b"", None),
    answer("no_message", 200, &[GRPC], b"", Some(&["0"])),
    answer(
        "two_messages",
        200,
        &[GRPC],
        b"\0\0\0\0\x02\x08\x01\0\0\0\0\x02\x08\x01",
        Some(&["0"]),
    ),
    answer(
        "junk_after",
        200,
        &[GRPC],
        b"\0\0\0\0\x02\x08\x01\0\0",
        Some(&["0"]),
    ),
    answer("cut_off", 200, &[GRPC], b"\0\0\0\0\x03\x08\x01", Some(&["0"])),
    answer("no_response", 200, &[GRPC], b"\0\0\0\0\x01\x08", Some(&["0"])),
    answer(
        "compressed",
        200,
        &[GRPC, GZIP],
        b"\x01\0\0\0\x02\x08\x01",
        Some(&["0"]),
    ),
    answer(
        "compressed_somehow",
        200,
        &[GRPC],
        b"\x01\0\0\0\x02\x08\x01",
        Some(&["0"]),
    ),
];

/// Why a stream is reset.
type Reset = std::io::Error;

fn answered(answer: &Answer) -> Response<BoxBody<Bytes, Reset>> {
    let mut frames = vec![Ok(Frame::data(Bytes::from_static(answer.body)))];
    if let Some(status) = answer.trailers {
        let mut trailers = HeaderMap::new();
        for status in status {
            trailers.append("grpc-status", status.parse().unwrap());
        }
        frames.push(Ok(Frame::trailers(trailers)));
    }
    let body = match answer.trailers {
        // Ends with the head.
        None if answer.body.is_empty() => Full::default().map_err(|never| match never {}).boxed(),
        _ => BodyExt::boxed(StreamBody::new(stream::iter(frames))),
    };
    let mut response = Response::builder().status(answer.status);
    for (name, value) in answer.head {
        response = response.header(*name, *value);
    }
    response.body(body).unwrap()
}

/// Gives these answers.
async fn by_hand() -> Target {
    Target::serve(|stream, _, _| async move {
        let service = service_fn(|request: Request<Incoming>| async move {
            let body = request.into_body().collect().await.unwrap().to_bytes();
            // The prefix, and the field's number and length.
            let name = String::from_utf8_lossy(&body[7..]).into_owned();
            match name.as_str() {
                "reset" => Err(Reset::other("reset")),
                "reset_later" => {
                    let frames = [
                        Ok(Frame::data(Bytes::from_static(SERVING))),
                        Err(Reset::other("reset")),
                    ];
                    // The head is there before the stream is reset.
                    let frames = stream::iter(frames).then(|frame| async {
                        tokio::time::sleep(Duration::from_millis(200)).await;
                        frame
                    });
                    let body = BodyExt::boxed(StreamBody::new(frames));
                    Ok(Response::builder().header(GRPC.0, GRPC.1).body(body).unwrap())
                }
                name => Ok(answered(
                    ANSWERS.iter().find(|answer| answer.name == name).unwrap(),
                )),
            }
        });
        let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        let _ = builder.serve_connection(TokioIo::new(stream), service).await;
        None
    })
    .await
}

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
    let mut all = vec![
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
    ];
    let mut modules = MODULES.replace("CA", ca.to_str().unwrap());
    let by_hand = by_hand().await;
    let names = ANSWERS.iter().map(|answer| answer.name);
    for name in names.chain(["reset", "reset_later"]) {
        modules.push_str(&format!(
            "  {name}: {{ prober: grpc, timeout: 3s, grpc: {{ service: {name} }} }}\n"
        ));
        all.push((name, name, by_hand.address.to_string()));
    }
    compare_all(&modules, &cases(all), DIFFERENCES).await;
}
