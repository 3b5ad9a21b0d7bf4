//! The same modules and targets for the real blackbox_exporter and for ours: the same series with the same values, but for the
//! differences that docs/BLACKBOX-DIFFERENCES.md gives the reasons of.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

use tempfile::TempDir;

use crate::common::exporter::{Exporter, LONG};
use crate::common::servers::{Server, eventually, free_port, get, tool};
use crate::common::targets::{Target, ok, read_request, tls};
use crate::exposition::{family, series, types};
use crate::{ALLOW_LOOPBACK, ask, path};

/// The real one.
struct Blackbox {
    _server: Server,
    port: u16,
    _dir: TempDir,
}

impl Blackbox {
    async fn start(modules: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("blackbox.yml");
        fs::write(&file, modules).unwrap();
        let port = free_port();
        let name = "prometheus-blackbox-exporter";
        let mut command = Command::new(tool(name, name));
        command
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"));
        let server = Server::start(name, command, dir.path());
        eventually("blackbox_exporter answers", LONG, || async {
            get(&format!("http://127.0.0.1:{port}/-/healthy")).await
        })
        .await;
        Self {
            _server: server,
            port,
            _dir: dir,
        }
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }
}

/// Something in which we differ on purpose; documented under its name.
struct Difference {
    name: &'static str,
    /// Whether it explains that `series` of the case has these values.
    explains: fn(case: &str, series: &str, theirs: Option<f64>, ours: Option<f64>) -> bool,
}

const DIFFERENCES: &[Difference] = &[
    Difference {
        name: "The cipher is told",
        explains: |_, series, theirs, ours| {
            family(series) == "probe_tls_cipher_info" && theirs.is_none() && ours == Some(1.0)
        },
    },
    Difference {
        name: "The body of a redirect that is not followed is read",
        explains: |case, series, theirs, ours| {
            case == "redirect not followed"
                && series == "probe_http_uncompressed_body_length"
                && (theirs, ours) == (Some(0.0), Some(5.0))
        },
    },
];

/// Values that tell how long something took: compared by being there.
const DURATIONS: [&str; 6] = [
    "probe_duration_seconds",
    "probe_dns_lookup_time_seconds",
    "probe_http_duration_seconds",
    "probe_dns_duration_seconds",
    "probe_icmp_duration_seconds",
    "probe_grpc_duration_seconds",
];

fn compare(case: &str, theirs: &str, ours: &str, seen: &mut BTreeSet<&'static str>) -> Vec<String> {
    let mut unexplained = Vec::new();
    let (their_types, our_types) = (types(theirs), types(ours));
    for (name, kind) in &their_types {
        if our_types.get(name).is_some_and(|ours| ours != kind) {
            unexplained.push(format!(
                "{case}: the type of {name} is {kind} there and {} here",
                our_types[name]
            ));
        }
    }
    let (theirs, ours): (BTreeMap<_, _>, BTreeMap<_, _>) = (series(theirs), series(ours));
    let names: BTreeSet<&String> = theirs.keys().chain(ours.keys()).collect();
    for name in names {
        let (theirs, ours) = (theirs.get(name).copied(), ours.get(name).copied());
        let both_there = theirs.is_some() && ours.is_some();
        if theirs == ours || (both_there && DURATIONS.contains(&family(name))) {
            continue;
        }
        let explained = DIFFERENCES
            .iter()
            .find(|difference| (difference.explains)(case, name, theirs, ours));
        match explained {
            Some(difference) => {
                seen.insert(difference.name);
            }
            None => unexplained.push(format!("{case}: {name}: theirs {theirs:?}, ours {ours:?}")),
        }
    }
    unexplained
}

const HTTP: &str = r#"
  plain: { prober: http, timeout: 2s }
  short: { prober: http, timeout: 1s }
  stay: { prober: http, http: { follow_redirects: false, valid_status_codes: [302] } }
  only_204: { prober: http, http: { valid_status_codes: [204] } }
  head: { prober: http, http: { method: HEAD } }
  post: { prober: http, http: { method: POST, body: "{}", headers: { Content-Type: application/json } } }
  body: { prober: http, http: { fail_if_body_not_matches_regexp: ["fine"] } }
  no_body: { prober: http, http: { fail_if_body_matches_regexp: ["fi[nm]e"] } }
  header: { prober: http, http: { fail_if_header_not_matches: [{ header: X-Kind, regexp: "^a$" }] } }
  no_header: { prober: http, http: { fail_if_header_matches: [{ header: X-Kind, regexp: "a" }] } }
  may_miss: { prober: http, http: { fail_if_header_not_matches: [{ header: X-Miss, regexp: "a", allow_missing: true }] } }
  small: { prober: http, http: { body_size_limit: 10B } }
  gzip: { prober: http, http: { compression: gzip } }
  http_10: { prober: http, http: { valid_http_versions: ["HTTP/1.0"] } }
  no_tls: { prober: http, http: { fail_if_ssl: true, tls_config: { insecure_skip_verify: true } } }
  tls_only: { prober: http, http: { fail_if_not_ssl: true } }
  any_tls: { prober: http, http: { tls_config: { insecure_skip_verify: true } } }
  our_tls: { prober: http, http: { tls_config: { ca_file: CA } } }
  ip4: { prober: http, http: { preferred_ip_protocol: ip4 } }
  ip6_only: { prober: http, http: { preferred_ip_protocol: ip6, ip_protocol_fallback: false } }
"#;

fn response(status: &str, headers: &str, body: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// Counts down: `/3` redirects to `/2`, and `/0` answers.
async fn redirecting() -> Target {
    Target::serve(|mut stream, _, _| async move {
        use tokio::io::AsyncWriteExt;
        let request = String::from_utf8_lossy(&read_request(&mut stream).await).into_owned();
        let path = request
            .split(' ')
            .nth(1)
            .unwrap_or_default()
            .trim_matches('/')
            .to_owned();
        let answer = match path.parse::<u32>() {
            Ok(0) | Err(_) => ok("the end"),
            Ok(count) => response("302 Found", &format!("Location: /{}\r\n", count - 1), "moved"),
        };
        let _ = stream.write_all(&answer).await;
        let _ = stream.shutdown().await;
        Some(stream)
    })
    .await
}

fn gzipped(text: &str) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    let body = encoder.finish().unwrap();
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    [head.into_bytes(), body].concat()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http_probes_tell_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let authority = tls::Authority::new("test authority");
    let ca = dir.path().join("ca.pem");
    fs::write(&ca, authority.pem()).unwrap();
    let fine = Target::answering(response(
        "200 OK",
        "X-Kind: a\r\nLast-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n",
        "fine",
    ))
    .await;
    let chunked = Target::answering(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n4\r\nfine\r\n0\r\n\r\n",
    )
    .await;
    let old = Target::answering("HTTP/1.0 200 OK\r\n\r\nfine until the end").await;
    let not_found = Target::answering(response("404 Not Found", "X-Kind: b\r\n", "nothing here")).await;
    let empty = Target::answering("HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n").await;
    let redirecting = redirecting().await;
    let nowhere = Target::answering(response(
        "302 Found",
        "Location: http://127.0.0.1:1/\r\n",
        "moved",
    ))
    .await;
    let compressed = Target::answering(gzipped("fine, and compressed")).await;
    let silent = Target::silent().await;
    let closing = Target::closing(false).await;
    let resetting = Target::closing(true).await;
    let garbage = Target::answering("SSH-2.0-OpenSSH_9.2\r\n").await;
    let cut =
        Target::answering("HTTP/1.1 200 OK\r\nContent-Length: 100\r\nConnection: close\r\n\r\nfine").await;
    let refusing = format!("http://{}/", Target::refusing().await);
    let local = ["localhost", "127.0.0.1"];
    let secure = tls::serve(&authority.issue(&local, 2099), &["http/1.1"], None).await;
    let http2 = tls::serve(&authority.issue(&local, 2098), &["h2", "http/1.1"], None).await;
    let expired = tls::serve(&authority.issue(&local, 2021), &["http/1.1"], None).await;
    let other_name = tls::serve(&authority.issue(&["example.org"], 2099), &["http/1.1"], None).await;
    let unsigned = tls::serve(&tls::self_signed(&local), &["http/1.1"], None).await;
    let https = |target: &Target| format!("https://{}/", target.address);
    let cases: Vec<(&str, &str, String)> = vec![
        ("fine", "plain", fine.url("/")),
        ("without a scheme", "plain", fine.address.to_string()),
        (
            "by name",
            "plain",
            format!("http://localhost:{}/", fine.address.port()),
        ),
        (
            "by name, IPv4",
            "ip4",
            format!("http://localhost:{}/", fine.address.port()),
        ),
        ("IPv6 only", "ip6_only", fine.url("/")),
        ("unknown name", "short", "http://nonexistent.invalid/".to_owned()),
        ("chunked", "plain", chunked.url("/")),
        ("HTTP/1.0", "plain", old.url("/")),
        ("HTTP/1.0 wanted", "http_10", old.url("/")),
        ("HTTP/1.0 not found", "http_10", fine.url("/")),
        ("not found", "plain", not_found.url("/")),
        ("no content", "plain", empty.url("/")),
        ("another status", "only_204", fine.url("/")),
        ("HEAD", "head", fine.url("/")),
        ("POST", "post", fine.url("/")),
        ("3 redirects", "plain", redirecting.url("/3")),
        ("10 redirects", "plain", redirecting.url("/10")),
        ("11 redirects", "plain", redirecting.url("/11")),
        ("redirect not followed", "stay", redirecting.url("/3")),
        ("redirect to nowhere", "plain", nowhere.url("/")),
        ("body as asserted", "body", fine.url("/")),
        ("body not as asserted", "body", not_found.url("/")),
        ("body missing", "body", redirecting.url("/0")),
        ("forbidden body", "no_body", fine.url("/")),
        ("header as asserted", "header", fine.url("/")),
        ("header not as asserted", "header", redirecting.url("/0")),
        ("forbidden header", "no_header", fine.url("/")),
        ("header may miss", "may_miss", fine.url("/")),
        ("too long", "small", not_found.url("/200")),
        ("too long and fine", "small", redirecting.url("/0")),
        ("body within the limit", "small", fine.url("/")),
        ("gzip", "gzip", compressed.url("/")),
        ("gzip not asked for", "plain", compressed.url("/")),
        ("no gzip", "gzip", fine.url("/")),
        ("silent", "short", silent.url("/")),
        ("closing", "plain", closing.url("/")),
        ("resetting", "plain", resetting.url("/")),
        ("garbage", "plain", garbage.url("/")),
        ("cut off", "plain", cut.url("/")),
        ("refusing", "plain", refusing),
        ("no TLS there", "plain", https(&fine)),
        ("TLS only", "tls_only", fine.url("/")),
        ("TLS, trusted", "our_tls", https(&secure)),
        ("TLS, HTTP/2", "our_tls", https(&http2)),
        (
            "TLS by name",
            "our_tls",
            format!("https://localhost:{}/", secure.address.port()),
        ),
        ("TLS not trusted", "plain", https(&secure)),
        ("TLS expired", "our_tls", https(&expired)),
        ("TLS for another name", "our_tls", https(&other_name)),
        ("TLS unsigned", "our_tls", https(&unsigned)),
        ("TLS not verified", "any_tls", https(&expired)),
        ("TLS unwanted", "no_tls", https(&secure)),
        (
            "plain, to a port with TLS",
            "plain",
            format!("http://{}/", secure.address),
        ),
    ];
    let modules = format!("modules:{}", HTTP.replace("CA", ca.to_str().unwrap()));
    check(&modules, &cases).await;
}

/// Probes each case with both, and holds the answers against each other.
async fn check(modules: &str, cases: &[(&str, &str, String)]) {
    let blackbox = Blackbox::start(modules).await;
    let exporter = Exporter::start(&format!("{modules}{ALLOW_LOOPBACK}"), &[]).await;
    let mut seen = BTreeSet::new();
    let mut unexplained = Vec::new();
    for (case, module, target) in cases {
        let path = path(module, target);
        let (theirs, ours) = (
            ask(&blackbox.url(&path), &[]).await,
            ask(&exporter.url(&path), &[]).await,
        );
        assert_eq!((theirs.0, ours.0), (200, 200), "{case}: {} {}", theirs.1, ours.1);
        unexplained.extend(compare(case, &theirs.1, &ours.1, &mut seen));
    }
    assert!(
        unexplained.is_empty(),
        "{} differences:\n{}",
        unexplained.len(),
        unexplained.join("\n")
    );
    let documented = fs::read_to_string(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/docs/BLACKBOX-DIFFERENCES.md"
    ))
    .unwrap();
    for name in seen {
        assert!(
            documented.contains(&format!("### {name}\n")),
            "{name} is not in docs/BLACKBOX-DIFFERENCES.md"
        );
    }
}
