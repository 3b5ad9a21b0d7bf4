//! Advice for the reason `limit`.

use crate::model::CheckKind;

/// The advice for a check of this kind.
pub(super) const fn advice(kind: CheckKind) -> &'static str {
    match kind {
        CheckKind::Python | CheckKind::Node => {
            "A file or the environment exceeds a limit of the check; the message names it. Check that the path is \
             right (`ls -l PATH`), or split the requirements."
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
            "The message names the value and its limit. See `systemctl status UNIT` and `journalctl -u UNIT` for \
             what uses it. Fix that, or raise the limit."
        }
        CheckKind::Docker => {
            "The message names the value and its limit. See `docker stats NAME` and `docker top NAME` for what uses \
             it. Fix that, or raise the limit."
        }
        CheckKind::Http | CheckKind::Tcp => {
            "The message names the number that exceeds its limit. Check what it measures (`upkeep_exporter check \
             --debug SERVICE`), or raise the limit if it is too low."
        }
        CheckKind::Provider => {
            "Credits, budget or a rate limit are used up; the message says which (`upkeep_exporter check SERVICE`). \
             Add credits or raise the limit in the provider's console, or wait."
        }
        _ => {
            "A number exceeds its limit; the message names both. Reduce the number, or raise the limit in the check \
             if it is too low (docs/CONFIGURATION.md)."
        }
    }
}
