//! The result of resolving the files without errors, as a configuration.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::candidate::{Candidate, Use};
use super::discover::Text;
use super::memory::{Content, Memory};
use super::shown;
use crate::config::diagnostic::Diagnostic;
use crate::config::kinds::KindSettings;
use crate::config::load::file_error;
use crate::config::maintenance::MaintenanceWindow;
use crate::config::redact;
use crate::config::settings::{CheckSettings, Config, Service};
use crate::model::ServiceKey;

/// A round without errors.
pub struct Round {
    pub config: Config,
    /// The file of each service, also of those that are turned off.
    pub services: HashMap<ServiceKey, usize>,
    /// The file of each maintenance window, and its position there.
    pub windows: Vec<(usize, usize)>,
    /// Whether the limits and defaults of a file without valid content may be missing.
    pub lacks_globals: bool,
}

impl Round {
    /// Combines the resolved content of the files with the last valid content of the others, and remembers the content in use.
    pub fn into_config(mut self, candidates: &mut [Candidate<'_>], memory: &mut Memory) -> Config {
        let contents = self.contents(candidates);
        let mut config = Config {
            services: Vec::new(),
            disabled: Vec::new(),
            derived_keys: Vec::new(),
            maintenance: Vec::new(),
            shown: shown::combine(candidates, &contents),
            ..std::mem::take(&mut self.config)
        };
        memory.files.clear();
        for (candidate, content) in candidates.iter().zip(contents) {
            let Some(content) = content else { continue };
            config.services.extend(content.services.iter().cloned());
            config.disabled.extend(content.disabled.iter().cloned());
            config.derived_keys.extend(content.derived_keys.iter().cloned());
            config.maintenance.extend(content.windows.iter().cloned());
            let modules = (content.modules.usable.clone(), content.modules.unusable.clone());
            config.probe.modules.usable.extend(modules.0);
            config.probe.modules.unusable.extend(modules.1);
            memory.files.insert(candidate.text.path.clone(), content);
        }
        remove_missing_dependencies(&mut config.services);
        allow_programs(&mut config);
        if self.lacks_globals {
            restrict(&mut config);
            for candidate in candidates
                .iter_mut()
                .filter(|candidate| candidate.may_hide_globals())
            {
                let message = "until this file is valid, nothing is healed and /probe rejects all modules, because the file may have defaults \
                               and limits";
                candidate
                    .warnings
                    .extend(
                        file_error(&candidate.text.name, message)
                            .errors
                            .into_iter()
                            .map(|warning| Diagnostic {
                                is_error: false,
                                ..warning
                            }),
                    );
            }
        }
        config
    }

    /// The content in use of each file.
    fn contents(&self, candidates: &[Candidate<'_>]) -> Vec<Option<Arc<Content>>> {
        let mut contents: Vec<Content> = candidates.iter().map(|_| Content::default()).collect();
        for service in &self.config.services {
            if let Some(file) = self.services.get(&service.key) {
                contents[*file].services.push(Arc::clone(service));
            }
        }
        for disabled in &self.config.disabled {
            if let Some(file) = self.services.get(&disabled.service) {
                contents[*file].disabled.push(disabled.clone());
            }
        }
        for key in &self.config.derived_keys {
            if let Some(file) = self.services.get(key) {
                contents[*file].derived_keys.push(key.clone());
            }
        }
        for (window, (file, position)) in self.config.maintenance.iter().zip(&self.windows) {
            let window = named_by_file(window, &candidates[*file], *position, candidates.len());
            contents[*file].windows.push(window);
        }
        let modules = &self.config.probe.modules;
        let mut room = redact::MAX_BYTES;
        for (candidate, content) in candidates.iter().zip(&mut contents) {
            if let (Use::Current, Some(document)) = (candidate.used, &candidate.document) {
                content.shown = document.shown(room).into();
                room = room.saturating_sub(content.shown.len());
            }
            let written = candidate
                .document
                .as_ref()
                .and_then(|document| document.section("modules"));
            for entry in written.and_then(|modules| modules.entries()).unwrap_or_default() {
                let name = &*entry.key;
                if let Some(module) = modules.usable.get(name) {
                    content.modules.usable.insert(name.to_owned(), Arc::clone(module));
                } else if let Some(message) = modules.unusable.get(name) {
                    content.modules.unusable.insert(name.to_owned(), message.clone());
                }
            }
            let has_globals = candidate
                .document
                .as_ref()
                .is_some_and(|document| document.global_keys().next().is_some());
            if let (true, Text::Bytes(bytes)) = (has_globals, &candidate.text.text) {
                content.globals = Some(Arc::clone(bytes));
            }
        }
        let used = candidates.iter().zip(contents);
        used.map(|(candidate, content)| match candidate.used {
            Use::Current => Some(Arc::new(content)),
            Use::Last => candidate.last.clone(),
            Use::Nothing => None,
        })
        .collect()
    }
}

/// A window without a name is called by its path. With several files, this is unique only with the name of the file.
fn named_by_file(
    window: &Arc<MaintenanceWindow>,
    candidate: &Candidate<'_>,
    position: usize,
    files: usize,
) -> Arc<MaintenanceWindow> {
    let windows = candidate
        .document
        .as_ref()
        .and_then(|document| document.section("maintenance"));
    let written = windows.and_then(|windows| windows.items()?.get(position)?.get("name"));
    if files == 1 || written.is_some_and(|name| !name.is_null()) {
        return Arc::clone(window);
    }
    Arc::new(MaintenanceWindow {
        name: format!("maintenance[{position}] of {}", candidate.text.name),
        ..MaintenanceWindow::clone(window)
    })
}

/// Applies the current directories to the last valid content of files. A directory that is no longer listed is forbidden at once.
fn allow_programs(config: &mut Config) {
    for service in &mut config.services {
        let is_outdated = |check: &Arc<CheckSettings>| match &check.kind {
            KindSettings::Exec(exec) => exec.allowed != config.exec_directories,
            _ => false,
        };
        if !service.checks.iter().any(is_outdated) {
            continue;
        }
        for check in &mut Arc::make_mut(service).checks {
            if let KindSettings::Exec(exec) = &mut Arc::make_mut(check).kind {
                Arc::make_mut(exec).allowed = Arc::clone(&config.exec_directories);
            }
        }
    }
}

/// Removes dependencies on services that are missing, because their file has errors. There were warnings about them.
fn remove_missing_dependencies(services: &mut [Arc<Service>]) {
    let keys: HashSet<_> = services.iter().map(|service| service.key.clone()).collect();
    for service in services {
        if service.depends_on.iter().any(|key| !keys.contains(key)) {
            Arc::make_mut(service).depends_on.retain(|key| keys.contains(key));
        }
    }
}

/// Allows only what needs no global keys. A file without valid content may have some: `defaults` that turn healing off, and `probe`
/// that limits the targets.
fn restrict(config: &mut Config) {
    for service in &mut config.services {
        if service.heal.is_some() {
            Arc::make_mut(service).heal = None;
        }
    }
    let modules = std::mem::take(&mut config.probe.modules.usable);
    let message = "a configuration file that may limit the targets has errors: see the exporter's log";
    let modules = modules.into_keys().map(|name| (name, message.to_owned()));
    config.probe.modules.unusable.extend(modules);
}
