//! The command `polkit-rule`: its output, warnings and exit codes. tests/install/heal.rs tests the rule with polkit.

use std::process::Output;

use crate::output::assert_golden;
use crate::{Services, ends_with, errors, out, upkeep};

fn polkit_rule(services: &Services, arguments: &[&str]) -> Output {
    let file = services.file.to_str().unwrap();
    upkeep(&["polkit-rule", "--config.file", file])
        .args(arguments)
        .output()
        .unwrap()
}

fn services() -> Services {
    Services::of(&[
        "key: shop, checks: [{ kind: systemd, unit: nginx }, { kind: systemd, name: worker, unit: 'worker@a\\x2db' }]".to_owned(),
        "key: backup, checks: [{ kind: systemd, unit: backup.timer }]".to_owned(),
        "key: sync, checks: [{ kind: systemd, unit: sync, bus_address: 'unix:path=/run/user/1000/bus' }]".to_owned(),
    ])
}

#[test]
fn the_rule_allows_the_action_of_healed_services_only() {
    let services = Services::of(&[
        "key: shop, heal: { mode: act }, checks: [{ kind: systemd, unit: nginx }]".to_owned(),
        "key: worker, heal: { mode: act, action: start }, checks: [{ kind: systemd, unit: 'worker@a\\x2db' }]".to_owned(),
        "key: backup, heal: { mode: dry-run }, checks: [{ kind: systemd, unit: backup.timer }]".to_owned(),
        "key: api, checks: [{ kind: systemd, unit: api }]".to_owned(),
    ]);
    let output = polkit_rule(&services, &[]);
    ends_with(0, &output);
    assert_eq!(errors(&output), "");
    let expected = r#"
    var allowed = [
        "restart nginx.service",
        "start worker@a\\x2db.service"
    ];
"#;
    assert!(out(&output).contains(expected), "{}", out(&output));
}

#[test]
fn the_rule_depends_on_configuration_and_flags_only() {
    let output = polkit_rule(&services(), &["--all"]);
    ends_with(0, &output);
    assert_golden("polkit.rules", out(&output));
    assert_eq!(
        errors(&output),
        "warning: the rule does not contain sync.service: its bus is unix:path=/run/user/1000/bus, not the system bus\n"
    );
    assert_eq!(out(&polkit_rule(&services(), &["--all"])), out(&output));
}

#[test]
fn flags_select_services_verbs_and_the_user() {
    let arguments = [
        "--all",
        "--service=backup",
        "--verb=stop,restart",
        "--user=health",
    ];
    let output = polkit_rule(&services(), &arguments);
    ends_with(0, &output);
    assert_eq!(errors(&output), "");
    let expected = r#"
    var user = "health";
    var allowed = [
        "stop backup.timer",
        "restart backup.timer"
    ];
"#;
    assert!(out(&output).contains(expected), "{}", out(&output));
}

#[test]
fn errors_have_exit_codes_and_advice() {
    for (arguments, message) in [
        (&["--service=shp"][..], "unknown service shp: did you mean shop?"),
        (&["--verb=reload"], "[possible values: start, stop, restart]"),
        (&["--user="], "not a valid user name"),
    ] {
        let output = polkit_rule(&services(), arguments);
        ends_with(64, &output);
        assert!(errors(&output).contains(message), "{}", errors(&output));
        assert_eq!(out(&output), "");
    }
    let invalid = Services::written("services: 5\n");
    let output = polkit_rule(&invalid, &[]);
    ends_with(1, &output);
    assert_eq!(out(&output), "");

    let output = upkeep(&["polkit-rule"]).output().unwrap();
    ends_with(0, &output);
    assert!(
        errors(&output).contains("the rule allows nothing"),
        "{}",
        errors(&output)
    );
}
