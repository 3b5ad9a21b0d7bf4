//! The configuration of host checks.

mod limit;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::path::{Component, PathBuf};

use schemars::JsonSchema;
use serde::Deserialize;

pub use limit::{Amount, LoadLimit, Share};

use super::place::{Invalid, Place};
use crate::model::ellipsize;

/// The maximum number of disks of a check. Every run reads all of them, each in its own thread.
const MAX_DISKS: usize = 32;

/// The longest target, in bytes. Longer ones are truncated.
const MAX_TARGET_BYTES: usize = 200;

/// The options of a host check. It measures the machine that the exporter runs on, and warns when a limit is reached.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HostOptions {
    /// Warn if at least this share of CPU time was in use since the previous run, such as 90%.
    pub cpu_below: Option<Share>,
    /// Warn if the load average over 5 minutes is this or higher: a number, or a number per core, such as 2 per core.
    pub load_below: Option<LoadLimit>,
    /// Warn if at most this much memory is available to programs: a share such as 10%, or a size such as 500MB.
    pub memory_available_above: Option<Amount>,
    /// Warn if at least this much swap space is in use: a share such as 80%, or a size such as 2GB.
    pub swap_below: Option<Amount>,
    /// Warn if tasks waited for a resource for at least this share of the last 60 seconds.
    pub pressure: Option<PressureOptions>,
    /// The file systems to measure. Default: none.
    pub disks: Vec<DiskOptions>,
    /// Warn if at least this share of the machine's file descriptors is in use, such as 80%.
    pub file_descriptors_below: Option<Share>,
}

/// The limits of pressure stall information.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PressureOptions {
    /// Warn if tasks waited for a CPU for at least this share of the time, such as 60%.
    pub cpu: Option<Share>,
    /// Warn if tasks waited for memory for at least this share of the time, such as 10%.
    pub memory: Option<Share>,
    /// Warn if tasks waited for disks for at least this share of the time, such as 40%.
    pub io: Option<Share>,
}

/// A file system.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DiskOptions {
    /// Absolute path of the directory where it is mounted.
    pub mount: Option<PathBuf>,
    /// Warn if at most this much space is free: a share such as 10%, or a size such as 5GB.
    pub free_above: Option<Amount>,
    /// Warn if at most this many inodes are free: a share such as 5%, or a number.
    pub inodes_free_above: Option<Amount>,
}

/// The settings of a host check.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HostSettings {
    /// The limit of CPU time in use.
    pub cpu_below: Option<Share>,
    /// The limit of the load average over 5 minutes.
    pub load_below: Option<LoadLimit>,
    /// The minimum of available memory.
    pub memory_available_above: Option<Amount>,
    /// The limit of swap space in use.
    pub swap_below: Option<Amount>,
    /// The limits of the pressure on CPU, memory and IO, in this order.
    pub pressure: [Option<Share>; 3],
    /// The file systems.
    pub disks: Vec<DiskSettings>,
    /// The limit of file descriptors in use.
    pub file_descriptors_below: Option<Share>,
}

/// A file system with its limits.
#[derive(Clone, Debug, PartialEq)]
pub struct DiskSettings {
    /// Where it is mounted.
    pub mount: PathBuf,
    /// The minimum of free space.
    pub free_above: Option<Amount>,
    /// The minimum of free inodes.
    pub inodes_free_above: Option<Amount>,
}

impl HostOptions {
    /// Resolves the options.
    ///
    /// # Errors
    /// Reported at their keys.
    pub fn resolve(self, place: &Place<'_>) -> Result<HostSettings, Invalid> {
        let disks = resolve_disks(self.disks, &place.field("disks"));
        let pressure = self.pressure.unwrap_or_default();
        let settings = HostSettings {
            cpu_below: self.cpu_below,
            load_below: self.load_below,
            memory_available_above: self.memory_available_above,
            swap_below: self.swap_below,
            pressure: [pressure.cpu, pressure.memory, pressure.io],
            disks: disks?,
            file_descriptors_below: self.file_descriptors_below,
        };
        if !settings.has_limits() {
            place
                .warn("without a limit, this check only exports metrics: add a limit such as cpu_below: 90%");
        }
        Ok(settings)
    }
}

fn resolve_disks(disks: Vec<DiskOptions>, place: &Place<'_>) -> Result<Vec<DiskSettings>, Invalid> {
    if disks.len() > MAX_DISKS {
        return Err(place.error(format_args!(
            "{} disks are too many: write at most {MAX_DISKS}, and the others in another check",
            disks.len()
        )));
    }
    let mut seen = BTreeSet::new();
    let mut resolved = Vec::new();
    let mut result = Ok(());
    for (index, disk) in disks.into_iter().enumerate() {
        let place = place.index(index);
        match resolve_mount(disk.mount, &place) {
            Ok(mount) if !seen.insert(mount.clone()) => {
                result = Err(place.field("mount").error(format_args!(
                    "{} appears twice: remove one of them",
                    mount.display()
                )));
            }
            Ok(mount) => resolved.push(DiskSettings {
                mount,
                free_above: disk.free_above,
                inodes_free_above: disk.inodes_free_above,
            }),
            Err(invalid) => result = Err(invalid),
        }
    }
    result.map(|()| resolved)
}

fn resolve_mount(mount: Option<PathBuf>, place: &Place<'_>) -> Result<PathBuf, Invalid> {
    let advice = "write the absolute path of a mount point, such as mount: /var";
    let Some(mount) = mount else {
        return Err(place.error(format_args!("mount is missing: {advice}")));
    };
    let is_plain = mount
        .components()
        .all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
    if !mount.is_absolute() || !is_plain {
        return Err(place.field("mount").error(format_args!(
            "\"{}\" is not an absolute path without ..: {advice}",
            mount.display()
        )));
    }
    // Without slashes at the end, so that two ways to write a path are the same.
    Ok(mount.components().collect())
}

impl HostSettings {
    fn has_limits(&self) -> bool {
        let is_limited = |disk: &DiskSettings| disk.free_above.is_some() || disk.inodes_free_above.is_some();
        self.cpu_below.is_some()
            || self.load_below.is_some()
            || self.memory_available_above.is_some()
            || self.swap_below.is_some()
            || self.pressure.iter().any(Option::is_some)
            || self.file_descriptors_below.is_some()
            || self.disks.iter().any(is_limited)
    }

    /// `localhost`, and the mount points in at most 200 bytes.
    pub fn target(&self) -> String {
        let mut target = "localhost".to_owned();
        for disk in &self.disks {
            target.push(' ');
            target.push_str(&disk.mount.display().to_string());
        }
        ellipsize(&mut target, MAX_TARGET_BYTES);
        target
    }
}

impl super::KindFacts for HostSettings {
    fn values_at_once(&self, label: &str) -> Option<u64> {
        match label {
            "mount" => Some(self.disks.len() as u64),
            // 1m, 5m, 15m
            "window" => Some(3),
            // cpu, memory, io
            "resource" => Some(3),
            _ => None,
        }
    }
}
