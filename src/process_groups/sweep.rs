//! One scan of /proc for process groups: it names new processes, and reads those that belong to a group.

use std::sync::Arc;
use std::time::Duration;

use rustix::io::Errno;
use rustix::time::{ClockId, clock_gettime};

use super::ancestry::Ancestry;
use super::known::{Known, Membership};
use super::matcher::{Texts, find};
use super::reader::Reader;
use super::reading::Reading;
use super::users::Users;
use crate::check::proc_scan::{Buffers, Identity, ProcRoot, Progress, Stat, has_ended, join_arguments};
use crate::config::budget::Budget;
use crate::config::process_groups::template::Attributes;
use crate::config::process_groups::{NamingRule, ProcessGroupSettings};
use crate::net::shortage;

/// How much CPU time the expressions for command lines may use in one scan. Processes that are new after that wait for the next
/// scan.
const MATCHING_TIME: Duration = Duration::from_secs(1);

/// The kernel's clock ticks per second in /proc, on all platforms.
pub const TICKS_PER_SECOND: u64 = 100;

/// The result of a scan.
#[derive(Clone, Debug, PartialEq)]
pub struct Sweep {
    /// [`Known::scans`] when it began.
    pub scans: u64,
    /// When it began, in clock ticks after boot.
    pub began_ticks: u64,
    /// When the machine started, as a Unix time in seconds.
    pub boot_time: Option<u64>,
    /// The processes, in the order of their ids.
    pub seen: Vec<Seen>,
    /// How many processes could not be read.
    pub read_errors: u64,
}

/// A process that a scan found.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// Its id and its start.
    pub identity: Identity,
    /// What the scan found.
    pub finding: Finding,
}

/// What a scan found about a process.
#[derive(Clone, Debug, PartialEq)]
pub enum Finding {
    /// It is new, and belongs to this group.
    New(Arc<str>, Arc<Reading>),
    /// It is new, and does not belong to a group.
    NewWithout(Membership),
    /// It belongs to a group since an earlier scan.
    Read(Arc<Reading>),
    /// Nothing has changed, or it could not be read.
    Unchanged,
}

/// What one scan uses.
pub struct Scan<'a> {
    /// The rules and switches.
    pub settings: &'a ProcessGroupSettings,
    /// The processes of earlier scans.
    pub known: &'a Known,
    /// Processes whose memory must not be read.
    pub avoided: &'a [i32],
    /// Where the current process is recorded.
    pub progress: &'a Progress,
}

impl Scan<'_> {
    /// Scans the processes below `root`.
    ///
    /// # Errors
    /// If they can't be listed, or if descriptors or memory run out.
    pub fn run(&self, root: &ProcRoot, buffers: &mut Buffers) -> Result<Sweep, Errno> {
        let mut sweep = Sweep {
            scans: self.known.scans,
            began_ticks: ticks_since_boot(),
            boot_time: root.boot_time(),
            seen: Vec::new(),
            read_errors: 0,
        };
        let mut naming = Naming {
            budget: Budget::new(MATCHING_TIME, Arc::default()),
            users: Users::default(),
            boot_time: sweep.boot_time.unwrap_or(0),
        };
        let mut ancestry = Ancestry::default();
        // Processes that match no rule. They are named last, since an ancestor can have a higher id.
        let mut unmatched = Vec::new();
        for id in root.processes()? {
            self.progress.enter(id);
            match self.inspect(root, id, buffers, &mut naming) {
                Ok(Inspection::Seen(seen)) => {
                    if let Finding::New(group, _) = &seen.finding {
                        ancestry.add_matched(id, Membership::Group(Arc::clone(group)));
                    }
                    sweep.seen.push(seen);
                }
                Ok(Inspection::Unmatched { identity, parent }) => {
                    ancestry.add_unmatched(id, parent);
                    unmatched.push(identity);
                }
                Ok(Inspection::Unreadable) => sweep.read_errors += 1,
                Ok(Inspection::TooExpensive(identity)) => {
                    sweep.read_errors += 1;
                    let finding = Finding::NewWithout(Membership::Ignored);
                    sweep.seen.push(Seen { identity, finding });
                }
                Err(error) if has_ended(error) => {}
                Err(error) if shortage::from_errno(error).is_some() => return Err(error),
                Err(_) => sweep.read_errors += 1,
            }
        }
        for identity in unmatched {
            self.progress.enter(identity.0);
            let membership = match self.settings.switches.children {
                true => ancestry.resolve(identity.0, self.known),
                false => Membership::Ignored,
            };
            match self.read_child(root, identity, membership, buffers) {
                Ok(Some(finding)) => sweep.seen.push(Seen { identity, finding }),
                Ok(None) => {}
                Err(error) if has_ended(error) => {}
                Err(error) if shortage::from_errno(error).is_some() => return Err(error),
                Err(_) => sweep.read_errors += 1,
            }
        }
        self.progress.leave();
        sweep.seen.sort_by_key(|seen| seen.identity);
        Ok(sweep)
    }

    fn reader<'r>(&'r self, root: &'r ProcRoot, id: i32) -> Reader<'r> {
        Reader {
            root,
            id,
            scans: self.known.scans,
            reads_smaps: self.settings.switches.smaps,
            is_avoided: self.avoided.contains(&id),
            progress: self.progress,
        }
    }

    fn inspect(
        &self,
        root: &ProcRoot,
        id: i32,
        buffers: &mut Buffers,
        naming: &mut Naming,
    ) -> Result<Inspection, Errno> {
        let Buffers {
            path,
            stat,
            command_line,
            text,
            ..
        } = buffers;
        path.set_process(id);
        let length = root.read(path.file("stat"), stat)?;
        let stat = Stat::parse(&stat[..length]).ok_or(Errno::INVAL)?;
        let identity = (id, stat.start_ticks);
        let reader = self.reader(root, id);
        let seen = |finding| Ok(Inspection::Seen(Seen { identity, finding }));
        match self.known.get(id, stat.start_ticks) {
            Some(Membership::Ignored | Membership::LeftOut) => return seen(Finding::Unchanged),
            Some(Membership::Group(_)) => {
                let earlier = self.known.readings.get(&id).map(|reading| &**reading);
                return match reader.read(&stat, earlier, path, text) {
                    Ok(reading) => seen(Finding::Read(Arc::new(reading))),
                    Err(error) if has_ended(error) || shortage::from_errno(error).is_some() => Err(error),
                    Err(_) => seen(Finding::Unchanged),
                };
            }
            None => {}
        }
        if reader.is_avoided {
            return Ok(Inspection::Unreadable);
        }
        let length = root.read(path.file("cmdline"), command_line)?;
        let has_arguments = length > 0;
        let length = join_arguments_at(&mut command_line[..length]);
        let texts = Texts {
            comm: stat.name,
            command_line: has_arguments.then_some(&command_line[..length.1]),
            first_argument: &command_line[..length.0],
        };
        let before = naming.budget.used();
        let Ok(found) = find(&self.settings.rules, texts, &naming.budget) else {
            // Its command line alone would use up every scan, and the processes after it would never have a name.
            let used = naming.budget.used().saturating_sub(before);
            return Ok(match used >= MATCHING_TIME / 2 || !naming.budget.is_spent() {
                true => Inspection::TooExpensive(identity),
                false => Inspection::Unreadable,
            });
        };
        let Some(found) = found else {
            return Ok(Inspection::Unmatched {
                identity,
                parent: stat.parent,
            });
        };
        let mut is_complete = Ok(());
        let name = found.name(texts, |rule, attributes| {
            is_complete = naming.add(rule, attributes, &reader, identity, path, text);
        });
        is_complete?;
        let reading = reader.read(&stat, None, path, text)?;
        seen(Finding::New(name.into(), Arc::new(reading)))
    }

    /// Reads a new process whose membership comes from its ancestors. `None` if it is compared with the rules again.
    fn read_child(
        &self,
        root: &ProcRoot,
        identity: Identity,
        membership: Membership,
        buffers: &mut Buffers,
    ) -> Result<Option<Finding>, Errno> {
        let Membership::Group(group) = membership else {
            return Ok((!self.is_rechecked(identity.1)).then_some(Finding::NewWithout(membership)));
        };
        let Buffers { path, stat, text, .. } = buffers;
        path.set_process(identity.0);
        let length = root.read(path.file("stat"), stat)?;
        let stat = Stat::parse(&stat[..length]).ok_or(Errno::INVAL)?;
        if stat.start_ticks != identity.1 {
            // The id was reused in between.
            return Err(Errno::SRCH);
        }
        let reading = self.reader(root, identity.0).read(&stat, None, path, text)?;
        Ok(Some(Finding::New(group, Arc::new(reading))))
    }

    /// Whether a process without a group is compared with the rules again.
    fn is_rechecked(&self, start_ticks: u64) -> bool {
        let switches = self.settings.switches;
        let age = ticks_since_boot().saturating_sub(start_ticks);
        let is_young =
            |limit: Duration| u128::from(age) * 1000 < limit.as_millis() * u128::from(TICKS_PER_SECOND);
        switches.recheck && switches.recheck_limit.is_none_or(is_young)
    }
}

/// What was found about a process before its ancestors are considered.
enum Inspection {
    Seen(Seen),
    Unmatched {
        identity: Identity,
        parent: i32,
    },
    Unreadable,
    /// Comparing it takes too long. It is not compared again.
    TooExpensive(Identity),
}

/// What naming the processes of one scan uses.
struct Naming {
    budget: Budget,
    users: Users,
    boot_time: u64,
}

impl Naming {
    /// Sets the attributes that need a file of their own, if the rule uses them.
    fn add(
        &mut self,
        rule: &NamingRule,
        attributes: &mut Attributes,
        reader: &Reader<'_>,
        identity: Identity,
        path: &mut crate::check::proc_scan::ProcessPath,
        text: &mut [u8],
    ) -> Result<(), Errno> {
        attributes.pid = identity.0.into();
        let start = self.boot_time * TICKS_PER_SECOND + identity.1;
        let nanoseconds = start.saturating_mul(1_000_000_000 / TICKS_PER_SECOND);
        attributes.start_nanoseconds = i64::try_from(nanoseconds).unwrap_or(i64::MAX);
        if rule.name.uses_username() {
            let user = reader.status(path, text)?.user;
            attributes.username = user.map(|user| self.users.name(user)).unwrap_or_default();
        }
        if rule.name.uses_cgroups() {
            attributes.cgroups = reader.cgroups(path, text);
        }
        Ok(())
    }
}

/// Joins arguments with spaces. Returns the length of the first one and of all of them.
fn join_arguments_at(bytes: &mut [u8]) -> (usize, usize) {
    let first = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    let length = join_arguments(bytes);
    (first.min(length), length)
}

/// The time since boot in clock ticks, on the clock of the start times in /proc.
fn ticks_since_boot() -> u64 {
    let time = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let parts = u64::try_from(time.tv_nsec).unwrap_or(0) / (1_000_000_000 / TICKS_PER_SECOND);
    seconds * TICKS_PER_SECOND + parts
}
