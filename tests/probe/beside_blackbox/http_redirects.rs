//! http probes of redirects: what is sent to where they lead, and what is told of them.

use std::fs;

use tokio::io::AsyncWriteExt;

use super::{Difference, cases, compare_all, outcome};
use crate::common::targets::{Target, ok, read_request, tls};

/// Where we differ in redirects.
pub const DIFFERENCES: &[Difference] = &[
    Difference {
        name: "The User-Agent has our name",
        explains: |case, series, theirs, ours| {
            case == "their User-Agent wanted" && outcome(series, theirs, ours, (1.0, 0.0))
        },
    },
    Difference {
        name: "`server_name` and `hostname` also apply to redirects to the target itself",
        explains: |case, series, theirs, ours| {
            case == "TLS by name, called otherwise, and again by its whole address"
                && outcome(series, theirs, ours, (0.0, 1.0))
        },
    },
    Difference {
        name: "Cookies follow the target's name",
        explains: |case, series, theirs, ours| {
            case == "cookie of a name, and again by its whole address"
                && outcome(series, theirs, ours, (0.0, 1.0))
        },
    },
    Difference {
        name: "Too many redirects are a failure",
        explains: |case, series, theirs, ours| {
            case == "11 redirects, 302 is fine"
                && series == "probe_success"
                && (theirs, ours) == (Some(1.0), Some(0.0))
        },
    },
    Difference {
        name: "A redirect that can't be followed is reported as the response",
        explains: |case, series, theirs, ours| {
            let told = match series {
                "probe_http_status_code" => (0.0, 302.0),
                "probe_http_version" => (0.0, 1.1),
                "probe_http_content_length" => (0.0, 5.0),
                "probe_http_redirects" => (1.0, 0.0),
                _ => return false,
            };
            case.starts_with("to what can't be requested") && (theirs, ours) == (Some(told.0), Some(told.1))
        },
    },
    Difference {
        name: "Credentials are sent to the target only",
        explains: |case, series, theirs, ours| {
            case.starts_with("credentials:") && outcome(series, theirs, ours, (1.0, 0.0))
        },
    },
    Difference {
        name: "Redirects send no Referer",
        explains: |case, series, theirs, ours| {
            case == "Referer wanted" && outcome(series, theirs, ours, (1.0, 0.0))
        },
    },
];

const MODULES: &str = r#"
  plain: { prober: http, timeout: 2s }
  short: { prober: http, timeout: 1s, http: { tls_config: { insecure_skip_verify: true } } }
  found: { prober: http, http: { valid_status_codes: [302] } }
  any_tls: { prober: http, timeout: 2s, http: { tls_config: { insecure_skip_verify: true } } }
  our_tls: { prober: http, timeout: 2s, http: { tls_config: { ca_file: CA } } }
  named_tls: { prober: http, timeout: 2s, http: { tls_config: { ca_file: CA, server_name: example.org } } }
  user_agent: { prober: http, http: { headers: { User-Agent: mine } } }
  encoding: { prober: http, http: { compression: gzip, headers: { Accept-Encoding: gzip } } }
  cookie: { prober: http, http: { headers: { Cookie: "own=1; set=0" } } }
  known: { prober: http, http: { basic_auth: { username: me, password: secret } } }
  api_key: { prober: http, http: { headers: { X-Api-Key: secret } } }
  upload: { prober: http, http: { method: POST, body: secret } }
"#;

/// Where a page leads, and what it says beside; the end where it leads nowhere.
type Page = fn(path: &str, request: &str) -> Answer;

enum Answer {
    /// To this, with these more header fields.
    To(String, &'static str),
    /// 200 if so, else 400.
    End(bool),
}

/// Serves pages. The request's head comes in small letters.
async fn pages(page: Page) -> Target {
    Target::serve(move |mut stream, _, _| async move {
        let request = read_request(&mut stream).await;
        let request = String::from_utf8_lossy(&request).to_ascii_lowercase();
        let path = request.split(' ').nth(1).unwrap_or_default();
        let answer = match page(path, &request) {
            Answer::To(location, more) => format!(
                "HTTP/1.1 302 Found\r\nLocation: {location}\r\n{more}Content-Length: 5\r\nConnection: close\r\n\r\nmoved"
            )
            .into_bytes(),
            Answer::End(true) => ok("fine"),
            Answer::End(false) => {
                b"HTTP/1.1 400 Bad Request\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbad".to_vec()
            }
        };
        let _ = stream.write_all(&answer).await;
        let _ = stream.shutdown().await;
        Some(stream)
    })
    .await
}

/// The values of a header field, one a line.
fn values<'r>(request: &'r str, name: &str) -> Vec<&'r str> {
    let lines = request
        .lines()
        .filter_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    lines.collect()
}

/// What is after `/to/` is where it leads, `_` for `/`; what is after `/again` leads to the same by its whole address.
fn leading(path: &str, request: &str) -> Answer {
    let host = values(request, "host").concat();
    match path.split_once("/to/") {
        Some((_, rest)) => Answer::To(rest.replace('_', "/"), ""),
        None if path == "/again" => Answer::To(format!("http://{host}/end"), ""),
        None if path == "/again-https" => Answer::To(format!("https://{host}/end"), ""),
        None if path == "/loop" => Answer::To("/loop".to_owned(), ""),
        None => Answer::End(true),
    }
}

fn cookies(path: &str, request: &str) -> Answer {
    let sent = values(request, "cookie");
    let wanted = |wanted: &[&str]| Answer::End(sent == wanted);
    let to = |location: &str, more| Answer::To(location.to_owned(), more);
    match path {
        "/login" if sent == ["s=1"] => Answer::End(true),
        "/login" => to("/login", "Set-Cookie: s=1; HttpOnly\r\n"),
        "/host" => to(
            &format!(
                "http://localhost:{}/none",
                values(request, "host").concat().rsplit(':').next().unwrap()
            ),
            "Set-Cookie: s=1\r\n",
        ),
        "/a/path" => to("/a/one", "Set-Cookie: s=1\r\nSet-Cookie: t=2; Path=/b\r\n"),
        "/a/other" => to("/none", "Set-Cookie: s=1\r\n"),
        "/two" => to(
            "/a/two",
            "Set-Cookie: s=1; Path=/\r\nSet-Cookie: t=2; Path=/a\r\n",
        ),
        "/a/two" => wanted(&["t=2; s=1"]),
        "/secure" => to("/none", "Set-Cookie: s=1; Secure\r\n"),
        "/old" => to("/none", "Set-Cookie: s=1; Max-Age=0\r\n"),
        "/taken" => to("/takes", "Set-Cookie: s=1\r\n"),
        "/takes" => to(
            "/none",
            "Set-Cookie: s=; Expires=Thu, 01 Jan 1970 00:00:00 GMT\r\n",
        ),
        "/own" => to("/owned", "Set-Cookie: set=1\r\n"),
        "/owned" => wanted(&["own=1; set=1"]),
        "/name" => to(
            &format!("http://{}/a/one", values(request, "host").concat()),
            "Set-Cookie: s=1\r\n",
        ),
        "/a/one" => wanted(&["s=1"]),
        _ => wanted(&[]),
    }
}

fn judging(path: &str, request: &str) -> Answer {
    let sent = |name| values(request, name);
    let host = sent("host").concat();
    let port = host.rsplit(':').next().unwrap_or_default();
    match path {
        "/agent" => Answer::End(sent("user-agent") == ["mine"]),
        "/theirs" => {
            let sent = sent("user-agent");
            Answer::End(sent.len() == 1 && sent[0].starts_with("blackbox exporter/"))
        }
        "/known" => Answer::End(!sent("authorization").is_empty()),
        "/elsewhere" => Answer::To(format!("http://localhost:{port}/known"), ""),
        "/user" => Answer::To(format!("http://me:secret@127.0.0.1:{port}/known"), ""),
        "/here" => Answer::To("/known".to_owned(), ""),
        "/key" => Answer::End(!sent("x-api-key").is_empty()),
        "/key-elsewhere" => Answer::To(format!("http://localhost:{port}/key"), ""),
        "/from" => Answer::To("/referer".to_owned(), ""),
        "/referer" => Answer::End(!sent("referer").is_empty()),
        _ => Answer::End(false),
    }
}

/// Compresses its answer where that is asked for once.
async fn compressing() -> Target {
    Target::serve(|mut stream, _, _| async move {
        let request = read_request(&mut stream).await;
        let request = String::from_utf8_lossy(&request).to_ascii_lowercase();
        let answer = match values(&request, "accept-encoding") == ["gzip"] {
            true => super::http::gzipped("fine"),
            false => ok("fine"),
        };
        let _ = stream.write_all(&answer).await;
        let _ = stream.shutdown().await;
        Some(stream)
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http_probes_of_redirects_tell_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let authority = tls::Authority::new("test authority");
    let ca = dir.path().join("ca.pem");
    fs::write(&ca, authority.pem()).unwrap();
    let (leading, cookies, judging) = (pages(leading).await, pages(cookies).await, pages(judging).await);
    let compressing = compressing().await;
    let end = Target::answering(ok("fine")).await;
    let place = format!("http://localhost:{}/", end.address.port());
    let uploading = Target::answering(format!(
        "HTTP/1.1 307 Temporary Redirect\r\nLocation: {place}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    ))
    .await;
    let closing = Target::closing(false).await;
    let silent = Target::silent().await;
    let refusing = Target::refusing().await;
    let local = tls::serve(&authority.issue(&["localhost"], 2099), &["http/1.1"], None).await;
    let other = authority.issue(&["example.org"], 2098);
    let named = tls::in_front_of(&other, leading.address).await;
    let secure_cookies = tls::in_front_of(&other, cookies.address).await;
    let secure_closing = tls::in_front_of(&other, closing.address).await;
    let secure_silent = tls::in_front_of(&other, silent.address).await;
    let https = |target: &Target, path: &str| format!("https://{}{path}", target.address);
    let by_name = |scheme: &str, target: &Target, path: &str| {
        format!("{scheme}://localhost:{}{path}", target.address.port())
    };
    let to = |location: &str| format!("/to/{}", location.replace('/', "_"));
    let cases = cases(vec![
        ("own User-Agent", "user_agent", judging.url("/agent")),
        ("their User-Agent wanted", "plain", judging.url("/theirs")),
        ("own Accept-Encoding", "encoding", compressing.url("/")),
        (
            "TLS with a name to another host",
            "named_tls",
            https(&named, &to(&by_name("https", &local, "/"))),
        ),
        (
            "TLS called otherwise to another host",
            "our_tls&hostname=example.org",
            https(&named, &to(&by_name("https", &local, "/"))),
        ),
        (
            "TLS with a name to the same host",
            "named_tls",
            https(&named, &to("/end")),
        ),
        (
            "TLS with a name to a host that has that name only",
            "named_tls",
            https(&named, &to(&by_name("https", &named, "/end"))),
        ),
        (
            "TLS by name to the same host",
            "named_tls",
            by_name("https", &named, &to("/end")),
        ),
        (
            "TLS by name, called otherwise, and again by its whole address",
            "named_tls",
            by_name("https", &named, "/again-https"),
        ),
        ("cookie", "plain", cookies.url("/login")),
        ("cookie of another host", "plain", cookies.url("/host")),
        ("cookie of a path", "plain", cookies.url("/a/path")),
        ("cookie of another path", "plain", cookies.url("/a/other")),
        ("two cookies", "plain", cookies.url("/two")),
        ("cookie for TLS", "plain", cookies.url("/secure")),
        ("cookie over TLS", "any_tls", https(&secure_cookies, "/login")),
        ("cookie of the past", "plain", cookies.url("/old")),
        ("cookie taken back", "plain", cookies.url("/taken")),
        ("cookie beside others", "cookie", cookies.url("/own")),
        ("cookie of a name", "plain", by_name("http", &cookies, "/login")),
        (
            "cookie of a name, and again by its whole address",
            "plain",
            by_name("http", &cookies, "/name"),
        ),
        ("11 redirects, 302 is fine", "found", leading.url("/loop")),
        ("to an empty Location", "plain", leading.url("/to/")),
        ("to an empty Location, 302 is fine", "found", leading.url("/to/")),
        (
            "to what can't be requested: a scheme",
            "plain",
            leading.url(&to("ftp://127.0.0.1/")),
        ),
        (
            "to what can't be requested: no URL",
            "plain",
            leading.url(&to("http://[::1/")),
        ),
        ("own credentials", "known", judging.url("/here")),
        ("credentials: another host", "known", judging.url("/elsewhere")),
        ("credentials: of the redirect", "plain", judging.url("/user")),
        ("credentials: a header", "api_key", judging.url("/key-elsewhere")),
        ("a header, here", "api_key", judging.url("/key")),
        ("credentials: a body", "upload", uploading.url("/")),
        ("Referer wanted", "plain", judging.url("/from")),
        // Of the last response, or of none.
        (
            "from TLS to without",
            "any_tls",
            https(&named, &to(&leading.url("/end"))),
        ),
        (
            "from TLS to nobody",
            "any_tls",
            https(&named, &to(&format!("http://{refusing}/"))),
        ),
        (
            "from TLS to what closes",
            "any_tls",
            https(&named, &to(&closing.url("/"))),
        ),
        (
            "from TLS to what is silent",
            "short",
            https(&named, &to(&silent.url("/"))),
        ),
        (
            "from TLS to TLS that is not trusted",
            "named_tls",
            https(&named, &to(&https(&local, "/"))),
        ),
        ("TLS that closes", "any_tls", https(&secure_closing, "/")),
        ("TLS that is silent", "short", https(&secure_silent, "/")),
    ]);
    let modules = MODULES.replace("CA", ca.to_str().unwrap());
    compare_all(&modules, &cases, DIFFERENCES).await;
}
