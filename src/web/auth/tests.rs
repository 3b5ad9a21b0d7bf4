//! Tests of the authentication of requests.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::HeaderMap;
use http::header::AUTHORIZATION;

use super::password_checks::{MAX_CHECKS, MAX_WAITING};
use super::users::MAX_LOGINS;
use super::{AuthError, Authenticator, FAILURES, Users};
use crate::web::config::{Files, parse_bytes};
use crate::web::peer::Peer;

/// Users `alice` and `bob`, whose passwords are `wonderland` and `builder`.
fn users() -> Arc<Users> {
    let hash = |password: &str| bcrypt::hash(password, 4).unwrap();
    let text = format!(
        "basic_auth_users: {{alice: {}, bob: {}}}",
        hash("wonderland"),
        hash("builder")
    );
    let none = |_: &std::path::Path| unreachable!("no file is named");
    let files = Files::new("".as_ref(), &none);
    Users::new(
        parse_bytes(text.as_bytes(), "web.yml", &files).unwrap().users,
        None,
    )
}

fn basic(user: &str, password: &str) -> HeaderMap {
    let encoded = BASE64_STANDARD.encode(format!("{user}:{password}"));
    header(&format!("Basic {encoded}"))
}

fn header(value: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, value.parse().unwrap());
    headers
}

/// How many passwords were compared with a bcrypt hash.
fn comparisons(authenticator: &Authenticator) -> u64 {
    authenticator.comparisons.load(Ordering::Relaxed)
}

fn ip(number: u8) -> Peer {
    Peer::Ip([192, 0, 2, number].into())
}

#[tokio::test]
async fn a_correct_password_is_compared_once() {
    let (authenticator, users) = (Authenticator::new(), users());
    for _ in 0..100 {
        let admitted = authenticator
            .authenticate(&users, ip(1), &basic("alice", "wonderland"))
            .await;
        assert_eq!(admitted, Ok(()));
    }
    assert_eq!(comparisons(&authenticator), 1);
    // A reload with the same hashes changes nothing. A new hash requires a new comparison.
    let again = Users::new(users.hashes.clone(), Some(&users));
    let admitted = authenticator
        .authenticate(&again, ip(1), &basic("alice", "wonderland"))
        .await;
    assert_eq!((admitted, comparisons(&authenticator)), (Ok(()), 1));
    let other = Users::new(self::users().hashes.clone(), Some(&users));
    let admitted = authenticator
        .authenticate(&other, ip(1), &basic("alice", "wonderland"))
        .await;
    assert_eq!((admitted, comparisons(&authenticator)), (Ok(()), 2));
}

#[tokio::test]
async fn an_unknown_user_takes_as_long_as_a_known_one() {
    let (authenticator, users) = (Authenticator::new(), users());
    let refused = Err(AuthError::Unauthorized);
    for (round, user) in ["alice", "nobody", "", "alice\u{e9}"].into_iter().enumerate() {
        let admitted = authenticator
            .authenticate(&users, ip(1), &basic(user, "wrong"))
            .await;
        assert_eq!(
            (admitted, comparisons(&authenticator)),
            (refused, round as u64 + 1),
            "{user}"
        );
    }
    // The password of the user whose hash is used instead does not help.
    for password in ["wonderland", "builder"] {
        let admitted = authenticator
            .authenticate(&users, ip(2), &basic("nobody", password))
            .await;
        assert_eq!(admitted, refused);
    }
    assert!(users.has_no_logins());
    // Nor does another user's password.
    authenticator
        .authenticate(&users, ip(3), &basic("bob", "builder"))
        .await
        .unwrap();
    let admitted = authenticator
        .authenticate(&users, ip(3), &basic("alice", "builder"))
        .await;
    assert_eq!(admitted, refused);
}

#[tokio::test]
async fn malformed_credentials_are_refused_without_a_comparison() {
    let (authenticator, users) = (Authenticator::new(), users());
    for value in [
        "",
        "Basic",
        "Basic ",
        "Basic !",
        "Bearer YTpi",
        "Basic YWxpY2U=",
        "Basic /zpi",
    ] {
        let admitted = authenticator.authenticate(&users, ip(1), &header(value)).await;
        assert_eq!(admitted, Err(AuthError::Unauthorized), "{value}");
    }
    let admitted = authenticator.authenticate(&users, ip(1), &HeaderMap::new()).await;
    assert_eq!(
        (admitted, comparisons(&authenticator)),
        (Err(AuthError::Unauthorized), 0)
    );
    let encoded = BASE64_STANDARD.encode("bob:builder");
    let admitted = authenticator
        .authenticate(&users, ip(1), &header(&format!("bAsIc  {encoded}")))
        .await;
    assert_eq!(admitted, Ok(()));
}

#[tokio::test]
async fn only_the_address_that_guesses_passwords_is_blocked() {
    let (authenticator, users) = (Authenticator::new(), users());
    authenticator
        .authenticate(&users, ip(1), &basic("bob", "builder"))
        .await
        .unwrap();
    for attempt in 0..FAILURES.burst {
        let admitted = authenticator
            .authenticate(&users, ip(1), &basic("alice", &attempt.to_string()))
            .await;
        assert_eq!(admitted, Err(AuthError::Unauthorized));
    }
    let before = comparisons(&authenticator);
    let refused = authenticator
        .authenticate(&users, ip(1), &basic("alice", "wonderland"))
        .await;
    assert!(matches!(refused, Err(AuthError::TooManyFailures(wait)) if wait <= FAILURES.interval));
    assert_eq!(comparisons(&authenticator), before);
    assert_eq!(
        authenticator
            .authenticate(&users, ip(1), &basic("bob", "builder"))
            .await,
        Ok(())
    );
    assert_eq!(
        authenticator
            .authenticate(&users, ip(2), &basic("alice", "wonderland"))
            .await,
        Ok(())
    );
}

#[tokio::test]
async fn a_login_elsewhere_does_not_help_to_guess() {
    let (authenticator, users) = (Authenticator::new(), users());
    let right = basic("alice", "wonderland");
    authenticator.authenticate(&users, ip(1), &right).await.unwrap();
    let mut results = Vec::new();
    for attempt in 0..20_000 {
        let wrong = basic("alice", &attempt.to_string());
        results.push(authenticator.authenticate(&users, ip(2), &wrong).await);
    }
    let unauthorized = |results: &[Result<(), AuthError>]| {
        let expected = Err(AuthError::Unauthorized);
        results.iter().filter(|result| **result == expected).count()
    };
    // The checks take well under six seconds, after which one more attempt is allowed.
    assert!(
        (10..=11).contains(&unauthorized(&results)),
        "{}",
        unauthorized(&results)
    );
    assert!(
        results[12..]
            .iter()
            .all(|result| matches!(result, Err(AuthError::TooManyFailures(_))))
    );
    // The blocked address is refused even with the correct password. The address that logged in before is served.
    let admitted = authenticator.authenticate(&users, ip(2), &right).await;
    assert!(
        matches!(admitted, Err(AuthError::TooManyFailures(_))),
        "{admitted:?}"
    );
    assert_eq!(authenticator.authenticate(&users, ip(1), &right).await, Ok(()));
    // A new address with the correct password needs no comparison.
    let before = comparisons(&authenticator);
    assert_eq!(authenticator.authenticate(&users, ip(3), &right).await, Ok(()));
    assert_eq!(comparisons(&authenticator), before);
}

#[tokio::test]
async fn the_failure_limit_applies_before_a_pending_check_is_joined() {
    let (authenticator, users) = (Authenticator::new(), users());
    for attempt in 0..FAILURES.burst {
        let wrong = basic("alice", &attempt.to_string());
        let admitted = authenticator.authenticate(&users, ip(2), &wrong).await;
        assert_eq!(admitted, Err(AuthError::Unauthorized));
    }
    let permits = authenticator.checks.hold().await;
    let right = basic("alice", "wonderland");
    let mut login = std::pin::pin!(authenticator.authenticate(&users, ip(1), &right));
    assert!(futures_util::poll!(login.as_mut()).is_pending());
    let guess = authenticator.authenticate(&users, ip(2), &right).await;
    assert!(matches!(guess, Err(AuthError::TooManyFailures(_))), "{guess:?}");
    drop(permits);
    assert_eq!(login.await, Ok(()));
}

#[tokio::test]
async fn a_flood_from_many_networks_blocks_no_known_client() {
    let (authenticator, users) = (Authenticator::new(), users());
    let network =
        |number: u16| Peer::Ip(std::net::Ipv6Addr::new(0x2001, 0xdb8, 0, number, 0, 0, 0, 1).into());
    let right = basic("alice", "wonderland");
    authenticator
        .authenticate(&users, network(0), &right)
        .await
        .unwrap();
    let flood = (1..6000).map(|number| {
        let (authenticator, users) = (Arc::clone(&authenticator), Arc::clone(&users));
        async move {
            let wrong = basic("alice", &number.to_string());
            authenticator.authenticate(&users, network(number), &wrong).await
        }
    });
    for result in futures_util::future::join_all(flood).await {
        assert!(result.is_err());
    }
    assert_eq!(
        authenticator.authenticate(&users, network(0), &right).await,
        Ok(())
    );
    // Logins of one user are bounded, and evict no logins of another user.
    authenticator
        .authenticate(&users, ip(1), &basic("bob", "builder"))
        .await
        .unwrap();
    for number in 0..3 * u16::try_from(MAX_LOGINS).unwrap() {
        authenticator
            .authenticate(&users, network(number), &right)
            .await
            .unwrap();
    }
    assert_eq!((users.logins("alice"), users.logins("bob")), (MAX_LOGINS, 1));
}

#[tokio::test]
async fn concurrent_and_waiting_checks_are_bounded() {
    let (authenticator, users) = (Authenticator::new(), users());
    let permits = authenticator.checks.hold().await;
    let mut attempts = tokio::task::JoinSet::new();
    for number in 0..50 {
        let (authenticator, users) = (Arc::clone(&authenticator), Arc::clone(&users));
        attempts.spawn(async move {
            let wrong = number.to_string();
            authenticator
                .authenticate(&users, ip(number), &basic("alice", &wrong))
                .await
        });
    }
    let mut busy = 0;
    while busy < 50 - MAX_CHECKS - MAX_WAITING {
        assert_eq!(attempts.join_next().await.unwrap().unwrap(), Err(AuthError::Busy));
        busy += 1;
    }
    assert_eq!(comparisons(&authenticator), 0);
    drop(permits);
    let rest = attempts.join_all().await;
    assert_eq!(rest, vec![Err(AuthError::Unauthorized); MAX_CHECKS + MAX_WAITING]);
}

#[tokio::test]
async fn requests_with_the_same_credentials_share_one_check() {
    for (password, expected) in [("wonderland", Ok(())), ("x", Err(AuthError::Unauthorized))] {
        let (authenticator, users) = (Authenticator::new(), users());
        let requests = (0..100).map(|_| {
            let (authenticator, users) = (Arc::clone(&authenticator), Arc::clone(&users));
            async move {
                authenticator
                    .authenticate(&users, ip(1), &basic("alice", password))
                    .await
            }
        });
        let results = futures_util::future::join_all(requests).await;
        assert_eq!(results, vec![expected; 100], "{password}");
        assert_eq!(comparisons(&authenticator), 1, "{password}");
        assert!(authenticator.checks.is_idle());
    }
}
