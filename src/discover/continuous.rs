//! Discovery that is repeated while the exporter runs without a configuration file.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;
use tracing::info;

use super::facts::Heard;
use super::grouping::services;
use super::look::{Heards, Options, PortOwner, is_final, look, owner};
use super::merge::Merged;
use super::service::Service;

/// How often the machine is looked at.
pub const INTERVAL: Duration = Duration::from_secs(300);

/// A look that is not older than this is not repeated: the one that noticed the change is also used for the reload.
const FRESH_FOR: Duration = Duration::from_secs(2);

/// How often a port is connected to at most, if nothing known answers, or no page of it succeeds.
const MAX_ASKS: u32 = 3;

/// Repeated discovery.
#[derive(Debug)]
pub struct Continuous {
    options: Options,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    merged: Merged,
    heards: Heards,
    /// How often nothing known answered.
    silences: BTreeMap<PortOwner, u32>,
    looked: Option<Instant>,
}

impl Continuous {
    /// Looks at nothing yet.
    pub fn new(options: Options) -> Self {
        Self {
            options,
            state: Mutex::default(),
        }
    }

    /// Waits for the time of the next look, and looks. Returns whether there is any new service or check.
    pub async fn wait_for_change(&self) -> bool {
        tokio::time::sleep(INTERVAL).await;
        self.look(&mut *self.state.lock().await, Merged::add_lasting)
            .await
    }

    /// The services as entries of the list `services` of a configuration. Looks at the machine, unless it was done just now.
    pub async fn list(&self) -> String {
        let mut state = self.state.lock().await;
        if state.looked.is_none_or(|looked| looked.elapsed() > FRESH_FOR) {
            self.look(&mut state, Merged::add).await;
        }
        state.merged.list()
    }

    async fn look(&self, state: &mut State, add: fn(&mut Merged, Vec<Service>) -> bool) -> bool {
        let facts = look(&self.options, &state.heards).await;
        for port in &facts.ports {
            let owner = owner(port);
            let is_known = state.heards.contains_key(&owner);
            let asks = state.silences.entry(owner.clone()).or_default();
            let is_unsure = port.heard != Heard::NotAsked && !is_final(&port.heard);
            *asks += u32::from(is_unsure && !is_known);
            if is_final(&port.heard) || *asks >= MAX_ASKS {
                state.heards.insert(owner, port.heard.clone());
            }
        }
        // A port that nothing holds now is connected to again when it is back.
        let current: BTreeSet<PortOwner> = facts.ports.iter().map(owner).collect();
        state.heards.retain(|owner, _| current.contains(owner));
        state.silences.retain(|owner, _| current.contains(owner));
        let is_changed = add(&mut state.merged, services(&facts, &self.options.addresses));
        if state.looked.replace(Instant::now()).is_none() {
            for gap in &facts.gaps {
                info!(%gap, "discovery is incomplete");
            }
        }
        if is_changed {
            info!(services = state.merged.len(), "discovered services");
        }
        is_changed
    }
}
