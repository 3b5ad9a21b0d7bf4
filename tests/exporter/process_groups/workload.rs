//! Processes to measure, which end with the test.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::LONG;
use crate::common::servers::{eventually, family};

/// A word that no other process on the machine contains.
pub fn unique() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!(
        "uk{}x{}g",
        std::process::id(),
        NEXT.fetch_add(1, Ordering::Relaxed)
    )
}

/// Processes with a unique word in their command lines.
pub struct Workload {
    pub word: String,
    dir: tempfile::TempDir,
    children: Vec<Child>,
}

/// Uses CPU time, writes a file, and starts a child that matches no rule.
const BUSY: &str = "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done\n\
    sleep 1000 & echo > \"$DONE\"; wait\n";

/// Starts threads with names, one of which ends.
const THREADS: &str = "import ctypes, os, threading, time\n\
    def named(name, seconds):\n    \
        ctypes.CDLL(None).prctl(15, name)\n    \
        sum(range(300000))\n    \
        ready.wait()\n    \
        time.sleep(seconds)\n\
    ready = threading.Barrier(4)\n\
    for name, seconds in [(b'first', 1000), (b'second', 1000), (b'second', 0)]:\n    \
        threading.Thread(target=named, args=(name, seconds), daemon=True).start()\n\
    with open(os.environ['DONE'] + '.data', 'wb') as file:\n    \
        file.write(bytes(1 << 20)); file.flush(); os.fsync(file.fileno())\n\
    ready.wait()\n\
    while threading.active_count() > 3: time.sleep(0.01)\n\
    open(os.environ['DONE'], 'w').close()\n\
    time.sleep(1000)\n";

impl Workload {
    pub fn new() -> Self {
        Self {
            word: unique(),
            dir: tempfile::tempdir().unwrap(),
            children: Vec::new(),
        }
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// The rules of process-exporter that name these processes.
    pub fn rules(&self) -> String {
        let word = &self.word;
        format!(
            "  - {{ name: '{word}-{{{{.Matches.Kind}}}}', comm: [sleep, sh, python3], cmdline: ['{word}-(?P<Kind>[a-z]+)'] }}\n  \
             - {{ name: '{word}-{{{{.ExeBase}}}}:{{{{.Username}}}}', exe: [{word}] }}\n"
        )
    }

    fn start(&mut self, command: &mut Command) -> u32 {
        let child = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn();
        let child = child.unwrap_or_else(|error| panic!("starting {command:?}: {error}"));
        let id = child.id();
        self.children.push(child);
        id
    }

    /// Starts a process that sleeps, with this first argument.
    pub fn sleep_as(&mut self, first: &str) -> u32 {
        use std::os::unix::process::CommandExt;
        self.start(Command::new("sleep").arg("1000").arg0(first))
    }

    /// Starts a process that matches a rule only after it has read a line. It is then a sleep with this word as first argument.
    pub fn nameless(&mut self) -> u32 {
        let script = "read line; exec -a \"$WORD\" sleep 1000";
        let word = format!("{}-late", self.word);
        self.start(Command::new("bash").args(["-c", script]).env("WORD", word))
    }

    /// Lets the processes that wait for a line continue.
    pub fn send_line(&mut self) {
        use std::io::Write;
        for child in &mut self.children {
            // The others do not read their input.
            let _ = child.stdin.as_mut().unwrap().write_all(b"\n");
        }
    }

    /// Runs a script with a name that the rules match. Returns its process id, and the file that it creates when it is done.
    pub fn script(&mut self, kind: &str, program: &str, text: &str) -> (u32, PathBuf) {
        let file = self.dir.path().join(format!("{}-{kind}", self.word));
        let done = self.dir.path().join(format!("{kind}.done"));
        fs::write(&file, text).unwrap();
        let id = self.start(Command::new(program).arg(&file).env("DONE", &done));
        (id, done)
    }

    /// Starts processes that use CPU time, write and have threads, waits until they have done so, and stops them, so that no
    /// value changes any more.
    pub async fn work(&mut self) {
        let (busy, busy_done) = self.script("busy", "sh", BUSY);
        let (python, python_done) = self.script("threads", "/usr/bin/python3", THREADS);
        eventually("the work is done", LONG, || async {
            (busy_done.exists() && python_done.exists()).then_some(())
        })
        .await;
        for root in [busy, python] {
            for id in family(root) {
                stop(id).await;
            }
        }
    }

    /// Kills all processes, with their children, and waits for their end.
    pub fn kill(&mut self) {
        for mut child in self.children.drain(..) {
            let family = family(child.id());
            for id in &family {
                let pid = Pid::from_raw(id.cast_signed()).unwrap();
                // It may have ended already.
                let _ = kill_process(pid, Signal::KILL);
            }
            let _ = child.wait();
            let begun = Instant::now();
            while !family.iter().all(|id| has_ended(*id)) {
                assert!(begun.elapsed() < LONG, "the processes do not end");
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }
}

/// Whether a process has ended. Some containers have no process that reaps the others.
fn has_ended(id: u32) -> bool {
    let process = procfs::process::Process::new(id.cast_signed());
    let state = process.and_then(|process| process.stat()).map(|stat| stat.state);
    state.is_ok_and(|state| state == 'Z') || !Path::new(&format!("/proc/{id}")).exists()
}

impl Drop for Workload {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Stops a process and waits until all of its threads are stopped.
pub async fn stop(id: u32) {
    kill_process(Pid::from_raw(id.cast_signed()).unwrap(), Signal::STOP).unwrap();
    eventually("all threads are stopped", LONG, || async {
        let process = procfs::process::Process::new(id.cast_signed()).ok()?;
        let mut tasks = process.tasks().ok()?.flatten();
        tasks
            .all(|task| task.stat().is_ok_and(|stat| stat.state == 'T'))
            .then_some(())
    })
    .await;
}
