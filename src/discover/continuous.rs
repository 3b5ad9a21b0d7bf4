//! Discovery that is repeated while the exporter runs without a configuration file.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, timeout};
use tracing::{debug, info};

use super::grouping::services;
use super::look::{Options, Pace, look};
use super::memory::Memory;
use super::merge::Merged;
use super::service::Service;

/// A look that is not older than this is not repeated: the one that noticed the change is also used for the reload.
const FRESH_FOR: Duration = Duration::from_secs(2);

/// Repeated discovery.
#[derive(Debug)]
pub struct Continuous {
    options: Options,
    interval: Duration,
    /// Held during a look, so that no port gets two connections at once.
    looking: tokio::sync::Mutex<()>,
    /// A quick look left something to a thorough one.
    rest: Notify,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    merged: Merged,
    memory: Memory,
    looked: Option<Instant>,
    /// Whether the last look left something to a thorough one.
    is_incomplete: bool,
    /// Whether a thorough look has begun.
    is_settled: bool,
    are_gaps_logged: bool,
}

impl Continuous {
    /// Discovery that looks at the machine every `interval`. Looks at nothing yet.
    pub fn new(options: Options, interval: Duration) -> Self {
        Self {
            options,
            interval,
            looking: tokio::sync::Mutex::default(),
            rest: Notify::new(),
            state: Mutex::default(),
        }
    }

    /// Waits for the time of the next look, and looks. Returns whether there is any new service or check.
    pub async fn wait_for_change(&self) -> bool {
        let _ = timeout(self.interval, self.rest.notified()).await;
        let _looking = self.looking.lock().await;
        // What a quick look did not wait for is a part of that look.
        let (is_rest, is_settled) = {
            let mut state = self.state();
            (
                state.is_incomplete,
                std::mem::replace(&mut state.is_settled, true),
            )
        };
        let add = match (is_rest, is_settled) {
            (true, false) => Merged::add_rest,
            // That of a reload. A group is a label of the series, so it stays now.
            (true, true) => Merged::add,
            (false, _) => Merged::add_lasting,
        };
        self.look(Pace::Thorough, is_rest, add).await
    }

    /// Looks at the machine until nothing is left to wait for. For one list, to which nothing is added later.
    pub async fn complete(&self) {
        self.list().await;
        if self.state().is_incomplete {
            self.wait_for_change().await;
        }
    }

    /// The services as entries of the list `services` of a configuration. Looks at the machine, unless it was done just now.
    pub async fn list(&self) -> String {
        // If a thorough look is running, its end causes a reload if anything is new.
        if let Ok(_looking) = self.looking.try_lock() {
            let looked = self.state().looked;
            if looked.is_none_or(|looked| looked.elapsed() > FRESH_FOR) {
                self.look(Pace::Quick, false, Merged::add).await;
            }
        }
        self.state().merged.list()
    }

    async fn look(&self, pace: Pace, is_rest: bool, add: fn(&mut Merged, Vec<Service>) -> bool) -> bool {
        let memory = match is_rest {
            true => self.state().memory.for_rest(),
            false => self.state().memory.clone(),
        };
        let facts = look(&self.options, pace, &memory).await;
        let found = services(&facts, &self.options.addresses);
        let mut state = self.state();
        state.memory.record(&facts, is_rest);
        state.looked = Some(Instant::now());
        state.is_incomplete = pace == Pace::Quick && facts.pending.is_any();
        if state.is_incomplete {
            self.rest.notify_one();
        } else if !state.are_gaps_logged {
            state.are_gaps_logged = true;
            for gap in &facts.gaps {
                info!(%gap, "discovery is incomplete");
            }
        }
        debug!(
            services = found.len(),
            ?pace,
            is_complete = !state.is_incomplete,
            "looked at the machine"
        );
        let is_changed = add(&mut state.merged, found);
        if is_changed {
            info!(services = state.merged.len(), "discovered services");
        }
        is_changed
    }

    /// The state. It is consistent after every statement, so a poisoned lock is used.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
