//! The mounted hierarchies: the one of cgroup v2, or those of v1, one per controller.

use std::ffi::{CStr, OsStr};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rustix::fs::{AtFlags, Mode, OFlags, open, statat};
use rustix::io::Errno;

use super::files::{Buffer, Directory};
use super::parse;
use super::path::GroupPath;
use super::usage::Usage;

/// Where the hierarchies are mounted.
const ROOT: &str = "/sys/fs/cgroup";

/// The hierarchies of this machine. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Hierarchies {
    root: Arc<Path>,
    /// Opened by the first reading, and then reused: a hierarchy is mounted once, at boot.
    layout: Arc<OnceLock<Layout>>,
}

/// The roots of the hierarchies.
#[derive(Debug)]
enum Layout {
    Unified(OwnedFd),
    Legacy(Legacy),
}

/// The hierarchies of v1. Absent ones are not mounted.
#[derive(Debug)]
struct Legacy {
    memory: Option<OwnedFd>,
    cpu: Option<OwnedFd>,
    tasks: Option<OwnedFd>,
    io: Option<OwnedFd>,
    /// The hierarchy of v2 without controllers, which systemd uses at the same time. It counts CPU time too.
    unified: Option<OwnedFd>,
}

impl Default for Hierarchies {
    fn default() -> Self {
        Self::at(ROOT.into())
    }
}

impl Hierarchies {
    /// Hierarchies that are mounted at or below `root`.
    pub fn at(root: PathBuf) -> Self {
        Self {
            root: root.into(),
            layout: Arc::default(),
        }
    }

    /// The path of the directory of a group, which identifies it.
    pub fn place(&self, path: &GroupPath) -> PathBuf {
        let components = path.components().iter();
        let names = components.map(|name| OsStr::from_bytes(name.to_bytes()));
        self.root.join(names.collect::<PathBuf>())
    }

    /// What a group uses. Values that the kernel does not measure there are absent. Blocks.
    ///
    /// # Errors
    /// Why it can't be read: `ENOENT` if there is no such group.
    pub fn usage(&self, path: &GroupPath) -> Result<Usage, Errno> {
        let mut buffer = Buffer::default();
        match self.layout()? {
            Layout::Unified(root) => Ok(unified(&Directory::open(root, path)?, &mut buffer)),
            Layout::Legacy(roots) => roots.usage(path, &mut buffer),
        }
    }

    fn layout(&self) -> Result<&Layout, Errno> {
        if let Some(layout) = self.layout.get() {
            return Ok(layout);
        }
        let layout = Layout::find(&self.root)?;
        Ok(self.layout.get_or_init(|| layout))
    }
}

impl Layout {
    fn find(root: &Path) -> Result<Self, Errno> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = open(root, flags, Mode::empty())?;
        if statat(&directory, c"cgroup.controllers", AtFlags::empty()).is_ok() {
            return Ok(Self::Unified(directory));
        }
        let find = |names: &[&str]| {
            let opened = names
                .iter()
                .map(|name| open(root.join(name), flags, Mode::empty()));
            opened.flatten().next()
        };
        let legacy = Legacy {
            memory: find(&["memory"]),
            cpu: find(&["cpuacct", "cpu,cpuacct"]),
            tasks: find(&["pids"]),
            io: find(&["blkio"]),
            unified: find(&["unified"]),
        };
        let has_any = [&legacy.memory, &legacy.cpu, &legacy.tasks, &legacy.io]
            .iter()
            .any(|root| root.is_some());
        if has_any {
            Ok(Self::Legacy(legacy))
        } else {
            Err(Errno::NOENT)
        }
    }
}

fn unified(group: &Directory, buffer: &mut Buffer) -> Usage {
    let mut read = |name: &CStr, parse: fn(&str) -> Option<u64>| group.read(name, buffer).and_then(parse);
    let memory = read(c"memory.current", parse::number);
    let cpu_nanos = unified_cpu(&mut read);
    let mut usage = Usage {
        id: group.id().unwrap_or_default(),
        cpu_nanos,
        memory,
        tasks: read(c"pids.current", parse::number),
        ..Usage::default()
    };
    // Without its controller, a group has no other file of it either.
    if memory.is_some() {
        usage.memory_peak = read(c"memory.peak", parse::number);
        usage.memory_limit = read(c"memory.max", parse::limit);
        usage.inactive_file = read(c"memory.stat", |text| parse::value(text, "inactive_file"));
        usage.oom_kills = read(c"memory.events", |text| parse::value(text, "oom_kill"));
    }
    if usage.tasks.is_some() {
        usage.tasks_limit = read(c"pids.max", parse::limit);
    }
    usage.io = group.read(c"io.stat", buffer).map(parse::io_stat);
    usage
}

fn unified_cpu(read: &mut impl FnMut(&CStr, fn(&str) -> Option<u64>) -> Option<u64>) -> Option<u64> {
    let micros = read(c"cpu.stat", |text| parse::value(text, "usage_usec"));
    micros.map(|micros| micros.saturating_mul(1000))
}

impl Legacy {
    fn usage(&self, path: &GroupPath, buffer: &mut Buffer) -> Result<Usage, Errno> {
        let mut usage = Usage::default();
        // Every controller has its own tree, and a manager creates a group only where it uses the controller.
        let mut error = Errno::NOENT;
        let mut is_found = false;
        let mut open = |root: &Option<OwnedFd>| {
            let opened = root.as_ref().map(|root| Directory::open(root, path))?;
            match opened {
                Ok(directory) => {
                    is_found = true;
                    Some(directory)
                }
                Err(cause) => {
                    error = cause;
                    None
                }
            }
        };
        let (memory, cpu, tasks, io) = (
            open(&self.memory),
            open(&self.cpu),
            open(&self.tasks),
            open(&self.io),
        );
        let other = if cpu.is_none() { open(&self.unified) } else { None };
        if !is_found {
            return Err(error);
        }
        usage.id = [&memory, &cpu, &tasks, &io, &other]
            .into_iter()
            .flatten()
            .find_map(Directory::id)
            .unwrap_or_default();
        if let Some(group) = &memory {
            let mut read =
                |name: &CStr, parse: fn(&str) -> Option<u64>| group.read(name, buffer).and_then(parse);
            usage.memory = read(c"memory.usage_in_bytes", parse::number);
            usage.memory_peak = read(c"memory.max_usage_in_bytes", parse::number);
            usage.memory_limit = read(c"memory.limit_in_bytes", parse::limit);
            usage.inactive_file = read(c"memory.stat", |text| parse::value(text, "total_inactive_file"));
            usage.oom_kills = read(c"memory.oom_control", |text| parse::value(text, "oom_kill"));
        }
        if let Some(group) = &cpu {
            usage.cpu_nanos = group.read(c"cpuacct.usage", buffer).and_then(parse::number);
        } else if let Some(group) = &other {
            usage.cpu_nanos = unified_cpu(&mut |name, parse| group.read(name, buffer).and_then(parse));
        }
        if let Some(group) = &tasks {
            usage.tasks = group.read(c"pids.current", buffer).and_then(parse::number);
            usage.tasks_limit = group.read(c"pids.max", buffer).and_then(parse::limit);
        }
        if let Some(group) = &io {
            // Old kernels only count what the group itself did, without the groups below it.
            let names = [
                c"blkio.throttle.io_service_bytes_recursive",
                c"blkio.throttle.io_service_bytes",
            ];
            for name in names {
                usage.io = usage
                    .io
                    .or_else(|| group.read(name, buffer).map(parse::io_service_bytes));
            }
        }
        Ok(usage)
    }
}

#[cfg(test)]
mod tests;
