//! http probes of what answers well, badly and not at all.

use std::fs;

use super::{Difference, cases, compare_all, is_of_tls};
use crate::common::proxies::Proxy;
use crate::common::targets::{Target, ok, proxy, read_request, tls};
use crate::exposition::family;

/// Where we differ in http probes alone.
pub const DIFFERENCES: &[Difference] = &[
    Difference {
        name: "The body of a redirect that is not followed is read",
        explains: |case, series, theirs, ours| {
            case == "redirect not followed"
                && series == "probe_http_uncompressed_body_length"
                && (theirs, ours) == (Some(0.0), Some(5.0))
        },
    },
    Difference {
        name: "The certificate of a proxy is not reported",
        explains: |case, series, theirs, ours| {
            case == "through a proxy with TLS"
                && match family(series) {
                    "probe_http_ssl" => (theirs, ours) == (Some(1.0), Some(0.0)),
                    family => is_of_tls(family) && ours.is_none(),
                }
        },
    },
];

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
  br: { prober: http, http: { compression: br } }
  http_10: { prober: http, http: { valid_http_versions: ["HTTP/1.0"] } }
  no_tls: { prober: http, http: { fail_if_ssl: true, tls_config: { insecure_skip_verify: true } } }
  tls_only: { prober: http, http: { fail_if_not_ssl: true } }
  any_tls: { prober: http, http: { tls_config: { insecure_skip_verify: true } } }
  our_tls: { prober: http, http: { tls_config: { ca_file: CA } } }
  proxied: { prober: http, http: { proxy_url: "http://PROXY", tls_config: { ca_file: CA } } }
  socks: { prober: http, http: { proxy_url: "socks5://SOCKS", tls_config: { ca_file: CA } } }
  socks_login: { prober: http, http: { proxy_url: "socks5://me:hunter2@LOGIN" } }
  socks_other: { prober: http, http: { proxy_url: "socks5://me:other@LOGIN" } }
  tls_proxied: { prober: http, http: { proxy_url: "https://FRONT", tls_config: { ca_file: CA } } }
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

/// "fine, and compressed", as Node.js compresses it.
const BROTLI: &[u8] = b"\x8b\x09\x80fine, and compressed\x03";

/// An answer that is compressed.
pub fn gzipped(text: &str) -> Vec<u8> {
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
    let brotli = [
        &b"HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nConnection: close\r\n\r\n"[..],
        BROTLI,
    ]
    .concat();
    let brotli = Target::answering(brotli).await;
    let silent = Target::silent().await;
    let closing = Target::closing(false).await;
    let resetting = Target::closing(true).await;
    let garbage = Target::answering("SSH-2.0-OpenSSH_9.2\r\n").await;
    let cut =
        Target::answering("HTTP/1.1 200 OK\r\nContent-Length: 100\r\nConnection: close\r\n\r\nfine").await;
    let proxy = proxy::serve(None).await;
    let (socks, login) = (
        Proxy::socks(None).await,
        Proxy::socks(Some(("me", "hunter2"))).await,
    );
    let front = tls::in_front_of(&authority.issue(&["127.0.0.1"], 2099), proxy.address).await;
    let refusing = format!("http://{}/", Target::refusing().await);
    let local = ["localhost", "127.0.0.1"];
    let secure = tls::serve(&authority.issue(&local, 2099), &["http/1.1"], None).await;
    let http2 = tls::serve(&authority.issue(&local, 2098), &["h2", "http/1.1"], None).await;
    let expired = tls::serve(&authority.issue(&local, 2021), &["http/1.1"], None).await;
    let other_name = tls::serve(&authority.issue(&["example.org"], 2099), &["http/1.1"], None).await;
    let unsigned = tls::serve(&tls::self_signed(&local), &["http/1.1"], None).await;
    let https = |target: &Target| format!("https://{}/", target.address);
    let cases = cases(vec![
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
        ("another scheme", "plain", "ftp://127.0.0.1/".to_owned()),
        ("a space before the URL", "plain", format!(" {}", fine.url("/"))),
        ("a space in the host", "plain", "http://a b/".to_owned()),
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
        ("br", "br", brotli.url("/")),
        ("no br", "br", fine.url("/")),
        ("silent", "short", silent.url("/")),
        ("closing", "plain", closing.url("/")),
        ("resetting", "plain", resetting.url("/")),
        ("garbage", "plain", garbage.url("/")),
        ("cut off", "plain", cut.url("/")),
        ("refusing", "plain", refusing.clone()),
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
        // What the request calls the target.
        ("called otherwise", "plain&hostname=example.org", fine.url("/")),
        (
            "TLS, called otherwise",
            "our_tls&hostname=example.org",
            https(&other_name),
        ),
        (
            "TLS, called as it is not",
            "our_tls&hostname=example.net",
            https(&other_name),
        ),
        ("through a proxy", "proxied", fine.url("/")),
        ("TLS through a proxy", "proxied", https(&secure)),
        ("through a proxy to nobody", "proxied", refusing.clone()),
        ("through SOCKS", "socks", fine.url("/")),
        ("TLS through SOCKS", "socks", https(&secure)),
        ("through SOCKS to nobody", "socks", refusing),
        ("through SOCKS with a password", "socks_login", fine.url("/")),
        (
            "through SOCKS with a wrong password",
            "socks_other",
            fine.url("/"),
        ),
        ("through a proxy with TLS", "tls_proxied", fine.url("/")),
        ("TLS through a proxy with TLS", "tls_proxied", https(&secure)),
    ]);
    let modules = HTTP
        .replace("CA", ca.to_str().unwrap())
        .replace("PROXY", &proxy.address.to_string())
        .replace("SOCKS", &socks.address)
        .replace("LOGIN", &login.address)
        .replace("FRONT", &front.address.to_string());
    compare_all(&modules, &cases, DIFFERENCES).await;
}
