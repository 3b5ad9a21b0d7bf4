//! Connections: one at a time, reused while they are valid, and none left behind.

use std::fs;
use std::time::Duration;

use rustix::process::Signal;
use upkeep_exporter::model::Reason;

use super::{check, check_with_management, password, up};
use crate::common::rabbitmq::{exclusive_broker, shared_broker};
use crate::common::ran::{self, LONG, SHORT, run};
use crate::common::targets::Target;

#[tokio::test]
async fn a_connection_is_reused_and_closed_with_the_check() {
    let (_others, broker) = shared_broker().await;
    broker.tenant("kept", &password("kept"), "monitoring");
    let mut check = check_with_management(&broker, "kept", "");
    let pids = || {
        broker.eval(
            "[P || P <- rabbit_networking:connections(), \
             [{vhost, <<\"kept\">>}] <- [catch rabbit_networking:connection_info(P, [vhost])]]",
        )
    };
    up(&run!(check, LONG));
    broker.connections("kept", 1).await;
    let first = pids();
    for _ in 0..5 {
        up(&run!(check, LONG));
        assert_eq!(pids(), first, "the same connection");
    }
    let name = broker.eval(
        "[lists:keyfind(<<\"connection_name\">>, 1, P) =:= {<<\"connection_name\">>, longstr, <<\"upkeep_exporter\">>} || \
         C <- rabbit_networking:connections(), [{vhost, <<\"kept\">>}, {client_properties, P}] <- \
         [catch rabbit_networking:connection_info(C, [vhost, client_properties])]]",
    );
    assert_eq!(name, "[true]");
    drop(check);
    broker.connections("kept", 0).await;
    assert_no_complaint(&broker.log(), "kept");
}

/// The broker logs how each connection ended, with its user and virtual host. A clean close causes no warning.
#[track_caller]
fn assert_no_complaint(log: &str, tenant: &str) {
    let complaint = log.lines().find(|line| {
        line.contains("[warning]") && line.contains(&format!("'{tenant}'")) && line.contains("closing")
    });
    assert_eq!(complaint, None);
}

#[tokio::test]
async fn connections_are_not_reused_if_the_check_says_so() {
    let (_others, broker) = shared_broker().await;
    broker.tenant("fresh", &password("fresh"), "none");
    // The limit would refuse a second connection at the same time.
    broker.eval("rabbit_vhost_limit:set(<<\"fresh\">>, [{<<\"max-connections\">>, 1}], <<\"test\">>)");
    let mut check = check(&broker, "fresh", "reuse_connection: false");
    for _ in 0..5 {
        up(&run!(check, LONG));
        broker.connections("fresh", 0).await;
    }
    assert_no_complaint(&broker.log(), "fresh");
}

#[tokio::test]
async fn a_connection_that_the_broker_closed_is_replaced_in_the_same_run() {
    let (_others, broker) = shared_broker().await;
    broker.tenant("replaced", &password("replaced"), "none");
    let mut check = check(&broker, "replaced", "");
    for _ in 0..3 {
        up(&run!(check, LONG));
        // The broker waits until the client confirms the close, which the next run does.
        broker.close_connections("replaced");
        up(&run!(check, LONG));
        broker.connections("replaced", 1).await;
    }
}

#[tokio::test]
async fn a_rotated_password_is_used_in_the_next_run() {
    let (_others, broker) = shared_broker().await;
    broker.tenant("rotated", "first-hush", "none");
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("password");
    fs::write(&file, "first-hush\n").unwrap();
    let keys = format!(
        "kind: rabbitmq, url: \"amqp://rotated@127.0.0.1:{}/rotated\", password_file: {}",
        broker.port,
        file.display()
    );
    let mut check = ran::check(&keys);
    up(&run!(check, LONG));
    broker.set_password("rotated", "second-hush");
    fs::write(&file, "third-hush\n").unwrap();
    // The connection is still open, but the file has changed, so the run logs in again.
    let ran = run!(check, LONG);
    ran.failed(
        Reason::Auth,
        "logging in: the broker closed the connection: 403 ACCESS_REFUSED",
    );
    fs::write(&file, "second-hush\n").unwrap();
    up(&run!(check, LONG));
    broker.connections("rotated", 1).await;
    fs::remove_file(&file).unwrap();
    let ran = run!(check, LONG);
    ran.failed(Reason::Auth, "reading the secret file");
    broker.connections("rotated", 0).await;
}

#[tokio::test]
async fn an_old_connection_is_replaced_so_that_changes_are_noticed() {
    let (_others, broker) = shared_broker().await;
    broker.tenant("old", &password("old"), "none");
    broker.eval("rabbit_vhost_limit:set(<<\"old\">>, [{<<\"max-connections\">>, 1}], <<\"test\">>)");
    let mut check = check(&broker, "old", "");
    up(&run!(check, LONG));
    pass(Duration::from_secs(61)).await;
    // The limit would refuse a second connection at the same time.
    up(&run!(check, LONG));
    broker.connections("old", 1).await;
    broker.set_password("old", "changed-hush");
    up(&run!(check, LONG));
    pass(Duration::from_secs(61)).await;
    run!(check, LONG).failed(Reason::Auth, "403 ACCESS_REFUSED");
    assert_no_complaint(&broker.log(), "old");
}

/// Advances the paused clock.
async fn pass(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

#[tokio::test]
async fn a_stopped_broker_hangs_and_a_restarted_one_is_up() {
    let (_alone, broker) = exclusive_broker().await;
    broker.tenant("restarted", &password("restarted"), "none");
    let mut kept = check(&broker, "restarted", "");
    let mut fresh = check(&broker, "restarted", "");
    up(&run!(kept, LONG));
    broker.signal(Signal::STOP);
    run!(kept, SHORT).hung("opening a channel on the reused connection");
    run!(kept, SHORT).hung("waiting for the broker's greeting");
    run!(fresh, SHORT).hung("waiting for the broker's greeting");
    broker.signal(Signal::CONT);
    up(&run!(kept, LONG));
    broker.connections("restarted", 1).await;
    broker.kill();
    run!(kept, LONG).failed(Reason::Refused, "connecting to 127.0.0.1");
    broker.restart().await;
    up(&run!(kept, LONG));
    broker.kill();
    broker.restart().await;
    // The broker restarted between two runs.
    up(&run!(kept, LONG));
    broker.connections("restarted", 1).await;
    drop(kept);
    broker.connections("restarted", 0).await;
}

#[tokio::test]
async fn a_cancelled_run_leaves_no_connection() {
    let (_others, broker) = shared_broker().await;
    broker.tenant("cut", &password("cut"), "none");
    let api = Target::silent().await;
    let more = format!("management_url: \"http://{}\"", api.address);
    let mut cut = check(&broker, "cut", &more);
    // On a very busy machine, the login may take this long too, and the run would be cancelled there.
    let ran = run!(cut, SHORT * 3);
    assert_eq!(ran.result, None);
    assert!(
        ran.report
            .step
            .starts_with("querying the management API at 127.0.0.1"),
        "{}",
        ran.report.step
    );
    assert!(ran.report.response_time.is_some(), "the broker answered");
    broker.connections("cut", 0).await;
    api.freed().await;
    let target = Target::silent().await;
    let mut check = ran::check(&format!("kind: rabbitmq, url: \"amqp://{}\"", target.address));
    for _ in 0..3 {
        run!(check, SHORT).hung("waiting for the broker's greeting");
        target.freed().await;
    }
}
