//! The jobs: entries of a real cron and timers of a real systemd, written as in docs/HEARTBEATS.md. They report over the Unix
//! socket of the first exporter.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::common::recipes::{self, recipe_of};
use crate::common::systemd::Machine;

/// The jobs with their schedules.
const JOBS: [(&str, &str); 6] = [
    // cron starts jobs in the first second of each minute.
    ("cron-late", "cron: '* * * * *', grace: 10s"),
    ("cron-fails", "cron: '* * * * *', grace: 10s"),
    // Their timers start them every two seconds.
    ("timer-late", "every: 12s, grace: 5s"),
    ("timer-fails", "every: 30s, grace: 10s"),
    (
        "timer-hangs",
        "every: 1h, grace: 1m, thresholds: { degraded: 4s, down: 10s }",
    ),
    // Nothing starts it.
    ("new", "every: 15s, grace: 5s"),
];

/// The check that the Alertmanager's watchdog beats every minute.
pub const WATCHDOG: &str = "watchdog";
const WATCHDOG_SCHEDULE: &str = "every: 80s, grace: 1m";

/// Where the machine sees the shared directory.
const SHARED: &str = "/run/shared";

/// The machine of the jobs.
pub struct Scene {
    machine: Machine,
}

impl Scene {
    /// Boots it and starts the jobs.
    pub fn start() -> Self {
        let machine = Machine::boot();
        machine.share_mounts();
        let scene = Self { machine };
        recipes::install_binary(&scene.machine);
        fs::create_dir(scene.shared("tokens")).unwrap();
        for (job, _) in JOBS {
            fs::write(
                scene.shared(&format!("tokens/{job}")),
                format!("{}\n", token(job)),
            )
            .unwrap();
            let script = scene.shared(job);
            // While a file with this name exists, the job fails.
            fs::write(
                &script,
                format!("#!/bin/sh\n[ ! -e {SHARED}/{job}.broken ] || exit 3\n"),
            )
            .unwrap();
            fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        }
        for job in ["timer-late", "timer-fails", "timer-hangs"] {
            scene.write_timer(job);
        }
        fs::write(scene.shared("timer-hangs"), "#!/bin/sh\nsleep 1000\n").unwrap();
        scene
    }

    /// Starts cron and the timers.
    pub fn start_jobs(&self) {
        self.write_cron(&["cron-late", "cron-fails"]);
        self.machine
            .run("systemctl start cron.service timer-late.timer timer-fails.timer");
    }

    fn shared(&self, name: &str) -> PathBuf {
        self.machine.shared_directory().join(name)
    }

    /// Where an exporter listens. `{number}` stands for the number of the exporter.
    pub fn socket(&self) -> String {
        self.shared("exporter{number}.sock").display().to_string()
    }

    /// The first exporter's configuration.
    pub fn config(&self) -> String {
        let mut text =
            "defaults: { interval: 1s, recheck_interval: 1s, tolerance: { down: 15s } }\nservices:\n"
                .to_owned();
        for (job, schedule) in JOBS {
            let token = self.shared(&format!("tokens/{job}"));
            text += &format!(
                "  - {{ key: {job}, checks: [{{ kind: heartbeat, token_file: '{}', {schedule} }}] }}\n",
                token.display()
            );
        }
        text + &format!(
            "  - {{ key: {WATCHDOG}, checks: [{{ kind: heartbeat, token: {}, {WATCHDOG_SCHEDULE} }}] }}\n",
            token(WATCHDOG)
        )
    }

    /// Writes the crontab with these jobs. cron reads it again at the next minute.
    pub fn write_cron(&self, jobs: &[&str]) {
        let recipe = recipe_of("/etc/cron.d/backup");
        let entry = recipe.lines().last().unwrap();
        let lines = jobs
            .iter()
            .map(|job| self.adapt(job, entry).replace("0 3 * * * ", "* * * * * ") + "\n");
        let path = self.machine.path("/etc/cron.d/backup");
        // cron ignores files whose names contain a dot.
        let new = self.machine.path("/etc/cron.d/backup.new");
        fs::write(&new, lines.collect::<String>()).unwrap();
        fs::rename(new, path).unwrap();
    }

    fn write_timer(&self, job: &str) {
        let unit = recipe_of("/etc/systemd/system/backup.service");
        self.machine
            .write_unit(&format!("{job}.service"), &self.adapt(job, &unit));
        let timer = "[Timer]\nOnActiveSec=0\nOnUnitInactiveSec=2s\nAccuracySec=50ms\n";
        self.machine.write_unit(&format!("{job}.timer"), timer);
    }

    /// A recipe with the names of the job and of the first exporter.
    fn adapt(&self, job: &str, recipe: &str) -> String {
        let socket = format!("{SHARED}/exporter0.sock");
        let adapted = recipe
            .replace("heartbeat run ", &format!("heartbeat run --url unix:{socket} "))
            .replace(
                "/etc/upkeep_exporter/tokens/backup",
                &format!("{SHARED}/tokens/{job}"),
            )
            .replace("/usr/local/bin/backup --full", &format!("{SHARED}/{job}"));
        assert!(adapted.contains(&format!("-- {SHARED}/{job}")), "{adapted}");
        adapted
    }

    /// Lets a job fail, or work again.
    pub fn set_broken(&self, job: &str, is_broken: bool) {
        let file = self.shared(&format!("{job}.broken"));
        if is_broken {
            fs::write(file, "").unwrap();
        } else {
            fs::remove_file(file).unwrap();
        }
    }

    /// Runs `systemctl` in the machine.
    pub fn systemctl(&self, arguments: &str) {
        self.machine.run(&format!("systemctl {arguments}"));
    }

    /// What cron and the jobs logged, for failed tests.
    pub fn log(&self) -> String {
        self.machine.run("journalctl --no-pager --lines 60")
    }
}

/// The token of a job.
pub fn token(job: &str) -> String {
    format!("token-of-{job}-0123456789")
}

/// Whether a text contains a token.
pub fn has_token(text: &str) -> bool {
    text.contains("token-of-")
}

/// Whether a file or a file below a directory contains a token.
pub fn has_token_below(path: &Path) -> bool {
    if path.is_dir() {
        let mut entries = fs::read_dir(path).unwrap().flatten();
        return entries.any(|entry| has_token_below(&entry.path()));
    }
    has_token(&String::from_utf8_lossy(&fs::read(path).unwrap_or_default()))
}
