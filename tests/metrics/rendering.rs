//! Tests which series are present, which are absent, and their order.

use std::collections::BTreeMap;
use std::sync::Arc;

use upkeep_exporter::check::families as families_of;
use upkeep_exporter::config::{Config, KindSettings};
use upkeep_exporter::metrics::{Format, series_count};
use upkeep_exporter::model::{Family, Reason, Sample, ServiceKey, Status, Tier};
use upkeep_exporter::store::Snapshot;

use crate::common::config;
use crate::parser::{ParsedFamily, ParsedSample, parse};
use crate::snapshots::{
    self, NOW, aimed, answered, check, every_status, failed, process, service, snapshot, tcp,
};
use crate::text;

/// Parses both formats, which must have the same content, and returns the families of OpenMetrics.
pub fn parsed(snapshot: Snapshot) -> Vec<ParsedFamily> {
    let [families, classic] = [Format::OpenMetrics, Format::Classic].map(|format| {
        parse(&text(snapshot.clone(), format), format).unwrap_or_else(|error| panic!("{error}"))
    });
    assert_eq!(families.len(), classic.len());
    for (family, classic) in families.iter().zip(&classic) {
        let same = |samples: &[ParsedSample]| format!("{samples:?}");
        assert_eq!(same(&family.samples), same(&classic.samples));
        assert_eq!(family.help, classic.help);
    }
    families
}

/// The samples of a name whose labels include these.
fn find<'a>(families: &'a [ParsedFamily], name: &str, labels: &[(&str, &str)]) -> Vec<&'a ParsedSample> {
    let samples = families.iter().flat_map(|family| &family.samples);
    samples
        .filter(|sample| sample.name == name)
        .filter(|sample| {
            let has =
                |(name, value): &(&str, &str)| sample.labels.get(*name).is_some_and(|found| found == value);
            labels.iter().all(has)
        })
        .collect()
}

fn value(families: &[ParsedFamily], name: &str, labels: &[(&str, &str)]) -> Option<f64> {
    match find(families, name, labels).as_slice() {
        [] => None,
        [one] => Some(one.value),
        several => panic!("{name} {labels:?}: {several:?}"),
    }
}

#[test]
fn families_are_sorted_and_series_in_the_order_of_the_configuration() {
    let families = parsed(every_status());
    let classic = parse(&text(every_status(), Format::Classic), Format::Classic).unwrap();
    assert!(classic.is_sorted_by(|a, b| a.name < b.name));
    let info = find(&families, "upkeep_service_info", &[]);
    let keys: Vec<_> = info
        .iter()
        .map(|sample| sample.labels["service"].as_str())
        .collect();
    assert_eq!(keys, ["web", "slow", "api", "restored", "unseen"]);
    let checks = find(&families, "upkeep_check_runs_total", &[("service", "api")]);
    let names: Vec<_> = checks
        .iter()
        .map(|sample| sample.labels["check"].as_str())
        .collect();
    assert_eq!(names, ["tcp", "process", "tcp-2"]);
}

#[test]
fn a_service_is_up_while_degraded_and_neither_while_unknown() {
    let families = parsed(every_status());
    let up = |key| value(&families, "upkeep_service_up", &[("service", key)]);
    assert_eq!(
        [up("web"), up("slow"), up("api"), up("restored"), up("unseen")],
        [Some(1.0), Some(1.0), Some(0.0), None, None]
    );
    for (key, status) in [
        ("web", "up"),
        ("slow", "degraded"),
        ("api", "down"),
        ("unseen", "unknown"),
    ] {
        let all = find(&families, "upkeep_service_status", &[("service", key)]);
        assert_eq!(all.len(), Status::ALL.len());
        for sample in all {
            assert_eq!(
                sample.value == 1.0,
                sample.labels["status"] == status,
                "{sample:?}"
            );
        }
    }
}

#[test]
fn conditions_are_absent_before_the_first_verdict_only() {
    let families = parsed(every_status());
    let since = |key, condition| {
        let labels = [("service", key), ("condition", condition)];
        value(
            &families,
            "upkeep_service_condition_since_timestamp_seconds",
            &labels,
        )
    };
    assert_eq!(since("web", "down"), Some(0.0));
    assert_eq!(since("api", "down"), Some(NOW - 60.0));
    assert_eq!(since("restored", "down"), Some(NOW - 600.5));
    assert_eq!(since("unseen", "down"), None);
    let tolerances = find(
        &families,
        "upkeep_service_condition_tolerance_seconds",
        &[("condition", "slow")],
    );
    assert_eq!(tolerances.len(), 5);
    assert!(tolerances.iter().all(|sample| sample.value == 1.5));
}

#[test]
fn before_the_first_run_only_counters_and_settings_are_present() {
    let families = parsed(snapshot(vec![service(
        "a",
        "A",
        "g",
        Tier::Critical,
        vec![check("tcp", tcp("h"))],
    )]));
    let names: Vec<_> = families
        .iter()
        .filter(|family| family.name.starts_with("upkeep_check_"))
        .map(|family| family.name.as_str())
        .collect();
    assert_eq!(
        names,
        [
            "upkeep_check",
            "upkeep_check_consecutive_inconclusive_runs",
            "upkeep_check_duration_seconds",
            "upkeep_check_failures",
            "upkeep_check_inconclusive_runs",
            "upkeep_check_missed_runs",
            "upkeep_check_runs",
            "upkeep_check_stale_after_seconds",
            "upkeep_check_threshold_seconds",
        ][1..]
    );
    assert_eq!(
        value(&families, "upkeep_check_duration_seconds_count", &[]),
        Some(0.0)
    );
    assert_eq!(
        value(&families, "upkeep_check_stale_after_seconds", &[]),
        Some(90.0)
    );
    assert_eq!(
        value(
            &families,
            "upkeep_check_info",
            &[("kind", "tcp"), ("target", "h:80")]
        ),
        Some(1.0)
    );
}

#[test]
fn a_problem_is_present_while_the_check_is_degraded_or_down() {
    let families = parsed(every_status());
    let reasons: Vec<_> = find(&families, "upkeep_check_problem_info", &[])
        .into_iter()
        .map(|sample| {
            (
                sample.labels["service"].as_str(),
                sample.labels["reason"].as_str(),
            )
        })
        .collect();
    assert_eq!(
        reasons,
        [("slow", "slow"), ("api", "refused"), ("api", "missing")]
    );
    // One check is up with an unconfirmed failure; the other is unknown with an old problem.
    let mut checks = [
        failed(check("a", tcp("h")), Reason::Tls),
        failed(check("b", tcp("h")), Reason::Tls),
    ];
    checks[0].status = Status::Up;
    checks[1].status = Status::Unknown;
    let families = parsed(snapshot(vec![service(
        "s",
        "S",
        "g",
        Tier::Critical,
        checks.to_vec(),
    )]));
    assert_eq!(find(&families, "upkeep_check_problem_info", &[]).len(), 0);
}

#[test]
fn kinds_without_response_times_have_no_histogram_and_thresholds() {
    let families = parsed(every_status());
    let process = [("service", "web"), ("check", "process")];
    assert_eq!(
        value(&families, "upkeep_check_duration_seconds_count", &process),
        None
    );
    assert_eq!(
        find(&families, "upkeep_check_threshold_seconds", &process).len(),
        0
    );
    assert_eq!(
        value(&families, "upkeep_check_last_duration_seconds", &process),
        Some(0.002)
    );
    let tcp = [("service", "web"), ("check", "tcp")];
    assert_eq!(
        value(&families, "upkeep_check_last_duration_seconds", &tcp),
        Some(0.05)
    );
    let buckets = find(&families, "upkeep_check_duration_seconds_bucket", &tcp);
    let counts: Vec<_> = buckets.iter().map(|sample| sample.value).collect();
    assert_eq!(counts, [1.0, 1.0, 2.0, 2.0, 3.0, 3.0, 3.0, 3.0, 3.0, 3.0]);
    let thresholds = find(&families, "upkeep_check_threshold_seconds", &tcp);
    let thresholds: Vec<_> = thresholds
        .iter()
        .map(|s| (s.labels["threshold"].as_str(), s.value))
        .collect();
    assert_eq!(thresholds, [("degraded", 1.0), ("down", 5.0)]);
}

#[test]
fn labels_with_any_text_read_back_unchanged() {
    for text in [
        "",
        "\"",
        "\\",
        "\n",
        "\\n",
        "}",
        "{a=\"b\"} 1\n# EOF",
        "\r\t",
        "größe 😀",
        "# HELP x y",
    ] {
        let view = service(
            "key",
            text,
            text,
            Tier::Critical,
            vec![answered(aimed(check(text, process("p")), text), 0.001)],
        );
        let families = parsed(snapshot(vec![view]));
        let labels = [("service", "key"), ("group", text), ("name", text)];
        assert_eq!(
            value(&families, "upkeep_service_info", &labels),
            Some(1.0),
            "{text:?}"
        );
        let labels = [("group", text), ("check", text), ("target", text)];
        assert_eq!(
            value(&families, "upkeep_check_info", &labels),
            Some(1.0),
            "{text:?}"
        );
    }
}

#[test]
fn nul_is_replaced() {
    let view = service(
        "key",
        "a\0b",
        "\0",
        Tier::Critical,
        vec![aimed(check("\0", process("p")), "\0")],
    );
    let families = parsed(snapshot(vec![view]));
    let labels = [("group", "\u{fffd}"), ("name", "a\u{fffd}b")];
    assert_eq!(value(&families, "upkeep_service_info", &labels), Some(1.0));
    let labels = [("check", "\u{fffd}"), ("target", "\u{fffd}")];
    assert_eq!(value(&families, "upkeep_check_info", &labels), Some(1.0));
}

#[test]
fn samples_of_a_kind_are_in_its_own_families() {
    for kind in [tcp("h"), process("p")] {
        let own = families_of(kind.kind());
        let mut view = answered(check("c", kind), 0.001);
        let samples = own.iter().map(|family| Sample {
            family,
            labels: vec!["x".into(); family.labels.len()],
            value: 7.5,
        });
        let run = view.last_run.as_mut().unwrap();
        Arc::make_mut(&mut run.outcome).samples = samples.collect();
        let families = parsed(snapshot(vec![service("s", "S", "g", Tier::Critical, vec![view])]));
        for family in own {
            assert_eq!(
                value(&families, family.name, &[("check", "c")]),
                Some(7.5),
                "{}",
                family.name
            );
        }
    }
}

#[test]
fn samples_of_a_family_are_in_the_order_of_checks_and_runs() {
    let http = config::check("kind: http, url: \"http://h/\"").kind;
    let family = |name: &str| {
        let families = families_of(http.kind());
        *families.iter().find(|family| family.name == name).unwrap()
    };
    let (phase, status) = (
        family("upkeep_http_phase_duration_seconds"),
        family("upkeep_http_status_code"),
    );
    let measured = |name: &str, kind: &KindSettings, samples: &[(&'static Family, &'static str)]| {
        let mut view = answered(check(name, kind.clone()), 0.001);
        let samples = samples.iter().map(|(family, label)| Sample {
            family,
            labels: vec![(*label).into(); family.labels.len()],
            value: 2.5,
        });
        let run = view.last_run.as_mut().unwrap();
        Arc::make_mut(&mut run.outcome).samples = samples.collect();
        view
    };
    let first = measured("a", &http, &[(phase, "z\""), (status, ""), (phase, "b")]);
    // A kind has no samples of another one.
    let other = measured("b", &process("p"), &[(phase, "no"), (status, "")]);
    let last = measured("c", &http, &[(phase, "a"), (status, "")]);
    let families = parsed(snapshot(vec![
        service("s", "S", "g", Tier::Critical, vec![first, other]),
        service("t", "T", "g", Tier::Critical, vec![last]),
    ]));
    let shown = |name| {
        let shown = find(&families, name, &[]).into_iter();
        shown
            .map(|sample| {
                sample
                    .labels
                    .get("phase")
                    .unwrap_or(&sample.labels["check"])
                    .clone()
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(shown(phase.name), ["z\"", "b", "a"]);
    assert_eq!(shown(status.name), ["a", "c"]);
}

#[test]
fn a_removed_service_has_no_series() {
    let mut snapshot = every_status();
    snapshot
        .services
        .retain(|view| view.service.key.as_str() != "api");
    assert!(!text(snapshot, Format::OpenMetrics).contains("\"api\""));
}

#[test]
fn rendering_is_deterministic() {
    let rendered = || text(every_status(), Format::OpenMetrics);
    assert_eq!(rendered(), rendered());
}

#[test]
fn the_predicted_number_of_series_bounds_the_rendered_one() {
    let count = |snapshot: Snapshot| -> BTreeMap<&'static str, u64> {
        let config = Config {
            services: snapshot
                .services
                .iter()
                .map(|view| Arc::clone(&view.service))
                .collect(),
            ..Config::default()
        };
        let rendered = parsed(snapshot)
            .iter()
            .map(|family| family.samples.len() as u64)
            .sum();
        BTreeMap::from([("predicted", series_count(&config)), ("rendered", rendered)])
    };
    let [none, many] = [count(snapshots::many(0)), count(snapshots::many(50))];
    for counts in [&none, &many, &count(snapshots::many(3))] {
        assert!(counts["rendered"] <= counts["predicted"], "{counts:?}");
    }
    // For 50 services with two checks each, the prediction without the exporter's own series is almost exact. Only the problem of
    // the check that is up is absent, the start of the service, and the series of the kinds.
    let [predicted, rendered] = ["predicted", "rendered"].map(|which| (many[which] - none[which]) / 50);
    let of_kind: u64 = upkeep_exporter::check::families(upkeep_exporter::model::CheckKind::Tcp)
        .iter()
        .map(|_| 2)
        .sum();
    assert_eq!(predicted, rendered + 2 + of_kind);
}

#[test]
fn an_impacted_service_has_a_series_per_root_cause() {
    let mut view = service(
        "api",
        "API",
        "g",
        Tier::Critical,
        vec![check("tcp", tcp("192.0.2.1"))],
    );
    view.is_impacted = true;
    view.roots = ["db", "queue"].map(ServiceKey::new).to_vec();
    let families = parsed(snapshot(vec![view]));
    let api = ("service", "api");
    assert_eq!(value(&families, "upkeep_service_impacted", &[api]), Some(1.0));
    for root in ["db", "queue"] {
        let labels = [api, ("root", root)];
        assert_eq!(
            value(&families, "upkeep_service_root_cause_info", &labels),
            Some(1.0)
        );
    }
}

#[test]
fn only_services_with_an_objective_have_its_series() {
    let mut shop = service(
        "shop",
        "Shop",
        "g",
        Tier::Critical,
        vec![check("tcp", tcp("192.0.2.1"))],
    );
    let objective = config::one_service("key: s, port: 1, slo: { objective: 99.9% }").objective;
    Arc::make_mut(&mut shop.service).objective = objective;
    let mut view = shop.clone();
    Arc::make_mut(&mut view.service).key = ServiceKey::new("api");
    Arc::make_mut(&mut view.service).objective = None;
    let families = parsed(snapshot(vec![shop, view]));
    for (name, expected) in [
        ("upkeep_service_objective_ratio", 0.999),
        ("upkeep_service_objective_allowance_seconds", 30.0),
    ] {
        assert_eq!(value(&families, name, &[("service", "shop")]), Some(expected));
        assert_eq!(value(&families, name, &[("service", "api")]), None, "{name}");
    }
}
