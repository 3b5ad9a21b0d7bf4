//! Failures of a broker: logins, virtual hosts, limits, TLS, and servers that are not brokers.

use std::fs;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use upkeep_exporter::model::Reason;

use super::{check, password, up};
use crate::common::rabbitmq::{RabbitMq, shared_broker};
use crate::common::ran::{self, LONG, Ran, SHORT, run};
use crate::common::targets::Target;

/// A peer that sends this after it has received something.
async fn answering(answer: &[u8]) -> Target {
    let answer = answer.to_vec();
    Target::serve(move |mut stream, _, _| {
        let answer = answer.clone();
        async move {
            let _ = stream.read_exact(&mut [0; 8]).await;
            let _ = stream.write_all(&answer).await;
            Some(stream)
        }
    })
    .await
}

/// Runs a check once as this user on this virtual host.
async fn as_user(broker: &RabbitMq, user: &str, password: &str, vhost: &str) -> Ran {
    let port = broker.port;
    let mut check = ran::check(&format!(
        "kind: rabbitmq, url: \"amqp://{user}@127.0.0.1:{port}/{vhost}\", password: {password}"
    ));
    let ran = run!(check, LONG);
    assert!(!format!("{:?}{check:?}", ran.report).contains("hush"));
    if let Some(Err(problem)) = &ran.result {
        assert!(!problem.message().contains("hush"), "{problem}");
    }
    ran
}

#[tokio::test]
async fn a_refused_login_has_advice() {
    let (_others, broker) = shared_broker().await;
    broker.tenant("login", &password("login"), "none");
    broker.tenant("elsewhere", &password("elsewhere"), "none");
    as_user(&broker, "login", "wrong-hush", "login").await.failed(
        Reason::Auth,
        "logging in: the broker closed the connection: 403 ACCESS_REFUSED - Login was refused using \
             authentication mechanism PLAIN",
    );
    as_user(&broker, "nobody", "hush", "login")
        .await
        .failed(Reason::Auth, "(check the user, the password");
    as_user(&broker, "login", "hush-login", "elsewhere").await.failed(
        Reason::Auth,
        "opening the virtual host: the broker closed the connection: 530 NOT_ALLOWED",
    );
    let ran = as_user(&broker, "login", "hush-login", "nowhere").await;
    ran.failed(
        Reason::Missing,
        "create the virtual host, or correct the path of the URL",
    );
    ran.without_response();
    broker.connections("login", 0).await;
}

/// The broker quotes names of users and virtual hosts in the texts that distinguish limits from refusals.
#[tokio::test]
async fn names_do_not_influence_the_reason() {
    let (_others, broker) = shared_broker().await;
    for name in ["limit", "max", "not found", "is down"] {
        broker.tenant(name, "hush", "none");
        broker.tenant(&format!("{name} of others"), "hush", "none");
        let written = name.replace(' ', "%20");
        as_user(&broker, &written, "hush", &format!("{written}%20of%20others"))
            .await
            .failed(Reason::Auth, "opening the virtual host: ");
        as_user(&broker, &written, "hush", &format!("no%20{written}"))
            .await
            .failed(Reason::Missing, "(create the virtual host");
        // The password is hidden if a reply quotes it, and does not influence the reason either.
        broker.set_password(name, name);
        let port = broker.port;
        let mut check = ran::check(&format!(
            "kind: rabbitmq, url: \"amqp://{written}@127.0.0.1:{port}/{written}%20of%20others\", password: \"{name}\""
        ));
        run!(check, LONG).failed(Reason::Auth, "opening the virtual host: ");
    }
}

#[tokio::test]
async fn limits_of_the_broker_have_the_reason_limit() {
    let (_others, broker) = shared_broker().await;
    broker.tenant("full", &password("full"), "none");
    broker.eval("rabbit_vhost_limit:set(<<\"full\">>, [{<<\"max-connections\">>, 0}], <<\"test\">>)");
    let mut check = check(&broker, "full", "");
    run!(check, LONG).failed(Reason::Limit, "raise the limit of the virtual host");
    broker.eval("rabbit_vhost_limit:clear(<<\"full\">>, <<\"test\">>)");
    up(&run!(check, LONG));
    let limit = |limits: &str| {
        broker.eval(&format!(
            "rabbit_auth_backend_internal:set_user_limits(<<\"full\">>, <<\"{limits}\">>, <<\"test\">>)"
        ))
    };
    limit("{\\\"max-channels\\\": 0}");
    run!(check, LONG).failed(
        Reason::Limit,
        "opening a channel on the reused connection: the broker closed the connection: 530 NOT_ALLOWED",
    );
    limit("{\\\"max-channels\\\": -1}");
    up(&run!(check, LONG));
}

#[tokio::test]
async fn tls_is_verified_and_a_certificate_can_log_in() {
    let (_others, broker) = shared_broker().await;
    broker.tenant("secure", &password("secure"), "none");
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str, text: &str| {
        let path = dir.path().join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let ca = at("ca.pem", &broker.authority.pem());
    let url = format!("amqps://secure:hush-secure@127.0.0.1:{}/secure", broker.tls_port);
    let tls = |config: &str| {
        ran::check(&format!(
            "kind: rabbitmq, url: \"{url}\", tls_config: {{ {config} }}"
        ))
    };
    let ran = run!(tls(&format!("ca_file: {ca}")), LONG);
    ran.failed(Reason::Tls, "expired").without_response();
    assert!(ran.not_after().is_some());
    run!(tls("server_name: other"), LONG).failed(Reason::Tls, "");
    let mut check = tls("insecure_skip_verify: true");
    for _ in 0..2 {
        let ran = run!(check, LONG);
        up(&ran);
        assert_eq!(
            ran.not_after(),
            Some(1_609_459_200.0),
            "also on a reused connection"
        );
    }
    // Mixed up: TLS on the plain port, and plain on the TLS port.
    let port = broker.port;
    let wrong = format!("kind: rabbitmq, url: \"amqps://127.0.0.1:{port}\"");
    run!(ran::check(&wrong), LONG).failed(Reason::Tls, "TLS");
    let wrong = format!("kind: rabbitmq, url: \"amqp://127.0.0.1:{}\"", broker.tls_port);
    run!(ran::check(&wrong), LONG).failed(Reason::Protocol, "the server uses TLS: use amqps://");

    broker.tenant("target", "unused", "none");
    let client = broker.client();
    let keys = format!(
        "kind: rabbitmq, url: \"amqps://127.0.0.1:{}/target\", auth_mechanism: external, tls_config: {{ \
         insecure_skip_verify: true, cert_file: {}, key_file: {} }}",
        broker.tls_port,
        at("cert.pem", &client.certificate),
        at("key.pem", &client.key)
    );
    let mut check = ran::check(&keys);
    up(&run!(check, LONG));
    up(&run!(check, LONG));
    broker.connections("target", 1).await;
    drop(check);
    broker.connections("target", 0).await;
}

#[tokio::test]
async fn servers_that_are_not_brokers() {
    let check = |address: &str| ran::check(&format!("kind: rabbitmq, url: \"amqp://{address}\""));
    let refusing = Target::refusing().await.to_string();
    run!(check(&refusing), LONG)
        .failed(Reason::Refused, "connecting to 127.0.0.1")
        .without_response();
    run!(check("nowhere.invalid"), LONG).failed(Reason::Dns, "nowhere.invalid");
    for (answer, text) in [
        (&b"AMQP\0\0\x09\x01"[..], "the server echoes our protocol header"),
        (
            b"AMQP\x00\x01\0\0",
            "the server requires version 1.0.0, protocol 0",
        ),
        (
            b"HTTP/1.1 400 Bad Request\r\n\r\n",
            "the server responded with HTTP",
        ),
        (b"220 mail ESMTP\r\n", "the data is not a frame"),
    ] {
        let target = answering(answer).await;
        run!(check(&target.address.to_string()), LONG).failed(Reason::Protocol, text);
        target.freed().await;
    }
    for reset in [false, true] {
        let target = Target::closing(reset).await;
        run!(check(&target.address.to_string()), LONG)
            .failed(Reason::Closed, "waiting for the broker's greeting");
    }
    let target = answering(b"\x08\0\0\0\0\0\0xxx").await;
    run!(check(&target.address.to_string()), LONG).failed(Reason::Protocol, "a malformed frame");
    // Valid frames without an end.
    let heartbeats = b"\x08\0\0\0\0\0\0\xce".repeat(200_000);
    let target = answering(&heartbeats).await;
    run!(check(&target.address.to_string()), LONG).failed(Reason::Limit, "it sent more than 1048576 bytes");
    let target = Target::silent().await;
    run!(check(&target.address.to_string()), SHORT).hung("waiting for the broker's greeting");
}

#[tokio::test]
async fn the_management_port_is_recognized() {
    let (_others, broker) = shared_broker().await;
    let mut check = ran::check(&format!(
        "kind: rabbitmq, url: \"amqp://127.0.0.1:{}\"",
        broker.management_port
    ));
    let text = "waiting for the broker's greeting: the server closed the connection without a greeting: is this the AMQP port";
    run!(check, LONG).failed(Reason::Closed, text);
}
