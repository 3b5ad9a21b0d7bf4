//! Advice for shortages of the exporter itself.

use crate::model::Shortage;

/// The advice for a shortage of the exporter.
pub const fn advice(shortage: Shortage) -> &'static str {
    match shortage {
        Shortage::Time => {
            "The exporter lacks CPU time, so the state of the target is unknown. Check the load of its machine \
             (`uptime`) and its CPU limit (CPUQuota=)."
        }
        Shortage::Descriptors => {
            "The exporter lacks file descriptors, so the state of the target is unknown. Raise LimitNOFILE= in its \
             unit (`systemctl edit upkeep_exporter`) and restart it."
        }
        Shortage::Memory => {
            "The exporter or its machine lacks memory, so the state of the target is unknown. Check `free -m` and \
             MemoryMax= of its unit."
        }
        Shortage::Ports => {
            "The exporter's machine lacks local ports, so the state of the target is unknown. Find out what uses \
             them (`ss -s`), or widen net.ipv4.ip_local_port_range."
        }
        Shortage::Threads => {
            "The exporter can't create threads, so the state of the target is unknown. Raise TasksMax= of its unit \
             (`systemctl edit upkeep_exporter`)."
        }
        Shortage::Manager => {
            "systemd has not responded yet, so the state of the target is unknown. Check `systemctl status` and the \
             load of the machine."
        }
        Shortage::Programs => {
            "Too many programs run, so the state of the target is unknown. Look for them (`ps -eo pid,stat,args`; D waits \
             for a disk). Raise intervals, or lower timeouts."
        }
        Shortage::Undecided => {
            "The run found no result, so the state of the target is unknown. Read its message. If it is that of a program, run it by \
             hand as the exporter's user (`runuser -u upkeep_exporter -- PROGRAM`)."
        }
    }
}
