//! The processes of the command that started the exporter. Their command lines can contain the name of a checked process,
//! so no check counts them:
//!
//! - the exporter's ancestors (`timeout 10 upkeep_exporter check nginx`, a shell, a container's entrypoint)
//! - the other parts of its pipeline (`upkeep_exporter check nginx | tee nginx.log`)
//! - processes whose command line contains all arguments of the exporter
//!   (`docker run --pid=host upkeep_exporter check nginx`)

use std::collections::HashSet;

use rustix::io::Errno;

use super::files::{ProcRoot, ProcessPath};
use super::parse::{ids, parent_and_session};
use super::texts::{Buffers, read_command_line};
use crate::net::shortage;

/// How many ancestors are followed. Pid namespaces and shells are nested only a few levels deep.
const MAX_ANCESTORS: usize = 64;

/// How many processes are examined as possible parts of the pipeline. Usually these are the children of one shell.
const MAX_RELATIVES: usize = 256;

/// How many bytes of a list of children are read.
const MAX_CHILDREN_BYTES: usize = 16 * 1024;

/// The exporter and the processes of its own command.
#[derive(Debug, Default)]
pub struct OwnCommand {
    exporter: Option<i32>,
    ids: HashSet<i32>,
    /// The exporter's program without its directory.
    program: Vec<u8>,
    /// The exporter's arguments if there are at least two. A single argument can occur in any command line.
    arguments: Vec<u8>,
}

impl OwnCommand {
    /// Finds the processes. Every scan calls this, because a process gets a new parent when its parent ends. Finds none if this
    /// /proc does not show the exporter.
    ///
    /// # Errors
    /// If descriptors or memory are lacking. Otherwise, processes would be counted that must not be.
    pub fn find(root: &ProcRoot, buffers: &mut Buffers) -> Result<Self, Errno> {
        let Some(exporter) = root.own_process() else {
            return Ok(Self::default());
        };
        let mut own_command = Self {
            exporter: Some(exporter),
            ..Self::default()
        };
        let Buffers {
            path,
            stat,
            command_line,
            ..
        } = buffers;
        path.set_process(exporter);
        if let Ok(Some(length)) = read_command_line(root, path, command_line) {
            let (program, arguments) = split(&command_line[..length]);
            own_command.program = program.to_vec();
            if arguments.contains(&b' ') {
                own_command.arguments = arguments.to_vec();
            }
        }
        let mut origin_of = |id: i32, path: &mut ProcessPath| {
            path.set_process(id);
            match root.read(path.file("stat"), stat) {
                Ok(length) => Ok(parent_and_session(&stat[..length])),
                Err(error) if shortage::from_errno(error).is_some() => Err(error),
                Err(_) => Ok(None),
            }
        };
        let Some((mut parent, session)) = origin_of(exporter, path)? else {
            return Ok(own_command);
        };
        // The other parts of a pipeline are children of an ancestor in the exporter's session, or of the ancestor that
        // started the session. The latter can be the service manager, which has many children. So children are read only if
        // the exporter has pipes.
        let mut starters = Vec::new();
        let mut is_outside = false;
        while parent > 0 && own_command.ids.len() < MAX_ANCESTORS && own_command.ids.insert(parent) {
            let Some((next, its_session)) = origin_of(parent, path)? else {
                break;
            };
            if !is_outside {
                starters.push(parent);
                is_outside = its_session != session;
            }
            parent = next;
        }
        own_command.add_pipeline(root, path, exporter, &starters);
        Ok(own_command)
    }

    /// Whether this is the exporter itself.
    pub fn is_exporter(&self, id: i32) -> bool {
        self.exporter == Some(id)
    }

    /// Whether the process with this id and command line belongs to the exporter's command.
    pub fn contains(&self, id: i32, command_line: Option<&[u8]>) -> bool {
        if self.ids.contains(&id) {
            return true;
        }
        let arguments = &self.arguments[..];
        let contains_arguments = |line: &[u8]| {
            // Another exporter with the same arguments does not belong to this command.
            let is_exporter = split(line).0 == self.program;
            !is_exporter && line.windows(arguments.len()).any(|part| part == arguments)
        };
        !arguments.is_empty() && command_line.is_some_and(contains_arguments)
    }

    /// Adds the processes that read the exporter's output or write its input, over any number of pipes. A process that only
    /// writes into the same pipe as the exporter is not a part of the pipeline: all processes of a container do that.
    fn add_pipeline(&mut self, root: &ProcRoot, path: &mut ProcessPath, exporter: i32, starters: &[i32]) {
        let Some(pipes) = StandardPipes::read(root, path, exporter) else {
            return;
        };
        let mut relatives = Vec::new();
        for starter in starters {
            let children = children(root, *starter);
            let others = children
                .into_iter()
                .filter(|id| *id != exporter && !self.ids.contains(id));
            let room = MAX_RELATIVES - relatives.len();
            relatives.extend(
                others
                    .take(room)
                    .filter_map(|id| Some((id, StandardPipes::read(root, path, id)?))),
            );
        }
        let mut parts = Vec::new();
        let (mut written, mut read) = (pipes.outputs(), pipes.inputs());
        loop {
            let before = parts.len();
            for (id, pipes) in &relatives {
                if parts.contains(id) {
                    continue;
                }
                if pipes.inputs().iter().any(|pipe| written.contains(pipe)) {
                    written.extend(pipes.outputs());
                    parts.push(*id);
                } else if pipes.outputs().iter().any(|pipe| read.contains(pipe)) {
                    read.extend(pipes.inputs());
                    parts.push(*id);
                }
            }
            if parts.len() == before {
                break;
            }
        }
        // A part can be a wrapper, as in `| sudo tee nginx.log`.
        while let Some(part) = parts.pop() {
            if self.ids.len() < MAX_ANCESTORS + MAX_RELATIVES && self.ids.insert(part) {
                parts.extend(children(root, part));
            }
        }
    }
}

/// The children of a process; none if the kernel does not list them.
fn children(root: &ProcRoot, id: i32) -> Vec<i32> {
    let mut text = vec![0; MAX_CHILDREN_BYTES];
    let length = root.read(&format!("{id}/task/{id}/children"), &mut text);
    length.map_or_else(|_| Vec::new(), |length| ids(&text[..length]).collect())
}

/// Splits a command line into the program, without its directory, and the arguments.
fn split(command_line: &[u8]) -> (&[u8], &[u8]) {
    let mut parts = command_line.splitn(2, |&byte| byte == b' ');
    let program = parts.next().unwrap_or_default();
    let program = program.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
    (program, parts.next().unwrap_or_default())
}

/// The pipes at a process's standard input, output and error.
struct StandardPipes([Option<Vec<u8>>; 3]);

impl StandardPipes {
    /// Reads them. `None` if none of the three is a pipe, or if they may not be read.
    fn read(root: &ProcRoot, path: &mut ProcessPath, id: i32) -> Option<Self> {
        path.set_process(id);
        let mut pipe = |file| {
            root.link(path.file(file))
                .ok()
                .filter(|link| link.starts_with(b"pipe:"))
        };
        let pipes = [pipe("fd/0"), pipe("fd/1"), pipe("fd/2")];
        pipes.iter().any(Option::is_some).then_some(Self(pipes))
    }

    fn inputs(&self) -> Vec<Vec<u8>> {
        self.0[..1].iter().flatten().cloned().collect()
    }

    fn outputs(&self) -> Vec<Vec<u8>> {
        self.0[1..].iter().flatten().cloned().collect()
    }
}
