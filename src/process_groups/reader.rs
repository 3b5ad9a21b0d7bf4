//! Reads the files of one process.

use rustix::io::Errno;

use super::counts::Counts;
use super::parse::{self, Status};
use super::reading::{Memory, Reading, RunState, ThreadReading, Unreadable};
use crate::check::proc_scan::{ProcRoot, ProcessPath, Progress, SoftLimit, Stat, max_open_files};
use crate::net::shortage;

/// How many bytes of a stat file of a thread are read.
const MAX_STAT_BYTES: usize = 4 * 1024;

/// How often values are read that can change without a trace in the others: at every fourth scan. These are the proportional
/// memory, if the process's own memory has not changed, and the limit of descriptors. Reading them takes more time than all
/// others together.
const REFRESH_SCANS: u64 = 4;

/// Reads one process.
pub struct Reader<'a> {
    pub root: &'a ProcRoot,
    pub id: i32,
    /// The number of earlier scans.
    pub scans: u64,
    pub reads_smaps: bool,
    /// Whether files that wait for the process's memory must not be read.
    pub is_avoided: bool,
    /// Where the current process is recorded.
    pub progress: &'a Progress,
}

impl Reader<'_> {
    /// Reads the values of the process with this stat file. A file that may not be read makes the reading partial, except for
    /// those that all users may read. Values that can't have changed since `earlier` are taken from there.
    ///
    /// # Errors
    /// If the process has ended, if one of these files can't be read, or if descriptors or memory run out.
    pub fn read(
        &self,
        stat: &Stat<'_>,
        earlier: Option<&Reading>,
        path: &mut ProcessPath,
        text: &mut [u8],
    ) -> Result<Reading, Errno> {
        path.set_process(self.id);
        let status = self.status(path, text)?;
        let mut reading = Reading {
            counts: counts(stat, &status),
            memory: Memory {
                resident: stat.resident_pages.saturating_mul(procfs::page_size()),
                virtual_size: stat.virtual_bytes,
                swapped: status.swapped,
                ..Memory::default()
            },
            open_fds: None,
            max_fds: 0,
            thread_count: stat.threads,
            state: RunState::from_letter(stat.state),
            wait_channel: None,
            threads: Vec::new(),
            unreadable: Unreadable::default(),
            is_first: earlier.is_none(),
        };
        let has_run = match (stat.threads, earlier) {
            (0 | 1, Some(earlier)) if earlier.thread_count <= 1 => {
                has_run((&earlier.counts, earlier.state), (&reading.counts, reading.state))
            }
            (0 | 1, _) => true,
            _ => self.read_threads(&mut reading, earlier, path, text)?,
        };
        let idle = earlier.filter(|_| !has_run);
        self.read_activity(&mut reading, idle, path, text)?;
        self.read_memory(&mut reading, earlier, path, text)?;
        match self.root.count_descriptors(path.file("fd")) {
            Ok(count) => reading.open_fds = Some(count),
            Err(error) if shortage::from_errno(error).is_some() => return Err(error),
            Err(_) => reading.unreadable.descriptors = true,
        }
        Ok(reading)
    }

    /// Sets the values that change only while the process runs. `idle` is the earlier reading if it has not run since.
    fn read_activity(
        &self,
        reading: &mut Reading,
        idle: Option<&Reading>,
        path: &mut ProcessPath,
        text: &mut [u8],
    ) -> Result<(), Errno> {
        if let Some(idle) = idle {
            reading.counts.read_bytes = idle.counts.read_bytes;
            reading.counts.written_bytes = idle.counts.written_bytes;
            reading.wait_channel.clone_from(&idle.wait_channel);
            reading.unreadable.io = idle.unreadable.io;
            reading.unreadable.wait_channel = idle.unreadable.wait_channel;
            return Ok(());
        }
        let io = self.io(path, text)?;
        let wait_channel = self.optional(path, "wchan", text, parse::wait_channel)?;
        reading.unreadable.io = io.is_none();
        reading.unreadable.wait_channel = wait_channel.is_none();
        (reading.counts.read_bytes, reading.counts.written_bytes) = io.unwrap_or_default();
        reading.wait_channel = wait_channel.flatten();
        Ok(())
    }

    /// Sets the proportional memory and the limit of descriptors.
    fn read_memory(
        &self,
        reading: &mut Reading,
        earlier: Option<&Reading>,
        path: &mut ProcessPath,
        text: &mut [u8],
    ) -> Result<(), Errno> {
        let turn = self.scans.wrapping_add(u64::from(self.id.unsigned_abs()));
        let is_due = turn.is_multiple_of(REFRESH_SCANS);
        let fresh = earlier.filter(|earlier| !is_due && !earlier.is_first);
        reading.max_fds = match fresh {
            Some(earlier) => earlier.max_fds,
            None => self.max_fds(path, text)?,
        };
        if !self.reads_smaps {
            return Ok(());
        }
        if let Some(earlier) = fresh.filter(|earlier| reading.has_memory_of(earlier)) {
            reading.memory.proportional = earlier.memory.proportional;
            reading.memory.proportional_swapped = earlier.memory.proportional_swapped;
            reading.unreadable.smaps = earlier.unreadable.smaps;
            return Ok(());
        }
        if self.is_avoided {
            // Another thread is stuck there, or takes more than a second because the memory is large.
            let last = earlier.map_or(Memory::default(), |earlier| earlier.memory);
            reading.memory.proportional = last.proportional;
            reading.memory.proportional_swapped = last.proportional_swapped;
            reading.unreadable.smaps = true;
            return Ok(());
        }
        let smaps = self.optional(path, "smaps_rollup", text, parse::smaps)?;
        reading.unreadable.smaps = smaps.is_none();
        (reading.memory.proportional, reading.memory.proportional_swapped) = smaps.unwrap_or_default();
        Ok(())
    }

    /// Reads the status file.
    pub fn status(&self, path: &mut ProcessPath, text: &mut [u8]) -> Result<Status, Errno> {
        let length = self.root.read(path.file("status"), text)?;
        Ok(parse::status(&text[..length]))
    }

    /// Reads the control groups; none if the kernel does not list them.
    pub fn cgroups(&self, path: &mut ProcessPath, text: &mut [u8]) -> Vec<String> {
        let length = self.root.read(path.file("cgroup"), text);
        length.map_or_else(|_| Vec::new(), |length| parse::cgroups(&text[..length]))
    }

    fn max_fds(&self, path: &mut ProcessPath, text: &mut [u8]) -> Result<u64, Errno> {
        let length = self.root.read(path.file("limits"), text)?;
        match max_open_files(&text[..length]) {
            Some(SoftLimit::Value(limit)) => Ok(limit),
            Some(SoftLimit::Unlimited) => Ok(u64::MAX),
            // The kernel writes nothing for a process that has just ended.
            None => Err(Errno::SRCH),
        }
    }

    /// The bytes read and written. The file waits while the process starts a program: until Linux 5.10, as long as the file system of
    /// the program takes.
    fn io(&self, path: &mut ProcessPath, text: &mut [u8]) -> Result<Option<(u64, u64)>, Errno> {
        match self.is_avoided {
            true => Ok(None),
            false => self.optional(path, "io", text, parse::io),
        }
    }

    /// Reads and parses a file. `None` if it can't be read.
    fn optional<T>(
        &self,
        path: &mut ProcessPath,
        file: &str,
        text: &mut [u8],
        parse: impl FnOnce(&[u8]) -> T,
    ) -> Result<Option<T>, Errno> {
        match self.root.read(path.file(file), text) {
            Ok(length) => Ok(Some(parse(&text[..length]))),
            Err(error) if shortage::from_errno(error).is_some() => Err(error),
            Err(_) => Ok(None),
        }
    }

    /// Sets the threads; none if fewer than two are left. Returns whether any thread has run, started or ended since `earlier`.
    fn read_threads(
        &self,
        reading: &mut Reading,
        earlier: Option<&Reading>,
        path: &mut ProcessPath,
        text: &mut [u8],
    ) -> Result<bool, Errno> {
        let before = earlier.map_or(&[][..], |earlier| &earlier.threads);
        let mut is_active = false;
        let mut ids = self.root.tasks(path.file("task"))?;
        ids.sort_unstable();
        for id in ids {
            // Thousands of threads take more than a second, but the scan is not stuck.
            self.progress.enter(self.id);
            path.set_thread(self.id, id);
            match self.thread(id, before, path, text) {
                Ok((thread, has_run)) => {
                    is_active |= has_run;
                    reading.threads.push(thread);
                }
                Err(error) if shortage::from_errno(error).is_some() => return Err(error),
                // A thread can end while the others are read.
                Err(_) => is_active = true,
            }
        }
        path.set_process(self.id);
        is_active |= reading.threads.len() != before.len();
        if reading.threads.len() < 2 {
            reading.threads.clear();
        }
        Ok(is_active)
    }

    /// Reads a thread. Returns whether it has run since it was read before.
    fn thread(
        &self,
        id: i32,
        before: &[ThreadReading],
        path: &mut ProcessPath,
        text: &mut [u8],
    ) -> Result<(ThreadReading, bool), Errno> {
        let mut buffer = [0; MAX_STAT_BYTES];
        let length = self.root.read(path.file("stat"), &mut buffer)?;
        let stat = Stat::parse(&buffer[..length]).ok_or(Errno::INVAL)?;
        let status = self.status(path, text)?;
        let mut thread = ThreadReading {
            identity: (id, stat.start_ticks),
            name: String::from_utf8_lossy(stat.name).into_owned(),
            counts: counts(&stat, &status),
            state: RunState::from_letter(stat.state),
            wait_channel: None,
        };
        // They are in the order of their ids.
        let earlier = before.binary_search_by_key(&thread.identity, |thread| thread.identity);
        let earlier = earlier
            .ok()
            .map(|found| &before[found])
            .filter(|earlier| !has_run((&earlier.counts, earlier.state), (&thread.counts, thread.state)));
        if let Some(earlier) = earlier {
            thread.counts.read_bytes = earlier.counts.read_bytes;
            thread.counts.written_bytes = earlier.counts.written_bytes;
            thread.wait_channel.clone_from(&earlier.wait_channel);
            return Ok((thread, false));
        }
        let io = self.io(path, text)?;
        (thread.counts.read_bytes, thread.counts.written_bytes) = io.unwrap_or_default();
        thread.wait_channel = self.optional(path, "wchan", text, parse::wait_channel)?.flatten();
        Ok((thread, true))
    }
}

/// Whether a thread has run between two readings. A thread that runs is running when it is read, or was switched out since.
fn has_run(before: (&Counts, RunState), now: (&Counts, RunState)) -> bool {
    before.0.switches() != now.0.switches() || before.1 == RunState::Running || now.1 == RunState::Running
}

fn counts(stat: &Stat<'_>, status: &Status) -> Counts {
    Counts {
        user_ticks: stat.user_ticks,
        system_ticks: stat.system_ticks,
        major_faults: stat.major_faults,
        minor_faults: stat.minor_faults,
        voluntary_switches: status.voluntary_switches,
        involuntary_switches: status.involuntary_switches,
        ..Counts::default()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const STATUS: &str = "Uid:\t0\t0\t0\t0\nVmSwap:\t0 kB\n";

    /// A fake /proc with process 8, and the values that can be changed there.
    struct Fake(tempfile::TempDir);

    impl Fake {
        fn new() -> Self {
            let fake = Self(tempfile::tempdir().unwrap());
            fs::create_dir_all(fake.0.path().join("8/fd")).unwrap();
            fake.set(
                "limits",
                "Max open files            10                   20                   files\n",
            );
            fake.run(1, 100, 50);
            fake
        }

        fn set(&self, file: &str, text: &str) {
            fs::write(self.0.path().join("8").join(file), text).unwrap();
        }

        /// Sets the number of context switches, the page faults, and a number for everything that is read rarely.
        fn run(&self, switches: u64, faults: u64, number: u64) {
            let stat = format!("8 (a) S 1 8 8 0 -1 0 {faults} 0 0 0 2 3 0 0 20 0 1 0 77 4096 5 0\n");
            self.set("stat", &stat);
            self.set(
                "status",
                &format!("{STATUS}voluntary_ctxt_switches:\t{switches}\n"),
            );
            self.set("io", &format!("read_bytes: {number}\nwrite_bytes: {number}\n"));
            self.set("wchan", &format!("function_{number}"));
            self.set("smaps_rollup", &format!("Pss: {number} kB\n"));
        }

        fn read(&self, scans: u64, earlier: Option<&Reading>) -> Reading {
            self.read_as(false, scans, earlier)
        }

        fn read_as(&self, is_avoided: bool, scans: u64, earlier: Option<&Reading>) -> Reading {
            let root = ProcRoot::open(self.0.path()).unwrap();
            let reader = Reader {
                root: &root,
                id: 8,
                scans,
                reads_smaps: true,
                is_avoided,
                progress: &Progress::default(),
            };
            let text = fs::read(self.0.path().join("8/stat")).unwrap();
            let stat = Stat::parse(&text).unwrap();
            let mut buffer = vec![0; 4096];
            reader
                .read(&stat, earlier, &mut ProcessPath::default(), &mut buffer)
                .unwrap()
        }
    }

    #[test]
    fn a_process_that_has_not_run_is_read_less() {
        let fake = Fake::new();
        let first = fake.read(1, None);
        assert_eq!(
            (first.counts.read_bytes, first.memory.proportional),
            (50, 50 << 10)
        );
        assert_eq!((first.max_fds, first.open_fds), (10, Some(0)));
        assert_eq!(first.wait_channel.as_deref(), Some("function_50"));
        fake.run(1, 100, 60);
        // The first reading may be from the moment of its start, so the second one reads the memory again.
        let second = fake.read(2, Some(&first));
        assert_eq!(
            (second.counts.read_bytes, second.memory.proportional),
            (50, 60 << 10)
        );
        fake.run(1, 100, 70);
        let third = fake.read(3, Some(&second));
        assert_eq!(
            (third.counts.read_bytes, third.memory.proportional),
            (50, 60 << 10)
        );
        assert_eq!(third.wait_channel.as_deref(), Some("function_50"));
        let fourth = fake.read(4, Some(&third));
        assert_eq!(
            (fourth.counts.read_bytes, fourth.memory.proportional),
            (50, 70 << 10)
        );
    }

    #[test]
    fn a_process_that_has_run_is_read_again() {
        let fake = Fake::new();
        let first = fake.read(1, None);
        let second = fake.read(2, Some(&first));
        fake.run(2, 100, 60);
        let third = fake.read(3, Some(&second));
        assert_eq!(
            (third.counts.read_bytes, third.memory.proportional),
            (60, 50 << 10)
        );
        assert_eq!(third.wait_channel.as_deref(), Some("function_60"));
        fake.run(3, 101, 80);
        let fourth = fake.read(5, Some(&third));
        assert_eq!(
            (fourth.counts.read_bytes, fourth.memory.proportional),
            (80, 80 << 10)
        );
    }

    #[test]
    fn a_process_where_another_thread_is_stuck_keeps_its_memory() {
        let fake = Fake::new();
        let first = fake.read(1, None);
        fake.run(2, 101, 60);
        let second = fake.read_as(true, 2, Some(&first));
        assert_eq!(
            (second.memory.proportional, second.counts.read_bytes),
            (50 << 10, 0)
        );
        assert!(second.unreadable.smaps && second.unreadable.io);
        fake.run(3, 102, 70);
        let third = fake.read(3, Some(&second));
        assert_eq!(
            (third.memory.proportional, third.counts.read_bytes),
            (70 << 10, 70)
        );
        assert!(!third.unreadable.any());
    }

    #[test]
    fn what_can_not_be_read_is_zero_and_reported() {
        let fake = Fake::new();
        for file in ["io", "wchan", "smaps_rollup"] {
            fs::remove_file(fake.0.path().join("8").join(file)).unwrap();
        }
        let reading = fake.read(1, None);
        let expected = Unreadable {
            io: true,
            wait_channel: true,
            smaps: true,
            descriptors: false,
        };
        assert_eq!(reading.unreadable, expected);
        assert_eq!(
            (reading.counts.written_bytes, reading.memory.proportional),
            (0, 0)
        );
        let again = fake.read(3, Some(&reading));
        assert_eq!(again.unreadable, expected);
        fs::remove_file(fake.0.path().join("8/limits")).unwrap();
        fake.set("limits", "");
        let root = ProcRoot::open(fake.0.path()).unwrap();
        let reader = Reader {
            root: &root,
            id: 8,
            scans: 0,
            reads_smaps: false,
            is_avoided: false,
            progress: &Progress::default(),
        };
        let text = fs::read(fake.0.path().join("8/stat")).unwrap();
        let stat = Stat::parse(&text).unwrap();
        let found = reader.read(&stat, None, &mut ProcessPath::default(), &mut [0; 4096]);
        assert_eq!(found.map(|_| ()), Err(Errno::SRCH));
    }
}
