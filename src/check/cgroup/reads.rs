//! Reads the files of groups by threads of the runtime for blocking work. The kernel may hold a lock for long while it collects such values.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::timeout;

use super::hierarchy::Hierarchies;
use super::parse::path_in_proc;
use super::path::GroupPath;
use super::usage::Usage;
use crate::check::host_reads::SharedReads;

/// How long a run waits for the values of a group at most. They take less than a millisecond unless the kernel or the machine is busy, and
/// a run is complete without them.
pub const MAX_WAIT: Duration = Duration::from_secs(2);

/// The maximum size of `/proc/PID/cgroup`: a few lines with a path each.
const MAX_PROC_BYTES: u64 = 64 * 1024;

/// The control groups of this machine, and the reads that are in progress. Clones share them.
#[derive(Clone, Debug)]
pub struct Cgroups {
    hierarchies: Hierarchies,
    usages: SharedReads<Option<Usage>>,
    texts: SharedReads<Option<String>>,
}

impl Default for Cgroups {
    fn default() -> Self {
        Self::new(Hierarchies::default())
    }
}

impl Cgroups {
    /// Control groups whose hierarchies are mounted at or below `root`.
    pub fn at(root: PathBuf) -> Self {
        Self::new(Hierarchies::at(root))
    }

    fn new(hierarchies: Hierarchies) -> Self {
        Self {
            hierarchies,
            usages: SharedReads::pooled(),
            texts: SharedReads::pooled(),
        }
    }

    /// What a group uses. `None` if it can't be read, or if that takes longer than `wait`.
    pub async fn read(&self, path: &GroupPath, wait: Duration) -> Option<Usage> {
        let (hierarchies, group) = (self.hierarchies.clone(), path.clone());
        let place = self.hierarchies.place(path);
        let read = self.usages.get(&place, move |_| hierarchies.usage(&group).ok());
        timeout(wait, read).await.ok()?.ok()?
    }

    /// The group of the process `pid` of the /proc mounted at `procfs`, up to the component of its path that contains `id`. `None` if it
    /// can't be read, or if that takes longer than `wait`.
    pub async fn group_of(&self, procfs: &Path, (pid, id): (u32, &str), wait: Duration) -> Option<GroupPath> {
        let path = procfs.join(pid.to_string()).join("cgroup");
        let read = self.texts.get(&path, read_text);
        let text = timeout(wait, read).await.ok()?.ok()??;
        path_in_proc(&text, id)
    }
}

fn read_text(path: &Path) -> Option<String> {
    let mut text = String::new();
    let file = File::open(path).ok()?;
    file.take(MAX_PROC_BYTES).read_to_string(&mut text).ok()?;
    Some(text)
}
