//! Starts, stops and restarts systemd units over D-Bus, and containers over their engine's API, and queries their state. Every
//! call opens its own connection and closes it.

mod action;
mod container_status;
mod engine;
mod error;
mod manager;
mod prepare;
mod unit_status;
mod units;

use tokio::time::Instant;

pub use action::{Action, Conflict, Done};
pub use container_status::ContainerStatus;
pub use error::{ActError, Failure};
pub use unit_status::UnitStatus;

use crate::config::Target;
use crate::config::docker::EngineHost;
use crate::config::systemd::BusAddress;
use crate::net::network::Network;
use prepare::QUERY_TIMEOUT;

/// Acts on units and containers. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Actuator {
    network: Network,
    conflict: Conflict,
}

impl Actuator {
    /// An actuator that connects with the resources in `network`.
    pub fn new(network: Network, conflict: Conflict) -> Self {
        Self { network, conflict }
    }

    /// Acts, and waits until systemd's job is complete or the engine has responded. At the deadline it stops waiting, but what it
    /// started may continue. Dropping the future has the same effect.
    ///
    /// # Errors
    /// Why the action failed, or why its result is unknown.
    pub async fn act(&self, target: &Target, action: Action, deadline: Instant) -> Result<Done, ActError> {
        let began = Instant::now();
        let acting = async {
            match target {
                Target::Unit { name, bus } => units::act(name, bus, action, self.conflict).await,
                Target::Container { name, engine } => engine::act(name, engine, action, &self.network).await,
            }
        };
        tokio::time::timeout_at(deadline, acting)
            .await
            .unwrap_or_else(|_| {
                Err(ActError::new(
                    Failure::Timeout,
                    format_args!(
                        "{action} {target}: not complete after {:.0} s; it may continue in the background",
                        began.elapsed().as_secs_f64()
                    ),
                ))
            })
    }

    /// Queries the state of a unit. A unit that does not exist is not an error.
    ///
    /// # Errors
    /// Why systemd did not return it.
    pub async fn unit_status(&self, unit: &str, bus: &BusAddress) -> Result<UnitStatus, ActError> {
        query(unit, units::status(unit, bus)).await
    }

    /// Queries the state of a container.
    ///
    /// # Errors
    /// Why the engine did not return it, such as [`Failure::Missing`].
    pub async fn container_status(
        &self,
        container: &str,
        engine: &EngineHost,
    ) -> Result<ContainerStatus, ActError> {
        query(container, engine::status(container, engine, &self.network)).await
    }
}

async fn query<T>(name: &str, query: impl Future<Output = Result<T, ActError>>) -> Result<T, ActError> {
    tokio::time::timeout(QUERY_TIMEOUT, query)
        .await
        .unwrap_or_else(|_| {
            Err(ActError::new(
                Failure::Timeout,
                format_args!(
                    "querying the state of {name}: no response after {} s",
                    QUERY_TIMEOUT.as_secs()
                ),
            ))
        })
}
