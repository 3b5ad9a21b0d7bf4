//! Acts on the units and containers of a service, one action per service at a time.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use http::StatusCode;
use tokio::time::Instant;

use super::error_reply::ApiError;
use crate::actuator::{ActError, Action, Actuator, Done};
use crate::config::Service;
use crate::config::Target;
use crate::manage::targets_of;
use crate::model::ServiceKey;

/// How long an action may take. Units that need longer continue to start; the status shows it.
const ACT_TIMEOUT: Duration = Duration::from_secs(45);

/// The unit or container of an action, and what happened to it.
pub(super) type Acted = (Target, Done);

/// Acts on services for clients.
#[derive(Debug, Default)]
pub struct Admin {
    actuator: Actuator,
    /// The services with an action in progress.
    busy: Arc<Mutex<BTreeSet<ServiceKey>>>,
}

/// Marks a service as free again when it is dropped.
struct BusyGuard {
    busy: Arc<Mutex<BTreeSet<ServiceKey>>>,
    service: ServiceKey,
}

impl Drop for BusyGuard {
    fn drop(&mut self) {
        let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        busy.remove(&self.service);
    }
}

impl Admin {
    /// Acts on all units and containers of a service at the same time.
    pub(super) async fn act(&self, service: &Service, action: Action) -> Result<Vec<Acted>, ApiError> {
        let targets = targets_of(service);
        if targets.is_empty() {
            let text =
                "the service has no unit or container: only services with systemd or docker checks have one";
            return Err(ApiError::new(StatusCode::CONFLICT, text.to_owned()));
        }
        let Some(_guard) = self.begin(&service.key) else {
            let text = "another action on this service is in progress; try again when it is complete";
            return Err(ApiError::new(StatusCode::CONFLICT, text.to_owned()));
        };
        let deadline = Instant::now() + ACT_TIMEOUT;
        let acting = targets.into_iter().map(async |target| {
            let result = self.actuator.act(&target, action, deadline).await;
            (target, result)
        });
        let results: Vec<(Target, Result<Done, ActError>)> = join_all(acting).await;
        let errors: Vec<String> = results
            .iter()
            .filter_map(|(_, result)| result.as_ref().err().map(ToString::to_string))
            .collect();
        if !errors.is_empty() {
            return Err(ApiError::new(StatusCode::BAD_GATEWAY, errors.join("; ")));
        }
        let done = results
            .into_iter()
            .filter_map(|(target, result)| Some((target, result.ok()?)));
        Ok(done.collect())
    }

    /// Marks a service as busy. `None` if it is.
    fn begin(&self, service: &ServiceKey) -> Option<BusyGuard> {
        let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        busy.insert(service.clone()).then(|| BusyGuard {
            busy: Arc::clone(&self.busy),
            service: service.clone(),
        })
    }
}
