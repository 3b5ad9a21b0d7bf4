//! Resolves the settings of a service's healing.

use super::levels::Inherited;
use super::options::{ActionOption, HealOptions};
use super::settings::{HealAction, HealMode, HealSettings, VERIFY_FOR};
use super::stateful::store_named;
use super::target::{Candidates, Found, find_target};
use crate::config::level::Level;
use crate::config::place::Place;
use crate::config::target::Target;

impl Inherited {
    /// Resolves the settings of the service at `place`, which wrote `options` itself. `None` if healing is off, cannot apply to the
    /// service, or after an error, which was reported.
    pub fn resolve(
        &self,
        options: Option<&HealOptions>,
        found: &Candidates,
        place: &Place<'_>,
    ) -> Option<HealSettings> {
        let place = place.field("heal");
        let new = match options {
            Some(options) => self.with(options, Level::Service, &place),
            None => self.clone(),
        };
        let target = find_target(options, found, &place).ok()?;
        if new.mode == HealMode::Off {
            return None;
        }
        let is_own = options.is_some_and(|options| options.mode.is_some());
        let target = match target {
            Found::One(target) => Some(target),
            Found::None if matches!(new.action, HealAction::Command(_)) => None,
            // An invalid command was reported already.
            Found::None
                if matches!(
                    options.and_then(|options| options.action.as_ref()),
                    Some(ActionOption::Command(_))
                ) =>
            {
                return None;
            }
            Found::None if is_own => {
                place.error(
                    "no unit and no container to act on: add unit or container, or a check of kind systemd or docker",
                );
                return None;
            }
            // An inherited mode is for the services that it can apply to.
            Found::None => return None,
            Found::Several(names) => {
                let message = format!(
                    "several units or containers ({names}): choose one with heal.unit or heal.container"
                );
                match is_own {
                    true => drop(place.error(message)),
                    false => place.warn(format_args!("healing is off for this service: it has {message}")),
                }
                return None;
            }
        };
        let is_allowed = options.and_then(|options| options.stateful) == Some(true);
        let stateful = (!is_allowed)
            .then(|| why_stateful(target.as_ref(), found))
            .flatten();
        if let Some(why) = &stateful
            && is_own
        {
            place.warn(format_args!(
                "no action will be taken: {why}; set stateful: true if a restart is safe"
            ));
        }
        Some(HealSettings {
            mode: new.mode,
            after: new.after,
            action: new.action,
            target,
            reasons: new.reasons,
            stateful,
            budget: new.budget,
            backoff: new.backoff,
            start_grace: new.start_grace,
            verify_for: VERIFY_FOR,
        })
    }
}

/// Why the service stores data, as far as its checks and the name of the target show.
fn why_stateful(target: Option<&Target>, found: &Candidates) -> Option<String> {
    let check = found.store.as_ref();
    let by_check = check.map(|check| {
        format!("the service stores data (its check {check} is one of a database, broker or store)")
    });
    by_check.or_else(|| {
        let name = target?.name();
        store_named(name).map(|store| format!("{name} stores data ({store})"))
    })
}
