//! Keys that have another name here: names of older versions, of blackbox_exporter, and of other monitors (Gatus, Uptime Kuma, Monit,
//! cloudprober, Nagios, Kubernetes, Compose). An unknown key with such a name gets advice instead of a similar key.
//!
//! A row applies only where its key is known, so the same name has different advice in a service, in an http check and in a module.

use self::Advice::{Key, KeyWith, Text};
use super::opposites::squeeze;

/// A key with the names that others give it.
struct Row {
    /// The other names. Case, hyphens and underscores do not count.
    names: &'static [&'static str],
    /// The key. The row applies to mappings that have it.
    key: &'static str,
    /// What to write.
    advice: Advice,
}

enum Advice {
    /// The key instead.
    Key,
    /// The key instead, with an explanation.
    KeyWith(&'static str),
    /// Something else.
    Text(&'static str),
}

const fn row(names: &'static [&'static str], key: &'static str, advice: Advice) -> Row {
    Row { names, key, advice }
}

/// What to do with settings of notifications.
const ALERTS: Advice =
    Text("alerts are rules of Prometheus, and Alertmanager sends them: see docs/ALERTS.md");

/// How to turn the verification of certificates off.
const VERIFY: Advice =
    Text("certificates are verified; tls_config: { insecure_skip_verify: true } turns that off");

#[rustfmt::skip]
const ROWS: &[Row] = &[
    // Older names of blackbox_exporter, and of this exporter.
    row(&["fail_if_matches_regexp"], "fail_if_body_matches_regexp", Key),
    row(&["fail_if_not_matches_regexp"], "fail_if_body_not_matches_regexp", Key),
    row(&["fail_if_header_matches_regexp"], "fail_if_header_matches", Key),
    row(&["fail_if_header_not_matches_regexp"], "fail_if_header_not_matches", Key),
    row(&["max_connection_ratio"], "max_connection_share", Key),
    row(&["protocol", "transport"], "transport_protocol", Key),
    row(&["protocol", "ip_protocol", "ip_version", "address_family"], "preferred_ip_protocol", KeyWith("ip4 or ip6")),

    // The top level.
    row(&["endpoints", "external_endpoints", "monitors", "monitor_list", "targets", "checks", "probes", "sites", "hosts",
          "apps", "jobs"], "services", Key),
    row(&["default", "global", "globals", "common"], "defaults", Key),
    row(&["interval", "timeout", "recheck_interval", "thresholds", "failures_before_down", "successes_before_up",
          "tolerance"], "defaults", Text("write it under defaults, a tier, a service or a check")),
    row(&["maintenances", "maintenance_windows", "downtime", "downtimes", "silences"], "maintenance", Key),
    row(&["alerts", "alerting", "alertmanager", "notifications", "notification", "smtp", "email", "mail", "slack",
          "discord", "telegram", "webhook", "receivers"], "services", ALERTS),
    row(&["web", "server", "listen", "listen_address", "address", "port", "ui"], "services",
        Text("the flags --web.listen-address and --web.config.file set this")),
    row(&["log", "log_level", "loglevel"], "services", Text("the flags --log.level and --log.format set this")),
    row(&["storage", "database", "state", "data_dir", "data"], "services", Text("the flag --state.dir sets this")),

    // When checks run and how their results count.
    row(&["every", "frequency", "period", "period_seconds", "check_interval", "check_every", "poll_interval",
          "polling_interval", "scrape_interval", "interval_seconds", "interval_sec", "interval_msec"], "interval",
        KeyWith("with a unit, such as 30s")),
    row(&["timeout_seconds", "timeout_sec", "timeout_msec", "deadline", "request_timeout"], "timeout",
        KeyWith("with a unit, such as 10s")),
    row(&["retry_interval", "retry_delay", "retry_period", "recheck", "recheck_delay"], "recheck_interval",
        KeyWith("with a unit, such as 5s")),
    row(&["retries", "retry", "retry_attempts", "max_retries", "attempts", "max_check_attempts"], "failures_before_down",
        KeyWith("the number of failed runs in a row, which is 1 more than the retries")),
    row(&["failure_threshold", "consecutive_failures", "unhealthy_threshold", "fall", "cycles"], "failures_before_down",
        KeyWith("the number of failed runs in a row")),
    row(&["success_threshold", "consecutive_successes", "healthy_threshold", "rise"], "successes_before_up",
        KeyWith("the number of successful runs in a row")),
    row(&["response_time", "max_response_time", "latency", "max_latency", "latency_threshold"], "thresholds",
        Text("write thresholds: { degraded: 1s, down: 5s }")),

    // A service.
    row(&["id", "uid", "slug", "identifier"], "depends_on", Text("write key instead")),
    row(&["title", "display_name", "friendly_name", "label", "alias"], "depends_on", Text("write name instead")),
    row(&["desc", "comment", "note", "notes", "summary"], "description", Key),
    row(&["category", "section", "folder", "team", "parent", "namespace"], "group", Key),
    row(&["priority", "importance", "criticality", "level", "class"], "tier", KeyWith("critical or tolerant")),
    row(&["dependencies", "depends", "needs", "parents"], "depends_on", Key),
    row(&["runbook", "documentation", "docs", "wiki"], "runbook_url", Key),
    row(&["disabled", "disable", "paused", "pause"], "enabled", Text("write enabled: false to turn it off")),
    row(&["active"], "enabled", KeyWith("true or false")),
    row(&["alerts", "alert", "alerting", "notifications", "notify", "contacts", "contact_groups", "receivers"],
        "depends_on", ALERTS),
    row(&["grace", "grace_period", "alert_after"], "tolerance", Text("write tolerance: { down: 1m }")),
    row(&["maintenance_windows", "downtime"], "depends_on",
        Text("list the windows under maintenance at the top level, with services: [...]")),
    row(&["self_heal", "auto_heal", "restart", "restart_on_failure"], "heal",
        Text("write heal: { mode: act }, see docs/HEALING.md")),
    row(&["check", "probes", "tests", "health_check", "health_checks", "healthcheck"], "checks", Key),
    row(&["uri", "link", "href", "endpoint", "website", "target"], "expected_http", Text("write url instead")),
    row(&["hostname", "ip", "address"], "expected_http", Text("write host and port instead")),
    row(&["status", "status_code", "expected_status", "expect_status", "valid_status_codes", "accepted_statuscodes"],
        "expected_http", Key),
    row(&["unit", "service", "systemd_unit", "systemd_service"], "systemd", Key),
    row(&["process", "processes", "process_name", "pidfile", "matching"], "process_match", Key),
    row(&["docker", "docker_container", "container_name", "podman"], "container", Key),
    row(&["kind", "type", "prober", "protocol"], "checks", Text("write checks: [{ kind: ... }]")),

    // A check.
    row(&["type", "check_type", "monitor_type", "prober"], "kind", Key),
    row(&["type", "kind"], "prober", Key),
    row(&["level", "priority", "importance"], "severity", KeyWith("critical or warning")),
    row(&["uri", "link", "href", "endpoint", "target", "address", "website"], "valid_status_codes",
        Text("write url instead")),
    row(&["status", "status_code", "status_codes", "expected_status", "expected_status_code", "expected_http",
          "expect_status", "valid_status", "accepted_statuscodes", "accepted_status_codes"], "valid_status_codes", Key),
    row(&["keyword", "contains", "body_contains", "must_contain", "expected_text", "expected_body", "expected_content",
          "expect_body"], "fail_if_body_not_matches_regexp", KeyWith("a regular expression that the body must match")),
    row(&["not_contains", "must_not_contain", "forbidden_text", "invert_keyword"], "fail_if_body_matches_regexp",
        KeyWith("a regular expression that the body must not match")),
    row(&["json_path", "json_query"], "fail_if_body_json_not_matches_cel",
        KeyWith("a CEL expression about body that must be true")),
    row(&["conditions"], "valid_status_codes",
        Text("write valid_status_codes, fail_if_body_not_matches_regexp and thresholds")),
    row(&["auth", "authentication", "login"], "basic_auth", Key),
    row(&["auth", "authentication", "credentials"], "authorization", Key),
    row(&["user", "username", "password", "basic_auth_user", "basic_auth_pass", "auth_user", "auth_pass"], "basic_auth",
        Text("write basic_auth: { username: ..., password_file: ... }")),
    row(&["token", "bearer", "api_token"], "bearer_token_file", Key),
    row(&["verb", "http_method", "request_method"], "method", Key),
    row(&["data", "payload", "request_body", "post_data"], "body", Key),
    row(&["request_headers"], "headers", Key),
    row(&["proxy", "http_proxy", "https_proxy"], "proxy_url", Key),
    row(&["redirects", "allow_redirects"], "follow_redirects", KeyWith("true or false")),
    row(&["ignore_redirect", "ignore_redirects"], "follow_redirects", Text("write follow_redirects: false")),
    row(&["insecure", "skip_verify", "tls_skip_verify", "insecure_skip_verify", "ignore_tls", "verify", "verify_ssl",
          "ssl_verify", "verify_tls", "validate_certs", "client"], "tls_config", VERIFY),
    row(&["ca_file", "cert_file", "key_file", "ca", "server_name", "min_version", "max_version"], "tls_config",
        Text("write it in tls_config")),
    row(&["host", "hostname", "port", "target", "url"], "address", Text("write address: host:port")),
    row(&["send", "expect", "banner"], "query_response", Text("write query_response: [{ send: ..., expect: ... }]")),
    row(&["domain", "record", "query"], "query_name", Key),
    row(&["record_type", "type", "rrtype", "dns_resolve_type"], "query_type", Key),
    row(&["resolver", "nameserver", "name_server", "dns_server", "dns_resolve_server", "address", "host"],
        "validate_answer_rrs", Text("write server instead")),
    row(&["packet_size", "size"], "payload_size", Key),
    row(&["address", "hostname", "target", "url"], "payload_size", Text("write host instead")),
    row(&["dsn", "connection_string", "database_connection_string", "database_url", "uri"], "max_replication_lag",
        Text("write url instead")),
    row(&["dsn", "uri", "address"], "max_memory_share", Text("write url instead")),
    row(&["broker", "url", "uri"], "broker_url", Key),
    row(&["url", "uri", "address", "host"], "path_style", Text("write endpoint instead")),
    row(&["access_key_id"], "access_key", Key),
    row(&["secret_access_key"], "secret_key", Key),
    row(&["service", "systemd", "unit_name"], "bus_address", Text("write unit instead")),
    row(&["state", "states", "expected_state"], "bus_address", Text("write expect instead")),
    row(&["pattern", "matching", "process_match", "process_name"], "cmdline_regex", Text("write match instead")),
    row(&["docker_host", "socket", "docker_daemon"], "container", Text("write host instead")),
    row(&["docker_container", "container_name"], "container", Key),
    row(&["model", "models"], "expected_models", Key),
    row(&["vendor", "type"], "provider", Key),
    row(&["key", "token", "api_token"], "api_key_file", Key),
];

/// The advice for `key`, if it is another name of one of the `known` keys of its mapping.
pub fn advice<'a>(key: &str, known: impl Iterator<Item = &'a str> + Clone) -> Option<String> {
    let letters = squeeze(key);
    let is_known = |key: &str| known.clone().any(|known| known == key);
    let has_name = |row: &Row| row.names.iter().any(|name| squeeze(name) == letters);
    let rows: Vec<&Row> = ROWS
        .iter()
        .filter(|row| has_name(row) && is_known(row.key))
        .collect();
    match rows[..] {
        [] => None,
        [first, .., last]
            if matches!(
                (&first.advice, &last.advice),
                (Key | KeyWith(_), Key | KeyWith(_))
            ) =>
        {
            Some(format!("write {} or {} instead", first.key, last.key))
        }
        [row, ..] => Some(match row.advice {
            Key => format!("write {} instead", row.key),
            KeyWith(explanation) => format!("write {} instead ({explanation})", row.key),
            Text(text) => text.to_owned(),
        }),
    }
}

/// All rows: the names, the key, and whether the advice is the key without an explanation.
#[cfg(test)]
pub(super) fn rows() -> impl Iterator<Item = (&'static [&'static str], &'static str, bool)> {
    ROWS.iter()
        .map(|row| (row.names, row.key, matches!(row.advice, Key)))
}
