//! Tests of the configuration of process groups.

use std::time::Duration;

use super::*;
use crate::config::process_names_file::{self, parse};
use crate::config::{ConfigError, Loaded};

fn load(text: &str) -> Result<Loaded, ConfigError> {
    crate::config::parse(text, "x.yml")
}

fn settings(text: &str) -> ProcessGroupSettings {
    let loaded = load(text).unwrap_or_else(|error| panic!("{text}\n{error}"));
    assert_eq!(loaded.warnings, []);
    loaded
        .config
        .process_groups
        .map_or_else(|| panic!("no groups: {text}"), |groups| (*groups).clone())
}

fn error(text: &str) -> String {
    match load(text) {
        Ok(_) => panic!("accepted: {text}"),
        Err(error) => error.errors[0].to_string(),
    }
}

#[test]
fn the_list_of_a_file_of_process_exporter_is_a_section() {
    let list = "process_groups:\n  - { name: '{{.Comm}}', cmdline: ['.+'] }\n  - comm: [bash, 7]\n  - exe: [/bin/a, b]\n";
    let groups = settings(list);
    assert_eq!(groups.switches, Switches::default());
    assert_eq!(groups.rules.len(), 3);
    assert_eq!(groups.rules[0].name.as_str(), "{{.Comm}}");
    assert_eq!(groups.rules[1].name.as_str(), "{{.ExeBase}}");
    let names = groups.rules[1].comms.as_ref();
    assert!(names.is_some_and(|names| names.contains(&b"7"[..])));
    let expected = [
        Executable::Full(b"/bin/a".to_vec()),
        Executable::Base(b"b".to_vec()),
    ];
    assert_eq!(groups.rules[2].exes, Some(expected.into()));
}

#[test]
fn a_mapping_has_the_options_of_process_exporters_flags() {
    let groups = settings(
        "process_groups: { process_names: [{ comm: [a] }], children: false, threads: false, gather_smaps: false, \
         recheck_with_time_limit: 1m, remove_empty_groups: true }",
    );
    let expected = Switches {
        children: false,
        threads: false,
        smaps: false,
        recheck: true,
        recheck_limit: Some(Duration::from_secs(60)),
        remove_empty_groups: true,
    };
    assert_eq!(groups.switches, expected);
    let groups =
        settings("process_groups: { process_names: [], recheck: true, recheck_with_time_limit: 0s }");
    assert_eq!(
        (groups.switches.recheck, groups.switches.recheck_limit),
        (true, None)
    );
}

#[test]
fn mistakes_are_reported_at_their_place() {
    for (text, expected) in [
        (
            "process_groups: {}",
            "x.yml:1:17: process_groups: process_names is missing: add a rule, such as process_names: [{ name: \"{{.Comm}}\", cmdline: [\".+\"] }]",
        ),
        (
            "process_groups: [{ name: x }]",
            "x.yml:1:18: process_groups[0]: the rule has no criteria: add comm, exe or cmdline",
        ),
        (
            "process_groups: { process_names: [{ comm: [a] }, { cmdline: [a, '('] }] }",
            "x.yml:1:65: process_groups.process_names[1].cmdline[1]: \"(\" is not a regular expression: unclosed group",
        ),
        (
            "process_groups: [{ comm: [a], name: '{{.Foo}}' }]",
            "x.yml:1:37: process_groups[0].name: not a supported template: unknown variable .Foo: the variables are .Cgroups, .Comm, .ExeBase, .ExeFull, .Matches, .PID, .StartTime, .Username",
        ),
    ] {
        assert_eq!(error(text), expected);
    }
    let found = error("process_groups: [{ comm: a }]");
    assert!(found.contains("process_groups[0].comm: expected"), "{found}");
    assert!(error("process_groups: [{ com: [a] }]").contains("unknown key"));
    let many = format!("process_groups: [{}]", "{ comm: [a] }, ".repeat(1001));
    assert!(error(&many).contains("1001 rules are too many"));
}

#[test]
fn files_of_process_exporter_load_as_they_are() {
    let text = "# comment\nprocess_names:\n  - name: \"{{.ExeFull}}:{{.Matches.Cfgfile}}\"\n    exe:\n    - /usr/local/bin/process-exporter\n    \
                cmdline:\n    - -config.path\\s+(?P<Cfgfile>\\S+)\n    more: 1\nother: {}\n";
    let (rules, warnings) = parse(text.as_bytes(), "all.yaml").unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(rules.len(), 1);
    let warnings: Vec<String> = warnings.iter().map(ToString::to_string).collect();
    let ignored = "unknown key, which is ignored, as in process-exporter: remove it or correct its name";
    assert_eq!(
        warnings,
        [
            format!("all.yaml:8:5: warning: process_names[0].more: {ignored}"),
            format!("all.yaml:9:1: warning: other: {ignored}"),
        ]
    );
    let (rules, warnings) = parse(b"process_names:", "all.yaml").unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((rules.len(), warnings.len()), (0, 1));
    let found = parse(b"process_names: [{ comm: 1 }, { }]", "all.yaml").map_err(|error| error.to_string());
    assert!(found.is_err_and(|error| error.contains("process_names[0].comm: expected a list")));
}

#[test]
fn a_missing_file_is_an_error() {
    let found =
        process_names_file::load(std::path::Path::new("/no/such/file")).map_err(|error| error.to_string());
    let expected = "/no/such/file: reading the file of process names: ";
    assert!(found.is_err_and(|error| error.starts_with(expected)));
}
