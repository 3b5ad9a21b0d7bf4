//! The texts of notifications, rendered by amtool from the shipped templates.

use std::path::Path;

use serde_json::{Value, json};

use super::path;
use super::tools::run;

/// The data that the Alertmanager passes to a template: one group with these alerts.
fn group(status: &str, alerts: &[Value]) -> Value {
    json!({
        "receiver": "team", "status": status, "alerts": alerts, "externalURL": "http://am.example",
        "groupLabels": { "service": "api" }, "commonLabels": { "severity": alerts[0]["labels"]["severity"] }, "commonAnnotations": {},
    })
}

fn alert(name: &str, severity: &str, status: &str, summary: &str) -> Value {
    json!({
        "status": status, "fingerprint": "1", "generatorURL": "http://prometheus.example/graph?a=1&b=2",
        "labels": { "alertname": name, "severity": severity, "service": "api", "tier": "critical" },
        "annotations": {
            "summary": summary,
            "description": "Down for 35s. Checks with a problem: http (timeout).",
            "runbook_url": format!("https://runbooks.example/{name}.md"),
        },
        "startsAt": "2026-03-01T02:03:04+01:00", "endsAt": "2026-03-01T02:33:04+01:00",
    })
}

fn render(folder: &Path, template: &str, data: &Value) -> String {
    let file = folder.join("data.json");
    std::fs::write(&file, data.to_string()).expect("the temporary directory can be written");
    let kind = if template.ends_with(".html") {
        "html"
    } else {
        "text"
    };
    let args = [
        "template".to_owned(),
        "render".to_owned(),
        format!("--template.glob={}", path("deploy/alertmanager/templates/*.tmpl")),
        format!("--template.type={kind}"),
        format!("--template.data={}", file.display()),
        format!("--template.text={{{{ template \"{template}\" . }}}}"),
    ];
    run("amtool", "prometheus-alertmanager", &args)
}

#[test]
fn notifications_have_the_expected_texts() {
    let folder = tempfile::tempdir().expect("a temporary directory can be made");
    let down = alert(
        "UpkeepServiceDown",
        "critical",
        "firing",
        "api is down (g, web1:10100)",
    );
    let mut known = down.clone();
    known["annotations"]["since"] = json!("2026-03-01 01:02:29 UTC");
    let known = group("firing", &[known]);
    let mut resolved_known = alert("UpkeepServiceDown", "critical", "resolved", "API is down");
    resolved_known["annotations"]["since"] = json!("2026-03-01 01:02:29 UTC");
    let resolved_known = group("resolved", &[resolved_known]);
    let ended = alert(
        "UpkeepServiceDegraded",
        "warning",
        "resolved",
        "api is degraded (g, web1:10100)",
    );
    let slow = alert(
        "UpkeepServiceSlow",
        "warning",
        "firing",
        "api <b>responds</b> too slowly",
    );
    let firing = group("firing", std::slice::from_ref(&down));
    let mixed = group("firing", &[ended.clone(), slow.clone(), down]);
    let resolved = group("resolved", &[ended]);
    let warning = group("firing", &[slow]);
    let cases: &[(&str, &Value, &str)] = &[
        ("upkeep.title", &firing, "[CRITICAL] api is down (g, web1:10100)"),
        (
            "upkeep.title",
            &mixed,
            "[WARNING x2] api <b>responds</b> too slowly",
        ),
        (
            "upkeep.title",
            &resolved,
            "[RESOLVED] api is degraded (g, web1:10100)",
        ),
        (
            "upkeep.runbook",
            &firing,
            "https://runbooks.example/UpkeepServiceDown.md",
        ),
        ("upkeep.pagerduty.severity", &firing, "critical"),
        ("upkeep.pagerduty.severity", &warning, "warning"),
        ("upkeep.slack.color", &firing, "danger"),
        ("upkeep.slack.color", &warning, "warning"),
        ("upkeep.slack.color", &resolved, "good"),
        (
            "upkeep.text",
            &firing,
            "UpkeepServiceDown: api is down (g, web1:10100)\n  Down for 35s. Checks with a problem: http (timeout).\n  \
             Since: 2026-03-01 01:03:04 UTC\n  Runbook: https://runbooks.example/UpkeepServiceDown.md",
        ),
        // The since-time of the exporter, if the alert has it, not the start of the alert.
        (
            "upkeep.text",
            &known,
            "UpkeepServiceDown: api is down (g, web1:10100)\n  Down for 35s. Checks with a problem: http (timeout).\n  \
             Since: 2026-03-01 01:02:29 UTC\n  Runbook: https://runbooks.example/UpkeepServiceDown.md",
        ),
        (
            "upkeep.text",
            &resolved_known,
            "UpkeepServiceDown: API is down\n  Resolved. From 2026-03-01 01:02:29 UTC to 2026-03-01 01:33:04 UTC",
        ),
        (
            "upkeep.text",
            &resolved,
            "UpkeepServiceDegraded: api is degraded (g, web1:10100)\n  Resolved. From 2026-03-01 01:03:04 UTC to 2026-03-01 01:33:04 UTC",
        ),
        (
            "upkeep.slack.text",
            &firing,
            ":red_circle: *UpkeepServiceDown*: api is down (g, web1:10100)\nDown for 35s. Checks with a problem: http (timeout).\n\
             <https://runbooks.example/UpkeepServiceDown.md|Runbook>, since 2026-03-01 01:03:04 UTC",
        ),
        (
            "upkeep.slack.text",
            &resolved,
            ":white_check_mark: *UpkeepServiceDegraded* resolved: api is degraded (g, web1:10100)\n\
             2026-03-01 01:03:04 UTC to 2026-03-01 01:33:04 UTC",
        ),
    ];
    for (template, data, expected) in cases {
        assert_eq!(
            render(folder.path(), template, data).trim(),
            *expected,
            "{template}"
        );
    }
    let html = render(folder.path(), "upkeep.email.html", &mixed);
    for part in [
        "<h3 style=\"margin-bottom: 0\">api is down (g, web1:10100)</h3>",
        "UpkeepServiceDown, critical, tier critical, since 2026-03-01 01:03:04 UTC.",
        "<a href=\"http://prometheus.example/graph?a=1&amp;b=2\">graph</a>",
        "Resolved: api is degraded (g, web1:10100)",
        "api &lt;b&gt;responds&lt;/b&gt; too slowly",
    ] {
        assert!(html.contains(part), "{part} is missing in\n{html}");
    }
}
