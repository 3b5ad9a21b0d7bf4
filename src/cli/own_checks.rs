//! Adjusts the embedded configuration's checks of the exporter itself to the flags of the server.

use std::sync::Arc;

use crate::config::{CheckSettings, Config};
use crate::model::CheckKind;

/// The service that monitors the exporter itself.
const OWN: &str = "upkeep_exporter";

/// Removes checks that would always fail: all of them without a port, and the plain HTTP check with TLS or authentication.
pub fn remove_failing_checks(config: &mut Config, has_port: bool, is_guarded: bool) {
    let can_succeed =
        |check: &CheckSettings| has_port && !(is_guarded && check.kind.kind() == CheckKind::Http);
    for service in &mut config.services {
        if service.key.as_str() == OWN {
            Arc::make_mut(service).checks.retain(|check| can_succeed(check));
        }
    }
    config.services.retain(|service| !service.checks.is_empty());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::embedded_default;

    #[test]
    fn checks_that_would_always_fail_are_removed() {
        for (has_port, is_guarded, own) in [
            (true, false, 2),
            (true, true, 1),
            (false, false, 0),
            (false, true, 0),
        ] {
            let mut config = embedded_default().unwrap().config;
            let others = config.services.len() - 1;
            remove_failing_checks(&mut config, has_port, is_guarded);
            let found = config.services.iter().find(|service| service.key.as_str() == OWN);
            assert_eq!(found.map_or(0, |service| service.checks.len()), own);
            assert_eq!(config.services.len(), others + usize::from(own > 0));
        }
    }
}
