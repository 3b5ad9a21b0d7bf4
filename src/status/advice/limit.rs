//! Advice for the reason `limit`.

use crate::model::CheckKind;

/// The advice for a check of this kind.
pub(super) const fn advice(kind: CheckKind) -> &'static str {
    match kind {
        CheckKind::Python | CheckKind::Node => {
            "A file or the environment is too large for the check; the message names it. Check that the path is \
             right (`ls -l PATH`), or split the requirements."
        }
        CheckKind::Exec => {
            "The program printed too much, and was killed. Run it by hand (`runuser -u upkeep_exporter -- PROGRAM`), \
             and make it print less."
        }
        CheckKind::Process => {
            "More processes match than expected. Look for processes that were started twice or did not stop (`ps \
             -ef`)."
        }
        CheckKind::Host => {
            "The message names the limits. Find the cause with `ps aux --sort=-%cpu`, `ps aux --sort=-rss`, or \
             `du -xh MOUNT | sort -h`."
        }
        CheckKind::Postgres => {
            "The message names the limit. For connections, check `psql -c 'TABLE pg_stat_activity'`; for \
             replication lag, check the standby."
        }
        CheckKind::Redis => {
            "The message names the limit. Check memory, clients and replication in `redis-cli INFO`."
        }
        CheckKind::Rabbitmq => {
            "The message names the limit. Check that the consumers of the queue run and keep up, and check memory \
             and disk alarms (`rabbitmq-diagnostics alarms`)."
        }
        CheckKind::Systemd => {
            "The message names the value and its limit. Find the cause with `systemctl status UNIT` and `journalctl \
             -u UNIT`. Fix it, or raise the limit."
        }
        CheckKind::Docker => {
            "The message names the value and its limit. Find the cause with `docker stats NAME` and `docker top \
             NAME`. Fix it, or raise the limit."
        }
        CheckKind::Http | CheckKind::Tcp => {
            "The message names the number that exceeds its limit. Check what it measures (`upkeep_exporter check \
             --debug SERVICE`), or raise the limit if it is too low."
        }
        CheckKind::Provider => {
            "Credits, a budget or a rate limit are used up; the message says which (`upkeep_exporter check SERVICE`). \
             Add credits or raise the limit in the provider's console, or wait."
        }
        _ => {
            "A number exceeds its limit; the message names both. Find the cause, or raise the limit in the check if \
             it is too low (docs/CONFIGURATION.md)."
        }
    }
}
