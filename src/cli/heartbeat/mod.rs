//! `upkeep_exporter heartbeat`: reports jobs to the heartbeat checks of a running exporter.

mod beat;
mod client;
mod copy;
mod delivery;
mod flags;
mod job;
mod run;
mod send;
mod signals;
mod tail;

use std::process::ExitCode;

use anyhow::Context;
use tokio::runtime::{Builder, Runtime};

use flags::{RunFlags, SendFlags};

/// The exit code if the command itself failed, so that no job ran. `env`, `nohup` and `timeout` use the same.
pub const FAILURE: u8 = 125;

/// The end of the help of `heartbeat run`.
const RUN_EXIT_CODES: &str = "\
Exit codes: that of the job; 128 + n if signal n ended it; 126 if it can't be executed, 127 if it does not exist, 125 if
upkeep_exporter itself failed, 64 wrong usage. A heartbeat that can't be sent does not change the exit code.

See docs/HEARTBEATS.md for recipes for cron, systemd timers and Kubernetes.";

/// The end of the help of `heartbeat send`.
const SEND_EXIT_CODES: &str =
    "Exit codes: 0 sent, 1 not sent, 64 wrong usage. See docs/HEARTBEATS.md for recipes.";

/// The commands of `heartbeat`.
#[derive(Debug, clap::Subcommand)]
pub enum HeartbeatCommand {
    /// Run a job, and report its start, its end and its exit status
    #[command(after_help = RUN_EXIT_CODES)]
    Run(RunFlags),
    /// Send one heartbeat; default: the job succeeded
    #[command(after_help = SEND_EXIT_CODES)]
    Send(SendFlags),
}

/// Runs a command of `heartbeat`.
pub fn heartbeat(command: HeartbeatCommand) -> anyhow::Result<ExitCode> {
    let runtime = start_runtime()?;
    let result = match command {
        HeartbeatCommand::Run(flags) => runtime.block_on(run::run(flags)),
        HeartbeatCommand::Send(flags) => runtime.block_on(send::send(&flags)),
    };
    // A thread that hangs, such as in a name resolution, must not delay the end.
    runtime.shutdown_background();
    result
}

/// Starts a runtime without threads of its own: a job must run even if the machine is short of them.
fn start_runtime() -> anyhow::Result<Runtime> {
    Builder::new_current_thread()
        .enable_all()
        .build()
        .context("starting the runtime")
}
