//! The management API: what it reports, and what its failures mean while the broker works.

use std::time::Duration;

use amq_protocol::protocol::BasicProperties;
use upkeep_exporter::model::Reason;

use super::{ALARM, NODE_UP, VERSION, check, check_with_management, password, up, warned};
use crate::common::rabbitmq::{exclusive_broker, shared_broker};
use crate::common::ran::{LONG, run};
use crate::common::targets::Target;

#[tokio::test]
async fn an_alarm_is_a_warning_while_it_lasts() {
    let (_alone, broker) = exclusive_broker().await;
    broker.tenant("alarm", &password("alarm"), "monitoring");
    let mut check = check_with_management(&broker, "alarm", "");
    up(&run!(check, LONG));
    for (resource, other) in [("memory", "disk"), ("disk", "memory")] {
        broker.alarm(resource, true).await;
        let ran = run!(check, LONG);
        let text = format!("the {resource} alarm is active on upkeep@localhost and publishers are blocked");
        warned(&ran, Reason::State, &text);
        assert_eq!(ran.value(ALARM, Some(resource)), Some(1.0));
        assert_eq!(ran.value(ALARM, Some(other)), Some(0.0));
        broker.alarm(resource, false).await;
        let ran = run!(check, LONG);
        up(&ran);
        assert_eq!(ran.value(ALARM, Some(resource)), Some(0.0));
    }
}

#[tokio::test]
async fn a_publisher_is_notified_of_an_alarm_over_amqp() {
    let (_alone, broker) = exclusive_broker().await;
    broker.tenant("publisher", &password("publisher"), "none");
    let mut mine = broker.connect("publisher", &password("publisher")).await;
    let mut check = check(&broker, "publisher", "");
    up(&run!(check, LONG));
    broker.alarm("memory", true).await;
    mine.publish("", "nowhere", BasicProperties::default(), b"")
        .await
        .unwrap();
    let hear = tokio::time::timeout(Duration::from_secs(1), mine.next_message()).await;
    assert!(hear.is_err());
    assert_eq!(mine.blocked(), Some("low on memory"));
    // The check publishes nothing, so the broker does not notify it. Only the management API reports the alarm.
    up(&run!(check, LONG));
    broker.alarm("memory", false).await;
    let hear = tokio::time::timeout(Duration::from_secs(1), mine.next_message()).await;
    assert!(hear.is_err());
    assert_eq!(mine.blocked(), None);
}

#[tokio::test]
async fn a_failing_management_api_is_a_warning() {
    let (_others, broker) = shared_broker().await;
    broker.tenant("silent", &password("silent"), "none");
    let refusing = Target::refusing().await;
    let silent = Target::silent().await;
    let foreign = Target::answering("SSH-2.0-OpenSSH_9.2\r\n").await;
    let html = Target::answering("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>").await;
    let broken = Target::answering("HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n").await;
    let endless = Target::endless("HTTP/1.1 200 OK\r\n\r\n").await;
    let closing = Target::closing(false).await;
    for (address, reason, text) in [
        (refusing, Reason::Refused, "connecting to 127.0.0.1"),
        (
            silent.address,
            Reason::Timeout,
            "did not respond within management_timeout (0.3s): reading the alarms",
        ),
        (foreign.address, Reason::Protocol, "reading the alarms"),
        (
            html.address,
            Reason::Protocol,
            "reading the alarms: the response is not valid for RabbitMQ",
        ),
        (
            broken.address,
            Reason::Status,
            "reading the alarms: the management API responded with 500",
        ),
        (endless.address, Reason::Limit, "more than 65536 bytes"),
        (closing.address, Reason::Closed, "it closed the connection"),
    ] {
        let more = format!("management_url: \"http://{address}\", management_timeout: 300ms");
        let mut check = check(&broker, "silent", &more);
        for _ in 0..2 {
            let ran = run!(check, LONG);
            warned(&ran, reason, text);
            assert!(ran.report.response_time.unwrap() < Duration::from_secs(5));
            assert_eq!(ran.value(VERSION, None), Some(1.0));
            assert_eq!(ran.value(ALARM, None), None);
        }
        // The AMQP connection is reused nevertheless.
        broker.connections("silent", 1).await;
        drop(check);
        broker.connections("silent", 0).await;
    }
}

#[tokio::test]
async fn a_management_api_that_refuses_the_login_is_a_warning() {
    let (_others, broker) = shared_broker().await;
    broker.tenant("guarded", &password("guarded"), "management");
    let more = format!(
        "management_url: \"http://127.0.0.1:{}\", management_username: guarded, management_password: wrong-hush",
        broker.management_port
    );
    let ran = run!(check(&broker, "guarded", &more), LONG);
    warned(
        &ran,
        Reason::Auth,
        "reading the alarms: the management API responded with 401 Unauthorized (check the password",
    );
    assert!(!format!("{:?}", ran.report).contains("hush"));
    // Every user of the management API may read alarms, but not nodes.
    let mut check = check_with_management(&broker, "guarded", "");
    let ran = run!(check, LONG);
    warned(&ran, Reason::Auth, "reading the nodes");
    assert_eq!(ran.value(ALARM, Some("memory")), Some(0.0));
    assert_eq!(ran.value(NODE_UP, None), None);
    broker.eval("rabbit_auth_backend_internal:set_tags(<<\"guarded\">>, [monitoring], <<\"test\">>)");
    up(&run!(check, LONG));
}

#[tokio::test]
async fn an_unknown_alarm_is_reported() {
    let (_others, broker) = shared_broker().await;
    broker.tenant("another", &password("another"), "none");
    let body =
        "{\"status\":\"failed\",\"alarms\":[{\"node\":\"rabbit@a\",\"resource\":\"file descriptor limit\"}]}";
    let alarms = format!(
        "HTTP/1.1 503 Service Unavailable\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let nodes = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]";
    let api = Target::answering_each(vec![alarms.into(), nodes.into()]).await;
    let more = format!("management_url: \"http://{}\"", api.address);
    let ran = run!(check(&broker, "another", &more), LONG);
    warned(
        &ran,
        Reason::State,
        "the alarm file descriptor limit is active on rabbit@a",
    );
    assert_eq!(ran.value(ALARM, Some("disk")), Some(0.0));
}

#[tokio::test]
async fn without_the_health_check_alarms_are_read_from_nodes_which_are_bounded() {
    let (_others, broker) = shared_broker().await;
    broker.tenant("older", &password("older"), "none");
    let node = |name: &str, more: &str| format!("{{\"name\":\"{name}\",{more}}}");
    let mut nodes = vec![
        node(
            "rabbit@a",
            "\"running\":true,\"mem_alarm\":false,\"disk_free_alarm\":true",
        ),
        node("rabbit@b", "\"running\":false"),
        node(&"é".repeat(100), "\"running\":true"),
        node(&"é".repeat(101), "\"running\":true"),
    ];
    nodes.extend((0..100).map(|number| node(&format!("n{number}"), "\"running\":true")));
    let nodes = format!("[{}]", nodes.join(","));
    let missing = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
    let nodes = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{nodes}",
        nodes.len()
    );
    let api = Target::answering_each(vec![missing.into(), nodes.into()]).await;
    let more = format!("management_url: \"http://{}\"", api.address);
    let ran = run!(check(&broker, "older", &more), LONG);
    let warning = warned(&ran, Reason::State, "the disk alarm is active on rabbit@a");
    let text = warning.report.warning.as_ref().unwrap();
    assert!(
        text.message().contains("the node rabbit@b is not running"),
        "{text}"
    );
    assert_eq!(ran.value(ALARM, Some("disk")), Some(1.0));
    assert_eq!(ran.value(ALARM, Some("memory")), Some(0.0));
    assert_eq!(ran.value(NODE_UP, Some("rabbit@b")), Some(0.0));
    let reported = ran
        .report
        .samples
        .iter()
        .filter(|sample| sample.family.name == NODE_UP);
    assert_eq!(
        reported.clone().count(),
        31,
        "two names are equal after truncation"
    );
    assert!(reported.clone().all(|sample| sample.labels[0].len() <= 64));
    let asked = api.received();
    assert!(asked[0].starts_with("GET /api/health/checks/alarms HTTP/1.1\r\n"));
    assert!(asked[1].starts_with("GET /api/nodes?columns=name,running,mem_alarm,disk_free_alarm HTTP/1.1"));
}
