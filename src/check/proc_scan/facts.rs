//! What costs more to read about a process, read when criteria ask for it.

use super::criteria::Facts;
use super::files::{ProcRoot, ProcessPath};
use super::parse::namespaces;
use super::scan::has_ended;

/// The most read of a status file, in bytes: it lists up to 65,536 groups before the namespaces, but few users are in more
/// than some hundred.
const MAX_STATUS_BYTES: usize = 64 * 1024;

/// Facts about one process, each read at most once, whoever needs it.
pub struct ReadFacts<'a> {
    root: &'a ProcRoot,
    path: &'a mut ProcessPath,
    user: Option<Option<u32>>,
    executable: Option<Option<Vec<u8>>>,
    is_in_own_namespace: Option<Option<bool>>,
}

impl<'a> ReadFacts<'a> {
    /// Of the process whose directory `path` is.
    pub fn new(root: &'a ProcRoot, path: &'a mut ProcessPath) -> Self {
        Self {
            root,
            path,
            user: None,
            executable: None,
            is_in_own_namespace: None,
        }
    }

    /// The path, for other files of the process.
    pub fn path(&mut self) -> &mut ProcessPath {
        self.path
    }
}

impl Facts for ReadFacts<'_> {
    fn user(&mut self) -> Option<u32> {
        *self
            .user
            .get_or_insert_with(|| self.root.owner(self.path.directory()).ok())
    }

    fn executable(&mut self) -> Option<&[u8]> {
        self.executable
            .get_or_insert_with(|| read_executable(self.root, self.path))
            .as_deref()
    }

    fn is_in_own_namespace(&mut self) -> Option<bool> {
        *self
            .is_in_own_namespace
            .get_or_insert_with(|| read_namespaces(self.root, self.path))
    }
}

/// The executable's path; empty for who has none (a kernel thread, a process that is ending), `None` when it may not be
/// read.
fn read_executable(root: &ProcRoot, path: &mut ProcessPath) -> Option<Vec<u8>> {
    match root.link(path.file("exe")) {
        Ok(target) => Some(target),
        Err(error) if has_ended(error) => Some(Vec::new()),
        Err(_) => None,
    }
}

/// Everybody may read the status file, unlike `ns/pid`. A process in a namespace below has an id there too.
fn read_namespaces(root: &ProcRoot, path: &mut ProcessPath) -> Option<bool> {
    let mut text = vec![0; MAX_STATUS_BYTES];
    match root.read(path.file("status"), &mut text) {
        // A kernel that does not say has no such namespaces, or is older than 4.1.
        Ok(length) if length < text.len() => Some(namespaces(&text[..length]).is_none_or(|count| count == 1)),
        Ok(_) => namespaces(&text).map(|count| count == 1),
        Err(error) if has_ended(error) => Some(false),
        Err(_) => None,
    }
}
