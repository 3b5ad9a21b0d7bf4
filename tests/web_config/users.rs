//! Users and passwords, and a rate of requests.

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
async fn users_with_their_passwords_get_every_page_and_nobody_else_any() {
    let guarded = Guarded::start(&users()).await;
    for path in ["/metrics", "/", "/-/healthy", "/-/ready", "/-/reload", "/nowhere"] {
        for arguments in [
            &[][..],
            &["-u", "alice:builder"],
            &["-u", "alice:"],
            &["-u", "carol:wonderland"],
            &["-H", "Authorization: Bearer wonderland"],
        ] {
            // Ten wrong passwords are borne at once, and some of these requests bear none.
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
        for path in ["/metrics", "/", "/-/healthy"] {
            assert_eq!(guarded.http(path, &["-u", user]).status, 200, "{user}");
        }
    }
    assert!(!guarded.log().contains("wonderland"), "{}", guarded.log());
}

#[tokio::test]
async fn tls_and_http2_change_nothing_about_users() {
    let guarded = Guarded::start(&format!("{TLS}{}", users())).await;
    assert_eq!(guarded.https("/metrics", &["--http2"]).status, 401);
    assert_eq!(guarded.https("/metrics", &["--http2", "-u", "bob:x"]).status, 401);
    let answer = guarded.https("/metrics", &["--http2", "-u", "bob:builder"]);
    assert_eq!((answer.status, answer.version.as_str()), (200, "2"), "{answer:?}");
}

#[tokio::test]
async fn a_right_password_is_slow_once() {
    let guarded = Guarded::start(&format!(
        "basic_auth_users: {{alice: {}}}",
        hash("wonderland", 13)
    ))
    .await;
    let ask = || {
        let begun = Instant::now();
        assert_eq!(
            guarded.http("/-/healthy", &["-u", "alice:wonderland"]).status,
            200
        );
        begun.elapsed()
    };
    let first = ask();
    let others = (0..5).map(|_| ask()).max().unwrap();
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
    let ask = |user: &str| {
        let begun = Instant::now();
        assert_eq!(
            guarded.http("/-/healthy", &["-u", &format!("{user}:x")]).status,
            401
        );
        begun.elapsed()
    };
    // The least of several: everything else on this machine only adds.
    let known = (0..4).map(|_| ask("alice")).min().unwrap();
    let unknown = (0..4).map(|_| ask("nobody")).min().unwrap();
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
