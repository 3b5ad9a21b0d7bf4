//! Discovery of a real RabbitMQ with its management and its port mapper, on their usual ports.

use std::fs;

use upkeep_exporter::config::parse;

use super::namespaces::{command_line, run_in};
use super::{CHECK_FOUND, targets};
use crate::common::rabbitmq::{command, prepare};
use crate::common::servers::tool;

const SCRIPT: &str = r#"
EPMD -address 127.0.0.1 >log-epmd 2>&1 &
BROKER >log-broker 2>&1 &
wait_for grep -q 'Server startup complete' log-broker
discovers() { "$1" discover >found.yml && grep -q 'port 5672 is AMQP' found.yml && grep -q '"http://127.0.0.1:15672/"' found.yml; }
wait_for discovers "$1"
"#;

#[test]
fn rabbitmq_is_recognized() {
    let dir = tempfile::tempdir().unwrap();
    prepare(dir.path(), [5672, 5671, 15672]);
    let broker = command(dir.path(), 4369, 25672);
    let script = SCRIPT
        .replace("EPMD", tool("epmd", "erlang-base").to_str().unwrap())
        .replace("BROKER", &command_line(&broker));
    run_in(dir.path(), &[], &(script + CHECK_FOUND));

    let found = fs::read_to_string(dir.path().join("found.yml")).unwrap();
    let config = parse(&found, "found").unwrap().config;
    let broker = targets(&config, "beam.smp");
    for target in [
        "tcp *:5672",
        "127.0.0.1:5672",
        "tcp *:5671",
        "tcp *:15672",
        "http://127.0.0.1:15672/",
    ] {
        assert!(
            broker.contains(&target.to_owned()),
            "{target}: {broker:?}\n{found}"
        );
    }
    let service = config
        .services
        .iter()
        .find(|service| service.key.as_str() == "beam.smp");
    assert_eq!(service.unwrap().group, "queues");
    // Its port mapper and the port for other nodes log unknown clients.
    assert_eq!(targets(&config, "epmd")[0], "tcp *:4369", "{found}");
    assert!(
        !targets(&config, "epmd").contains(&"127.0.0.1:4369".to_owned()),
        "{found}"
    );
    assert!(!broker.contains(&"127.0.0.1:25672".to_owned()), "{broker:?}");

    let log = fs::read_to_string(dir.path().join("log-broker")).unwrap();
    // The header of AMQP and no login: a warning, as documented.
    assert!(!log.contains("[error]"), "{log}");
}
