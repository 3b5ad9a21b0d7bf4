//! A run of a host check with every limit and the file systems of this machine.

use std::fs;
use std::path::Path;

use super::cost_every_second;
use crate::report::Line;

/// The maximum number of file systems of a host check.
const MAX_DISKS: usize = 32;
/// File systems on disks and in memory. Their free space is read without a request to another machine.
const TYPES: &[&str] = &["ext4", "xfs", "btrfs", "overlay", "tmpfs", "devtmpfs"];

pub fn measure(directory: &Path) -> anyhow::Result<Vec<Line>> {
    let mounts = mounts()?;
    let disks: Vec<String> = mounts
        .iter()
        .map(|mount| format!("{{ mount: \"{mount}\", free_above: 1 }}"))
        .collect();
    let keys = format!(
        "kind: host, cpu_below: 100%, load_below: 100000, memory_available_above: 1, swap_below: 100%, \
         pressure: {{ cpu: 100%, memory: 100%, io: 100% }}, file_descriptors_below: 100%, disks: [{}]",
        disks.join(", ")
    );
    let cost = cost_every_second(&keys, directory)?;
    let title = format!("host check with {} file systems", mounts.len());
    Ok(vec![
        Line::new(title.clone(), cost.duration, "ms"),
        Line::new(format!("{title}: CPU"), cost.cpu, "ms"),
    ])
}

/// Mount points of this machine, without those whose name needs an escape.
fn mounts() -> anyhow::Result<Vec<String>> {
    let text = fs::read_to_string("/proc/self/mounts")?;
    let mut mounts: Vec<String> = text
        .lines()
        .filter_map(|line| {
            let mut fields = line.split(' ');
            let (_, mount, kind) = (fields.next()?, fields.next()?, fields.next()?);
            let is_usable =
                TYPES.contains(&kind) && !mount.contains(['\\', '"']) && Path::new(mount).is_dir();
            is_usable.then(|| mount.to_owned())
        })
        .collect();
    mounts.sort_unstable();
    mounts.dedup();
    mounts.truncate(MAX_DISKS);
    Ok(mounts)
}
