//! Tests of the comparison with limits.

use serde_json::{Value, json};

use super::*;
use crate::check::host_reads::{CpuTicks, Descriptors, Memory, Pressure};
use crate::config::host::HostOptions;
use crate::config::tests_support::resolve_json;

fn settings(options: Value) -> HostSettings {
    resolve_json(options, HostOptions::resolve).unwrap()
}

fn figures() -> Figures {
    let pressure = |recent| Pressure { recent, waited: 1.0 };
    Figures {
        cpu: CpuTicks { busy: 1, idle: 1 },
        cores: 4,
        load: [20.0, 8.0, 1.0],
        memory: Memory {
            total: 10 << 30,
            available: 1 << 30,
            swap_total: 4 << 30,
            swap_free: 1 << 30,
        },
        pressure: Some([pressure(0.5), pressure(0.1), pressure(0.0)]),
        descriptors: Descriptors { open: 800, max: 1000 },
    }
}

/// The details of the crossed limits.
fn crossed(options: Value) -> Vec<String> {
    let found = judge(&settings(options), &figures(), Some(0.9));
    found
        .into_iter()
        .map(|crossed| format!("{}: {}", crossed.subject, crossed.detail))
        .collect()
}

#[test]
fn a_value_at_its_limit_crosses_it() {
    for (options, at_limit, beyond) in [
        (
            json!({ "cpu_below": "90%" }),
            "CPU: 90.0% in use (cpu_below: 90%)",
            json!({ "cpu_below": "90.1%" }),
        ),
        (
            json!({ "load_below": "2 per core" }),
            "load: 8.00 over 5 minutes on 4 cores (load_below: 2 per core)",
            json!({ "load_below": 8.01 }),
        ),
        (
            json!({ "memory_available_above": "10%" }),
            "memory: 1.0 GiB, 10.0%, available (memory_available_above: 10%)",
            json!({ "memory_available_above": "1023MB" }),
        ),
        (
            json!({ "swap_below": "3GB" }),
            "swap: 3.0 GiB, 75.0%, in use (swap_below: 3221225472)",
            json!({ "swap_below": "75.1%" }),
        ),
        (
            json!({ "pressure": { "cpu": "50%" } }),
            "pressure on cpu: tasks waited for 50.0% of the last minute (pressure.cpu: 50%)",
            json!({ "pressure": { "cpu": "51%", "memory": "11%", "io": "1%" } }),
        ),
        (
            json!({ "file_descriptors_below": "80%" }),
            "file descriptors: 800 of 1000 open, 80.0% (file_descriptors_below: 80%)",
            json!({ "file_descriptors_below": "81%" }),
        ),
    ] {
        assert_eq!(crossed(options), [at_limit]);
        assert_eq!(crossed(beyond.clone()), [""; 0], "{beyond}");
    }
}

#[test]
fn several_limits_are_reported_together() {
    let all = json!({ "cpu_below": "1%", "load_below": 1, "memory_available_above": "99%", "pressure": { "memory": "1%" } });
    let subjects: Vec<String> = judge(&settings(all), &figures(), Some(0.9))
        .into_iter()
        .map(|crossed| crossed.subject)
        .collect();
    assert_eq!(subjects, ["CPU", "load", "memory", "pressure on memory"]);
}

#[test]
fn an_unknown_value_crosses_no_limit_unless_the_kernel_never_reports_it() {
    let limited = settings(json!({ "cpu_below": "1%", "swap_below": "1%", "pressure": { "io": "1%" } }));
    let mut figures = figures();
    figures.memory.swap_total = 0;
    figures.memory.swap_free = 0;
    figures.pressure = None;
    let found = judge(&limited, &figures, None);
    assert_eq!(found.len(), 1);
    assert!(
        found[0].is_unknown && found[0].detail.contains("psi=1"),
        "{found:?}"
    );
}

#[test]
fn disks_are_compared_by_space_and_inodes() {
    let limits =
        settings(json!({ "disks": [{ "mount": "/var", "free_above": "10%", "inodes_free_above": 500 }] }));
    let usage = DiskUsage {
        size: 1000 << 20,
        used: 900 << 20,
        // The size includes 5 MiB for root only.
        available: 95 << 20,
        inodes: 1000,
        inodes_free: 500,
    };
    let found = judge_disk(&limits.disks[0], &usage);
    let details: Vec<&str> = found.iter().map(|crossed| crossed.detail.as_str()).collect();
    assert_eq!(
        details,
        [
            "95.0 MiB, 9.5%, free (free_above: 10%)",
            "500 inodes, 50.0%, free (inodes_free_above: 500)"
        ]
    );
    let empty = DiskUsage {
        used: 0,
        available: 995 << 20,
        // btrfs has no fixed number.
        inodes: 0,
        inodes_free: 0,
        ..usage
    };
    assert_eq!(judge_disk(&limits.disks[0], &empty), []);
}

#[test]
fn sizes_have_units() {
    for (size, text) in [
        (0, "0 bytes"),
        (1023, "1023 bytes"),
        (1536, "1.5 KiB"),
        (5 << 40, "5120.0 GiB"),
    ] {
        assert_eq!(bytes(size), text);
    }
}
