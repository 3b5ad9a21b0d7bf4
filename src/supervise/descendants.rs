//! Finds and kills all descendants of this process.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitOptions, getpid, kill_process, wait};

/// The time until killed processes are looked for again. It doubles each time: processes that wait for a broken disk, and those that
/// became another user, can't be killed.
const PAUSE: Duration = Duration::from_millis(5);
const MAX_PAUSE: Duration = Duration::from_secs(1);

/// Kills all descendants of this process, and waits until they have ended, however long that takes. Processes that are created
/// meanwhile are found too: all are stopped first, and stopped processes create no others.
pub fn kill_all() {
    let mut stopped = HashSet::new();
    let mut pause = PAUSE;
    while has_children() {
        let found = descendants(getpid());
        let new: Vec<Pid> = found.iter().copied().filter(|pid| stopped.insert(*pid)).collect();
        for pid in &new {
            // Fails if it has ended.
            let _ = kill_process(*pid, Signal::STOP);
        }
        if new.is_empty() {
            for pid in found {
                let _ = kill_process(pid, Signal::KILL);
            }
            // A number may be assigned again.
            stopped.clear();
            std::thread::sleep(pause);
            pause = (pause * 2).min(MAX_PAUSE);
        }
    }
}

/// Whether this process has children. Those that have ended are removed.
fn has_children() -> bool {
    loop {
        match wait(WaitOptions::NOHANG) {
            Ok(Some(_)) | Err(rustix::io::Errno::INTR) => {}
            Ok(None) => return true,
            Err(_) => return false,
        }
    }
}

/// The running descendants of a process, from /proc.
fn descendants(ancestor: Pid) -> Vec<Pid> {
    let mut children: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let name = entry.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // Fails if the process has ended meanwhile.
        if let Ok(stat) = fs::read(entry.path().join("stat"))
            && let Some(parent) = running_parent(&stat)
        {
            children.entry(parent).or_default().push(pid);
        }
    }
    let mut found = Vec::new();
    let mut open = vec![ancestor.as_raw_nonzero().get()];
    while let Some(parent) = open.pop() {
        // Removed, so that a loop in an inconsistent view ends.
        for child in children.remove(&parent).unwrap_or_default() {
            open.push(child);
            found.extend(Pid::from_raw(child));
        }
    }
    found
}

/// The parent in a file /proc/PID/stat. The name in parentheses may contain anything (proc(5)). `None` for a process that has ended.
fn running_parent(stat: &[u8]) -> Option<i32> {
    let end = stat.iter().rposition(|byte| *byte == b')')?;
    let rest = std::str::from_utf8(&stat[end + 1..]).ok()?;
    let mut fields = rest.split_ascii_whitespace();
    let state = fields.next()?;
    let parent = fields.next()?.parse().ok()?;
    (!matches!(state, "Z" | "X" | "x")).then_some(parent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parent_is_read_from_any_name() {
        assert_eq!(running_parent(b"12 (sh) S 7 12 12 0"), Some(7));
        assert_eq!(running_parent(b"12 () R 1 ) x) R 8 12"), Some(8));
        assert_eq!(running_parent(b"12 (\xff\n) S 9 12"), Some(9));
        for other in [&b"12 (sh) Z 7 12"[..], b"12 (sh", b"12 (sh) S", b""] {
            assert_eq!(running_parent(other), None);
        }
    }
}
