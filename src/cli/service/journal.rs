//! The last lines that a unit wrote to the journal.

use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use crate::config::Target;
use crate::config::systemd::BusAddress;

/// How many lines are shown.
const LINES: &str = "10";
/// How long journalctl may take. It reads local files.
const TIMEOUT: Duration = Duration::from_secs(5);
/// The maximum number of bytes of output that are shown. Lines of the journal may be long.
const MAX_BYTES: usize = 16 * 1024;

/// The last lines of a unit's journal under a title, or why there are none. For a container, how to read its log.
pub async fn last_lines(target: &Target) -> Vec<String> {
    let (unit, bus) = match target {
        Target::Unit { name, bus } => (name, bus),
        Target::Container { name, .. } => return vec![format!("for its log, run `docker logs {name}`")],
    };
    // A user's manager writes to the same journal, under another field.
    let is_of_user = matches!(bus, BusAddress::Address(address) if address.contains("/run/user/"));
    let flag = if is_of_user { "--user-unit" } else { "--unit" };
    let mut command = Command::new("journalctl");
    command
        .args(["--no-pager", "--quiet", "--no-hostname", "--lines", LINES, flag])
        .arg(unit)
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let output = match tokio::time::timeout(TIMEOUT, command.output()).await {
        Err(_) => {
            return vec![format!(
                "no journal of {unit}: journalctl took longer than {} s",
                TIMEOUT.as_secs()
            )];
        }
        Ok(Err(error)) => return vec![format!("no journal of {unit}: can't run journalctl: {error}")],
        Ok(Ok(output)) => output,
    };
    let text = match output.status.success() {
        true => &output.stdout,
        false => &output.stderr,
    };
    let start = text.len().saturating_sub(MAX_BYTES);
    let text = String::from_utf8_lossy(&text[start..]);
    if !output.status.success() || text.trim().is_empty() {
        let why = if output.status.success() {
            "it is empty"
        } else {
            text.trim()
        };
        return vec![format!("no journal of {unit}: {why}")];
    }
    let lines = text.lines().map(|line| format!("  {line}"));
    std::iter::once(format!("last lines of the journal of {unit}:"))
        .chain(lines)
        .collect()
}
