//! http probes of answers that are seldom: bodies, heads and ends of an odd kind, and what is between us and the target.

use std::io::Write;

use super::{Difference, cases, compare_all, outcome};
use crate::common::targets::{Target, ok};

/// Where we differ in such answers.
pub const DIFFERENCES: &[Difference] = &[
    Difference {
        name: "Bodies and expressions have limits",
        explains: |case, series, theirs, ours| {
            let told = match series {
                "probe_success" => (Some(1.0), Some(0.0)),
                "probe_http_uncompressed_body_length" => (Some(LONG as f64), Some((10 << 20) as f64)),
                _ => return false,
            };
            case == "a long body" && (theirs, ours) == told
        },
    },
    Difference {
        name: "Both formats of deflate are accepted",
        explains: |case, series, theirs, ours| {
            let told = match series {
                "probe_success" => (Some(0.0), Some(1.0)),
                "probe_http_uncompressed_body_length" => (Some(0.0), Some(4.0)),
                _ => return false,
            };
            case == "deflate, zlib format" && (theirs, ours) == told
        },
    },
    Difference {
        name: "A response without a body needs no compression",
        explains: |case, series, theirs, ours| {
            case == "gzip, HEAD" && series == "probe_success" && (theirs, ours) == (Some(0.0), Some(1.0))
        },
    },
    Difference {
        name: "An incomplete body is not matched",
        explains: |case, series, theirs, ours| {
            case == "cut off, as asserted"
                && series == "probe_failed_due_to_regex"
                && (theirs, ours) == (Some(1.0), Some(0.0))
        },
    },
    Difference {
        name: "Response headers have limits",
        explains: |case, series, theirs, ours| {
            case.starts_with("a long head:") && outcome(series, theirs, ours, (1.0, 0.0))
        },
    },
    Difference {
        name: "Response headers must be valid",
        explains: |case, series, theirs, ours| {
            let odd = [
                "a space in a name",
                "chunked by HTTP/1.0",
                "a status line: HTTP/9.9",
                "a status line: a control character",
            ];
            (odd.contains(&case) && outcome(series, theirs, ours, (1.0, 0.0)))
                || (case == "a status line: 99" && series != "probe_success")
        },
    },
    Difference {
        name: "Blank lines and interim responses are skipped",
        explains: |case, series, theirs, ours| {
            case.starts_with("before the answer:") && outcome(series, theirs, ours, (0.0, 1.0))
        },
    },
    Difference {
        name: "The proxy resolves the name",
        explains: |case, series, theirs, ours| match case {
            "proxy, a name without an address" => outcome(series, theirs, ours, (0.0, 1.0)),
            "proxy, not resolved" => {
                let told = [
                    "probe_ip_protocol",
                    "probe_ip_addr_hash",
                    "probe_dns_lookup_time_seconds",
                    "probe_http_duration_seconds{phase=\"resolve\"}",
                ];
                told.contains(&series) && theirs.is_none() && ours.is_some()
            }
            _ => false,
        },
    },
];

const MODULES: &str = r#"
  plain: { prober: http, timeout: 2s }
  regex: { prober: http, timeout: 2s, http: { fail_if_body_not_matches_regexp: ["fine"] } }
  not_fine: { prober: http, http: { fail_if_body_matches_regexp: ["fine"] } }
  version: { prober: http, http: { valid_http_versions: ["HTTP/2.0"], fail_if_body_matches_regexp: ["fine"] } }
  version_good: { prober: http, http: { valid_http_versions: ["HTTP/2.0"], fail_if_body_not_matches_regexp: ["fine"] } }
  version_header: { prober: http, http: { valid_http_versions: ["HTTP/2.0"], fail_if_header_matches: [{ header: X-Kind, regexp: "a" }] } }
  tls_only: { prober: http, http: { fail_if_not_ssl: true, fail_if_body_matches_regexp: ["fine"] } }
  status: { prober: http, http: { valid_status_codes: [204], fail_if_body_matches_regexp: ["fine"] } }
  gzip: { prober: http, http: { compression: gzip } }
  gzip_head: { prober: http, http: { compression: gzip, method: HEAD } }
  deflate: { prober: http, http: { compression: deflate } }
  any_length: { prober: http, timeout: 10s, http: { body_size_limit: 0 } }
  proxied: { prober: http, timeout: 2s, http: { proxy_url: "http://PROXY" } }
  unresolved: { prober: http, timeout: 2s, http: { proxy_url: "http://PROXY", skip_resolve_phase_with_proxy: true } }
"#;
/// More bytes than are taken by default.
const LONG: usize = 11 << 20;

/// Answers with a head of these fields and this body.
async fn with(fields: &str, body: &[u8]) -> Target {
    let head = format!(
        "HTTP/1.1 200 OK\r\n{fields}Content-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    Target::answering([head.as_bytes(), body].concat()).await
}

/// Answers with a Last-Modified.
async fn modified(date: &str) -> Target {
    with(&format!("Last-Modified: {date}\r\n"), b"fine").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http_probes_of_odd_answers_tell_the_same() {
    let level = flate2::Compression::default();
    let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), level);
    zlib.write_all(b"fine").unwrap();
    let mut raw = flate2::write::DeflateEncoder::new(Vec::new(), level);
    raw.write_all(b"fine").unwrap();
    let fine = with("X-Kind: a\r\n", b"fine").await;
    let zlib = with("Content-Encoding: deflate\r\n", &zlib.finish().unwrap()).await;
    let raw = with("Content-Encoding: deflate\r\n", &raw.finish().unwrap()).await;
    let empty = with("Content-Encoding: gzip\r\n", b"").await;
    let empty_fine = with("", b"").await;
    let long = with("", &vec![b'x'; LONG]).await;
    let cut = Target::answering("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nfine").await;
    let coded = |coding: &str| {
        let answer = format!(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: {coding}\r\nContent-Length: 7\r\nConnection: close\r\n\r\n4\r\nfine\r\n0\r\n\r\n"
        );
        Target::answering(answer)
    };
    let (chunked, gzip_chunked, shouted, identity) = (
        coded("chunked").await,
        coded("gzip, chunked").await,
        coded("CHUNKED").await,
        coded("identity").await,
    );
    let old_chunked =
        Target::answering("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nfine\r\n0\r\n\r\n")
            .await;
    let many = with(
        &(0..150).fold(String::new(), |all, n| format!("{all}X-{n}: a\r\n")),
        b"",
    )
    .await;
    let wide = with(&format!("X-A: {}\r\n", "a".repeat(160_000)), b"fine").await;
    let folded = with("X-Kind: b\r\n a\r\n", b"fine").await;
    let spaced = with("X-Kind : a\r\n", b"fine").await;
    let in_name = with("X Kind: a\r\n", b"fine").await;
    let line = |line: &str| Target::answering(format!("{line}\r\nContent-Length: 4\r\n\r\nfine"));
    let (low, ninth, control) = (
        line("HTTP/1.1 099 Low").await,
        line("HTTP/9.9 200 OK").await,
        line("HTTP/1.1 200 O\x01K").await,
    );
    let blank = line("\r\n\r\nHTTP/1.1 200 OK").await;
    let continuing = line(&format!(
        "{}HTTP/1.1 200 OK",
        "HTTP/1.1 100 Continue\r\n\r\n".repeat(20)
    ))
    .await;
    let once = line("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK").await;
    let dates = [
        ("IMF-fixdate", "Sun, 06 Nov 1994 08:49:37 GMT"),
        ("RFC 850", "Sunday, 06-Nov-94 08:49:37 GMT"),
        ("RFC 850, in this century", "Wednesday, 06-Nov-30 08:49:37 GMT"),
        ("asctime", "Sun Nov  6 08:49:37 1994"),
        ("asctime, two digits", "Wed Nov 16 08:49:37 1994"),
        ("another day of the week", "Mon, 06 Nov 1994 08:49:37 GMT"),
        ("no day of the week", "06 Nov 1994 08:49:37 GMT"),
        ("a zone", "Sun, 06 Nov 1994 08:49:37 +0200"),
        ("UTC", "Sun, 06 Nov 1994 08:49:37 UTC"),
        ("before 1970", "Sun, 06 Nov 1904 08:49:37 GMT"),
        ("no such day", "Sun, 31 Feb 1994 08:49:37 GMT"),
        ("something after it", "Sun, 06 Nov 1994 08:49:37 GMT x"),
        ("no date", "yesterday"),
    ];
    let proxy = Target::answering(ok("fine")).await;
    let mut all = vec![
        ("version and body", "version", fine.url("/")),
        ("version only", "version_good", fine.url("/")),
        ("version and header", "version_header", fine.url("/")),
        ("no TLS and body", "tls_only", fine.url("/")),
        ("status and body", "status", fine.url("/")),
        ("forbidden body", "not_fine", fine.url("/")),
        ("cut off, as asserted", "regex", cut.url("/")),
        ("deflate", "deflate", raw.url("/")),
        ("deflate, zlib format", "deflate", zlib.url("/")),
        ("no deflate", "deflate", fine.url("/")),
        ("deflate, empty", "deflate", empty_fine.url("/")),
        ("gzip, empty", "gzip", empty.url("/")),
        ("gzip, HEAD", "gzip_head", empty.url("/")),
        ("a long body", "plain", long.url("/")),
        ("a long body, no limit", "any_length", long.url("/")),
        ("chunked with a length", "plain", chunked.url("/")),
        ("chunked in capitals", "plain", shouted.url("/")),
        ("gzip, chunked", "plain", gzip_chunked.url("/")),
        ("identity", "plain", identity.url("/")),
        ("chunked by HTTP/1.0", "plain", old_chunked.url("/")),
        ("a long head: many fields", "plain", many.url("/")),
        ("a long head: a wide field", "plain", wide.url("/")),
        ("a folded field", "plain", folded.url("/")),
        ("a space after a name", "plain", spaced.url("/")),
        ("a space in a name", "plain", in_name.url("/")),
        ("a status line: 99", "plain", low.url("/")),
        ("a status line: HTTP/9.9", "plain", ninth.url("/")),
        ("a status line: a control character", "plain", control.url("/")),
        ("before the answer: blank lines", "plain", blank.url("/")),
        (
            "before the answer: 20 times Continue",
            "plain",
            continuing.url("/"),
        ),
        ("Continue", "plain", once.url("/")),
        ("proxied", "proxied", "http://127.0.0.1:1/".to_owned()),
        (
            "proxy, a name without an address",
            "proxied",
            "http://nonexistent.invalid/".to_owned(),
        ),
        (
            "proxy, not resolved",
            "unresolved",
            "http://nonexistent.invalid/".to_owned(),
        ),
    ];
    let mut modified_at = Vec::new();
    for (name, date) in dates {
        modified_at.push((name, modified(date).await));
    }
    all.extend(
        modified_at
            .iter()
            .map(|(name, target)| (*name, "plain", target.url("/"))),
    );
    let modules = MODULES.replace("PROXY", &proxy.address.to_string());
    compare_all(&modules, &cases(all), DIFFERENCES).await;
}
