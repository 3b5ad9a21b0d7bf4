//! Standbys: their lag, and what may be asked of them.

use super::*;

fn has_caught_up(ran: &Ran) -> bool {
    value(ran, "replication_lag_seconds") == Some(0.0)
}

#[tokio::test]
async fn a_standby_tells_its_lag_and_is_none_to_write_to() {
    let mut primary = Postgres::start("wal_level = replica\nhot_standby = on");
    primary.allow("local all all trust\nhost all,replication all 127.0.0.1/32 scram-sha-256\n");
    let standby = primary.standby("wal_receiver_status_interval = 1s");
    let mut check = postgres(&standby.app(), "max_replication_lag: 1s");
    let mut of_primary = postgres(&primary.superuser(), "max_replication_lag: 1s");
    let ran = until("the standby has caught up", &mut check, has_caught_up).await;
    ran.succeeded();
    assert_eq!(ran.report.warning, None);
    assert_eq!(value(&ran, "in_recovery"), Some(1.0));
    assert_eq!(value(&ran, "replication_lag_limit_seconds"), Some(1.0));
    let ran = run!(of_primary, LONG);
    assert_eq!(value(&ran, "in_recovery"), Some(0.0));
    assert!(value(&ran, "replication_lag_seconds").unwrap() < 1.0);
    // A role that may not see the standbys says that it can't judge them.
    let plain = once(&primary.app(), "max_replication_lag: 1s").await;
    assert_eq!(value(&plain, "replication_lag_seconds"), None);
    warned(&plain, Reason::Permission, "the role may not read it");
    assert_eq!(once(&primary.app(), "").await.report.warning, None);

    for (server, attributes, failure) in [
        (&standby, "any", None),
        (&standby, "standby", None),
        (&standby, "read-only", None),
        (&standby, "prefer-standby", None),
        (&primary, "primary", None),
        (&primary, "read-write", None),
        (
            &standby,
            "read-write",
            Some("is a standby (in recovery), and target_session_attrs asks for a primary"),
        ),
        (&standby, "primary", Some("is a standby (in recovery)")),
        (
            &primary,
            "standby",
            Some("is a primary that can be written to, and target_session_attrs asks for a read-only"),
        ),
        (&primary, "read-only", Some("is a primary that can be written to")),
    ] {
        let url = format!("{}?target_session_attrs={attributes}", server.app());
        let ran = once(&url, "").await;
        match failure {
            None => ran.succeeded(),
            Some(text) => ran.failed(Reason::State, text),
        };
        // What was measured is served though the run failed.
        assert!(value(&ran, "in_recovery").is_some());
    }
    primary.sql("ALTER ROLE app SET default_transaction_read_only = on");
    let url = format!("{}?target_session_attrs=read-write", primary.app());
    once(&url, "")
        .await
        .failed(Reason::State, "is a primary with default_transaction_read_only");
    primary.sql("ALTER ROLE app RESET default_transaction_read_only");

    // Replay stops, writing goes on: the lag grows. A tenth of a second of writing is enough.
    standby.sql("SELECT pg_wal_replay_pause()");
    let is_warned = |ran: &Ran| {
        primary.sql("CREATE TABLE t (); DROP TABLE t");
        ran.report.warning.is_some()
    };
    let ran = until("the lag is over its limit", &mut check, is_warned).await;
    warned(&ran, Reason::Limit, "the replication lag is ");
    assert!((1.0..30.0).contains(&value(&ran, "replication_lag_seconds").unwrap()));
    let ran = until("the primary knows of it", &mut of_primary, is_warned).await;
    warned(&ran, Reason::Limit, "the replication lag is ");
    standby.sql("SELECT pg_wal_replay_resume()");
    until("the standby has caught up again", &mut check, has_caught_up).await;

    // Without its primary a standby falls behind, though it has replayed all that it got.
    drop(of_primary);
    primary.kill();
    let ran = until("the lag grows", &mut check, |ran| {
        value(ran, "replication_lag_seconds").is_some_and(|lag| lag > 0.0)
    })
    .await;
    assert!(value(&ran, "replication_lag_seconds").unwrap() < 10.0);

    standby.sql("SELECT pg_promote()");
    let ran = run!(check, LONG);
    ran.succeeded();
    assert_eq!(value(&ran, "in_recovery"), Some(0.0));
    assert_eq!(value(&ran, "replication_lag_seconds"), None);
    drop(check);
    standby.freed();
}

#[tokio::test]
async fn a_standby_that_takes_no_sessions_says_so() {
    let primary = Postgres::start("");
    primary.allow("local all all trust\nhost all,replication all 127.0.0.1/32 scram-sha-256\n");
    let standby = primary.standby("hot_standby = off");
    let mut check = postgres(&standby.app(), "");
    let ran = until("it answers", &mut check, |ran| {
        ran.failed(Reason::State, "(SQLSTATE 57P03): wait until it has started");
        format!("{:?}", ran.result).contains("not accepting connections")
    })
    .await;
    ran.unanswered();
}
