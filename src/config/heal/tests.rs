//! Tests how the levels combine, and what a service's actions apply to.

use std::time::Duration;

use super::*;
use crate::config::{Config, Loaded, Target, parse};
use crate::model::Reason;

fn load(text: &str) -> Loaded {
    parse(text, "test.yml").unwrap_or_else(|error| panic!("{text}\n{error}"))
}

fn heal(config: &Config, key: &str) -> Option<HealSettings> {
    let mut services = config.services.iter();
    let service = services.find(|service| service.key.as_str() == key).unwrap();
    service.heal.clone()
}

/// The settings of a service with these keys.
fn of_service(keys: &str) -> (Option<HealSettings>, Vec<String>) {
    let loaded = load(&format!("services: [{{ key: a, {keys} }}]"));
    let warnings = loaded.warnings.iter().map(|warning| warning.message.clone());
    (heal(&loaded.config, "a"), warnings.collect())
}

#[test]
fn nothing_is_healed_unless_the_file_asks_for_it() {
    assert_eq!(of_service("systemd: api").0, None);
    assert_eq!(of_service("systemd: api, heal: { after: 3 }").0, None);
    let off = load(
        "{ defaults: { heal: { mode: act } }, services: [{ key: a, systemd: api, heal: { mode: off } }] }",
    );
    assert_eq!(heal(&off.config, "a"), None);
}

#[test]
fn each_level_overrides_single_settings_of_the_ones_before() {
    let loaded = load(
        "defaults: { heal: { mode: dry-run, after: 3, budget: { per_service: 4, total: 9 }, backoff: { min: 1m } } }\n\
         tiers: { tolerant: { heal: { after: 5, action: start } } }\n\
         services:\n\
         - { key: a, systemd: a }\n\
         - { key: b, systemd: b, tier: tolerant, heal: { mode: act, reasons: [refused, status] } }\n\
         - { key: c, url: 'http://c/' }",
    );
    assert_eq!(loaded.config.heal.total, 9);
    let a = heal(&loaded.config, "a").unwrap();
    assert_eq!((a.mode, a.after, a.budget), (HealMode::DryRun, 3, 4));
    assert_eq!(a.action, HealAction::Restart);
    assert_eq!(a.reasons, DEFAULT_REASONS);
    assert_eq!(a.backoff.min, Duration::from_secs(60));
    assert_eq!(a.backoff.max, Duration::from_secs(900));
    assert_eq!(a.target.unwrap().name(), "a.service");
    let b = heal(&loaded.config, "b").unwrap();
    assert_eq!((b.mode, b.after, b.budget), (HealMode::Act, 5, 4));
    assert_eq!(b.action, HealAction::Start);
    assert_eq!(b.reasons, [Reason::Refused, Reason::Status]);
    assert_eq!(
        heal(&loaded.config, "c"),
        None,
        "an inherited mode needs a target"
    );
}

#[test]
fn the_target_comes_from_the_checks_or_from_the_file() {
    let name = |keys: &str| {
        let (settings, _) = of_service(keys);
        settings.and_then(|settings| settings.target.map(|target| target.name().to_owned()))
    };
    let act = |more: &str| format!("url: 'http://a/', heal: {{ mode: act, {more} }}");
    assert_eq!(
        name("systemd: api, heal: { mode: act }").as_deref(),
        Some("api.service")
    );
    assert_eq!(
        name("container: web, port: 1, heal: { mode: act }").as_deref(),
        Some("web")
    );
    assert_eq!(name(&act("unit: api")).as_deref(), Some("api.service"));
    assert_eq!(name(&act("container: api")).as_deref(), Some("api"));
    let (settings, _) = of_service(&act("action: { command: [/bin/fix, api] }"));
    let settings = settings.unwrap();
    assert_eq!(settings.target, None);
    assert_eq!(
        settings.action,
        HealAction::Command(vec!["/bin/fix".into(), "api".into()])
    );
    let two = "checks: [{ kind: systemd, unit: a }, { kind: systemd, unit: b }]";
    assert_eq!(
        name(&format!("{two}, heal: {{ mode: act, unit: b }}")).as_deref(),
        Some("b.service")
    );
}

#[test]
fn the_bus_of_a_unit_is_that_of_its_check() {
    let bus = "unix:path=/run/user/1000/bus";
    let (settings, _) = of_service(&format!(
        "checks: [{{ kind: systemd, unit: a, bus_address: '{bus}' }}], heal: {{ mode: act, unit: a }}"
    ));
    let Some(Target::Unit { bus: found, .. }) = settings.unwrap().target else {
        panic!("a unit");
    };
    assert_eq!(found, crate::config::systemd::BusAddress::Address(bus.to_owned()));
}

#[test]
fn an_inherited_mode_warns_about_services_with_several_targets() {
    let loaded = load(
        "{ defaults: { heal: { mode: act } }, services: [{ key: a, checks: [{ kind: systemd, unit: a }, { kind: systemd, unit: b }] }] }",
    );
    assert_eq!(heal(&loaded.config, "a"), None);
    assert_eq!(
        loaded.warnings[0].message,
        "healing is off for this service: it has several units or containers (a.service, b.service): choose one with \
         heal.unit or heal.container"
    );
}

#[test]
fn stores_are_not_healed_without_permission() {
    for keys in [
        "systemd: postgresql@15-main, heal: { mode: act }",
        "systemd: db, checks: [{ kind: redis, url: 'redis://a' }], heal: { mode: act }",
    ] {
        let (settings, warnings) = of_service(keys);
        assert!(settings.unwrap().stateful.is_some(), "{keys}");
        assert!(
            warnings[0].starts_with("no action will be taken: "),
            "{warnings:?}"
        );
    }
    let (settings, warnings) = of_service("systemd: redis, heal: { mode: act, stateful: true }");
    assert_eq!(settings.unwrap().stateful, None);
    assert_eq!(warnings, [""; 0]);
}
