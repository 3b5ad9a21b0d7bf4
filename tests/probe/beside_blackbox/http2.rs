//! http probes of servers that speak HTTP/2 and end a stream in every way.

use super::{Difference, cases, compare_all, outcome};
use crate::common::targets::http2::{
    DATA, END_HEADERS, END_STREAM, HEADERS, RESET, STATUS_200, frame, serve,
};
use crate::common::targets::{Target, tls};

/// Where we differ in HTTP/2.
pub const DIFFERENCES: &[Difference] = &[Difference {
    name: "Response headers must be valid",
    explains: |case, series, theirs, ours| {
        case == "HTTP/2 with a Connection" && outcome(series, theirs, ours, (1.0, 0.0))
    },
}];

const MODULES: &str = r#"
  any_tls: { prober: http, timeout: 2s, http: { tls_config: { insecure_skip_verify: true } } }
  post_tls: { prober: http, timeout: 2s, http: { method: POST, body: "{}", tls_config: { insecure_skip_verify: true } } }
  upload: { prober: http, timeout: 2s, http: { method: POST, body: "BODY", tls_config: { insecure_skip_verify: true } } }
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http_probes_by_http2_tell_the_same() {
    let identity = tls::self_signed(&["127.0.0.1"]);
    let head = || frame(HEADERS, END_HEADERS, 1, &[STATUS_200]);
    let with_length = || frame(HEADERS, END_HEADERS, 1, &[STATUS_200, 0x5c, 1, b'4']);
    let reset = |code: u8| frame(RESET, 0, 1, &[0, 0, 0, code]);
    let whole = serve(&identity, vec![head(), frame(DATA, END_STREAM, 1, b"fine")]).await;
    let whole_and_reset = serve(
        &identity,
        vec![head(), frame(DATA, END_STREAM, 1, b"fine"), reset(0)],
    )
    .await;
    let reset_at_once = serve(&identity, vec![head(), reset(0)]).await;
    let reset_amid = serve(&identity, vec![head(), frame(DATA, 0, 1, b"fine"), reset(0)]).await;
    let reset_at_length = serve(
        &identity,
        vec![with_length(), frame(DATA, 0, 1, b"fine"), reset(0)],
    )
    .await;
    let reset_before_length = serve(
        &identity,
        vec![with_length(), frame(DATA, 0, 1, b"fin"), reset(0)],
    )
    .await;
    let length_and_reset = serve(
        &identity,
        vec![with_length(), frame(DATA, END_STREAM, 1, b"fine"), reset(0)],
    )
    .await;
    let cancelled = serve(&identity, vec![head(), frame(DATA, 0, 1, b"fine"), reset(8)]).await;
    // `connection: x`, as a literal.
    let literal = [&[STATUS_200, 0x00, 10][..], b"connection", &[1, b'x']].concat();
    let connection = serve(
        &identity,
        vec![
            frame(HEADERS, END_HEADERS, 1, &literal),
            frame(DATA, END_STREAM, 1, b"fine"),
        ],
    )
    .await;
    let https = |target: &Target| format!("https://{}/", target.address);
    let cases = cases(vec![
        ("HTTP/2", "any_tls", https(&whole)),
        ("HTTP/2, POST", "post_tls", https(&whole)),
        ("HTTP/2 reset after the end", "any_tls", https(&whole_and_reset)),
        ("HTTP/2 reset before the body", "any_tls", https(&reset_at_once)),
        ("HTTP/2 reset amid the body", "any_tls", https(&reset_amid)),
        (
            "HTTP/2 reset where the body should end",
            "any_tls",
            https(&reset_at_length),
        ),
        (
            "HTTP/2 POST reset after the end",
            "post_tls",
            https(&whole_and_reset),
        ),
        ("HTTP/2 POST reset amid the body", "post_tls", https(&reset_amid)),
        (
            "HTTP/2 upload reset after the end",
            "upload",
            https(&whole_and_reset),
        ),
        (
            "HTTP/2 upload reset after the length",
            "upload",
            https(&length_and_reset),
        ),
        (
            "HTTP/2 upload reset amid the body",
            "upload",
            https(&reset_before_length),
        ),
        ("HTTP/2 cancelled", "any_tls", https(&cancelled)),
        ("HTTP/2 with a Connection", "any_tls", https(&connection)),
    ]);
    // More than is sent without leave.
    let modules = MODULES.replace("BODY", &"x".repeat(200_000));
    compare_all(&modules, &cases, DIFFERENCES).await;
}
