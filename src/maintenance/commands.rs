//! Carries out the requests of the command `maintenance`.

use std::time::Duration;

use jiff::Timestamp;
use tracing::info;

use super::command_window::CommandWindow;
use super::manager::{Changed, Manager, State};
use super::request::{Request, Response, Scope, WindowRow, WindowState};
use crate::config::duration::DurationText;
use crate::config::maintenance::{MAX_LENGTH, MAX_LENGTH_TEXT, MAX_REASON, MIN_LENGTH, MaintenanceWindow};
use crate::config::suggest;
use crate::model::{Moment, visible};

/// The maximum number of windows that commands started. An operator's script that starts one per second reaches it.
const MAX_WINDOWS: usize = 1000;

/// The maximum number of services and groups of a window.
const MAX_NAMES: usize = 1000;

/// The warning without a state directory.
const NOT_PERSISTENT: &str =
    "the exporter has no state directory, so it forgets this window when it restarts: set --state.dir";

impl Manager {
    /// Carries out a request of the user `by`. It may wait for the disk.
    ///
    /// # Errors
    /// A description of the error, for the user.
    pub fn handle(&self, request: &Request, by: &str) -> Result<Response, String> {
        let mut state = self.state();
        let now = self.now();
        let windows = match request {
            Request::List => return Ok(state.list(now)),
            Request::Start {
                scope,
                seconds,
                reason,
            } => {
                vec![state.start(scope, *seconds, reason, by, now)?]
            }
            Request::End { window } => state.end(window, by, now)?,
            Request::Extend { window, seconds } => vec![state.extend(window, *seconds, by, now)?],
        };
        state.needs_saving = true;
        self.refresh(&mut state, Changed::Services);
        let mut response = Response {
            windows: windows
                .iter()
                .map(|window| state.command_row(window, now))
                .collect(),
            warnings: Vec::new(),
        };
        if let Request::End { window } = request {
            response.warnings.extend(state.still_holding(window, now));
        }
        drop(state);
        if !self.is_persistent() {
            response.warnings.push(NOT_PERSISTENT.to_owned());
        } else if let Err(error) = self.save() {
            response.warnings.push(format!(
                "saving the maintenance windows failed, so a restart of the exporter may undo this: {error}"
            ));
        }
        Ok(response)
    }
}

impl State {
    fn start(
        &mut self,
        scope: &Scope,
        seconds: u64,
        reason: &str,
        by: &str,
        now: Moment,
    ) -> Result<CommandWindow, String> {
        self.check_scope(scope)?;
        let length = Duration::from_secs(seconds);
        if !(MIN_LENGTH..=MAX_LENGTH).contains(&length) {
            return Err(out_of_range(length));
        }
        let reason = visible(reason.trim(), usize::MAX);
        if reason.is_empty() || reason.chars().count() > MAX_REASON {
            return Err(format!("write a reason of 1 to {MAX_REASON} characters"));
        }
        if self
            .commands
            .iter()
            .filter(|window| window.is_active(now))
            .count()
            >= MAX_WINDOWS
        {
            return Err(format!(
                "there are {MAX_WINDOWS} windows already: end some of them first"
            ));
        }
        self.next += 1;
        let window = CommandWindow {
            id: format!("m{}", self.next),
            scope: scope.clone(),
            started: now,
            ends: now + length,
            by: by.to_owned(),
            reason,
        };
        let until = self.text(window.ends);
        info!(window = %window.id, scope = %window.scope, by, until, reason = window.reason, "maintenance started by command");
        self.commands.push(window.clone());
        Ok(window)
    }

    fn end(&mut self, word: &str, by: &str, now: Moment) -> Result<Vec<CommandWindow>, String> {
        let mut changed = Vec::new();
        for position in self.find(word, now)? {
            let window = &mut self.commands[position];
            // Of a window for several services, only the named one is removed.
            let has_more = window.scope.services.iter().any(|service| service != word)
                || !window.scope.groups.is_empty();
            let is_partial = window.id != word && has_more;
            if is_partial {
                let mut removed = window.clone();
                window.scope.services.retain(|service| service != word);
                removed.scope = Scope {
                    services: vec![word.to_owned()],
                    ..Scope::default()
                };
                removed.ends = now;
                changed.push(removed);
            } else {
                window.ends = now;
                changed.push(window.clone());
            }
        }
        for window in &changed {
            info!(window = %window.id, scope = %window.scope, by, "maintenance ended by command");
        }
        Ok(changed)
    }

    fn extend(&mut self, word: &str, seconds: u64, by: &str, now: Moment) -> Result<CommandWindow, String> {
        let found = self.find(word, now)?;
        let last = found
            .into_iter()
            .max_by_key(|position| self.commands[*position].ends);
        let Some(position) = last else {
            return Err(format!("no maintenance window {}", visible(word, MAX_REASON)));
        };
        let window = &mut self.commands[position];
        let ends = window.ends + Duration::from_secs(seconds);
        if seconds == 0 || ends.since(now) > MAX_LENGTH {
            return Err(format!(
                "a window ends at most {MAX_LENGTH_TEXT} from now: write a shorter time"
            ));
        }
        window.ends = ends;
        let window = window.clone();
        let until = self.text(ends);
        info!(window = %window.id, scope = %window.scope, by, until, "maintenance extended by command");
        Ok(window)
    }

    /// The positions of the active windows with this id, or that name this service. At least one.
    fn find(&self, word: &str, now: Moment) -> Result<Vec<usize>, String> {
        let matching = |is_wanted: &dyn Fn(&CommandWindow) -> bool| -> Vec<usize> {
            let windows = self.commands.iter().enumerate();
            windows
                .filter(|(_, window)| window.is_active(now) && is_wanted(window))
                .map(|(position, _)| position)
                .collect()
        };
        let mut found = matching(&|window| window.id == word);
        if found.is_empty() {
            found = matching(&|window| window.names(word));
        }
        if found.is_empty() {
            return Err(self.not_found(word, now));
        }
        Ok(found)
    }

    /// A warning if the service with this key is in maintenance because of another window.
    fn still_holding(&self, key: &str, now: Moment) -> Option<String> {
        let windows = self.windows(now);
        let active = windows.services_in(&windows.holding());
        let (_, maintenance) = active.iter().find(|(service, _)| service.as_str() == key)?;
        Some(format!(
            "{key} is still in maintenance because of the window {}",
            maintenance.id
        ))
    }

    fn not_found(&self, word: &str, now: Moment) -> String {
        let shown = visible(word, MAX_REASON);
        if self.configured.iter().any(|window| window.window.name == word) {
            return format!(
                "{shown} is a window of the configuration file: change the file and reload the exporter"
            );
        }
        let Some(service) = self.services.iter().find(|service| service.key.as_str() == word) else {
            let ids = self.commands.iter().filter(|window| window.is_active(now));
            let ids = ids.map(|window| window.id.as_str());
            let services = self.services.iter().map(|service| service.key.as_str());
            return match suggest::nearest(word, ids.chain(services)) {
                Some(near) => format!("no maintenance window or service {shown}: did you mean {near}?"),
                None => format!(
                    "no maintenance window or service {shown}: run maintenance list to see the windows"
                ),
            };
        };
        let windows = self.windows(now);
        match windows.services_in(&windows.holding()).get(&service.key) {
            None => format!("{shown} is not in maintenance"),
            Some(maintenance) if maintenance.by.is_none() => format!(
                "{shown} is in maintenance because of the window {} of the configuration file: change the file and reload \
                 the exporter",
                maintenance.id
            ),
            Some(maintenance) => format!(
                "{shown} is in maintenance because of the window {}, which is for more services: use {} instead of {shown}",
                maintenance.id, maintenance.id
            ),
        }
    }

    fn check_scope(&self, scope: &Scope) -> Result<(), String> {
        let Scope {
            services,
            groups,
            all,
        } = scope;
        if services.len() + groups.len() > MAX_NAMES {
            return Err(format!(
                "more than {MAX_NAMES} services and groups: use groups, or --all"
            ));
        }
        if *all != (services.is_empty() && groups.is_empty()) {
            return Err("name services, or groups with --group, or use --all".to_owned());
        }
        let known = || self.services.iter().map(|service| service.key.as_str());
        for service in services {
            if !known().any(|key| key == service) {
                return Err(suggest::unknown("service", service, known()));
            }
        }
        let known = || self.services.iter().map(|service| service.group.as_str());
        for group in groups {
            if !known().any(|name| name == group) {
                return Err(suggest::unknown("group", group, known()));
            }
        }
        Ok(())
    }

    /// The windows of commands that hold, and of each window of the configuration the one that holds or the next one.
    fn list(&self, now: Moment) -> Response {
        let active = self.commands.iter().filter(|window| window.is_active(now));
        let mut windows: Vec<WindowRow> = active.map(|window| self.command_row(window, now)).collect();
        let at = self.windows(now).timestamp();
        windows.extend(
            self.configured
                .iter()
                .filter_map(|window| configured_row(&window.window, at)),
        );
        Response {
            windows,
            warnings: Vec::new(),
        }
    }

    fn command_row(&self, window: &CommandWindow, now: Moment) -> WindowRow {
        WindowRow {
            id: window.id.clone(),
            state: if window.is_active(now) {
                WindowState::Active
            } else {
                WindowState::Ended
            },
            scope: window.scope.clone(),
            start: self.text(window.started),
            end: self.text(window.ends),
            by: Some(window.by.clone()),
            reason: window.reason.clone(),
        }
    }

    /// A moment as a time of the wall clock.
    fn text(&self, moment: Moment) -> String {
        text(self.windows(moment).timestamp())
    }
}

fn configured_row(window: &MaintenanceWindow, now: Timestamp) -> Option<WindowRow> {
    let (state, occurrence) = match window.schedule.active(now) {
        Some(occurrence) => (WindowState::Active, occurrence),
        None => (WindowState::Planned, window.schedule.next(now)?),
    };
    let services = window.services.as_ref();
    let keys = services.into_iter().flatten().map(|key| key.as_str().to_owned());
    Some(WindowRow {
        id: window.name.clone(),
        state,
        scope: Scope {
            services: keys.collect(),
            groups: Vec::new(),
            all: services.is_none(),
        },
        start: text(occurrence.start),
        end: text(occurrence.end),
        by: None,
        reason: window.reason.clone(),
    })
}

/// A time in seconds: people do not need more.
fn text(timestamp: Timestamp) -> String {
    format!("{timestamp:.0}")
}

fn out_of_range(length: Duration) -> String {
    format!(
        "{} is out of range: write {} to {MAX_LENGTH_TEXT}",
        DurationText(length),
        DurationText(MIN_LENGTH)
    )
}
