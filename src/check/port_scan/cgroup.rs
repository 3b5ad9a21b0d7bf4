//! Control groups: the units in their paths, and the paths of their ids.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{FsWord, statfs};

/// Where systemd mounts the hierarchy of version 2: alone, or in addition to version 1.
const ROOTS: [&str; 2] = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"];

/// The type of the file system of version 2 (linux/magic.h).
const CGROUP2_SUPER_MAGIC: FsWord = 0x6367_7270;

/// How many control groups are searched for an id. A host with 1,000 containers has a few thousand.
const MAX_GROUPS: usize = 100_000;

/// How deep they are searched. systemd and container engines nest fewer than ten.
const MAX_DEPTH: usize = 32;

/// How long an id counts as unknown before it is searched again.
const UNKNOWN_FOR: Duration = Duration::from_secs(60);

/// The types of units that have processes.
const UNIT_TYPES: [&str; 5] = [".service", ".socket", ".scope", ".mount", ".swap"];

/// The innermost unit in the path of a control group: `nginx.service` in `/system.slice/nginx.service`.
pub fn unit(path: &str) -> Option<&str> {
    path.rsplit('/')
        .map(unescape)
        .find(|name| UNIT_TYPES.iter().any(|suffix| name.ends_with(suffix)))
}

/// Whether a control group belongs to a unit of the system's manager or of a user's manager.
pub fn is_in_unit(path: &str, unit: &str) -> bool {
    path.split('/').any(|name| unescape(name) == unit)
}

/// systemd adds an underscore to names that the kernel could use itself (cg_escape).
fn unescape(name: &str) -> &str {
    name.strip_prefix('_').unwrap_or(name)
}

/// Parses the content of a file `/proc/PID/cgroup`: the path in systemd's hierarchy. With both versions, processes are in the
/// same group of both, unless version 2 is not used.
pub fn parse_path(text: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(text);
    let path = |prefix: &str| text.lines().find_map(|line| line.strip_prefix(prefix));
    let unified = path("0::");
    let named = text.lines().find_map(|line| line.split_once(":name=systemd:"));
    let named = named.map(|(_, path)| path);
    unified
        .filter(|path| *path != "/")
        .or(named)
        .or(unified)
        .map(str::to_owned)
}

/// The paths of control groups by their ids.
#[derive(Debug)]
pub struct Cgroups {
    roots: Vec<PathBuf>,
    paths: HashMap<u64, String>,
    unknown: HashSet<u64>,
    unknown_since: Instant,
}

impl Default for Cgroups {
    fn default() -> Self {
        let is_unified =
            |root: &&'static str| statfs(*root).is_ok_and(|found| found.f_type == CGROUP2_SUPER_MAGIC);
        Self::new(ROOTS.into_iter().find(is_unified).map(PathBuf::from))
    }
}

impl Cgroups {
    fn new(roots: impl IntoIterator<Item = PathBuf>) -> Self {
        Self {
            roots: roots.into_iter().collect(),
            paths: HashMap::new(),
            unknown: HashSet::new(),
            unknown_since: Instant::now(),
        }
    }

    /// Searches the paths of `ids` and forgets all others. An id is the number of the directory (cgroup_id in the kernel), and
    /// is not reused.
    pub fn update(&mut self, ids: &HashSet<u64>) {
        if self.unknown_since.elapsed() > UNKNOWN_FOR {
            self.unknown.clear();
            self.unknown_since = Instant::now();
        }
        self.paths.retain(|id, _| ids.contains(id));
        self.unknown.retain(|id| ids.contains(id));
        let mut missing: HashSet<u64> = ids
            .iter()
            .filter(|id| !self.paths.contains_key(id) && !self.unknown.contains(id))
            .copied()
            .collect();
        if missing.is_empty() {
            return;
        }
        for root in &self.roots {
            find(root, &mut missing, &mut self.paths);
        }
        self.unknown.extend(missing);
    }

    /// The path of a control group that [`Self::update`] found.
    pub fn path(&self, id: u64) -> Option<&str> {
        self.paths.get(&id).map(String::as_str)
    }
}

/// Searches the directories below `root` for those with the inode numbers `missing`.
fn find(root: &Path, missing: &mut HashSet<u64>, paths: &mut HashMap<u64, String>) {
    use std::os::unix::fs::{DirEntryExt, MetadataExt};

    let mut waiting = vec![(root.to_path_buf(), 0)];
    if let Ok(found) = root.metadata()
        && missing.remove(&found.ino())
    {
        paths.insert(found.ino(), "/".to_owned());
    }
    let mut visited = 0;
    while let Some((directory, depth)) = waiting.pop() {
        let Ok(entries) = directory.read_dir() else {
            continue;
        };
        for entry in entries.flatten() {
            if missing.is_empty() || visited == MAX_GROUPS {
                return;
            }
            if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                continue;
            }
            visited += 1;
            let path = entry.path();
            if missing.remove(&entry.ino())
                && let Ok(below) = path.strip_prefix(root)
            {
                paths.insert(entry.ino(), format!("/{}", below.display()));
            }
            if depth < MAX_DEPTH {
                waiting.push((path, depth + 1));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn the_innermost_unit_is_found() {
        for (path, expected) in [
            ("/system.slice/nginx.service", Some("nginx.service")),
            ("/system.slice/a.service/worker/3", Some("a.service")),
            (
                "/user.slice/user-1000.slice/user@1000.service/app.slice/b.service",
                Some("b.service"),
            ),
            ("/system.slice/docker-0123.scope", Some("docker-0123.scope")),
            ("/system.slice/_a.service", Some("a.service")),
            ("/system.slice", None),
            ("/", None),
            ("", None),
        ] {
            assert_eq!(unit(path), expected, "{path}");
        }
        let path = "/user.slice/user@1000.service/app.slice/b.service";
        assert!(is_in_unit(path, "b.service") && is_in_unit(path, "user@1000.service"));
        assert!(!is_in_unit(path, "b") && !is_in_unit(path, "1000.service"));
    }

    #[test]
    fn the_hierarchy_of_systemd_is_used() {
        for (text, expected) in [
            ("0::/system.slice/a.service\n", Some("/system.slice/a.service")),
            (
                "9:name=systemd:/a.service\n4:memory:/x\n0::/\n",
                Some("/a.service"),
            ),
            ("9:name=systemd:/a.service\n0::/b.service\n", Some("/b.service")),
            ("1:cpu:/\n0::/\n", Some("/")),
            ("1:cpu:/\n", None),
            ("", None),
        ] {
            assert_eq!(parse_path(text.as_bytes()).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn ids_are_found_once_and_forgotten() {
        let root = tempfile::tempdir().unwrap();
        let group = root.path().join("system.slice/a.service");
        std::fs::create_dir_all(&group).unwrap();
        std::fs::write(root.path().join("system.slice/cgroup.procs"), "").unwrap();
        let (id, top) = (
            group.metadata().unwrap().ino(),
            root.path().metadata().unwrap().ino(),
        );
        let mut cgroups = Cgroups::new([root.path().to_path_buf()]);
        cgroups.update(&HashSet::from([id, top, 1]));
        assert_eq!(cgroups.path(id), Some("/system.slice/a.service"));
        assert_eq!(cgroups.path(top), Some("/"));
        assert_eq!(cgroups.path(1), None);
        assert!(cgroups.unknown.contains(&1));
        // Known and unknown ids are not searched again.
        std::fs::remove_dir_all(root.path().join("system.slice")).unwrap();
        cgroups.update(&HashSet::from([id, 1]));
        assert_eq!(cgroups.path(id), Some("/system.slice/a.service"));
        assert_eq!(cgroups.path(top), None);
        cgroups.update(&HashSet::new());
        assert_eq!((cgroups.paths.len(), cgroups.unknown.len()), (0, 0));
    }
}
