//! What a systemd check may be configured with, and what its author is told.

use std::cell::RefCell;

use super::*;

/// Resolves, and returns what was reported as `path: message`.
fn resolve(options: SystemdOptions) -> (Option<SystemdSettings>, Vec<String>) {
    let findings = RefCell::new(Vec::new());
    let settings = options.resolve(&Place::root(&findings));
    let told = findings
        .into_inner()
        .iter()
        .map(|finding| format!("{}: {}", finding.path, finding.message))
        .collect();
    (settings.ok(), told)
}

fn unit(name: &str) -> SystemdOptions {
    SystemdOptions {
        unit: Some(name.to_owned()),
        ..SystemdOptions::default()
    }
}

#[test]
fn the_defaults_are_filled_in() {
    let (settings, told) = resolve(unit("nginx"));
    assert_eq!(told, Vec::<String>::new());
    assert_eq!(
        settings,
        Some(SystemdSettings {
            unit: "nginx.service".to_owned(),
            expect: Expect::Running,
            start_grace: Duration::from_secs(45),
            bus: BusAddress::System,
        })
    );
}

#[test]
fn valid_names_are_taken_as_systemctl_takes_them() {
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
        let (settings, told) = resolve(unit(written));
        assert_eq!(settings.map(|s| s.target()).as_deref(), Some(name), "{told:?}");
    }
    let longest = format!("{}.service", "x".repeat(247));
    assert_eq!(resolve(unit(&longest)).0.map(|s| s.unit), Some(longest));
}

#[test]
fn faulty_names_are_told_with_what_would_be_right() {
    for (written, message) in [
        ("", "unit: the unit's name is empty: write nginx.service, say"),
        (
            "nginx.servce",
            "unit: \"nginx.servce\" ends in no type of unit: did you mean \"nginx.service\"?",
        ),
        (
            "getty@.service",
            "unit: \"getty@.service\" is a template, which has no state: name an instance of it, such as getty@1.service",
        ),
        (
            "@1.service",
            "unit: \"@1.service\" has nothing before its @: write the template's name there",
        ),
        (
            ".socket",
            "unit: \".socket\" is only a suffix: write the unit's whole name",
        ),
        (
            "/home",
            "unit: \"/home\" is not a unit's name, because of '/': the unit of a path is named by \
             `systemd-escape --path --suffix=mount PATH`",
        ),
        (
            "web*.service",
            "unit: \"web*.service\" is not a unit's name, because of '*': a pattern can't be watched, give each unit \
             its own check",
        ),
        (
            "my app.service",
            "unit: \"my app.service\" is not a unit's name, because of ' ': letters, digits and : - _ . \\ @ may \
             stand in one; `systemd-escape` escapes the rest",
        ),
    ] {
        assert_eq!(resolve(unit(written)), (None, vec![message.to_owned()]));
    }
    let long = "x".repeat(248);
    assert_eq!(
        resolve(unit(&long)).1,
        ["unit: the unit's name is 256 characters long: systemd allows 255"]
    );
}

#[test]
fn all_that_is_wrong_is_told_at_once() {
    let options = SystemdOptions {
        unit: None,
        expect: Some(vec!["active".into(), "Actve".into(), "running".into()]),
        start_grace: None,
        bus_address: Some("/run/dbus/system_bus_socket".into()),
    };
    assert_eq!(
        resolve(options),
        (
            None,
            vec![
                ": `unit` is missing: name the unit to watch, such as nginx.service".to_owned(),
                "expect[1]: \"Actve\" is not a unit's state: did you mean \"active\"?".to_owned(),
                "expect[2]: \"running\" is not a unit's state: use some of active, reloading, refreshing, inactive, \
                 failed, activating, deactivating, maintenance (what `systemctl is-active` prints)"
                    .to_owned(),
                "bus_address: \"/run/dbus/system_bus_socket\" is not a D-Bus address: write \
                 unix:path=/run/dbus/system_bus_socket, say, or unix:path=/run/user/1000/bus"
                    .to_owned(),
            ]
        )
    );
    let mut options = unit("a");
    options.expect = Some(Vec::new());
    options.bus_address = Some("unix:path=/a;unix:path=/b".into());
    assert_eq!(resolve(options).1.len(), 2);
}
