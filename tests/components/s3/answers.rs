//! Responses that the stores of the tests do not send, by scripted servers; and clocks that differ.

use std::time::{Duration, SystemTime};

use rusty_s3::{Bucket, Credentials, S3Action, UrlStyle};

use super::*;
use crate::common::targets::Target;

/// A response of S3.
fn answer(status: &str, headers: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn error(code: &str, more: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>geheim</Message>{more}</Error>"
    )
}

/// Runs a check of a bucket against a server that sends this response.
async fn asked(answer: String) -> Ran {
    let target = Target::answering(answer).await;
    let mut check = check(&format!(
        "kind: s3, endpoint: \"{}\", access_key: a, secret_key: b, buckets: [raw-iq]",
        target.url("")
    ));
    let ran = run!(check, LONG);
    let request = target.received().remove(0);
    assert!(
        request.starts_with("GET /raw-iq/?X-Amz-Algorithm=AWS4-HMAC-SHA256&"),
        "{request}"
    );
    target.freed().await;
    ran
}

#[tokio::test]
async fn errors_have_reasons_and_advice() {
    let region = "<Region>eu-west-1</Region>";
    for (status, headers, body, reason, text) in [
        (
            "503 Service Unavailable",
            "",
            error("SlowDown", ""),
            Reason::State,
            "the store is overloaded, or has too few drives (SlowDown)",
        ),
        (
            "503 Service Unavailable",
            "",
            error("XMinioServerNotInitialized", ""),
            Reason::State,
            "the store is still starting, or waits for its drives and peers (XMinioServerNotInitialized)",
        ),
        (
            "507 Insufficient Storage",
            "",
            error("XMinioStorageFull", ""),
            Reason::State,
            "the store is unavailable: 507 Insufficient Storage, XMinioStorageFull",
        ),
        (
            "503 Service Unavailable",
            "",
            "<html>nginx</html>".to_owned(),
            Reason::State,
            "the store responded with 503 and no S3 error",
        ),
        (
            "502 Bad Gateway",
            "",
            "<html>nginx</html>".to_owned(),
            Reason::Status,
            "the store responded with 502 Bad Gateway and no S3 error",
        ),
        (
            "400 Bad Request",
            "",
            error("AuthorizationHeaderMalformed", region),
            Reason::Assertion,
            "the store is in the region eu-west-1, not in us-east-1 (AuthorizationHeaderMalformed): set region: eu-west-1",
        ),
        (
            "400 Bad Request",
            "",
            error("AuthorizationQueryParametersError", ""),
            Reason::Assertion,
            "the region us-east-1 or the endpoint is wrong (AuthorizationQueryParametersError)",
        ),
        (
            "301 Moved Permanently",
            "x-amz-bucket-region: eu-north-1\r\n",
            error("PermanentRedirect", ""),
            Reason::Assertion,
            "the store is in the region eu-north-1, not in us-east-1 (PermanentRedirect)",
        ),
        (
            "400 Bad Request",
            "",
            error("ExpiredToken", ""),
            Reason::Auth,
            "the store rejects the session token (ExpiredToken): renew session_token",
        ),
        (
            "403 Forbidden",
            "",
            error("AccountProblem", ""),
            Reason::Auth,
            "the store rejects the keys: 403 Forbidden, AccountProblem",
        ),
        (
            "500 Internal Server Error",
            "",
            error("InternalError", ""),
            Reason::Status,
            "the store responded with 500 Internal Server Error, InternalError",
        ),
        (
            "302 Found",
            "Location: /login\r\n",
            "<html>Sign in</html>".to_owned(),
            Reason::Protocol,
            "the store responded with 302 Found but not as S3 does: is this the S3 port, not the console's?",
        ),
        (
            "403 Forbidden",
            "",
            "<Error><Code>".to_owned(),
            Reason::Protocol,
            "the store responded with 403 Forbidden but not as S3 does",
        ),
        (
            "200 OK",
            "",
            "<html>Welcome</html>".to_owned(),
            Reason::Protocol,
            "the store responded with 200 OK but without LocationConstraint: is this the S3 port, not the console's?",
        ),
        (
            "200 OK",
            "",
            error("NoSuchBucket", ""),
            Reason::Protocol,
            "the store responded with 200 OK but without LocationConstraint",
        ),
    ] {
        let ran = asked(answer(status, headers, &body)).await;
        ran.failed(reason, &format!("requesting the bucket raw-iq: {text}"));
        assert!(ran.report.response_time.is_some(), "no response time");
        assert_eq!(present(&ran, "raw-iq"), None);
        // The text of an error may repeat the request with its signature.
        ran.failed(reason, "");
        let message = format!("{:?}", ran.result);
        assert!(!message.contains("geheim"), "{message}");
    }
    let fine = asked(answer(
        "200 OK",
        "",
        "<LocationConstraint xmlns=\"x\">eu-west-1</LocationConstraint>",
    ))
    .await;
    assert_eq!(present(fine.succeeded(), "raw-iq"), Some(1.0));
}

#[tokio::test]
async fn results_before_an_error_are_reported() {
    let answers = [
        answer("200 OK", "Connection: close\r\n", "<LocationConstraint/>"),
        answer(
            "503 Service Unavailable",
            "Connection: close\r\n",
            &error("SlowDown", ""),
        ),
    ];
    let target = Target::answering_each(answers.map(String::into_bytes).to_vec()).await;
    let mut check = check(&format!(
        "kind: s3, endpoint: \"{}\", access_key: a, secret_key: b, buckets: [raw-iq, spectra]",
        target.url("")
    ));
    let ran = run!(check, LONG);
    ran.failed(Reason::State, "requesting the bucket spectra: ");
    assert_eq!(present(&ran, "raw-iq"), Some(1.0));
    assert_eq!(present(&ran, "spectra"), None);
}

/// The store's response to a request that was signed this long ago (or in the future), with the store's clock shifted likewise.
async fn of_another_time(store: &Store, by: Duration, is_ahead: bool) -> String {
    let bucket = Bucket::new(
        store.url().parse().unwrap(),
        UrlStyle::Path,
        "raw-iq",
        "us-east-1",
    )
    .unwrap();
    let credentials = Credentials::new(ACCESS_KEY, SECRET_KEY);
    let shift = |time: SystemTime| if is_ahead { time + by } else { time - by };
    // If our clock is behind, signatures are too old for the server, and its Date is ahead of our clock.
    let unshift = |time: SystemTime| if is_ahead { time - by } else { time + by };
    let mut action = bucket.get_object(Some(&credentials), "");
    action.query_mut().insert("location", "");
    let signed_at = shift(SystemTime::now()).try_into().unwrap();
    let url = action.sign_with_time(Duration::from_secs(900), &signed_at);
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let refused = client.get(url).send().await.unwrap();
    let status = refused.status().to_string();
    let body = refused.text().await.unwrap();
    let date = date(unshift(SystemTime::now()));
    answer(&status, &format!("Server: MinIO\r\nDate: {date}\r\n"), &body)
}

/// A date in header format, created by date(1).
fn date(time: SystemTime) -> String {
    let seconds = time.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let output = std::process::Command::new("date")
        .args(["-u", "-d", &format!("@{seconds}"), "+%a, %d %b %Y %H:%M:%S GMT"])
        .env("LC_ALL", "C")
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[tokio::test]
async fn clock_differences_are_distinguished_from_wrong_keys() {
    let store = Store::start().await;
    store.make_bucket("raw-iq").await;
    let hour = Duration::from_secs(3600);
    for (is_ahead, word) in [(false, "ahead of"), (true, "behind")] {
        let ran = asked(of_another_time(&store, hour, is_ahead).await).await;
        ran.failed(Reason::Auth, "the store refuses the time of the request (");
        let difference =
            [3599, 3600, 3601].map(|seconds| format!("its clock is {seconds} s {word} this machine's"));
        let message = format!("{:?}", ran.result);
        assert!(difference.iter().any(|text| message.contains(text)), "{message}");
        assert!(message.contains("synchronize both clocks (NTP)"), "{message}");
    }
    // Without a date, only the code is known.
    let ran = asked(answer("403 Forbidden", "", &error("RequestTimeTooSkewed", ""))).await;
    ran.failed(
        Reason::Auth,
        "the store refuses the time of the request (RequestTimeTooSkewed), its clock differs from this machine's: synchronize both",
    );
    // If the clock is right, a denial is a denial.
    let now = date(SystemTime::now());
    let ran = asked(answer(
        "403 Forbidden",
        &format!("Date: {now}\r\n"),
        &error("AccessDenied", ""),
    ))
    .await;
    ran.failed(
        Reason::Auth,
        "the key lacks permission for the bucket raw-iq (AccessDenied)",
    );
}
