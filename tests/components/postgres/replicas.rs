//! Standbys: their lag, and `target_session_attrs`.

use super::*;

fn has_caught_up(ran: &Ran) -> bool {
    value(ran, "replication_lag_seconds") == Some(0.0)
}

#[tokio::test]
async fn a_standby_reports_its_lag_and_is_not_writable() {
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
    // If the role may not see the standbys, the check warns that it can't judge the lag.
    let plain = once(&primary.app(), "max_replication_lag: 1s").await;
    assert_eq!(value(&plain, "replication_lag_seconds"), None);
    warned(&plain, Reason::Permission, "the role may not read the lag");
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
            Some("is a standby (in recovery), but target_session_attrs requires a writable primary"),
        ),
        (&standby, "primary", Some("is a standby (in recovery)")),
        (
            &primary,
            "standby",
            Some("is a writable primary, but target_session_attrs requires a read-only"),
        ),
        (&primary, "read-only", Some("is a writable primary")),
    ] {
        let url = format!("{}?target_session_attrs={attributes}", server.app());
        let ran = once(&url, "").await;
        match failure {
            None => ran.succeeded(),
            Some(text) => ran.failed(Reason::State, text),
        };
        // Statistics are reported although the run failed.
        assert!(value(&ran, "in_recovery").is_some());
    }
    primary.sql("ALTER ROLE app SET default_transaction_read_only = on");
    let url = format!("{}?target_session_attrs=read-write", primary.app());
    once(&url, "")
        .await
        .failed(Reason::State, "is a primary with default_transaction_read_only");
    primary.sql("ALTER ROLE app RESET default_transaction_read_only");

    // The standby stops replaying while the primary writes, so the lag grows.
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

    // Without its primary a standby falls behind, although it has replayed everything that it received.
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
async fn a_standby_that_accepts_no_sessions_is_a_failure() {
    let primary = Postgres::start("");
    primary.allow("local all all trust\nhost all,replication all 127.0.0.1/32 scram-sha-256\n");
    let standby = primary.standby("hot_standby = off");
    let mut check = postgres(&standby.app(), "");
    let ran = until("it responds", &mut check, |ran| {
        ran.failed(Reason::State, "(SQLSTATE 57P03): wait until it has started");
        format!("{:?}", ran.result).contains("not accepting connections")
    })
    .await;
    ran.without_response();
}
