//! Holds the windows, and keeps the store up to date.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::JoinHandle;
use tracing::{info, warn};

use super::active::{ConfiguredWindow, Windows, moment_of, timestamp};
use super::command_window::CommandWindow;
use super::file::WindowFile;
use crate::config::{Config, Service};
use crate::model::{Clock, Maintenance, Moment, ServiceKey, WallAnchor};
use crate::state_dir::StateDir;
use crate::store::{SaveError, Store};

/// How often windows start and end.
const TICK: Duration = Duration::from_secs(1);

/// How long an ended window is remembered, so that its end is known after a restart. Results older than ten minutes are no
/// evidence for alerts, so an older end does not matter.
const REMEMBERED: Duration = Duration::from_secs(3600);

/// Decides which services are in maintenance.
pub struct Manager {
    store: Arc<Store>,
    clock: Arc<dyn Clock>,
    /// Locked for a write, before the state, which must not be locked while a disk hangs.
    pub(super) file: Option<Mutex<WindowFile>>,
    /// Whether the last write succeeded.
    is_saved: AtomicBool,
    pub(super) state: Mutex<State>,
}

/// The windows.
pub(super) struct State {
    pub(super) services: Vec<Arc<Service>>,
    pub(super) configured: Vec<ConfiguredWindow>,
    pub(super) commands: Vec<CommandWindow>,
    /// The number of the next window of a command.
    pub(super) next: u64,
    pub(super) wall: WallAnchor,
    /// The windows that held at the last refresh.
    holding: Vec<Arc<Maintenance>>,
    /// The services in maintenance, as passed to the store. `None` before the first configuration.
    active: Option<BTreeMap<ServiceKey, Arc<Maintenance>>>,
    /// The windows of commands differ from the file.
    pub(super) needs_saving: bool,
}

impl State {
    /// The windows at `now`.
    pub(super) fn windows(&self, now: Moment) -> Windows<'_> {
        Windows {
            services: &self.services,
            configured: &self.configured,
            commands: &self.commands,
            now,
            wall: self.wall,
        }
    }
}

impl Manager {
    /// Creates a manager with the windows that are saved in `state_dir`. Also returns a warning for the operator.
    pub fn open(
        store: Arc<Store>,
        clock: Arc<dyn Clock>,
        state_dir: Option<Arc<StateDir>>,
    ) -> (Arc<Self>, Option<String>) {
        let wall = WallAnchor::new(&*clock);
        let (file, saved, warning) = match state_dir {
            Some(dir) => {
                let (file, saved, warning) = WindowFile::open(dir, wall, clock.now());
                (Some(Mutex::new(file)), saved, warning)
            }
            None => (None, super::file::SavedWindows::default(), None),
        };
        let manager = Self {
            store,
            clock,
            file,
            is_saved: AtomicBool::new(true),
            state: Mutex::new(State {
                services: Vec::new(),
                configured: Vec::new(),
                commands: saved.windows,
                next: saved.next,
                wall,
                holding: Vec::new(),
                active: None,
                needs_saving: saved.is_adjusted,
            }),
        };
        (Arc::new(manager), warning)
    }

    /// Applies a configuration, at the start and on reload.
    pub fn apply(&self, config: &Config) {
        let mut state = self.state();
        state.services.clone_from(&config.services);
        let windows = config.maintenance.iter().cloned();
        state.configured = windows.map(ConfiguredWindow::new).collect();
        self.refresh(&mut state, Changed::Services);
    }

    /// Starts and ends windows, and saves them.
    pub fn update(&self) {
        self.start_and_end();
        // The error was logged, and the next tick retries.
        let _ = self.save();
    }

    /// Starts and ends windows. Returns whether they must be saved.
    fn start_and_end(&self) -> bool {
        let mut state = self.state();
        if state.wall.update(&*self.clock) {
            // The times in the file are on the wall clock.
            state.needs_saving = true;
        }
        self.refresh(&mut state, Changed::Windows);
        state.needs_saving
    }

    /// Starts and ends windows once a second. Never returns.
    pub async fn update_every_second(self: Arc<Self>) {
        let mut ticks = tokio::time::interval(TICK);
        let mut saving: Option<JoinHandle<()>> = None;
        loop {
            ticks.tick().await;
            let manager = Arc::clone(&self);
            let Ok(needs_saving) = tokio::task::spawn_blocking(move || manager.start_and_end()).await else {
                warn!("updating the maintenance windows failed; retrying");
                continue;
            };
            // Not awaited: a disk may hang, and a window that does not end suppresses alerts.
            if needs_saving && saving.as_ref().is_none_or(JoinHandle::is_finished) {
                let manager = Arc::clone(&self);
                saving = Some(tokio::task::spawn_blocking(move || {
                    // The error was logged, and the next tick retries.
                    let _ = manager.save();
                }));
            }
        }
    }

    pub(super) fn now(&self) -> Moment {
        self.clock.now()
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether windows survive a restart.
    pub(super) fn is_persistent(&self) -> bool {
        self.file.is_some()
    }

    /// Passes the services in maintenance to the store, if they changed.
    pub(super) fn refresh(&self, state: &mut State, changed: Changed) {
        let now = self.clock.now();
        let at = timestamp(now, state.wall);
        state.configured.iter_mut().for_each(|window| window.refresh(at));
        let windows = state.windows(now);
        let holding = windows.holding();
        let is_same = holding
            .iter()
            .map(|window| &window.maintenance)
            .eq(&state.holding);
        if !is_same || changed == Changed::Services {
            let active = windows.services_in(&holding);
            let ended = match &state.active {
                None => windows.ended(),
                Some(before) => {
                    // A window that was removed or made shorter ends now.
                    let ended = before.iter().filter(|(key, _)| !active.contains_key(*key));
                    let end = |maintenance: &Maintenance| now.min(moment_of(maintenance.ends, state.wall));
                    ended
                        .map(|(key, maintenance)| (key.clone(), end(maintenance)))
                        .collect()
                }
            };
            let holding: Vec<Arc<Maintenance>> =
                holding.into_iter().map(|window| window.maintenance).collect();
            log_changes(&state.holding, &holding);
            state.holding = holding;
            state.active = Some(active.clone());
            self.store.set_maintenance(active, ended);
        }
        let known = state.commands.len();
        state.commands.retain(|window| now < window.ends + REMEMBERED);
        state.needs_saving |= known != state.commands.len();
    }

    /// Writes the file if the windows changed, and waits for the disk.
    ///
    /// # Errors
    /// If writing fails. The first failure is logged.
    pub(super) fn save(&self) -> Result<(), SaveError> {
        let Some(file) = &self.file else {
            return Ok(());
        };
        let file = file.lock().unwrap_or_else(PoisonError::into_inner);
        let (next, commands, wall) = {
            let mut state = self.state();
            if !std::mem::take(&mut state.needs_saving) {
                return Ok(());
            }
            (state.next, state.commands.clone(), state.wall)
        };
        let result = file.write(next, &commands, wall);
        let was_saved = self.is_saved.swap(result.is_ok(), Ordering::AcqRel);
        if let Err(error) = &result {
            self.state().needs_saving = true;
            if was_saved {
                warn!(%error, "saving the maintenance windows failed; they are lost on restart until a retry succeeds");
            }
        }
        result
    }
}

/// What changed since the last refresh.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Changed {
    /// Windows, or nothing.
    Windows,
    /// The services, or the services of a window.
    Services,
}

/// Logs windows that start and end.
fn log_changes(before: &[Arc<Maintenance>], after: &[Arc<Maintenance>]) {
    let has = |windows: &[Arc<Maintenance>], id: &str| windows.iter().any(|window| window.id == id);
    for window in after.iter().filter(|window| !has(before, &window.id)) {
        let (by, reason) = (window.by.as_deref().unwrap_or("configuration"), &window.reason);
        info!(window = %window.id, by, reason, "maintenance in effect");
    }
    for window in before.iter().filter(|window| !has(after, &window.id)) {
        info!(window = %window.id, "maintenance ended");
    }
}
