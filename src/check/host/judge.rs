//! Compares the figures of a machine with the limits of a check. Pure.

use std::path::Path;

use crate::check::host_reads::{DiskUsage, Figures, RESOURCES};
use crate::config::host::{Amount, DiskSettings, HostSettings};

/// A limit that is reached, or that can't be compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crossed {
    /// What it limits: `CPU`, `/var`.
    pub subject: String,
    /// The value and the limit.
    pub detail: String,
    /// Whether the machine does not report the value.
    pub is_unknown: bool,
}

impl Crossed {
    fn new(subject: impl Into<String>, detail: String) -> Self {
        Self {
            subject: subject.into(),
            detail,
            is_unknown: false,
        }
    }
}

/// Compares the figures with the limits. `cpu` is the share of CPU time in use, if known.
pub fn judge(settings: &HostSettings, figures: &Figures, cpu: Option<f64>) -> Vec<Crossed> {
    let mut crossed = Vec::new();
    if let (Some(limit), Some(cpu)) = (settings.cpu_below, cpu)
        && cpu >= limit.ratio()
    {
        crossed.push(Crossed::new(
            "CPU",
            format!("{} in use (cpu_below: {limit})", percent(cpu)),
        ));
    }
    let [_, load, _] = figures.load;
    if let Some(limit) = settings.load_below
        && load >= limit.of(figures.cores)
    {
        let cores = figures.cores;
        crossed.push(Crossed::new(
            "load",
            format!("{load:.2} over 5 minutes on {cores} cores (load_below: {limit})"),
        ));
    }
    crossed.extend(judge_memory(settings, figures));
    crossed.extend(judge_pressure(settings, figures));
    let descriptors = figures.descriptors;
    if let Some(limit) = settings.file_descriptors_below {
        let used = ratio(descriptors.open, descriptors.max);
        if used >= limit.ratio() {
            let text = format!(
                "{} of {} open, {} (file_descriptors_below: {limit})",
                descriptors.open,
                descriptors.max,
                percent(used)
            );
            crossed.push(Crossed::new("file descriptors", text));
        }
    }
    crossed
}

fn judge_memory(settings: &HostSettings, figures: &Figures) -> Vec<Crossed> {
    let memory = figures.memory;
    let mut crossed = Vec::new();
    if let Some(limit) = settings.memory_available_above
        && is_at_most(memory.available, limit, memory.total)
    {
        let text = part(memory.available, memory.total);
        crossed.push(Crossed::new(
            "memory",
            format!("{text} available (memory_available_above: {limit})"),
        ));
    }
    let used = memory.swap_total.saturating_sub(memory.swap_free);
    if let Some(limit) = settings.swap_below
        && memory.swap_total > 0
        && !is_below(used, limit, memory.swap_total)
    {
        let text = part(used, memory.swap_total);
        crossed.push(Crossed::new(
            "swap",
            format!("{text} in use (swap_below: {limit})"),
        ));
    }
    crossed
}

fn judge_pressure(settings: &HostSettings, figures: &Figures) -> Vec<Crossed> {
    let mut crossed = Vec::new();
    for (position, resource) in RESOURCES.into_iter().enumerate() {
        let Some(limit) = settings.pressure[position] else {
            continue;
        };
        let subject = format!("pressure on {resource}");
        match figures.pressure.map(|pressure| pressure[position].recent) {
            Some(recent) if recent >= limit.ratio() => {
                let text = format!(
                    "tasks waited for {} of the last minute (pressure.{resource}: {limit})",
                    percent(recent)
                );
                crossed.push(Crossed::new(subject, text));
            }
            Some(_) => {}
            None => {
                let text =
                    "the kernel does not report it: start it with psi=1, or remove the limit".to_owned();
                crossed.push(Crossed {
                    is_unknown: true,
                    ..Crossed::new(subject, text)
                });
            }
        }
    }
    crossed
}

/// Compares a file system with its limits.
pub fn judge_disk(settings: &DiskSettings, usage: &DiskUsage) -> Vec<Crossed> {
    let mut crossed = Vec::new();
    let mount = |mount: &Path| mount.display().to_string();
    if let Some(limit) = settings.free_above
        && is_at_most(usage.available, limit, usage.usable())
    {
        let text = part(usage.available, usage.usable());
        crossed.push(Crossed::new(
            mount(&settings.mount),
            format!("{text} free (free_above: {limit})"),
        ));
    }
    if let Some(limit) = settings.inodes_free_above
        && usage.inodes > 0
        && is_at_most(usage.inodes_free, limit, usage.inodes)
    {
        let share = percent(ratio(usage.inodes_free, usage.inodes));
        let text = format!(
            "{} inodes, {share}, free (inodes_free_above: {limit})",
            usage.inodes_free
        );
        crossed.push(Crossed::new(mount(&settings.mount), text));
    }
    crossed
}

#[allow(clippy::cast_precision_loss, reason = "limits need no more than 53 bits")]
fn is_at_most(value: u64, limit: Amount, total: u64) -> bool {
    value as f64 <= limit.of(total)
}

#[allow(clippy::cast_precision_loss, reason = "limits need no more than 53 bits")]
fn is_below(value: u64, limit: Amount, total: u64) -> bool {
    (value as f64) < limit.of(total)
}

/// The share of a total. 0 if the total is 0.
#[allow(clippy::cast_precision_loss, reason = "a share needs no more than 53 bits")]
fn ratio(part: u64, total: u64) -> f64 {
    match total {
        0 => 0.0,
        total => part as f64 / total as f64,
    }
}

fn percent(ratio: f64) -> String {
    format!("{:.1}%", ratio * 100.0)
}

/// A size and its share of a total: `1.5 GiB, 3.2%,`.
fn part(size: u64, total: u64) -> String {
    format!("{}, {},", bytes(size), percent(ratio(size, total)))
}

/// Formats a number of bytes with a unit.
#[allow(clippy::cast_precision_loss, reason = "the text has two digits")]
fn bytes(size: u64) -> String {
    let units = [("GiB", 30), ("MiB", 20), ("KiB", 10)];
    let unit = units.into_iter().find(|(_, shift)| size >= 1 << shift);
    match unit {
        Some((name, shift)) => format!("{:.1} {name}", size as f64 / (1_u64 << shift) as f64),
        None => format!("{size} bytes"),
    }
}

#[cfg(test)]
mod tests;
