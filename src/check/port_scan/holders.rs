//! Finds the processes that hold sockets: those with a descriptor of them.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use rustix::io::Errno;

use super::cgroup;
use super::socket::Holder;
use crate::check::proc_scan::{ProcRoot, ProcessPath, has_ended};
use crate::net::shortage;

/// How many processes are remembered of one socket. Servers that fork share a socket among many processes.
pub const MAX_HOLDERS: usize = 16;

/// How long one search may take. A search of 100,000 descriptors takes about 0.2 s.
const MAX_SEARCH: Duration = Duration::from_secs(5);

/// How many bytes of `comm` and `cgroup` are read.
const MAX_FILE_BYTES: usize = 4 * 1024;

/// A descriptor of a socket.
#[derive(Clone, Debug)]
struct Descriptor {
    holder: Holder,
    /// Its path below /proc.
    path: String,
}

/// The processes that hold sockets, as found by the last search.
#[derive(Debug, Default)]
pub struct Holders {
    /// By the socket's inode.
    found: HashMap<u64, Vec<Descriptor>>,
}

/// The limits of a search.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    /// How many processes have descriptors that the exporter may not read.
    pub unreadable: usize,
    /// Whether some processes are not visible (`hidepid`, or another pid namespace), or the search took too long.
    pub is_partial: bool,
    /// Whether sockets were opened and closed all the time, so that their holders could not be searched.
    pub is_unsettled: bool,
}

impl Coverage {
    /// Whether a socket without a holder has none that /proc shows.
    pub const fn is_complete(self) -> bool {
        self.unreadable == 0 && !self.is_partial && !self.is_unsettled
    }
}

impl Holders {
    /// The holders of a socket, in the order of their ids.
    pub fn of(&self, inode: u64) -> Vec<Holder> {
        let found = self.found.get(&inode).into_iter().flatten();
        found.map(|descriptor| descriptor.holder.clone()).collect()
    }

    /// Whether the last search found a holder of a socket.
    pub fn has(&self, inode: u64) -> bool {
        self.found.contains_key(&inode)
    }

    /// Whether the last search found holders of all of these sockets, and these still hold them.
    pub fn are_current(&self, root: &ProcRoot, inodes: &HashSet<u64>) -> bool {
        inodes.iter().all(|inode| {
            let Some(descriptors) = self.found.get(inode) else {
                return false;
            };
            let target = format!("socket:[{inode}]");
            descriptors.iter().all(|descriptor| {
                root.link(&descriptor.path)
                    .is_ok_and(|link| link == target.as_bytes())
            })
        })
    }

    /// Searches the descriptors of all processes for `inodes`, and again for those found earlier.
    ///
    /// # Errors
    /// If /proc can't be listed, or descriptors or memory run out.
    pub fn search(&mut self, root: &ProcRoot, inodes: &HashSet<u64>) -> Result<Coverage, Errno> {
        let inodes: HashSet<u64> = inodes.iter().chain(self.found.keys()).copied().collect();
        self.found.clear();
        let began = Instant::now();
        let processes = root.processes()?;
        let mut coverage = Coverage {
            unreadable: 0,
            // Every pid namespace has a process 1. If it is not listed, /proc is mounted with `hidepid`.
            is_partial: !processes.contains(&1) || !shows_all_namespaces(root),
            is_unsettled: false,
        };
        let mut path = ProcessPath::default();
        for process in processes {
            if began.elapsed() > MAX_SEARCH {
                coverage.is_partial = true;
                break;
            }
            path.set_process(process);
            match self.search_process(root, process, &mut path, &inodes) {
                Ok(()) => {}
                Err(error) if has_ended(error) => {}
                Err(error) if shortage::from_errno(error).is_some() => return Err(error),
                Err(_) => coverage.unreadable += 1,
            }
        }
        Ok(coverage)
    }

    fn search_process(
        &mut self,
        root: &ProcRoot,
        process: i32,
        path: &mut ProcessPath,
        inodes: &HashSet<u64>,
    ) -> Result<(), Errno> {
        let mut links = Vec::new();
        root.each_descriptor(path.file("fd"), |name, target| {
            let inode = inode(target).filter(|inode| inodes.contains(inode));
            // The same socket can have several descriptors in one process.
            if let Some(inode) = inode.filter(|inode| !links.iter().any(|(known, _)| known == inode)) {
                links.push((inode, name.to_string_lossy().into_owned()));
            }
        })?;
        if links.is_empty() {
            return Ok(());
        }
        let holder = read_holder(root, process, path)?;
        for (inode, descriptor) in links {
            let found = self.found.entry(inode).or_default();
            if found.len() < MAX_HOLDERS {
                found.push(Descriptor {
                    holder: holder.clone(),
                    path: path.file(&format!("fd/{descriptor}")).to_owned(),
                });
            }
        }
        Ok(())
    }
}

/// Whether /proc belongs to the first pid namespace, which contains the processes of all others. Only there, process 2 is the parent of
/// the kernel's threads. In a container with the network of the host, the holders of most ports are in another pid namespace.
fn shows_all_namespaces(root: &ProcRoot) -> bool {
    let mut name = [0; 32];
    root.read("2/comm", &mut name)
        .is_ok_and(|length| name.get(..length) == Some(b"kthreadd\n".as_slice()))
}

/// Reads the facts about a process. A process that ends meanwhile is an error.
fn read_holder(root: &ProcRoot, process: i32, path: &mut ProcessPath) -> Result<Holder, Errno> {
    let mut text = [0; MAX_FILE_BYTES];
    let length = root.read(path.file("comm"), &mut text)?;
    let name = text[..length]
        .strip_suffix(b"\n")
        .unwrap_or(&text[..length])
        .to_vec();
    let cgroup = match root.read(path.file("cgroup"), &mut text) {
        Ok(length) => cgroup::parse_path(&text[..length]),
        Err(error) if has_ended(error) => return Err(error),
        Err(_) => None,
    };
    Ok(Holder {
        process,
        name,
        executable: root.link(path.file("exe")).ok(),
        cgroup,
    })
}

/// The inode in the target of a descriptor: `socket:[4711]`.
fn inode(target: &[u8]) -> Option<u64> {
    let digits = target.strip_prefix(b"socket:[")?.strip_suffix(b"]")?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::os::fd::AsRawFd;
    use std::path::Path;

    use super::*;

    #[test]
    fn targets_of_descriptors_are_parsed() {
        assert_eq!(inode(b"socket:[4711]"), Some(4711));
        for target in [
            "socket:[]",
            "socket:[x]",
            "pipe:[4711]",
            "/tmp/socket:[1]",
            "socket:[1",
        ] {
            assert_eq!(inode(target.as_bytes()), None, "{target}");
        }
    }

    #[test]
    fn only_the_first_pid_namespace_shows_all_processes() {
        let directory = tempfile::tempdir().unwrap();
        for (name, expected) in [(None, false), (Some("sh\n"), false), (Some("kthreadd\n"), true)] {
            for process in ["1", "2"] {
                std::fs::create_dir_all(directory.path().join(process).join("fd")).unwrap();
            }
            if let Some(name) = name {
                std::fs::write(directory.path().join("2/comm"), name).unwrap();
            }
            let root = ProcRoot::open(directory.path()).unwrap();
            let coverage = Holders::default().search(&root, &HashSet::from([1])).unwrap();
            assert_eq!(coverage.is_complete(), expected, "{name:?}: {coverage:?}");
        }
    }

    #[test]
    fn the_own_process_is_found_until_it_closes_the_socket() {
        let root = ProcRoot::open(Path::new("/proc")).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let second = listener.try_clone().unwrap();
        let link = std::fs::read_link(format!("/proc/self/fd/{}", listener.as_raw_fd())).unwrap();
        let inodes = HashSet::from([inode(link.as_os_str().as_encoded_bytes()).unwrap()]);
        let wanted = *inodes.iter().next().unwrap();
        let mut holders = Holders::default();
        assert!(!holders.are_current(&root, &inodes));
        holders.search(&root, &inodes).unwrap();
        let [holder] = &holders.of(wanted)[..] else {
            panic!("{holders:?}")
        };
        assert_eq!(u32::try_from(holder.process), Ok(std::process::id()));
        assert_eq!(
            holder.executable.as_deref(),
            Some(std::env::current_exe().unwrap().as_os_str().as_encoded_bytes())
        );
        assert!(holders.are_current(&root, &inodes));
        drop((listener, second));
        assert!(!holders.are_current(&root, &inodes));
        holders.search(&root, &inodes).unwrap();
        assert_eq!(holders.of(wanted), []);
    }
}
