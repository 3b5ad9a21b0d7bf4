//! Refusals of real servers, and their messages.

use rustix::process::Signal;

use super::*;

#[tokio::test]
async fn refused_logins_have_reasons_and_hide_secrets() {
    let server = Postgres::start("");
    let port = server.port;
    let with = |user: &str, database: &str, options: &str| {
        format!("postgres://{user}@127.0.0.1:{port}/{database}?sslmode=disable{options}")
    };
    let password_file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(password_file.path(), "wrong-hunter2\n").unwrap();
    let from_file = format!("password_file: {}", password_file.path().display());
    for (url, keys, reason, text) in [
        (
            with("app:wrong-hunter2", "app", ""),
            "",
            Reason::Auth,
            "logging in: password authentication failed for user \"app\" (SQLSTATE 28P01): check the user and the password",
        ),
        (
            with("app", "app", ""),
            "password: wrong-hunter2",
            Reason::Auth,
            "SQLSTATE 28P01",
        ),
        (with("app", "app", ""), &from_file, Reason::Auth, "SQLSTATE 28P01"),
        (
            with("app", "app", ""),
            "password_env: PATH",
            Reason::Auth,
            "SQLSTATE 28P01",
        ),
        // With SCRAM, a server does not reveal which users exist.
        (
            with("nobody:wrong-hunter2", "app", ""),
            "",
            Reason::Auth,
            "SQLSTATE 28P01",
        ),
        (
            with("app", "app", ""),
            "",
            Reason::Auth,
            "the server requires a password: set password_file",
        ),
        (
            with("app:app-password", "absent", ""),
            "",
            Reason::Missing,
            "database \"absent\" does not exist (SQLSTATE 3D000): check the database's name",
        ),
        (
            with("app:app-password", "app", "&options=-c%20no_such=1"),
            "",
            Reason::Status,
            "unrecognized configuration parameter \"no_such\"",
        ),
        (
            with("app:app-password", "app", "").replace("disable", "require"),
            "",
            Reason::Tls,
            "the server does not support TLS: set ssl = on",
        ),
    ] {
        let ran = once(&url, keys).await;
        ran.failed(reason, text);
        hides(&ran, "hunter2");
        hides(&ran, "app-password");
        hides(&ran, &std::env::var("PATH").unwrap());
    }
    server.sql("ALTER DATABASE app ALLOW_CONNECTIONS false");
    once(&server.app(), "")
        .await
        .failed(Reason::State, "not currently accepting connections");
    server.sql("ALTER DATABASE app ALLOW_CONNECTIONS true; REVOKE CONNECT ON DATABASE app FROM PUBLIC, app");
    once(&server.app(), "")
        .await
        .failed(Reason::Auth, "grant the role CONNECT");
    server.sql("GRANT CONNECT ON DATABASE app TO PUBLIC");

    server
        .allow("local all all trust\nhost all nobody 127.0.0.1/32 trust\nhost app app 127.0.0.1/32 reject\n");
    once(&with("nobody", "app", ""), "")
        .await
        .failed(Reason::Auth, "role \"nobody\" does not exist (SQLSTATE 28000)");
    once(&server.app(), "")
        .await
        .failed(Reason::Auth, "pg_hba.conf rejects connection");
    once(&with("postgres", "app", ""), "")
        .await
        .failed(Reason::Auth, "no pg_hba.conf entry");
    server.allow("local all all trust\nhost all all 127.0.0.1/32 md5\n");
    server.sql("SET password_encryption = md5; ALTER ROLE app PASSWORD 'app-password'");
    once(&server.app(), "").await.succeeded();
    server.allow("local all all trust\nhost all all 127.0.0.1/32 password\n");
    once(&server.app(), "").await.succeeded();
    server.freed();
}

#[tokio::test]
async fn a_rotated_password_needs_no_reload() {
    let server = Postgres::start("");
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "app-password\n").unwrap();
    let keys = format!("password_file: {}", file.path().display());
    let mut check = postgres(&server.url("app", ""), &keys);
    run!(check, LONG).succeeded();
    // The role allows one session, so the old one must end before the new one starts.
    server.sql("ALTER ROLE app CONNECTION LIMIT 1 PASSWORD 'second'");
    for round in 0..5 {
        let password = format!("second{}", "x".repeat(round));
        server.sql(&format!("ALTER ROLE app PASSWORD '{password}'"));
        std::fs::write(file.path(), &password).unwrap();
        run!(check, LONG).succeeded();
        assert_eq!(server.sessions(), 1);
    }
    std::fs::write(file.path(), "third").unwrap();
    run!(check, LONG).failed(Reason::Auth, "SQLSTATE 28P01");
    server.sql("ALTER ROLE app PASSWORD 'third'");
    run!(check, LONG).succeeded();
    std::fs::remove_file(file.path()).unwrap();
    run!(check, LONG).failed(Reason::Auth, "reading the secret file");
    drop(check);
    server.freed();
}

#[tokio::test]
async fn too_many_connections_are_first_a_warning_and_then_a_failure() {
    let server = Postgres::start("max_connections = 8\nsuperuser_reserved_connections = 2");
    let mut checks = Vec::new();
    for count in 1..=6 {
        let mut check = postgres(&server.app(), "max_connection_share: 0.5");
        let ran = run!(check, LONG);
        assert_eq!(value(&ran, "connections"), Some(f64::from(count)));
        match count {
            1..4 => assert_eq!(ran.report.warning, None, "{count}"),
            _ => warned(
                &ran,
                Reason::Limit,
                &format!("{count} of 8 connections are in use"),
            ),
        }
        checks.push(check);
    }
    let ran = once(&server.app(), "").await;
    ran.failed(Reason::Limit, "remaining connection slots are reserved");
    ran.failed(Reason::Limit, "(SQLSTATE 53300): raise max_connections");
    let mut superuser = postgres(&server.superuser(), "");
    run!(superuser, LONG).succeeded();
    let mut last = postgres(&server.superuser(), "");
    run!(last, LONG).succeeded();
    once(&server.superuser(), "")
        .await
        .failed(Reason::Limit, "too many clients already");
    drop((checks, superuser, last));
    server.freed();
    server.sql("ALTER ROLE app CONNECTION LIMIT 0");
    once(&server.app(), "")
        .await
        .failed(Reason::Limit, "too many connections for role \"app\"");
}

#[tokio::test]
async fn a_stopped_server_is_a_timeout_and_a_server_that_shuts_down_is_a_failure() {
    let mut server = Postgres::start("");
    let mut kept = postgres(&server.app(), "");
    run!(kept, LONG).succeeded();
    server.freeze();
    run!(kept, SHORT).hung("waiting for the response to SELECT 1");
    // The kernel accepts the connection for the stopped server.
    run!(kept, SHORT).hung("waiting for 127.0.0.1:");
    let mut plain = postgres(&format!("{}?sslmode=disable", server.app()), "");
    run!(plain, SHORT).hung("logging in to postgres://127.0.0.1:");
    server.thaw();
    run!(kept, LONG).succeeded();
    drop(plain);

    // A smart shutdown waits for the open session, and accepts no new ones.
    server.signal(Signal::TERM);
    let mut new = postgres(&server.app(), "reuse_connection: false");
    let ran = until("the server shuts down", &mut new, |ran| {
        matches!(ran.result, Some(Err(_)))
    })
    .await;
    ran.failed(
        Reason::State,
        "the database system is shutting down (SQLSTATE 57P03)",
    );
    drop(kept);
    server.stop(Signal::INT);
    once(&server.app(), "")
        .await
        .failed(Reason::Refused, "connecting to 127.0.0.1:");
}

#[tokio::test]
async fn a_replaced_session_ends_before_the_next_one_starts() {
    let server = Postgres::start("");
    server.allow("local all all trust\nhost all all 127.0.0.1/32 trust\n");
    server.sql("ALTER ROLE app CONNECTION LIMIT 1");
    let file = tempfile::NamedTempFile::new().unwrap();
    let keys = format!("password_file: {}", file.path().display());
    let mut check = postgres(&server.url("app", ""), &keys);
    for round in 0..100 {
        // The server accepts any password, but a changed one requires a new session.
        std::fs::write(file.path(), format!("{round}")).unwrap();
        run!(check, LONG).succeeded();
    }
    assert_eq!(server.sessions(), 1);
}
