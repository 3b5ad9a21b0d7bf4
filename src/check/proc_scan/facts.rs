//! Facts about a process that are expensive to read. They are read only when criteria need them.

use rustix::io::Errno;

use super::criteria::Facts;
use super::files::{ProcRoot, ProcessPath, has_ended};
use super::parse::count_pid_namespaces;
use super::texts::read_name;

/// How many bytes of a status file are read. It lists up to 65,536 groups before the namespaces, but few users are in more
/// than a few hundred.
const MAX_STATUS_BYTES: usize = 64 * 1024;

/// Facts about one process. Each is read at most once per scan.
pub struct ReadFacts<'a> {
    root: &'a ProcRoot,
    path: &'a mut ProcessPath,
    /// The buffer of the name, and the name's length there.
    name: &'a mut [u8],
    name_length: Option<Result<usize, Errno>>,
    user: Option<Option<u32>>,
    executable: Option<Option<Vec<u8>>>,
    is_in_own_namespace: Option<Option<bool>>,
}

impl<'a> ReadFacts<'a> {
    /// Creates the facts of the process with the directory `path`. `name` is a buffer, which contains the name if `name_length` is
    /// its length.
    pub fn new(
        root: &'a ProcRoot,
        path: &'a mut ProcessPath,
        name: &'a mut [u8],
        name_length: Option<usize>,
    ) -> Self {
        Self {
            root,
            path,
            name,
            name_length: name_length.map(Ok),
            user: None,
            executable: None,
            is_in_own_namespace: None,
        }
    }

    /// The path, for other files of the process.
    pub fn path(&mut self) -> &mut ProcessPath {
        self.path
    }

    /// Why the name can't be read, if it was requested.
    pub fn name_error(&self) -> Option<Errno> {
        self.name_length.and_then(Result::err)
    }
}

impl Facts for ReadFacts<'_> {
    fn name(&mut self) -> Option<&[u8]> {
        let length = *self
            .name_length
            .get_or_insert_with(|| read_name(self.root, self.path, self.name));
        length.ok().map(|length| &self.name[..length])
    }

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

/// Reads the executable's path. It is empty if there is none (a kernel thread, an ending process), `None` if it may not
/// be read.
fn read_executable(root: &ProcRoot, path: &mut ProcessPath) -> Option<Vec<u8>> {
    match root.link(path.file("exe")) {
        Ok(target) => Some(target),
        Err(error) if has_ended(error) => Some(Vec::new()),
        Err(_) => None,
    }
}

/// Reads whether the process is in /proc's own pid namespace. All users may read `status`, unlike `ns/pid`. A process in a
/// child namespace has an id there too.
fn read_namespaces(root: &ProcRoot, path: &mut ProcessPath) -> Option<bool> {
    let mut text = vec![0; MAX_STATUS_BYTES];
    match root.read(path.file("status"), &mut text) {
        // A kernel without this line has no pid namespaces, or is older than 4.1.
        Ok(length) if length < text.len() => {
            Some(count_pid_namespaces(&text[..length]).is_none_or(|count| count == 1))
        }
        Ok(_) => count_pid_namespaces(&text).map(|count| count == 1),
        Err(error) if has_ended(error) => Some(false),
        Err(_) => None,
    }
}
