//! Http checks with tokens of an authorization server.

use std::sync::{Arc, Mutex};

use super::*;
use crate::common::targets::read_request;
use tokio::io::AsyncWriteExt;
use upkeep_exporter::model::{Report, UsedSecrets};

fn response(status: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}").into_bytes()
}

/// Grants the tokens `t0ken-0`, `t0ken-1` ... to the client `me` with the secret `hunter2`, one for each connection.
async fn token_server(lifetime: &'static str, pause: Duration) -> Target {
    Target::serve(move |mut stream, number, state| async move {
        let request = read_request(&mut stream).await;
        state.record(&request);
        tokio::time::sleep(pause).await;
        let request = String::from_utf8_lossy(&request).to_lowercase();
        let answer = match request.contains("basic bwu6ahvudgvymg==") {
            true => response(
                "200 OK",
                &format!(r#"{{"access_token": "t0ken-{number}", "token_type": "bearer"{lifetime}}}"#),
            ),
            false => response("401 Unauthorized", r#"{"error": "invalid_client"}"#),
        };
        let _ = stream.write_all(&answer).await;
        let _ = stream.shutdown().await;
        Some(stream)
    })
    .await
}

/// Accepts one token, which tests change.
async fn protected(valid: &Arc<Mutex<String>>) -> Target {
    let valid = valid.clone();
    Target::serve(move |mut stream, _, state| {
        let valid = valid.clone();
        async move {
            let request = read_request(&mut stream).await;
            state.record(&request);
            let token = format!("authorization: bearer {}\r\n", valid.lock().unwrap());
            let is_valid = String::from_utf8_lossy(&request).to_lowercase().contains(&token);
            let answer = match is_valid {
                true => ok("fine"),
                false => response("401 Unauthorized", "log in"),
            };
            let _ = stream.write_all(&answer).await;
            let _ = stream.shutdown().await;
            Some(stream)
        }
    })
    .await
}

fn options(target: &Target, token_url: &str, extra: &Value) -> Value {
    let mut oauth2 = json!({"client_id": "me", "client_secret": "hunter2", "token_url": token_url});
    oauth2
        .as_object_mut()
        .unwrap()
        .extend(extra.as_object().unwrap().clone());
    json!({"url": target.url("/"), "oauth2": oauth2})
}

fn context() -> CheckContext {
    CheckContext::new("/proc".into())
}

#[tokio::test]
async fn checks_share_a_token_until_it_is_rejected() {
    let valid = Arc::new(Mutex::new("t0ken-0".to_owned()));
    let target = protected(&valid).await;
    let tokens = token_server(r#", "expires_in": 3600"#, Duration::ZERO).await;
    let context = context();
    let extra = json!({"scopes": ["a", "b"], "endpoint_params": {"audience": "x/y"}});
    let mut checks: Vec<HttpCheck> = (0..2)
        .map(|_| http_check(options(&target, &tokens.url("/token?a"), &extra), &context))
        .collect();
    for _ in 0..3 {
        for check in &mut checks {
            run!(check, LONG).succeeded();
        }
    }
    assert_eq!(tokens.accepted(), 1);
    let request = tokens.received().remove(0);
    assert!(request.starts_with("POST /token?a HTTP/1.1\r\n"), "{request}");
    assert!(
        request.ends_with("\r\n\r\naudience=x%2Fy&grant_type=client_credentials&scope=a+b"),
        "{request}"
    );
    assert!(
        request
            .to_lowercase()
            .contains("content-type: application/x-www-form-urlencoded\r\n"),
        "{request}"
    );
    *valid.lock().unwrap() = "t0ken-1".to_owned();
    run!(&mut checks[0], LONG).failed(Reason::Auth, "the target refused the credentials: 401");
    for check in &mut checks {
        run!(check, LONG).succeeded();
    }
    assert_eq!(tokens.accepted(), 2);
    // Another client has a token of its own.
    let other = json!({"scopes": ["a"]});
    run!(
        http_check(options(&target, &tokens.url("/token?a"), &other), &context),
        LONG
    )
    .failed(Reason::Auth, "the target refused the credentials: 401");
    assert_eq!(tokens.accepted(), 3);
    target.freed().await;
    tokens.freed().await;
}

#[tokio::test]
async fn a_token_is_replaced_before_it_ends() {
    let valid = Arc::new(Mutex::new("t0ken-0".to_owned()));
    let target = protected(&valid).await;
    let tokens = token_server(r#", "expires_in": 1"#, Duration::ZERO).await;
    let context = context();
    let mut check = http_check(options(&target, &tokens.url("/token"), &json!({})), &context);
    run!(&mut check, LONG).succeeded();
    *valid.lock().unwrap() = "t0ken-1".to_owned();
    // After half of its lifetime.
    tokio::time::sleep(Duration::from_millis(600)).await;
    run!(&mut check, LONG).succeeded();
    target.freed().await;
}

#[tokio::test]
async fn one_run_at_a_time_requests_a_token() {
    let valid = Arc::new(Mutex::new("t0ken-0".to_owned()));
    let target = protected(&valid).await;
    let tokens = token_server("", Duration::from_millis(200)).await;
    let context = context();
    let runs = (0..8).map(|_| async {
        let mut check = http_check(options(&target, &tokens.url("/token"), &json!({})), &context);
        run!(&mut check, LONG).succeeded();
    });
    futures_util::future::join_all(runs).await;
    assert_eq!((tokens.accepted(), target.accepted()), (1, 8));
}

#[tokio::test]
async fn runs_that_share_a_failure_hide_its_secrets() {
    let target = Target::answering(ok("")).await;
    let tokens = Target::serve(|mut stream, _, state| async move {
        let request = read_request(&mut stream).await;
        state.record(&request);
        tokio::time::sleep(Duration::from_millis(200)).await;
        let answer = response("403 Forbidden", r#"{"error": "no swordfish"}"#);
        let _ = stream.write_all(&answer).await;
        let _ = stream.shutdown().await;
        Some(stream)
    })
    .await;
    let context = context();
    let extra = json!({"endpoint_params": {"password": "swordfish"}});
    let runs = (0..3).map(|_| async {
        let mut check = http_check(options(&target, &tokens.url("/token"), &extra), &context);
        let (secrets, mut report) = (UsedSecrets::default(), Report::default());
        let problem = secrets.scope(check.run(&mut report)).await.unwrap_err();
        let scrubber = secrets.scrubber(String::new).unwrap();
        scrubber.scrub(problem.message()).into_owned()
    });
    for message in futures_util::future::join_all(runs).await {
        assert!(
            message.contains("<secret>") && !message.contains("swordfish"),
            "{message}"
        );
    }
    assert_eq!(tokens.accepted(), 1);
}

#[tokio::test]
async fn a_new_secret_needs_a_new_token() {
    let valid = Arc::new(Mutex::new("t0ken-1".to_owned()));
    let target = protected(&valid).await;
    let tokens = token_server("", Duration::ZERO).await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("secret");
    std::fs::write(&file, "hunter1\n").unwrap();
    let from_file = json!({
        "client_id": "me", "client_secret_file": file.display().to_string(), "token_url": tokens.url("/token")
    });
    let options = json!({"url": target.url("/"), "oauth2": from_file});
    let mut check = http_check(options, &context());
    run!(&mut check, LONG).failed(Reason::Auth, "the status is 401: invalid_client");
    // The credentials were sent in the header and then in the body.
    let requests = tokens.received();
    assert_eq!(requests.len(), 2, "{requests:?}");
    assert!(
        requests[1].ends_with("&client_id=me&client_secret=hunter1"),
        "{requests:?}"
    );
    assert!(
        !requests[1].to_lowercase().contains("authorization"),
        "{requests:?}"
    );
    assert_eq!(target.accepted(), 0);
    std::fs::write(&file, "hunter2\n").unwrap();
    *valid.lock().unwrap() = "t0ken-2".to_owned();
    run!(&mut check, LONG).succeeded();
    std::fs::remove_file(&file).unwrap();
    run!(&mut check, LONG).failed(Reason::Auth, "reading the secret file");
}

#[tokio::test]
async fn failures_of_token_servers_have_the_reason_auth() {
    let target = Target::answering(ok("")).await;
    let long = response("200 OK", &"x".repeat(70_000));
    let refusing = Target::refusing().await;
    let in_vain =
        |server: Target, reason, message: &'static str| (server.url("/token"), Some(server), reason, message);
    for (token_url, server, reason, message) in [
        (
            format!("http://{refusing}/token"),
            None,
            Reason::Auth,
            "connecting to",
        ),
        (
            format!("https://{refusing}/token"),
            None,
            Reason::Auth,
            "connecting to",
        ),
        in_vain(
            Target::answering(response("500 Oh", "")).await,
            Reason::Auth,
            "the status is 500",
        ),
        in_vain(
            Target::answering(response("302 Found", "")).await,
            Reason::Auth,
            "the status is 302",
        ),
        in_vain(
            Target::answering(ok("<p>log in")).await,
            Reason::Auth,
            "the response is not JSON",
        ),
        in_vain(
            Target::answering(long).await,
            Reason::Auth,
            "the response has more than 65536 bytes",
        ),
        in_vain(
            Target::closing(false).await,
            Reason::Auth,
            "it closed the connection",
        ),
    ] {
        let ran = run!(
            http_check(options(&target, &token_url, &json!({})), &context()),
            LONG
        );
        ran.failed(reason, message).without_response();
        if let Some(server) = server {
            server.freed().await;
        }
    }
    let silent = Target::silent().await;
    run!(
        http_check(options(&target, &silent.url("/token"), &json!({})), &context()),
        SHORT
    )
    .hung("requesting a token from http://127.0.0.1");
    silent.freed().await;
    assert_eq!(target.accepted(), 0);
}

#[tokio::test]
async fn tokens_are_requested_over_tls_and_through_proxies() {
    let valid = Arc::new(Mutex::new("t0ken-0".to_owned()));
    let target = protected(&valid).await;
    let authority = tls::Authority::new("test authority");
    let proxy = proxy::serve(None).await;
    for (is_tls, is_proxied) in [(true, false), (true, true), (false, true)] {
        let tokens = token_server("", Duration::ZERO).await;
        let secure = tls::in_front_of(&authority.issue(&["127.0.0.1"], 2099), tokens.address).await;
        let token_url = match is_tls {
            true => format!("https://{}/token", secure.address),
            false => tokens.url("/token"),
        };
        let mut extra = json!({"tls_config": {"ca": authority.pem()}});
        if is_proxied {
            extra["proxy_url"] = json!(proxy.url(""));
        }
        run!(http_check(options(&target, &token_url, &extra), &context()), LONG).succeeded();
        assert_eq!(tokens.accepted(), 1);
    }
    assert_eq!(proxy.accepted(), 2);
}

#[tokio::test]
async fn other_servers_get_no_token() {
    let other = Target::answering(ok("")).await;
    let redirect = format!(
        "HTTP/1.1 302 Found\r\nLocation: {}\r\nContent-Length: 0\r\n\r\n",
        other.url("/")
    );
    let target = Target::answering(redirect).await;
    let tokens = token_server("", Duration::ZERO).await;
    let check = options(&target, &tokens.url("/token"), &json!({}));
    run!(http_check(check, &context()), LONG).succeeded();
    let sent = |target: &Target| target.received().concat().contains("t0ken");
    assert!(sent(&target) && !sent(&other));
}
