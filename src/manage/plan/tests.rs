//! Plans for chains, diamonds, shared units, and services without units.

use super::*;
use crate::config::parse;

fn services(yaml: &str) -> Vec<Arc<Service>> {
    let loaded = parse(&format!("services:\n{yaml}"), "test.yml");
    loaded
        .unwrap_or_else(|error| panic!("{yaml}\n{error}"))
        .config
        .services
}

/// Services with a unit of their name each, and their dependencies.
fn units(services_and_dependencies: &[(&str, &str)]) -> Vec<Arc<Service>> {
    let line = |(key, depends_on): &(&str, &str)| {
        format!(
            "- {{ key: {key}, depends_on: [{depends_on}], checks: [{{ kind: systemd, unit: {key} }}] }}\n"
        )
    };
    services(&services_and_dependencies.iter().map(line).collect::<String>())
}

fn keys(words: &str) -> BTreeSet<ServiceKey> {
    words.split_whitespace().map(ServiceKey::new).collect()
}

/// The plan as lines `service[targets] after services`.
fn lines(services: &[Arc<Service>], selected: &str, action: Action) -> Vec<String> {
    let plan = Plan::new(services, &keys(selected), action);
    let key = |position: &usize| plan.steps[*position].service.key.to_string();
    let line = |step: &Step| {
        let targets: Vec<&str> = step.targets.iter().map(Target::name).collect();
        let after: Vec<String> = step.after.iter().map(key).collect();
        format!(
            "{}[{}] after {}",
            step.service.key,
            targets.join(" "),
            after.join(" ")
        )
    };
    plan.steps.iter().map(line).collect()
}

#[test]
fn a_chain_is_started_from_its_root_and_stopped_from_its_end() {
    let chain = units(&[("web", "api"), ("api", "db"), ("db", "")]);
    for action in [Action::Start, Action::Restart] {
        assert_eq!(
            lines(&chain, "web api db", action),
            [
                "db[db.service] after ",
                "api[api.service] after db",
                "web[web.service] after api",
            ]
        );
    }
    assert_eq!(
        lines(&chain, "web api db", Action::Stop),
        [
            "web[web.service] after ",
            "api[api.service] after web",
            "db[db.service] after api",
        ]
    );
}

#[test]
fn the_sides_of_a_diamond_are_independent() {
    let diamond = units(&[("web", "api, auth"), ("api", "db"), ("auth", "db"), ("db", "")]);
    assert_eq!(
        lines(&diamond, "web api auth db", Action::Start),
        [
            "db[db.service] after ",
            "api[api.service] after db",
            "auth[auth.service] after db",
            "web[web.service] after api auth",
        ]
    );
    assert_eq!(
        lines(&diamond, "web api auth db", Action::Stop),
        [
            "web[web.service] after ",
            "auth[auth.service] after web",
            "api[api.service] after web",
            "db[db.service] after auth api",
        ]
    );
}

#[test]
fn only_selected_services_are_part_of_it_but_the_order_holds_across_the_others() {
    let chain = units(&[("web", "api"), ("api", "db"), ("db", ""), ("other", "")]);
    assert_eq!(
        lines(&chain, "web db", Action::Restart),
        ["db[db.service] after ", "web[web.service] after db"]
    );
    assert_eq!(
        lines(&chain, "web db", Action::Stop),
        ["web[web.service] after ", "db[db.service] after web"]
    );
    assert_eq!(
        lines(&chain, "other", Action::Stop),
        ["other[other.service] after "]
    );
    assert_eq!(lines(&chain, "", Action::Stop), [""; 0]);
}

#[test]
fn a_service_has_several_units_and_containers_each_once() {
    let one = services(
        "- key: shop
  checks:
  - { kind: systemd, name: a, unit: shop-web }
  - { kind: tcp, name: port, address: \"127.0.0.1:1\" }
  - { kind: systemd, name: b, unit: shop-worker.service }
  - { kind: systemd, name: again, unit: shop-web.service, expect: [active] }
  - { kind: docker, name: c, container: shop-cache, host: \"unix:///run/a.sock\" }
",
    );
    assert_eq!(
        lines(&one, "shop", Action::Start),
        ["shop[shop-web.service shop-worker.service shop-cache] after "]
    );
}

#[test]
fn a_service_without_a_unit_is_waited_for() {
    let mut all = services("- { key: db, port: 1 }\n");
    all.extend(units(&[("db", ""), ("api", "db")]).into_iter().skip(1));
    let plan = Plan::new(&all, &keys("db api"), Action::Start);
    assert!(plan.steps[0].targets.is_empty() && plan.has_targets());
    assert_eq!(
        lines(&all, "db api", Action::Start),
        ["db[] after ", "api[api.service] after db"]
    );
    assert!(!Plan::new(&all, &keys("db"), Action::Start).has_targets());
}

#[test]
fn a_shared_unit_is_acted_on_once() {
    let check = "checks: [{ kind: systemd, unit: nginx }]";
    let all = services(&format!(
        "- {{ key: site, {check} }}\n- {{ key: shop, {check} }}\n- {{ key: blog, {check} }}\n"
    ));
    let plan = Plan::new(&all, &keys("site shop"), Action::Restart);
    assert_eq!(
        lines(&all, "site shop", Action::Restart),
        ["site[nginx.service] after ", "shop[] after site"]
    );
    assert_eq!(plan.steps[1].shared.len(), 1);
    assert_eq!(plan.steps[0].also_affects, [ServiceKey::new("blog")]);
    assert_eq!(plan.steps[1].also_affects, []);
}

#[test]
fn the_same_name_on_another_bus_or_engine_is_another_unit() {
    let all = services(
        "- { key: a, checks: [{ kind: systemd, unit: x }] }
- { key: b, checks: [{ kind: systemd, unit: x, bus_address: \"unix:path=/run/user/1/bus\" }] }
",
    );
    assert_eq!(
        lines(&all, "a b", Action::Stop),
        ["b[x.service] after ", "a[x.service] after "]
    );
}

#[test]
fn long_chains_do_not_overflow_the_stack() {
    let mut all = units(&[("s0", "")]);
    let template = Arc::clone(&all[0]);
    for position in 1..20_000 {
        let mut service = Service::clone(&template);
        service.key = ServiceKey::new(format!("s{position}"));
        service.depends_on = vec![ServiceKey::new(format!("s{}", position - 1))];
        all.push(Arc::new(service));
    }
    all.reverse();
    let plan = Plan::new(&all, &keys("s0 s19999"), Action::Start);
    assert_eq!(plan.steps[0].service.key.as_str(), "s0");
    assert_eq!(plan.steps[1].after, [0]);
}
