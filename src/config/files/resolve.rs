//! Resolves the texts of files to one configuration. It reads no configuration file.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::candidate::{Candidate, Use, candidates};
use super::discover::{FileText, Text};
use super::memory::Memory;
use super::merge::{Merged, Part};
use super::report::{ConfigFile, LoadedFiles};
use super::round::Round;
use crate::config::diagnostic::{ConfigError, Diagnostic};
use crate::config::load::{file_error, sort};
use crate::config::others::Others;
use crate::config::place::{MAX_FINDINGS, Place};
use crate::config::root;
use crate::config::settings::Service;
use crate::model::ServiceKey;

/// The maximum number of rounds. A round ends with the files whose errors it found being replaced by their last valid content, which
/// may be in conflict with yet other files. After so many rounds nothing changes.
const MAX_ROUNDS: usize = 8;

/// Why no configuration could be made of the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Failure {
    /// No file can be used, or those that can be used have neither services nor modules.
    Empty,
    /// The last valid content of files with errors does not fit to the other files, or there are too many findings.
    Inseparable,
}

/// Resolves `files`. Errors of a file do not affect the others: its content in `memory` is used instead. Updates `memory`.
///
/// # Errors
/// If no file can be used, and there is no configuration in `memory`: all errors.
pub fn resolve(files: &[FileText], memory: &mut Memory) -> Result<LoadedFiles, ConfigError> {
    let mut candidates = candidates(files, memory);
    let (config, failure) = match resolve_rounds(&mut candidates) {
        Ok(round) => (Some(round.into_config(&mut candidates, memory)), None),
        // Everything stays as it is.
        Err(failure) => (memory.config.clone(), Some(failure)),
    };
    let mut loaded = LoadedFiles::default();
    let mut errors = Vec::new();
    for candidate in &mut candidates {
        if matches!(candidate.text.text, Text::Unknown) {
            continue;
        }
        sort(&mut candidate.errors);
        sort(&mut candidate.warnings);
        loaded.files.push(ConfigFile {
            name: Arc::clone(&candidate.text.name),
            is_valid: candidate.errors.is_empty(),
        });
        errors.append(&mut candidate.errors);
        loaded.warnings.append(&mut candidate.warnings);
    }
    let name = loaded.files.first().map_or("configuration", |file| &*file.name);
    match failure {
        Some(Failure::Empty) if errors.is_empty() => {
            errors = file_error(name, if_empty(files.len())).errors;
            loaded.files.iter_mut().for_each(|file| file.is_valid = false);
        }
        // Otherwise the exporter would start without any service.
        Some(Failure::Inseparable) if errors.is_empty() => {
            let message = format!(
                "the files have more than {MAX_FINDINGS} warnings, so that some of their content may be missing: fix some"
            );
            errors = file_error(name, message).errors;
            loaded.files.iter_mut().for_each(|file| file.is_valid = false);
        }
        Some(Failure::Inseparable) if config.is_some() => {
            let message = "the errors affect other files: no file was loaded";
            errors.extend(file_error(name, message).errors);
        }
        _ => {}
    }
    let is_cut = errors.len() >= MAX_FINDINGS;
    loaded.errors = (!errors.is_empty()).then_some(ConfigError { errors, is_cut });
    match (config, loaded.errors.take()) {
        (None, Some(errors)) => Err(errors),
        (config, errors) => {
            loaded.errors = errors;
            loaded.config = config.unwrap_or_default();
            memory.config = Some(loaded.config.clone());
            Ok(loaded)
        }
    }
}

/// The message for files without services and modules.
fn if_empty(files: usize) -> &'static str {
    match files {
        1 => "services is missing: list the services to check, modules for /probe, or process_groups",
        _ => {
            "no file has services, modules or process_groups: list the services to check, or modules for /probe"
        }
    }
}

/// Resolves the files, and replaces those with errors by their last valid content, until there are no more errors.
fn resolve_rounds(candidates: &mut [Candidate<'_>]) -> Result<Round, Failure> {
    for _ in 0..MAX_ROUNDS {
        if candidates.iter().all(|candidate| candidate.used == Use::Nothing) {
            return Err(Failure::Empty);
        }
        let mut attempt = resolve_once(candidates);
        for (file, diagnostic) in std::mem::take(&mut attempt.found) {
            let candidate = &mut candidates[file];
            match diagnostic.is_error {
                true => candidate.errors.push(diagnostic),
                false => candidate.warnings.push(diagnostic),
            }
        }
        let is_current = |file: &usize| candidates[*file].used == Use::Current;
        let is_separable = attempt.broken.iter().all(is_current);
        if attempt.is_cut || !is_separable {
            return Err(Failure::Inseparable);
        }
        let own = (0..candidates.len()).filter(|file| is_current(file) && candidates[*file].is_broken);
        let broken: BTreeSet<usize> = own.chain(attempt.broken).collect();
        if broken.is_empty() {
            let config = &attempt.round.config;
            let has_modules = !config.probe.modules.is_empty();
            let has_services = !config.services.is_empty() || !config.disabled.is_empty();
            let has_content = has_services || has_modules || config.process_groups.is_some();
            let has_last = candidates.iter().any(|candidate| candidate.used == Use::Last);
            return match has_last || has_content {
                true => Ok(attempt.round),
                false => Err(Failure::Empty),
            };
        }
        for file in broken {
            candidates[file].replace();
        }
    }
    Err(Failure::Inseparable)
}

/// The result of resolving the files once.
struct Attempt {
    round: Round,
    /// The files that can't be used as they are now.
    broken: Vec<usize>,
    /// Whether there are too many findings, so that some may be missing.
    is_cut: bool,
    /// The errors and warnings, each with its file.
    found: Vec<(usize, Diagnostic)>,
}

/// Resolves the files once. A reference to a service that is missing because of an error in another file is not an error.
fn resolve_once(candidates: &[Candidate<'_>]) -> Attempt {
    let is_incomplete = candidates.iter().any(|candidate| candidate.used != Use::Current);
    let mut attempt = resolve_with(candidates, is_incomplete);
    if is_incomplete || candidates.len() == 1 || attempt.broken.is_empty() {
        return attempt;
    }
    let without_references = resolve_with(candidates, true);
    let own = (0..candidates.len()).filter(|file| candidates[*file].is_broken);
    let causes: BTreeSet<usize> = own.chain(without_references.broken.iter().copied()).collect();
    if causes.is_empty() {
        return attempt;
    }
    // The next round finds the warnings of the other files again.
    attempt.found.retain(|(file, _)| causes.contains(file));
    let others = without_references.found.into_iter();
    attempt
        .found
        .extend(others.filter(|(file, diagnostic)| diagnostic.is_error && !causes.contains(file)));
    attempt.broken = without_references.broken;
    attempt
}

/// Resolves the files. If services may be missing, a reference to an unknown one is only a warning.
fn resolve_with(candidates: &[Candidate<'_>], is_incomplete: bool) -> Attempt {
    let names: Vec<Arc<str>> = candidates
        .iter()
        .map(|candidate| Arc::clone(&candidate.text.name))
        .collect();
    let parts: Vec<Part<'_>> = candidates.iter().map(Candidate::part).collect();
    let mut order: Vec<usize> = (0..candidates.len()).collect();
    order.sort_by_key(|file| candidates[*file].precedence());
    let merged = Merged::new(&names, &parts, &order);
    let others: Vec<Arc<Service>> = candidates
        .iter()
        .filter(|candidate| candidate.used == Use::Last)
        .flat_map(|candidate| {
            candidate
                .last
                .iter()
                .flat_map(|last| last.services.iter().cloned())
        })
        .collect();
    let context = Others {
        services: &others,
        is_incomplete,
    };
    let findings = RefCell::default();
    let config = root::resolve_sections(&merged.document, context, &Place::root(&findings));
    let findings = findings.into_inner();
    let is_cut = findings.len() >= MAX_FINDINGS;

    let mut broken = Vec::new();
    let mut located = Vec::new();
    for finding in findings {
        let is_error = finding.is_error;
        match merged.locate(finding) {
            Some((file, finding)) => {
                if is_error {
                    broken.push(file);
                }
                // Warnings about the last valid content were logged when it was loaded.
                if candidates[file].used == Use::Current
                    && let Some(document) = &candidates[file].document
                    && let Some(diagnostic) = document.locate(finding, &names[file])
                {
                    located.push((file, diagnostic));
                }
            }
            None if is_error => broken.extend(0..candidates.len()),
            None => {}
        }
    }
    for conflict in merged.conflicts.iter().filter(|conflict| conflict.is_lost) {
        broken.push(conflict.file);
    }
    let enabled = config.services.iter().map(|service| &service.key);
    let disabled = config.disabled.iter().map(|disabled| &disabled.service);
    let owners: Option<HashMap<ServiceKey, usize>> = enabled
        .chain(disabled)
        .chain(&config.derived_keys)
        .map(|key| Some((key.clone(), merged.file_of_service(key.as_str())?)))
        .collect();
    let is_cut = is_cut || owners.is_none();
    let round = Round {
        services: owners.unwrap_or_default(),
        windows: merged.windows.clone(),
        lacks_globals: !merged.has_limits(&parts) && candidates.iter().any(Candidate::may_hide_globals),
        config,
    };
    let conflicts = merged
        .conflicts
        .into_iter()
        .map(|conflict| (conflict.file, conflict.error));
    Attempt {
        round,
        broken,
        is_cut,
        found: located.into_iter().chain(conflicts).collect(),
    }
}
