//! An exporter that runs on the machine is not one of the services that discovery finds.

use std::fs;

use upkeep_exporter::config::parse;

use super::namespaces::{run_in, services};

/// A comparison must be quiet, whether the exporter runs only when the file is written, or only when it is compared.
#[test]
fn other_exporters_are_left_out() {
    let dir = tempfile::tempdir().unwrap();
    let script = r#"
"$1" discover --write without.yml
"$1" --control.socket= 2>log & exporter=$!
wait_for shows web.py
"$1" discover --write with.yml
"$1" discover --diff without.yml
"$1" discover --diff with.yml
"$1" --control.socket= --web.listen-address=127.0.0.1:10200 2>log-second & second=$!
wait_for sh -c 'curl -sf -m 5 http://127.0.0.1:10200/api/status | tee second | grep -q web.py'
kill $exporter $second
wait $exporter $second || :
"$1" discover --diff with.yml"#;
    run_in(dir.path(), &[("web.py", "http", "8001-8001")], script);

    let read = |name: &str| fs::read_to_string(dir.path().join(name)).unwrap();
    let config = parse(&read("with.yml"), "with.yml").unwrap().config;
    let keys: Vec<&str> = config
        .services
        .iter()
        .map(|service| service.key.as_str())
        .collect();
    assert_eq!(keys, ["machine", "web.py"]);
    // The second one has the service of the embedded configuration, and no other exporter.
    let shown = services(&read("second"));
    let keys: Vec<&String> = shown.keys().collect();
    assert_eq!(keys, ["machine", "processes", "upkeep_exporter", "web.py"]);
}
