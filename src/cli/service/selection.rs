//! The services that a command acts on: by name, by group, or all.

use std::collections::BTreeSet;

use crate::cli::select::select;
use crate::config::Config;
use crate::config::suggest::unknown;
use crate::model::ServiceKey;

/// The services that a command acts on.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub struct SelectionFlags {
    /// Services, by key or name
    #[arg(value_name = "SERVICE")]
    services: Vec<String>,

    /// All services of a group
    #[arg(long, value_name = "GROUP")]
    group: Option<String>,

    /// All services
    #[arg(long)]
    all: bool,
}

impl SelectionFlags {
    /// The selected services.
    ///
    /// # Errors
    /// A service or group does not exist; with suggestions.
    pub fn select(&self, config: &Config) -> Result<BTreeSet<ServiceKey>, String> {
        let services = &config.services;
        if let Some(group) = &self.group {
            let members = services.iter().filter(|service| service.group == *group);
            let members: BTreeSet<ServiceKey> = members.map(|service| service.key.clone()).collect();
            if members.is_empty() {
                let groups: BTreeSet<&str> = services.iter().map(|service| service.group.as_str()).collect();
                return Err(unknown("group", group, groups.iter().copied()));
            }
            return Ok(members);
        }
        let named = services
            .iter()
            .map(|service| (service.key.as_str(), service.name.as_str()));
        let is_selected = select(named, &self.services)?;
        let selected = services
            .iter()
            .zip(is_selected)
            .filter(|(_, is_selected)| *is_selected);
        Ok(selected.map(|(service, _)| service.key.clone()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse;

    fn select_with(services: &[&str], group: Option<&str>, all: bool) -> Result<String, String> {
        let text = "services:\n- { key: web, group: shop, port: 1 }\n- { key: db, group: data, port: 2 }\n\
                    - { key: api, group: shop, port: 3 }\n";
        let flags = SelectionFlags {
            services: services.iter().map(ToString::to_string).collect(),
            group: group.map(str::to_owned),
            all,
        };
        let selected = flags.select(&parse(text, "test.yml").unwrap().config)?;
        let keys: Vec<&str> = selected.iter().map(ServiceKey::as_str).collect();
        Ok(keys.join(" "))
    }

    #[test]
    fn services_are_selected_by_name_by_group_or_all() {
        assert_eq!(select_with(&["db", "web"], None, false), Ok("db web".to_owned()));
        assert_eq!(select_with(&[], Some("shop"), false), Ok("api web".to_owned()));
        assert_eq!(select_with(&[], None, true), Ok("api db web".to_owned()));
        assert!(
            select_with(&["wbe"], None, false)
                .unwrap_err()
                .contains("unknown service wbe: did you mean web?")
        );
        assert!(
            select_with(&[], Some("shap"), false)
                .unwrap_err()
                .contains("did you mean shop?")
        );
    }
}
