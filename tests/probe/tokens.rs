//! Probes with a token: all probes of a module share it, and the guard does not apply to the token endpoint.

use crate::common::exporter::Exporter;
use crate::common::targets::{Target, ok};
use crate::{ask, path, probe};

#[tokio::test]
async fn probes_share_a_token_and_never_show_it() {
    let target = Target::answering(ok("your token was t0ken-hunter2")).await;
    let tokens = Target::answering(ok(r#"{"access_token": "t0ken-hunter2", "expires_in": 600}"#)).await;
    let config = format!(
        "modules:\n  token:\n    prober: http\n    http:\n      fail_if_body_not_matches_regexp: [healthy]\n      oauth2: {{ client_id: me, \
         client_secret: s3cret-hunter2, token_url: \"{}\" }}\nprobe: {{ allow: [{{ networks: [127.0.0.0/8], ports: [{}] }}] }}\n",
        tokens.url("/token"),
        target.address.port()
    );
    let exporter = Exporter::start(&config, &[]).await;
    let url = target.url("/");
    for _ in 0..3 {
        let (status, answer) = probe(&exporter, "token", &url).await;
        assert_eq!(status, 200, "{answer}");
    }
    assert_eq!((tokens.accepted(), target.accepted()), (1, 3));
    let debug = format!("{}&debug=true", path("token", &url));
    let (_, answer) = ask(&exporter.url(&debug), &[]).await;
    assert!(
        answer.contains("<secret>") && !answer.contains("hunter2"),
        "{answer}"
    );
    // Clients of the exporter can't reach the token endpoint themselves.
    let (status, answer) = probe(&exporter, "token", &tokens.url("/token")).await;
    assert_eq!(status, 403, "{answer}");
}
