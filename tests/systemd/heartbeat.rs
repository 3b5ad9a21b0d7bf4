//! The recipes of docs/HEARTBEATS.md for systemd, with a real systemd. An exporter is simulated on a Unix socket that the machine sees.

use std::fs;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt;
use tokio::net::UnixListener;

use crate::common::recipes::{install_binary, recipe_of};
use crate::common::systemd::Machine;
use crate::common::targets::{ok, read_request};
use crate::support::PATIENCE;

const TOKEN: &str = "token-of-backup-0123456789";
const UNITS: &str = "/etc/systemd/system/";
const TOKENS: &str = "/etc/upkeep_exporter/tokens";

/// A machine with the binary and the token, and the heartbeats of its jobs.
struct Jobs {
    machine: Machine,
    received: Arc<Mutex<Vec<String>>>,
}

impl Jobs {
    async fn start() -> Self {
        let machine = tokio::task::spawn_blocking(|| {
            let machine = Machine::boot();
            machine.share_mounts();
            install_binary(&machine);
            machine.run(&format!(
                "mkdir -p {TOKENS} && echo {TOKEN} >{TOKENS}/backup && chmod 0600 {TOKENS}/backup"
            ));
            machine
        });
        let machine = machine.await.unwrap();
        let received = Arc::<Mutex<Vec<String>>>::default();
        let (requests, socket) = (
            Arc::clone(&received),
            machine.shared_directory().join("exporter.sock"),
        );
        let listener = UnixListener::bind(socket).unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let request = read_request(&mut stream).await;
                let text = String::from_utf8(request).unwrap();
                requests.lock().unwrap().push(text);
                // The job may have been killed.
                let _ = stream.write_all(&ok("OK\n")).await;
            }
        });
        Self { machine, received }
    }

    /// Writes the recipe of a unit or a drop-in, with the socket of the test.
    fn write(&self, path: &str) {
        let text = recipe_of(&format!("{UNITS}{path}"));
        let adapted = ["run", "send"].iter().fold(text, |text, command| {
            let command = format!("heartbeat {command} ");
            text.replace(
                &command,
                &format!("{command}--url unix:/run/shared/exporter.sock "),
            )
        });
        let file = self.machine.path(&format!("{UNITS}{path}"));
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, adapted).unwrap();
    }

    /// Writes the program of a job.
    async fn install(&self, name: &str, script: &str) {
        fs::write(
            self.machine.shared_directory().join(name),
            format!("#!/bin/sh\n{script}\n"),
        )
        .unwrap();
        let install =
            format!("chmod 0755 /run/shared/{name} && ln -sf /run/shared/{name} /usr/local/bin/{name}");
        self.run(&install).await;
    }

    async fn run(&self, command: &str) -> String {
        tokio::task::block_in_place(|| self.machine.run(command))
    }

    async fn fails(&self, command: &str) {
        let output = tokio::task::block_in_place(|| self.machine.try_run(command));
        assert!(!output.status.success(), "{command} succeeded");
    }

    /// Waits for this many heartbeats, and returns what follows the token in each, and the ids of the runs.
    async fn beats(&self, count: usize) -> (Vec<String>, Vec<String>) {
        let begun = Instant::now();
        loop {
            let received = self.received.lock().unwrap().clone();
            if received.len() >= count {
                self.received.lock().unwrap().clear();
                let parts = received.iter().map(|request| {
                    let target = request.split(' ').nth(1).unwrap();
                    let rest = target.strip_prefix(&format!("/api/heartbeat/{TOKEN}"));
                    let (what, run_id) = rest.unwrap().split_once("?rid=").unwrap_or((rest.unwrap(), ""));
                    (what.to_owned(), run_id.to_owned())
                });
                return parts.unzip();
            }
            assert!(
                begun.elapsed() < PATIENCE,
                "{count} heartbeats: {received:?}\n{}",
                self.run("journalctl --no-pager -n 40").await
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn units_report_with_the_recipes() {
    let jobs = Jobs::start().await;
    runs_below_the_command(&jobs).await;
    reports_from_a_drop_in(&jobs).await;
    reports_the_result_with_units(&jobs).await;
    reads_the_token_from_an_environment_file(&jobs).await;
}

async fn runs_below_the_command(jobs: &Jobs) {
    jobs.write("backup.service");
    jobs.install("backup", "exit 0").await;
    jobs.run("systemctl start backup").await;
    let (what, ids) = jobs.beats(2).await;
    assert_eq!(what, ["/start", "/0"]);
    assert!(ids[0].len() == 36 && ids[0] == ids[1], "{ids:?}");
    jobs.install("backup", "exit 3").await;
    jobs.fails("systemctl start backup").await;
    assert_eq!(jobs.beats(2).await.0, ["/start", "/3"]);
    assert_eq!(jobs.run("systemctl show -P ExecMainStatus backup").await, "3\n");
    // With KillMode=mixed, the job gets the signal from the command only.
    jobs.install(
        "backup",
        "trap 'echo TERM >>/run/shared/signals; kill $!' TERM; sleep 1000 & echo >/run/shared/started; wait; wait; exit 8",
    )
    .await;
    jobs.run("systemctl start --no-block backup; until [ -e /run/shared/started ]; do sleep 0.05; done; systemctl stop backup")
        .await;
    assert_eq!(jobs.beats(2).await.0, ["/start", "/8"]);
    assert_eq!(jobs.run("cat /run/shared/signals").await, "TERM\n");
}

async fn reports_from_a_drop_in(jobs: &Jobs) {
    jobs.machine.write_unit(
        "backup.service",
        "[Service]\nType=oneshot\nExecStart=/usr/local/bin/backup\n",
    );
    jobs.write("backup.service.d/heartbeat.conf");
    jobs.install("backup", "exit 0").await;
    jobs.run("systemctl daemon-reload; systemctl start backup").await;
    let (what, ids) = jobs.beats(2).await;
    assert_eq!(what, ["/start", "/0"]);
    assert!(ids[0].len() == 32 && ids[0] == ids[1], "{ids:?}");
    jobs.install("backup", "exit 3").await;
    jobs.fails("systemctl start backup").await;
    assert_eq!(jobs.beats(2).await.0, ["/start", "/3"]);
    // Killed by a signal: systemd reports its name.
    jobs.install("backup", "kill -KILL $$").await;
    jobs.fails("systemctl start backup").await;
    assert_eq!(jobs.beats(2).await.0, ["/start", "/137"]);
}

async fn reports_the_result_with_units(jobs: &Jobs) {
    jobs.run(&format!("rm {UNITS}backup.service.d/heartbeat.conf"))
        .await;
    jobs.write("backup.service.d/result.conf");
    jobs.write("heartbeat-succeeded@.service");
    jobs.write("heartbeat-failed@.service");
    jobs.install("backup", "exit 0").await;
    jobs.run("systemctl daemon-reload; systemctl start backup").await;
    assert_eq!(jobs.beats(1).await.0, [""]);
    jobs.install("backup", "exit 3").await;
    jobs.fails("systemctl start backup").await;
    assert_eq!(jobs.beats(1).await.0, ["/fail"]);
}

async fn reads_the_token_from_an_environment_file(jobs: &Jobs) {
    jobs.write("import.service");
    jobs.install("import", "env >/run/shared/environment").await;
    jobs.run(&format!(
        "(umask 077; echo HEARTBEAT_TOKEN={TOKEN} >{TOKENS}/import.env); systemctl start import"
    ))
    .await;
    assert_eq!(jobs.beats(2).await.0, ["/start", "/0"]);
    for command in [
        "systemctl show import",
        "cat /run/shared/environment",
        "journalctl --no-pager",
    ] {
        let seen = jobs.run(command).await;
        assert!(!seen.contains(TOKEN), "{command}: {seen}");
    }
}
