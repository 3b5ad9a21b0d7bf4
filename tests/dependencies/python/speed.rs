//! The cost of a run: 500 packages within 50 ms of CPU time and 20 MB. Measure it on an idle machine in release mode:
//! `cargo test --release --test dependencies speed -- --nocapture`.

use rustix::time::{ClockId, clock_gettime};

use crate::common::child::stderr_of_child;
use crate::common::python_packages;
use crate::common::ran::{LONG, check, run};

use super::project::{Project, found};

/// The number of packages.
const PACKAGES: usize = 500;
/// How much CPU time a run may take, in milliseconds. In debug mode it is several times more.
const MAX_MILLISECONDS: f64 = if cfg!(debug_assertions) { 1000.0 } else { 50.0 };
/// How much memory a run may take, in kB. A debug build on a busy machine needs more than the 20 MB of a release build.
const MAX_KILOBYTES: u64 = 40 << 10;

fn cpu_milliseconds() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 * 1e3 + time.tv_nsec as f64 / 1e6
}

/// A value of /proc/self/status in kB.
fn status(key: &str) -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(key)).unwrap();
    line.trim_start_matches(':')
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .unwrap()
}

#[tokio::test]
async fn five_hundred_packages_are_compared_within_their_budget() {
    const NAME: &str = "python::speed::five_hundred_packages_are_compared_within_their_budget";
    // Alone in a process, because the memory of other tests would count.
    if let Some(printed) = stderr_of_child(NAME) {
        eprint!("{printed}");
        return;
    }
    let project = Project::empty();
    python_packages::write(&project.path(""), PACKAGES);
    for (question, keys) in [
        ("pip check's question", String::new()),
        ("a lock", project.fill(", requirements: [\"{dir}/uv.lock\"]")),
    ] {
        let mut check = check(&project.fill(&format!("kind: python, environment: \"{{dir}}/.venv\"{keys}")));
        // Resets the peak: proc_pid_clear_refs(5).
        std::fs::write("/proc/self/clear_refs", "5").unwrap();
        let before = status("VmRSS");
        let mut times: Vec<f64> = Vec::new();
        for _ in 0..5 {
            let start = cpu_milliseconds();
            let ran = found(&run!(check, LONG));
            times.push(cpu_milliseconds() - start);
            assert_eq!(ran.result, "ok");
            assert!((ran.satisfied - PACKAGES as f64).abs() < 1.5, "{}", ran.satisfied);
        }
        times.sort_by(f64::total_cmp);
        let memory = status("VmHWM").saturating_sub(before);
        eprintln!(
            "{PACKAGES} packages, {question}: {:.1} ms of CPU time, {memory} kB",
            times[2]
        );
        assert!(times[2] < MAX_MILLISECONDS, "{question}: {times:?} ms");
        assert!(memory < MAX_KILOBYTES, "{question}: {memory} kB");
    }
}
