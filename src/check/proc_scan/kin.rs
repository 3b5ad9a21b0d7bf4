//! The processes that name what is looked for only because they belong to the command that started the exporter: its
//! ancestors (`timeout 10 upkeep_exporter check nginx`, a shell, a container's entrypoint), the other parts of its pipeline
//! (`upkeep_exporter check nginx | tee nginx.log`), and whoever quotes all of the exporter's arguments
//! (`docker run --pid=host upkeep_exporter check nginx`). No check counts them.

use std::collections::HashSet;

use rustix::io::Errno;

use super::files::{ProcRoot, ProcessPath};
use super::parse::{descent, ids};
use super::scan::{Buffers, read_command_line};
use crate::net::shortage::of_errno;

/// The most ancestors that are followed; pid namespaces and shells nest a few deep.
const MAX_ANCESTORS: usize = 64;

/// The most processes that may be parts of the pipeline and are looked at. A pipeline's parts are children of one shell.
const MAX_RELATIVES: usize = 256;

/// The most read of a list of children, in bytes.
const MAX_CHILDREN_BYTES: usize = 16 * 1024;

/// The exporter with the processes of its own command.
#[derive(Debug, Default)]
pub struct Kin {
    own: Option<i32>,
    ids: HashSet<i32>,
    /// The exporter's program without its directory.
    program: Vec<u8>,
    /// The exporter's arguments, where there are two or more: a single one may stand anywhere.
    arguments: Vec<u8>,
}

impl Kin {
    /// The exporter's kin as it is now: a process whose parent ends gets another one. Nobody, where this /proc does not
    /// show the exporter.
    ///
    /// # Errors
    /// When descriptors or memory are lacking: then it would be counted who must not be.
    pub fn find(root: &ProcRoot, buffers: &mut Buffers) -> Result<Self, Errno> {
        let Some(own) = root.own_process() else {
            return Ok(Self::default());
        };
        let mut kin = Self {
            own: Some(own),
            ..Self::default()
        };
        let Buffers {
            path,
            stat,
            command_line,
            ..
        } = buffers;
        path.set_process(own);
        if let Ok(Some(length)) = read_command_line(root, path, command_line) {
            let (program, arguments) = split(&command_line[..length]);
            kin.program = program.to_vec();
            if arguments.contains(&b' ') {
                kin.arguments = arguments.to_vec();
            }
        }
        let mut descent_of = |id: i32, path: &mut ProcessPath| {
            path.set_process(id);
            match root.read(path.file("stat"), stat) {
                Ok(length) => Ok(descent(&stat[..length])),
                Err(error) if of_errno(error).is_some() => Err(error),
                Err(_) => Ok(None),
            }
        };
        let Some((mut parent, session)) = descent_of(own, path)? else {
            return Ok(kin);
        };
        // Other parts of a pipeline are children of an ancestor: of one in the exporter's session, or of the one that started
        // the session. That may be the service manager, whose many children are looked at only if the exporter has pipes.
        let mut starters = Vec::new();
        let mut is_outside = false;
        while parent > 0 && kin.ids.len() < MAX_ANCESTORS && kin.ids.insert(parent) {
            let Some((next, its_session)) = descent_of(parent, path)? else {
                break;
            };
            if !is_outside {
                starters.push(parent);
                is_outside = its_session != session;
            }
            parent = next;
        }
        kin.add_pipeline(root, path, own, &starters);
        Ok(kin)
    }

    /// Whether this is the exporter itself.
    pub fn is_own(&self, id: i32) -> bool {
        self.own == Some(id)
    }

    /// Whether the process with this id and command line belongs to the exporter's own command.
    pub fn contains(&self, id: i32, command_line: Option<&[u8]>) -> bool {
        if self.ids.contains(&id) {
            return true;
        }
        let own = &self.arguments[..];
        let quotes = |line: &[u8]| {
            // Another exporter with the same arguments quotes nobody.
            let is_exporter = split(line).0 == self.program;
            !is_exporter && line.windows(own.len()).any(|part| part == own)
        };
        !own.is_empty() && command_line.is_some_and(quotes)
    }

    /// Adds what reads the exporter's output and what writes its input, over any number of pipes. Processes that write into
    /// the same pipe as the exporter, as all of a container do, are none of these.
    fn add_pipeline(&mut self, root: &ProcRoot, path: &mut ProcessPath, own: i32, starters: &[i32]) {
        let Some(ends) = Ends::read(root, path, own) else {
            return;
        };
        let mut relatives = Vec::new();
        for starter in starters {
            let children = children(root, *starter);
            let others = children
                .into_iter()
                .filter(|id| *id != own && !self.ids.contains(id));
            let room = MAX_RELATIVES - relatives.len();
            relatives.extend(
                others
                    .take(room)
                    .filter_map(|id| Some((id, Ends::read(root, path, id)?))),
            );
        }
        let mut parts = Vec::new();
        let (mut written, mut read) = (ends.outputs(), ends.inputs());
        loop {
            let before = parts.len();
            for (id, ends) in &relatives {
                if parts.contains(id) {
                    continue;
                }
                if ends.inputs().iter().any(|pipe| written.contains(pipe)) {
                    written.extend(ends.outputs());
                    parts.push(*id);
                } else if ends.outputs().iter().any(|pipe| read.contains(pipe)) {
                    read.extend(ends.inputs());
                    parts.push(*id);
                }
            }
            if parts.len() == before {
                break;
            }
        }
        // A part may be a wrapper, as in `| sudo tee nginx.log`.
        while let Some(part) = parts.pop() {
            if self.ids.len() < MAX_ANCESTORS + MAX_RELATIVES && self.ids.insert(part) {
                parts.extend(children(root, part));
            }
        }
    }
}

/// The children of a process; nobody, where the kernel does not list them.
fn children(root: &ProcRoot, id: i32) -> Vec<i32> {
    let mut text = vec![0; MAX_CHILDREN_BYTES];
    let length = root.read(&format!("{id}/task/{id}/children"), &mut text);
    length.map_or_else(|_| Vec::new(), |length| ids(&text[..length]).collect())
}

/// The program of a command line, without its directory, and its arguments.
fn split(command_line: &[u8]) -> (&[u8], &[u8]) {
    let mut parts = command_line.splitn(2, |&byte| byte == b' ');
    let program = parts.next().unwrap_or_default();
    let program = program.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
    (program, parts.next().unwrap_or_default())
}

/// The pipes that are a process's standard input, output and error.
struct Ends([Option<Vec<u8>>; 3]);

impl Ends {
    /// `None` where none of them is a pipe, or where that may not be read.
    fn read(root: &ProcRoot, path: &mut ProcessPath, id: i32) -> Option<Self> {
        path.set_process(id);
        let mut pipe = |file| {
            root.link(path.file(file))
                .ok()
                .filter(|link| link.starts_with(b"pipe:"))
        };
        let ends = [pipe("fd/0"), pipe("fd/1"), pipe("fd/2")];
        ends.iter().any(Option::is_some).then_some(Self(ends))
    }

    fn inputs(&self) -> Vec<Vec<u8>> {
        self.0[..1].iter().flatten().cloned().collect()
    }

    fn outputs(&self) -> Vec<Vec<u8>> {
        self.0[1..].iter().flatten().cloned().collect()
    }
}
