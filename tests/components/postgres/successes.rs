//! Successful runs: their metrics, and how one session is reused, replaced and closed.

use super::*;

#[tokio::test]
async fn a_successful_run_reports_statistics() {
    let server = Postgres::start("max_connections = 20");
    let mut check = postgres(&server.app(), "");
    let ran = run!(check, LONG);
    ran.succeeded();
    assert_eq!(ran.report.warning, None);
    let version = server.sql("SHOW server_version");
    let version = version.split(' ').next().unwrap();
    assert_eq!(
        ran.value("upkeep_postgres_version_info", Some(version)),
        Some(1.0)
    );
    assert_eq!(value(&ran, "in_recovery"), Some(0.0));
    assert_eq!(value(&ran, "connections"), Some(1.0));
    assert_eq!(value(&ran, "max_connections"), Some(20.0));
    assert_eq!(value(&ran, "connection_ratio_limit"), Some(0.9));
    assert!(value(&ran, "database_size_bytes").unwrap() > 1e6);
    assert_eq!(value(&ran, "replication_lag_seconds"), None);
    assert_eq!(value(&ran, "replication_lag_limit_seconds"), None);
    assert_eq!(ran.not_after(), None);
    assert_eq!(server.sessions(), 1);

    // Another role's transaction is hidden from this role. The superuser sees it.
    let mut holder = std::process::Command::new("/bin/sh")
        .args(["-c", "exec \"$0\" \"$@\"", &psql()])
        .args(["-X", "-c", "SELECT pg_sleep(60)", &server.superuser()])
        .spawn()
        .unwrap();
    let mut all = postgres(&server.superuser(), "");
    let ran = until("a transaction is seen", &mut all, |ran| {
        value(ran, "oldest_transaction_seconds").is_some_and(|age| age > 0.0)
    })
    .await;
    assert_eq!(value(&ran, "connections"), Some(3.0));
    let plain = run!(check, LONG);
    assert_eq!(
        value(&plain, "oldest_transaction_seconds"),
        None,
        "a hidden value is absent"
    );
    assert_eq!(value(&plain, "connections"), Some(3.0));
    holder.kill().unwrap();
    holder.wait().unwrap();
    server.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(60)' AND pid <> pg_backend_pid()");
    until("no transaction is left", &mut all, |ran| {
        value(ran, "oldest_transaction_seconds") == Some(0.0)
    })
    .await
    .succeeded();
    drop((check, all));
    server.freed();
}

fn psql() -> String {
    let found = std::fs::read_dir("/usr/lib/postgresql").unwrap();
    let mut found: Vec<_> = found
        .map(|entry| entry.unwrap().path().join("bin/psql"))
        .collect();
    found.sort();
    found.pop().unwrap().display().to_string()
}

#[tokio::test]
async fn a_reused_session_takes_one_round_trip_and_is_replaced_when_closed() {
    let mut server = Postgres::start("log_statement = all\nlog_connections = on\nlog_disconnections = on");
    server.sql("ALTER ROLE app CONNECTION LIMIT 1");
    let mut check = postgres(&server.app(), "");
    for _ in 0..5 {
        run!(check, LONG).succeeded();
    }
    let logins = |server: &Postgres| server.log().matches("connection authorized: user=app").count();
    assert_eq!(logins(&server), 1);
    let sizes = |server: &Postgres| server.log().matches("pg_database_size").count();
    // Not every run measures the size.
    assert_eq!(sizes(&server), 1);
    assert_eq!(server.log().matches("statement: SELECT 1").count(), 5);

    // An administrator ends the session: the next run opens a new one.
    server.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'app'");
    run!(check, LONG).succeeded();
    assert_eq!(logins(&server), 2);

    // After a crash and a restart, the server is up again.
    server.kill();
    let down = run!(check, LONG);
    down.failed(Reason::Refused, "connecting to 127.0.0.1:");
    server.restart();
    run!(check, LONG).succeeded();
    let before = server.sql("SELECT pid FROM pg_stat_activity WHERE usename = 'app'");
    server.kill();
    server.restart();
    run!(check, LONG).succeeded();
    server.restart();
    run!(check, LONG).succeeded();
    assert_eq!(server.sessions(), 1);
    assert_ne!(
        server.sql("SELECT pid FROM pg_stat_activity WHERE usename = 'app'"),
        before
    );
    drop(check);
    server.freed();

    // After a minute the check opens a new session, and measures the size again.
    let mut aged = postgres(&server.app(), "");
    run!(aged, LONG).succeeded();
    let before = (logins(&server), sizes(&server));
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(59)).await;
    tokio::time::resume();
    run!(aged, LONG).succeeded();
    assert_eq!((logins(&server), sizes(&server)), before);
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(1)).await;
    tokio::time::resume();
    run!(aged, LONG).succeeded();
    assert_eq!((logins(&server), sizes(&server)), (before.0 + 1, before.1 + 1));
    drop(aged);
    server.freed();

    // Every run has its own session. With a limit of one session, the server would refuse a second one at once.
    let mut fresh = postgres(&server.app(), "reuse_connection: false");
    let before = logins(&server);
    for _ in 0..3 {
        run!(fresh, LONG).succeeded();
        server.freed();
    }
    assert_eq!(logins(&server), before + 3);
    assert!(!server.log().contains("unexpected EOF"), "{}", server.log());
}

#[tokio::test]
async fn a_query_runs_read_only_within_its_timeout_and_its_result_is_checked() {
    let server = Postgres::start("");
    let url = server.app();
    for (keys, ends) in [
        ("query: 'SELECT 42', expect: 42", None),
        ("query: 'SELECT 42'", None),
        ("query: 'SELECT 1 WHERE false'", None),
        ("query: 'SHOW server_encoding', expect: UTF8", None),
        (
            "query: \"WITH x AS (VALUES ('a', 'b')) SELECT * FROM x -- note\", expect: a",
            None,
        ),
        ("query: 'SELECT true', expect: t", None),
        (
            "query: 'SELECT n FROM generate_series(1, 1000) n', expect: 1",
            None,
        ),
        (
            "query: 'SELECT 42', expect: 43",
            Some((Reason::Assertion, "the query returned \"42\", expected \"43\"")),
        ),
        (
            "query: 'SELECT NULL', expect: x",
            Some((Reason::Assertion, "the query returned NULL")),
        ),
        (
            "query: 'SELECT 1 WHERE false', expect: x",
            Some((Reason::Assertion, "the query returned no row")),
        ),
        (
            "query: 'SELECT * FROM absent'",
            Some((
                Reason::Missing,
                "relation \"absent\" does not exist (SQLSTATE 42P01): create it",
            )),
        ),
        ("query: 'SELEC 1'", Some((Reason::Assertion, "syntax error"))),
        (
            "query: 'SELECT 1 / 0'",
            Some((Reason::Assertion, "division by zero (SQLSTATE 22012)")),
        ),
        (
            "query: 'CREATE TABLE t (x int)'",
            Some((
                Reason::Assertion,
                "cannot execute CREATE TABLE in a read-only transaction",
            )),
        ),
        (
            "query: 'SELECT * FROM pg_authid'",
            Some((
                Reason::Auth,
                "permission denied for table pg_authid (SQLSTATE 42501): grant",
            )),
        ),
        (
            "query: 'SELECT pg_sleep(60)', statement_timeout: 200ms",
            Some((
                Reason::Timeout,
                "statement timeout (SQLSTATE 57014): make the query faster",
            )),
        ),
        (
            "query: 'SELECT n FROM generate_series(1, 1000000) n'",
            Some((
                Reason::Limit,
                "it sent more than 262144 bytes: return only one row",
            )),
        ),
        (
            "query: \"SELECT repeat('x', 100000000)\"",
            Some((Reason::Limit, "it sent more than 262144 bytes")),
        ),
    ] {
        let ran = once(&url, keys).await;
        match ends {
            None => ran.succeeded(),
            Some((reason, text)) => ran.failed(reason, text),
        };
        // An error of the query does not affect the statistics.
        if !matches!(ends, Some((Reason::Limit, _))) {
            assert_eq!(value(&ran, "in_recovery"), Some(0.0), "{keys}");
            assert!(ran.report.response_time.is_some());
        }
        server.freed();
    }
    assert_eq!(
        server.sql("SELECT count(*) FROM pg_class WHERE relname = 't'"),
        "0"
    );

    // A cancelled run leaves a query behind, which the server ends soon.
    let mut check = postgres(&url, "query: 'SELECT pg_sleep(60)', statement_timeout: 50s");
    for _ in 0..2 {
        let ran = run!(check, Duration::from_secs(4));
        assert_eq!(ran.result, None);
        assert_eq!(ran.report.step, "waiting for the response to the query");
        server.freed();
    }
}

#[tokio::test]
async fn statistics_can_be_disabled_and_are_absent_if_refused() {
    let server = Postgres::start("log_statement = all");
    let mut check = postgres(&server.app(), "metrics: false");
    let ran = run!(check, LONG);
    ran.succeeded();
    let names: Vec<_> = ran
        .report
        .samples
        .iter()
        .map(|sample| sample.family.name)
        .collect();
    assert_eq!(names, ["upkeep_postgres_version_info"]);
    assert!(!server.log().contains("pg_stat_get_activity"));
    drop(check);
    // The server lets nobody read its statistics or the size.
    server.sql_in_database(
        "app",
        "REVOKE EXECUTE ON FUNCTION pg_stat_get_activity(int) FROM PUBLIC; REVOKE CONNECT ON DATABASE app FROM PUBLIC; \
         GRANT CONNECT ON DATABASE app TO app",
    );
    let mut check = postgres(&server.app(), "");
    for _ in 0..3 {
        let ran = run!(check, LONG);
        ran.succeeded();
        assert_eq!(ran.report.warning, None);
        assert_eq!(value(&ran, "connections"), None);
        assert_eq!(value(&ran, "connection_ratio_limit"), Some(0.9));
    }
    drop(check);
    let refused = server
        .log()
        .matches("permission denied for function pg_stat_get_activity")
        .count();
    assert_eq!(refused, 1, "the statistics are not requested again");
    // A limit that can't be checked is a warning.
    let ran = once(&server.app(), "max_replication_lag: 5s").await;
    warned(&ran, Reason::Permission, "GRANT pg_monitor");
    server.freed();
}

#[tokio::test]
async fn unix_sockets_are_supported() {
    let server = Postgres::start("");
    let folder = server.folder().display().to_string();
    let encoded = folder.replace('/', "%2F");
    for url in [
        format!("postgres://app@{encoded}:{}/app", server.port),
        format!(
            "postgres://app@/app?host={folder}&port={}&sslmode=require",
            server.port
        ),
    ] {
        once(&url, "password: app-password").await.succeeded();
    }
    let url = format!("postgres://app@/app?host={folder}&port=1");
    let ran = once(&url, "password: app-password").await;
    ran.failed(
        Reason::Unreachable,
        &format!("connecting to {folder}/.s.PGSQL.1: No such file"),
    );
    server.freed();
}

#[test]
fn a_check_can_be_dropped_after_its_runtime() {
    let server = Postgres::start("");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let mut check = postgres(&server.app(), "");
    runtime.block_on(async {
        run!(check, LONG).succeeded();
    });
    drop(runtime);
    drop(check);
    server.freed();
}
