//! Refusals of a real server, with their reasons: passwords, users, states and limits.

use std::fs;
use std::net::{TcpStream, UdpSocket};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::Signal;
use upkeep_exporter::model::Reason;

use super::{once, role, until, value, warned};
use crate::common::ran::{LONG, SHORT, check, run};
use crate::common::redis::Redis;
use crate::common::servers::eventually;

#[tokio::test]
async fn a_password_is_needed_and_has_to_be_right() {
    let redis = Redis::with_password("hunter2", &["user app on >app:pass ~* +@all"]).await;
    let url = |user: &str| format!("url: \"{}\"", redis.url(user, 0));
    once(&url("")).await.failed(
        Reason::Auth,
        "PING: the server requires a password: set password_file",
    );
    once(&url(":hunter2@")).await.succeeded();
    once(&format!("{}, password: hunter2", url(""))).await.succeeded();
    once(&url("app:app%3apass@")).await.succeeded();
    once(&format!("{}, username: app, password: \"app:pass\"", url("")))
        .await
        .succeeded();
    let file = redis.dir().join("password");
    fs::write(&file, "hunter2\n").unwrap();
    once(&format!(
        "{}, password_file: \"{}\"",
        url("default@"),
        file.display()
    ))
    .await
    .succeeded();
    // Cargo sets this variable for tests.
    let variable = std::env::var("CARGO_MANIFEST_DIR").unwrap();
    redis.ok(&[
        "ACL",
        "SETUSER",
        "env",
        "on",
        &format!(">{variable}"),
        "+@all",
        "~*",
    ]);
    let by_variable = format!("{}, username: env, password_env: CARGO_MANIFEST_DIR", url(""));
    once(&by_variable).await.succeeded();
    redis.ok(&["ACL", "SETUSER", "env", "resetpass", ">other"]);
    let wrong = "AUTH: the server rejects the password or does not know the user";
    for keys in [
        url(":hunter3@"),
        url("nobody:hunter3@"),
        format!("{}, password: hunter3", url("")),
        by_variable,
    ] {
        let ran = once(&keys).await;
        ran.failed(Reason::Auth, wrong);
        let shown = format!("{:?} {:?}", ran.result, ran.report);
        assert!(
            !shown.contains("hunter") && !shown.contains("nobody") && !shown.contains(&variable),
            "{shown}"
        );
    }
    redis.left().await;
}

#[tokio::test]
async fn a_password_is_rejected_by_a_server_without_one() {
    let redis = Redis::start(&[]).await;
    once(&format!("url: \"{}\"", redis.url(":hunter2@", 0)))
        .await
        .failed(
            Reason::Auth,
            "AUTH: the check has a password, but the server has none",
        );
}

#[tokio::test]
async fn a_password_is_rotated_without_a_reload() {
    let mut redis = Redis::with_password("first", &[]).await;
    let file = redis.dir().join("password");
    fs::write(&file, "first").unwrap();
    let keys = format!(
        "kind: redis, url: \"{}\", password_file: \"{}\"",
        redis.url("", 0),
        file.display()
    );
    let mut kept = check(&keys);
    let mut fresh = check(&format!("{keys}, reuse_connection: false"));
    run!(kept, LONG).succeeded();
    run!(fresh, LONG).succeeded();
    redis.ok(&["CONFIG", "SET", "requirepass", "second"]);
    redis.authenticate("second");
    run!(fresh, LONG).failed(Reason::Auth, "AUTH: the server rejects the password");
    fs::write(&file, "second").unwrap();
    run!(fresh, LONG).succeeded();
    run!(kept, LONG).succeeded();
    // A wrong password is noticed on a reused connection too, although the server would still accept that connection.
    fs::write(&file, "third").unwrap();
    run!(kept, LONG).failed(Reason::Auth, "AUTH: the server rejects the password");
    fs::remove_file(&file).unwrap();
    run!(kept, LONG).failed(Reason::Auth, "reading the secret file");
    redis.left().await;
}

#[tokio::test]
async fn users_may_lack_permissions() {
    let redis = Redis::with_password("hunter2", &["user a on >a +ping", "user b on >b +info"]).await;
    let ran = once(&format!("url: \"{}\"", redis.url("a:a@", 0))).await;
    assert_eq!(ran.succeeded().report.warning, None);
    assert!(ran.report.samples.is_empty());
    // Without INFO the limit can't be checked, which is a warning.
    let ran = once(&format!(
        "url: \"{}\", max_memory_share: 0.5",
        redis.url("a:a@", 0)
    ))
    .await;
    warned(&ran, Reason::Auth, "INFO: the user lacks permission");
    let ran = once(&format!("url: \"{}\"", redis.url("b:b@", 0))).await;
    ran.failed(
        Reason::Auth,
        "PING: the user lacks permission: allow the command with ACL SETUSER (NOPERM ",
    );
    assert_eq!(role(&ran), Some("master"), "INFO is allowed");
}

#[tokio::test]
async fn a_missing_database_is_reported() {
    let redis = Redis::start(&["databases 4"]).await;
    once(&format!("url: \"{}\"", redis.url("", 3))).await.succeeded();
    once(&format!("url: \"{}\"", redis.url("", 4))).await.failed(
        Reason::Missing,
        "SELECT: the server has no database with this number",
    );
}

#[tokio::test]
async fn a_server_that_loads_its_data() {
    let mut redis = Redis::start(&[]).await;
    redis.ok(&["DEBUG", "POPULATE", "2000", "key", "1000"]);
    redis.ok(&["SAVE"]);
    redis.kill();
    redis.configure("key-load-delay 2000\nloading-process-events-interval-bytes 1024");
    redis.restart_only();
    let keys = format!("url: \"{}\"", redis.url("", 0));
    let loading = |ran: &crate::common::ran::Ran| matches!(&ran.result, Some(Err(problem)) if problem.reason == Reason::State);
    let ran = until(&keys, "the server is loading", loading).await;
    ran.failed(
        Reason::State,
        "PING: the server is still loading its data (LOADING ",
    );
    assert_eq!(role(&ran), Some("master"), "INFO is answered while loading");
    until(&keys, "the server has loaded", |ran| ran.result == Some(Ok(()))).await;
}

#[tokio::test]
async fn a_script_that_keeps_the_server_busy() {
    let redis = Redis::start(&["lua-time-limit 50"]).await;
    let mut script = redis
        .cli_command(&["EVAL", "while true do end", "0"])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let keys = format!("url: \"{}\"", redis.url("", 0));
    let busy = |ran: &crate::common::ran::Ran| ran.result.as_ref().is_some_and(Result::is_err);
    until(&keys, "the server is busy", busy).await.failed(
        Reason::State,
        "PING: a script blocks the server: end it with SCRIPT KILL (BUSY ",
    );
    redis.ok(&["SCRIPT", "KILL"]);
    script.wait().unwrap();
    once(&keys).await.succeeded();
}

#[tokio::test]
async fn a_save_that_failed() {
    let redis = Redis::start(&["save 3600 1000"]).await;
    let keys = format!("url: \"{}\"", redis.url("", 0));
    let data = redis.dir().join("data");
    fs::remove_dir(&data).unwrap();
    redis.cli(&["BGSAVE"]);
    let ran = until(&keys, "the save has failed", |ran| {
        value(ran, "last_save_successful") == Some(0.0)
    })
    .await;
    ran.failed(Reason::State, "PING: the server rejects writes because it can't save its data: check its log and its disk (MISCONF ");
    // If the server still accepts writes, it is only a warning.
    redis.ok(&["CONFIG", "SET", "stop-writes-on-bgsave-error", "no"]);
    let ran = once(&keys).await;
    warned(&ran, Reason::State, "the last save of all data (RDB) failed");
}

#[tokio::test]
async fn a_server_at_its_client_limit() {
    let redis = Redis::start(&["maxclients 3"]).await;
    let address = format!("127.0.0.1:{}", redis.port());
    let holders: Vec<TcpStream> = (0..3).map(|_| TcpStream::connect(&address).unwrap()).collect();
    for user in ["", ":hunter2@"] {
        let keys = format!("url: \"{}\"", redis.url(user, 0));
        until(&keys, "the server is full", |ran| {
            ran.result.as_ref().is_some_and(Result::is_err)
        })
        .await
        .failed(
            Reason::Limit,
            "the server has reached its client limit: raise maxclients",
        );
    }
    drop(holders);
    let keys = format!("url: \"{}\"", redis.url("", 0));
    until(&keys, "the server accepts clients again", |ran| {
        ran.result == Some(Ok(()))
    })
    .await;
}

#[tokio::test]
async fn a_server_in_protected_mode() {
    // The mode affects clients from other machines. A connection to this machine's own address counts as one.
    let probe = UdpSocket::bind("0.0.0.0:0").unwrap();
    probe
        .connect("192.0.2.1:9")
        .expect("this machine has an address in addition to the loopback address");
    let own = probe.local_addr().unwrap().ip();
    let redis = Redis::start(&["bind 0.0.0.0", "protected-mode yes"]).await;
    once(&format!("url: \"redis://{own}:{}\"", redis.port()))
        .await
        .failed(
            Reason::Auth,
            "the server is in protected mode and accepts only local clients",
        );
    once(&format!("url: \"{}\"", redis.url("", 0))).await.succeeded();
}

#[tokio::test]
async fn a_server_that_hangs() {
    let redis = Redis::start(&[]).await;
    let keys = format!("kind: redis, url: \"{}\"", redis.url("", 0));
    let (mut kept, mut fresh) = (check(&keys), check(&keys));
    run!(kept, LONG).succeeded();
    redis.signal(Signal::STOP);
    let step = format!("waiting for the response of 127.0.0.1:{} to PING", redis.port());
    run!(kept, SHORT).hung(&step);
    // The kernel accepts the connection for the stopped server.
    run!(fresh, SHORT).hung(&step);
    redis.signal(Signal::CONT);
    // The cancelled runs have left no connection open.
    redis.left().await;
    run!(kept, LONG).succeeded();
    eventually("one client", Duration::from_secs(5), || async {
        (redis.clients() == 1).then_some(())
    })
    .await;
    drop((kept, fresh));
    redis.left().await;
}
