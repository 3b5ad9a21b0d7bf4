//! Resolves the root of a configuration: its sections, one after the other.

use std::sync::Arc;

use super::allowed_directories::AllowedDirectories;
use super::chatstack_format;
use super::exec_directories;
use super::key_split::{SplitMapping, split_by_keys};
use super::maintenance;
use super::monitor;
use super::options::RootOptions;
use super::others::Others;
use super::place::Place;
use super::probe;
use super::process_groups;
use super::redact;
use super::services::{self, Services};
use super::settings::{Config, ShownConfig};
use super::tier_defaults::TierDefaults;
use super::yaml::{Node, fields};

/// Resolves the tree of a document. If it reports errors, the result is incomplete.
pub fn resolve(root: &Node, place: &Place<'_>) -> Config {
    let Some((document, unknown)) = sections(root, place) else {
        return Config::default();
    };
    let is_given = |key| document.get(key).is_some_and(|value| !value.is_null());
    if unknown == 0
        && !["services", "modules", "process_groups"]
            .into_iter()
            .any(is_given)
    {
        place.error("services is missing: list the services to check, modules for /probe, or process_groups");
    }
    Config {
        shown: ShownConfig(redact::to_yaml(root).trim_start().into()),
        ..resolve_sections(&document, Others::default(), place)
    }
}

/// Returns the sections of a document in this exporter's format, and how many of its keys are unknown. `None` if it is not a mapping.
/// Errors are reported.
pub fn sections(root: &Node, place: &Place<'_>) -> Option<(Node, usize)> {
    let root = chatstack_format::relax(root, place);
    let SplitMapping {
        parts: [document],
        unknown,
    } = split_by_keys(&root, place, [fields::<RootOptions>()])?;
    Some((document, unknown.len()))
}

/// Resolves sections. If it reports errors, the result is incomplete. The caller adds the text for `/config`.
pub fn resolve_sections(document: &Node, others: Others<'_>, place: &Place<'_>) -> Config {
    let directories = AllowedDirectories {
        directories: exec_directories::resolve(document.get("exec"), &place.field("exec")),
        is_incomplete: others.is_incomplete,
    };
    let place = &place.clone().with_exec_directories(directories);
    let probe = probe::resolve(document.get("modules"), document.get("probe"), place);
    let groups = document.get("process_groups");
    let process_groups = process_groups::resolve(groups, &place.field("process_groups"));
    monitor::warn_about_logging(document.get("logging"), &place.field("logging"));
    let tier_defaults = TierDefaults::read(document, place);
    let is_given = |key| document.get(key).is_some_and(|section| !section.is_null());
    let has_other_sections = is_given("modules") || is_given("process_groups");
    let services = match document.get("services").filter(|services| !services.is_null()) {
        // An empty list is fine in a file with other sections.
        Some(list) if has_other_sections && list.items().is_some_and(<[Node]>::is_empty) => {
            Services::default()
        }
        Some(list) => services::resolve(list, &place.field("services"), &tier_defaults, others),
        None => Services::default(),
    };
    let known = others.services.iter();
    let elsewhere = maintenance::Elsewhere {
        services: known.map(|service| (&service.key, &*service.group)).collect(),
        is_incomplete: others.is_incomplete,
    };
    let windows = maintenance::resolve(
        document.get("maintenance"),
        document.get("services"),
        &elsewhere,
        &place.field("maintenance"),
    );
    Config {
        services: services.enabled,
        disabled: services.disabled,
        derived_keys: services.derived_keys,
        maintenance: windows.into_iter().map(Arc::new).collect(),
        probe,
        heal: tier_defaults.heal_limits(),
        process_groups,
        exec_directories: place.exec_directories().directories.as_slice().into(),
        shown: ShownConfig::default(),
    }
}

#[cfg(test)]
mod tests {
    use crate::config::parse;

    #[test]
    fn an_empty_list_of_services_is_fine_beside_modules() {
        let modules = "modules: { ping: { prober: icmp } }\n";
        for services in ["services: []\n", "services:\n", ""] {
            let config = parse(&format!("{services}{modules}"), "a.yml").unwrap().config;
            assert!(config.services.is_empty());
            assert!(config.probe.modules.usable.contains_key("ping"));
            assert!(config.shown.0.starts_with(services.trim()), "{:?}", config.shown);
        }
        for text in ["services: []\n", "services: []\nmodules:\n"] {
            assert!(parse(text, "a.yml").is_err(), "{text}");
        }
    }

    #[test]
    fn aliases_of_ip_protocols_are_replaced_with_a_warning() {
        let check = |protocol: &str| {
            let text = format!(
                "services: [{{ key: a, checks: [{{ kind: icmp, host: a, preferred_ip_protocol: {protocol} }}] }}]\n"
            );
            let loaded = parse(&text, "a.yml").unwrap();
            let warnings: Vec<String> = loaded.warnings.iter().map(ToString::to_string).collect();
            (
                loaded.config.services[0].checks[0].kind.clone(),
                warnings.join("\n"),
            )
        };
        for (alias, usual) in [("ipv4", "ip4"), ("'ipv6'", "ip6")] {
            let (settings, warnings) = check(alias);
            let (expected, none) = check(usual);
            assert_eq!(settings, expected);
            assert_eq!(none, "");
            let expected = format!("preferred_ip_protocol: treated as {usual}: write {usual}");
            assert!(warnings.ends_with(&expected), "{warnings}");
        }
    }
}
