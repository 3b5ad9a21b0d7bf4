//! Users and passwords, and the rate limit.

use std::time::{Duration, Instant};

use crate::guarded::{Guarded, TLS, hash};

fn users() -> String {
    format!(
        "basic_auth_users:\n  alice: {}\n  bob: {}\n",
        hash("wonderland", 10),
        hash("builder", 4)
    )
}

#[tokio::test]
async fn only_users_with_their_passwords_are_served() {
    let guarded = Guarded::start(&users()).await;
    for path in [
        "/metrics",
        "/",
        "/config",
        "/-/healthy",
        "/-/ready",
        "/-/reload",
        "/nowhere",
    ] {
        for arguments in [
            &[][..],
            &["-u", "alice:builder"],
            &["-u", "alice:"],
            &["-u", "carol:wonderland"],
            &["-H", "Authorization: Bearer wonderland"],
        ] {
            // Ten wrong passwords are allowed at once, so they are tried on one path only.
            if path != "/metrics" && arguments.first() == Some(&"-u") {
                continue;
            }
            let answer = guarded.http(path, arguments);
            assert_eq!(answer.status, 401, "{path} {arguments:?}: {answer:?}");
            assert!(
                answer.head.contains("www-authenticate: basic realm="),
                "{answer:?}"
            );
            assert!(!answer.body.contains("upkeep_"), "{answer:?}");
        }
    }
    for user in ["alice:wonderland", "bob:builder"] {
        for path in ["/metrics", "/", "/config", "/-/healthy"] {
            assert_eq!(guarded.http(path, &["-u", user]).status, 200, "{user}");
        }
    }
    assert!(!guarded.log().contains("wonderland"), "{}", guarded.log());
}

#[tokio::test]
async fn users_work_over_tls_and_http2() {
    let guarded = Guarded::start(&format!("{TLS}{}", users())).await;
    assert_eq!(guarded.https("/metrics", &["--http2"]).status, 401);
    assert_eq!(guarded.https("/metrics", &["--http2", "-u", "bob:x"]).status, 401);
    let answer = guarded.https("/metrics", &["--http2", "-u", "bob:builder"]);
    assert_eq!((answer.status, answer.version.as_str()), (200, "2"), "{answer:?}");
}

#[tokio::test]
async fn a_correct_password_is_slow_only_once() {
    let guarded = Guarded::start(&format!(
        "basic_auth_users: {{alice: {}}}",
        hash("wonderland", 13)
    ))
    .await;
    let request = || {
        let begun = Instant::now();
        assert_eq!(
            guarded.http("/-/healthy", &["-u", "alice:wonderland"]).status,
            200
        );
        begun.elapsed()
    };
    let first = request();
    let others = (0..5).map(|_| request()).max().unwrap();
    assert!(
        first > Duration::from_millis(150) && others < first / 2,
        "{first:?} {others:?}"
    );
}

#[tokio::test]
async fn an_unknown_user_takes_as_long_as_a_known_one() {
    let guarded = Guarded::start(&format!(
        "basic_auth_users: {{alice: {}}}",
        hash("wonderland", 12)
    ))
    .await;
    let request = |user: &str| {
        let begun = Instant::now();
        assert_eq!(
            guarded.http("/-/healthy", &["-u", &format!("{user}:x")]).status,
            401
        );
        begun.elapsed()
    };
    // The minimum of several, since other load only adds time.
    let known = (0..4).map(|_| request("alice")).min().unwrap();
    let unknown = (0..4).map(|_| request("nobody")).min().unwrap();
    assert!(
        unknown > known / 2 && known > unknown / 2,
        "{known:?} {unknown:?}"
    );
    assert!(known > Duration::from_millis(100), "{known:?}");
}

#[tokio::test]
async fn requests_beyond_the_rate_are_refused() {
    let guarded = Guarded::start("rate_limit: {interval: 1h, burst: 3}\n").await;
    for _ in 0..3 {
        assert_eq!(guarded.http("/-/healthy", &[]).status, 200);
    }
    let answer = guarded.http("/-/healthy", &[]);
    assert_eq!(answer.status, 429, "{answer:?}");
    assert!(answer.head.contains("retry-after: 36"), "{answer:?}");
}

#[tokio::test]
async fn beats_of_jobs_need_no_user_and_open_nothing_else() {
    const TOKEN: &str = "0123456789abcdef0123456789abcdef";
    let mut guarded = Guarded::prepare(&format!("{TLS}{}", users()));
    let job = format!("services: [{{key: a, checks: [{{kind: heartbeat, token: {TOKEN}, every: 1h}}]}}]\n");
    guarded.write("upkeep.yml", &job);
    guarded
        .launch_with(&["--web.allowed-hosts=localhost", "--log.level=debug"])
        .await;
    let path = |rest: &str| format!("/api/heartbeat/{TOKEN}{rest}");
    for arguments in [
        &[][..],
        &["--http2", "-d", "all is well"],
        &["--http1.1", "-I"],
        &["-u", "carol:wrong"],
    ] {
        assert_eq!(guarded.https(&path(""), arguments).status, 200, "{arguments:?}");
    }
    assert_eq!(guarded.https(&path("/start"), &["-X", "POST"]).status, 200);
    // A body that is longer than what is read, over both versions.
    guarded.write("long", &"x".repeat(200_000));
    for version in ["--http1.1", "--http2"] {
        let answer = guarded.https(&path("/1"), &[version, "--data-binary", "@long"]);
        assert_eq!((answer.exit, answer.status), (0, 200), "{answer:?}");
    }
    assert_eq!(guarded.https("/api/heartbeat/0123456789abcdef", &[]).status, 404);
    assert_eq!(
        guarded.https(&path(""), &["-H", "Host: other.example"]).status,
        421
    );
    for other in [
        "/api/heartbeat",
        "/api/heartbeats/x",
        "/api/../metrics",
        "/api/heartbeat/../../metrics",
        "/api/heartbeat/../status",
        "/api/status",
        "/service/a",
    ] {
        assert_eq!(guarded.https(other, &[]).status, 401, "{other}");
        // Without the normalization of curl, dots are part of an unknown token.
        let status = guarded.https(other, &["--path-as-is"]).status;
        assert!(matches!(status, 401 | 404), "{other}: {status}");
    }
    let shown = guarded.https("/service/a", &["-u", "bob:builder"]).body;
    assert!(shown.contains("failed"), "{shown}");
    for text in [shown, guarded.log()] {
        assert!(!text.contains(TOKEN), "{text}");
    }
}
