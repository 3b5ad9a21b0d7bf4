//! Reports tokens of jobs that two checks have. With such a token, the exporter could not know whose beat it receives.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use super::others::Others;
use super::place::{MAX_FINDINGS, Path, Place};
use super::secret::SecretSource;
use super::settings::CheckSettings;
use crate::model::{CheckId, ServiceKey};

/// A check that waits for a job.
#[derive(Debug)]
pub struct JobCheck {
    /// Its service.
    pub service: ServiceKey,
    /// Its settings.
    pub settings: Arc<CheckSettings>,
    /// Where it is written.
    pub path: Path,
}

/// Where a token is from: its key, and the token, path or variable. Two equal ones are the same token. Whether two different ones are,
/// only the runs of the checks find out, because files and variables may change.
type Origin = (&'static str, String);

fn origin(settings: &CheckSettings) -> Option<Origin> {
    Some(match settings.kind.job_token()? {
        SecretSource::Inline(token) => ("token", token.unhidden().to_owned()),
        SecretSource::File(path) => ("token_file", path.to_string_lossy().into_owned()),
        SecretSource::Env(name) => ("token_env", name.clone()),
    })
}

/// Reports the tokens that an earlier check or a service elsewhere has. `place` is any place of the configuration.
pub fn check(jobs: &[JobCheck], others: Others<'_>, place: &Place<'_>) {
    let mut owners: HashMap<Origin, CheckId> = HashMap::new();
    for service in others.services {
        for settings in &service.checks {
            if let Some(origin) = origin(settings) {
                owners.insert(origin, id(&service.key, settings));
            }
        }
    }
    for job in jobs {
        let Some(origin) = origin(&job.settings) else {
            continue;
        };
        let key = origin.0;
        match owners.entry(origin) {
            Entry::Vacant(entry) => drop(entry.insert(id(&job.service, &job.settings))),
            Entry::Occupied(owner) if place.finding_count() < MAX_FINDINGS => {
                place.at_path(job.path.clone()).field(key).error(format_args!(
                    "the check {} has the same token, so the beats of both would be rejected: create another one with `openssl rand -hex 16`",
                    owner.get()
                ));
            }
            Entry::Occupied(_) => return,
        }
    }
}

fn id(service: &ServiceKey, settings: &CheckSettings) -> CheckId {
    CheckId {
        service: service.clone(),
        check: settings.name.clone(),
    }
}
