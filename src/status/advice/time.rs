//! Advice for the reasons `timeout` and `slow`.

use crate::model::CheckKind;

/// The advice for a check of this kind that timed out.
pub(super) const fn timeout(kind: CheckKind) -> &'static str {
    match kind {
        CheckKind::Heartbeat => {
            "The job did not report in time. Check that it runs on its machine (`systemctl list-timers`, `crontab -l`), \
             and that its requests arrive: upkeep_heartbeat_rejected_requests_total counts wrong tokens."
        }
        CheckKind::Python | CheckKind::Node => {
            "Reading the files takes too long; the message names the file. Check the load of the machine \
             (`uptime`), and whether a network file system responds (`df PATH`)."
        }
        CheckKind::Systemd | CheckKind::Docker => {
            "The manager does not respond in time. Check the load of the machine (`uptime`) and the log of the \
             manager (`journalctl -b -p warning`)."
        }
        CheckKind::Process => {
            "Reading /proc takes too long. Check the load of the machine, and look for processes that hang in the \
             kernel (state D in `ps -eo pid,stat,comm`)."
        }
        CheckKind::Port => {
            "Searching the processes that hold the port takes too long. Check the load of the machine (`uptime`), \
             and raise the check's timeout."
        }
        CheckKind::Host => {
            "A file system or /proc does not respond; the message names it. Check its server and network; \
             `umount -l MOUNT` detaches it."
        }
        CheckKind::Celery => {
            "No worker responded in time. Check that workers run (`celery -A APP status`), and whether all of them \
             are busy or stuck. A longer timeout only helps slow workers."
        }
        CheckKind::Exec => {
            "The program did not end in time, and was killed with everything that it started. Run it by \
             hand (`runuser -u upkeep_exporter -- PROGRAM`), give it a shorter timeout of its own, or raise the check's."
        }
        _ => {
            "No response in time; the message names the step. A timeout while connecting suggests a firewall or a \
             host that is off. A later one suggests an overloaded service: check its log (`journalctl -u UNIT`) and load."
        }
    }
}

/// The advice for a check of this kind that is too slow.
pub(super) const fn slow(kind: CheckKind) -> &'static str {
    match kind {
        CheckKind::Heartbeat => {
            "The job runs longer than usual, or hangs. Look for it on its machine (`ps -ef`, `systemctl status UNIT`). \
             If its runs take this long, raise thresholds of the check."
        }
        _ => {
            "It works, but responds too slowly. Check load, memory and disk of its machine (`uptime`, `free -m`, \
             `df -h`), and its dependencies. The phases show where the time is spent."
        }
    }
}
