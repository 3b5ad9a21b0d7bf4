//! Tests of the options of systemd checks and their errors.

use super::*;
use crate::config::tests_support::resolve_at_root;

fn resolve(options: SystemdOptions) -> Result<SystemdSettings, Vec<String>> {
    resolve_at_root(|root| options.resolve(root))
}

fn unit(name: &str) -> SystemdOptions {
    SystemdOptions {
        unit: Some(name.to_owned()),
        ..SystemdOptions::default()
    }
}

#[test]
fn the_defaults_are_filled_in() {
    assert_eq!(
        resolve(unit("nginx")),
        Ok(SystemdSettings {
            unit: "nginx.service".to_owned(),
            expect: Expect::Running,
            start_grace: Duration::from_secs(45),
            bus: BusAddress::System,
            resources: ResourceSettings::default(),
        })
    );
}

#[test]
fn valid_names_have_the_same_meaning_as_for_systemctl() {
    for (written, name) in [
        ("nginx.service", "nginx.service"),
        ("backup.timer", "backup.timer"),
        ("my.app", "my.app.service"),
        ("worker@2", "worker@2.service"),
        ("a@b@c.socket", "a@b@c.socket"),
        ("home-alice\\x2dsmith.mount", "home-alice\\x2dsmith.mount"),
        ("dev-disk-by\\x2duuid-1:2.swap", "dev-disk-by\\x2duuid-1:2.swap"),
        ("-.mount", "-.mount"),
    ] {
        let settings = resolve(unit(written)).unwrap();
        assert_eq!(settings.target(), name);
    }
    let longest = format!("{}.service", "x".repeat(247));
    assert_eq!(resolve(unit(&longest)).unwrap().unit, longest);
}

#[test]
fn invalid_names_are_reported_with_advice() {
    for (written, message) in [
        ("", "unit: empty: write the name of a unit, such as nginx.service"),
        (
            "nginx.servce",
            "unit: \"nginx.servce\" has an unknown suffix: did you mean \"nginx.service\"?",
        ),
        (
            "getty@.service",
            "unit: \"getty@.service\" is a template, which has no state: write an instance of it, such as getty@1.service",
        ),
        (
            "@1.service",
            "unit: \"@1.service\" has no name before the @: write the name of the template",
        ),
        (
            ".socket",
            "unit: \".socket\" is only a suffix: write the whole name of the unit",
        ),
        (
            "/home",
            "unit: \"/home\" is not the name of a unit because of '/': for the unit of a path, use the output of \
             `systemd-escape --path --suffix=mount PATH`",
        ),
        (
            "web*.service",
            "unit: \"web*.service\" is not the name of a unit because of '*': patterns are not supported, add one check \
             per unit",
        ),
        (
            "my app.service",
            "unit: \"my app.service\" is not the name of a unit because of ' ': use letters, digits and : - _ . \\ @, \
             and escape others with `systemd-escape`",
        ),
    ] {
        assert_eq!(resolve(unit(written)), Err(vec![message.to_owned()]));
    }
    let long = "x".repeat(248);
    assert_eq!(
        resolve(unit(&long)).unwrap_err(),
        ["unit: 256 characters long: systemd allows 255"]
    );
}

#[test]
fn all_errors_are_reported_at_once() {
    let options = SystemdOptions {
        unit: None,
        expect: Some(vec!["active".into(), "Actve".into(), "running".into()]),
        start_grace: None,
        bus_address: Some("/run/dbus/system_bus_socket".into()),
        tasks_below: Some(0),
        ..SystemdOptions::default()
    };
    assert_eq!(
        resolve(options).unwrap_err(),
        [
            ": unit is missing: write the unit to check, such as unit: nginx.service",
            "expect[1]: unknown unit state Actve: did you mean active?",
            "expect[2]: unknown unit state running: write one of activating, active, deactivating, failed, inactive, \
             maintenance, refreshing, reloading",
            "bus_address: \"/run/dbus/system_bus_socket\" is not a D-Bus address: write an address such as \
             unix:path=/run/dbus/system_bus_socket or unix:path=/run/user/1000/bus",
            "tasks_below: 0 would always be reached: write a number of tasks, or remove this key",
        ]
    );
    let mut options = unit("a");
    options.expect = Some(Vec::new());
    options.bus_address = Some("unix:path=/a;unix:path=/b".into());
    assert_eq!(resolve(options).unwrap_err().len(), 2);
}
