//! http probes of both programs with a token of an authorization server.

use tokio::io::AsyncWriteExt;

use super::{cases, compare_all};
use crate::common::targets::{Target, ok, read_request};

const MODULES: &str = r#"
  token: { prober: http, http: { oauth2: { client_id: me, client_secret: hunter2, token_url: "http://TOKENS/token" } } }
  scoped: { prober: http, http: { oauth2: { client_id: me, client_secret: hunter2, token_url: "http://TOKENS/token", scopes: [a, b],
    endpoint_params: { audience: x } } } }
  wrong: { prober: http, http: { oauth2: { client_id: me, client_secret: other, token_url: "http://TOKENS/token" } } }
  in_body: { prober: http, http: { oauth2: { client_id: you, client_secret: "a&b", token_url: "http://TOKENS/in-body" } } }
  nobody: { prober: http, http: { oauth2: { client_id: me, client_secret: hunter2, token_url: "http://REFUSING/token" } } }
  own_header: { prober: http, http: { headers: { Authorization: none }, oauth2: { client_id: me, client_secret: hunter2,
    token_url: "http://TOKENS/token" } } }
"#;

/// Grants a token to `me` with the credentials in the header, and to `you` with them in the body.
async fn tokens() -> Target {
    Target::serve(|mut stream, _, state| async move {
        let request = read_request(&mut stream).await;
        state.record(&request);
        let request = String::from_utf8_lossy(&request).into_owned();
        let is_header = request.contains("Basic bWU6aHVudGVyMg==");
        let is_body = request.contains("client_id=you") && request.contains("client_secret=a%26b");
        let (status, body) = match is_header || is_body {
            true => (200, r#"{"access_token": "t0ken", "token_type": "bearer", "expires_in": 60}"#),
            false => (401, r#"{"error": "invalid_client"}"#),
        };
        let answer = format!(
            "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        );
        let _ = stream.write_all(answer.as_bytes()).await;
        let _ = stream.shutdown().await;
        Some(stream)
    })
    .await
}

/// Answers those that have the token.
async fn protected() -> Target {
    Target::serve(|mut stream, _, _| async move {
        let request = String::from_utf8_lossy(&read_request(&mut stream).await).to_lowercase();
        let answer = match request.contains("authorization: bearer t0ken\r\n") {
            true => ok("fine"),
            false => b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_vec(),
        };
        let _ = stream.write_all(&answer).await;
        let _ = stream.shutdown().await;
        Some(stream)
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn probes_with_tokens_have_the_same_results() {
    let (tokens, target) = (tokens().await, protected().await);
    let refusing = Target::refusing().await;
    let names = [
        "token",
        "token",
        "scoped",
        "wrong",
        "in_body",
        "nobody",
        "own_header",
    ];
    let all = names.map(|name| (name, name, target.url("/"))).to_vec();
    let modules = MODULES
        .replace("TOKENS", &tokens.address.to_string())
        .replace("REFUSING", &refusing.to_string());
    compare_all(&modules, &cases(all), &[]).await;
    // Both send the same forms. They send the credentials in the body only if the header is not accepted.
    let mut forms: Vec<String> = tokens
        .received()
        .iter()
        .map(|request| request.split("\r\n\r\n").nth(1).unwrap_or_default().to_owned())
        .collect();
    forms.sort();
    forms.dedup();
    assert_eq!(
        forms.iter().filter(|form| form.contains("audience")).count(),
        1,
        "{forms:?}"
    );
}
