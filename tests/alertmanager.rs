//! The shipped Alertmanager configuration: it is valid, routes every alert to the right receiver, and renders the right texts.

use serde_json::{Value, json};

#[path = "alertmanager/texts.rs"]
mod texts;
#[path = "rules/tools.rs"]
mod tools;

use tools::{alerts, list, read, repo, run, text, yaml};

const CONFIG: &str = "deploy/alertmanager/alertmanager.yml";

fn amtool(args: &[&str]) -> String {
    run("amtool", "prometheus-alertmanager", args)
}

fn config() -> Value {
    yaml(&repo(CONFIG))
}

fn path(relative: &str) -> String {
    repo(relative).to_string_lossy().into_owned()
}

#[test]
fn alertmanager_accepts_the_configuration() {
    let output = amtool(&["check-config", &path(CONFIG)]);
    assert!(output.contains("1 templates"), "{output}");
    assert!(output.contains("SUCCESS"), "{output}");
}

/// The receivers that get an alert with these labels.
fn receivers(labels: &[String]) -> Vec<String> {
    let config = format!("--config.file={}", path(CONFIG));
    let mut args = vec!["config", "routes", "test", config.as_str()];
    args.extend(labels.iter().map(String::as_str));
    amtool(&args).trim().split(',').map(str::to_owned).collect()
}

fn expected_receiver(alert: &str, severity: &str, tier: &str) -> &'static str {
    match (alert, severity, tier) {
        ("UpkeepWatchdog", _, _) => "deadman",
        (_, "critical", _) => "pager",
        ("UpkeepServiceDownTolerated", _, _) => "team",
        (_, "warning", "tolerant") | (_, "info", _) => "mail",
        (_, "warning", _) => "team",
        (_, _, _) => "none",
    }
}

#[test]
fn every_alert_reaches_its_receiver() {
    for alert in alerts() {
        let (name, severity) = (text(&alert, "alert"), text(&alert["labels"], "severity"));
        for tier in ["critical", "tolerant", ""] {
            let mut labels = vec![format!("alertname={name}"), format!("severity={severity}")];
            if !tier.is_empty() {
                labels.push(format!("tier={tier}"));
            }
            assert_eq!(
                receivers(&labels),
                [expected_receiver(name, severity, tier)],
                "{labels:?}"
            );
        }
    }
}

#[test]
fn alerts_from_other_rules_reach_a_receiver() {
    for (severity, tier) in [
        ("critical", "critical"),
        ("warning", "critical"),
        ("warning", "tolerant"),
        ("info", ""),
        ("none", ""),
    ] {
        let labels = [
            "alertname=Mine".to_owned(),
            format!("severity={severity}"),
            format!("tier={tier}"),
        ];
        assert_eq!(
            receivers(&labels),
            [expected_receiver("Mine", severity, tier)],
            "{labels:?}"
        );
    }
    assert_eq!(
        receivers(&["alertname=Mine".to_owned()]),
        ["team"],
        "an alert without a severity"
    );
}

/// Every route below and including this one.
fn routes(route: &Value) -> Vec<&Value> {
    let below = route["routes"].as_array().into_iter().flatten().flat_map(routes);
    [route].into_iter().chain(below).collect()
}

#[test]
fn alerts_are_grouped_by_service() {
    let config = config();
    assert_eq!(config["route"]["group_by"], json!(["job", "instance", "service"]));
    for route in routes(&config["route"]).into_iter().skip(1) {
        let is_alert = |name: &str| list(route, "matchers").contains(&json!(format!("alertname = {name}")));
        let expected = if is_alert("UpkeepWatchdog") {
            json!(["alertname"])
        } else if is_alert("UpkeepServiceImpacted") {
            json!(["job", "instance"])
        } else {
            Value::Null
        };
        assert_eq!(route["group_by"], expected, "{route}");
    }
}

#[test]
fn routes_of_replaced_rules_have_a_comment_with_the_old_cooldown() {
    let text = read(&repo(CONFIG));
    for (matcher, was) in [
        ("severity = critical", "# was 5m (300 s)"),
        ("alertname = UpkeepServiceDownTolerated", "# was 10m (600 s)"),
        ("alertname = UpkeepServiceDegraded", "# was 10m (600 s)"),
        ("alertname = UpkeepServiceSlow", "# was 15m (900 s)"),
    ] {
        let found: Vec<&str> = text
            .split("- matchers: [")
            .filter(|part| part.trim_start().starts_with(matcher))
            .collect();
        assert!(!found.is_empty(), "no route for {matcher}");
        assert!(
            found.iter().all(|part| part.contains(was)),
            "the route for {matcher} lacks \"{was}\""
        );
    }
}

#[test]
fn every_receiver_sends_recoveries_and_secrets_come_from_files() {
    let config = config();
    for receiver in list(&config, "receivers") {
        let fields = receiver.as_object().expect("a receiver is a map");
        for (kind, integrations) in fields.iter().filter(|(key, _)| *key != "name") {
            for integration in integrations.as_array().expect("integrations are a list") {
                assert_eq!(
                    integration["send_resolved"],
                    json!(true),
                    "{} of {}",
                    kind,
                    text(receiver, "name")
                );
            }
        }
    }
    let kinds = |kind: &str| {
        list(&config, "receivers")
            .iter()
            .any(|receiver| receiver.get(kind).is_some())
    };
    for kind in [
        "email_configs",
        "slack_configs",
        "pagerduty_configs",
        "webhook_configs",
    ] {
        assert!(kinds(kind), "no receiver has {kind}");
    }
    let text = read(&repo(CONFIG));
    for (number, line) in text
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim_start().starts_with('#'))
    {
        let key = line
            .split(':')
            .next()
            .unwrap_or_default()
            .trim()
            .trim_start_matches("- ");
        let secret = [
            "password",
            "secret",
            "token",
            "credentials",
            "routing_key",
            "service_key",
            "api_url",
        ];
        let inline = secret.iter().any(|word| key.ends_with(word));
        assert!(
            !inline,
            "line {}: {key} is in the file; use {key}_file",
            number + 1
        );
    }
}

#[test]
fn alerts_that_page_are_never_inhibited() {
    let config = config();
    let paging: Vec<String> = alerts()
        .iter()
        .filter(|alert| text(&alert["labels"], "severity") == "critical")
        .map(|alert| text(alert, "alert").to_owned())
        .collect();
    assert_eq!(paging.len(), 7);
    let rules = list(&config, "inhibit_rules");
    assert_eq!(rules.len(), 1, "add assertions for a new inhibition rule");
    assert_eq!(rules[0]["equal"], json!(["job", "instance", "service"]));
    // An exact name of an alert that does not page.
    assert_eq!(
        rules[0]["target_matchers"],
        json!(["alertname = UpkeepServiceSlow"])
    );
    assert!(!paging.contains(&"UpkeepServiceSlow".to_owned()));
    assert_eq!(
        rules[0]["source_matchers"],
        json!(["alertname =~ \"UpkeepServiceDown|UpkeepServiceDownTolerated\""])
    );
}

/// They explain a page of UpkeepServiceDown, so they do not page. The person who was paged needs them, so they are not inhibited.
#[test]
fn alerts_on_components_neither_page_nor_are_inhibited() {
    let groups = yaml(&repo("rules/components.yml"));
    let rules = list(&list(&groups, "groups")[0], "rules");
    let names: Vec<&str> = rules.iter().filter_map(|rule| rule["alert"].as_str()).collect();
    assert_eq!(names.len(), 7);
    for name in names {
        for (tier, receiver) in [("critical", "team"), ("tolerant", "mail")] {
            let labels = [
                format!("alertname={name}"),
                "severity=warning".to_owned(),
                format!("tier={tier}"),
            ];
            assert_eq!(receivers(&labels), [receiver], "{labels:?}");
        }
        for rule in list(&config(), "inhibit_rules") {
            let targets = rule["target_matchers"].to_string();
            assert!(
                !targets.contains(name) && !targets.contains('~'),
                "{name}: {targets}"
            );
        }
    }
    let severities: Vec<&Value> = rules
        .iter()
        .filter(|rule| rule.get("alert").is_some())
        .map(|rule| &rule["labels"]["severity"])
        .collect();
    assert!(
        severities.iter().all(|severity| **severity == "warning"),
        "{severities:?}"
    );
}

#[test]
fn every_template_of_the_configuration_exists() {
    let (config, templates) = (
        read(&repo(CONFIG)),
        read(&repo("deploy/alertmanager/templates/upkeep.tmpl")),
    );
    let names: Vec<&str> = config
        .split("{{ template \"")
        .skip(1)
        .filter_map(|part| part.split('"').next())
        .collect();
    assert!(names.len() > 10, "{names:?}");
    for name in names {
        assert!(
            templates.contains(&format!("{{{{ define \"{name}\"")),
            "{name} is not defined"
        );
    }
}
