//! Parses the engine's statistics of a container (`GET /containers/{id}/stats`).

use serde::Deserialize;

use crate::check::cgroup::Usage;

/// From this number of tasks on, there is no limit: engines report 2^64 - 1.
const NO_TASKS_LIMIT: u64 = 1 << 62;

#[derive(Default, Deserialize)]
#[serde(default)]
struct Stats {
    cpu_stats: CpuStats,
    memory_stats: MemoryStats,
    pids_stats: PidsStats,
    blkio_stats: Option<BlkioStats>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct CpuStats {
    cpu_usage: CpuUsage,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct CpuUsage {
    total_usage: Option<u64>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct MemoryStats {
    usage: Option<u64>,
    /// Only with cgroup v1.
    max_usage: Option<u64>,
    stats: Option<MemoryDetails>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct MemoryDetails {
    /// With cgroup v1.
    total_inactive_file: Option<u64>,
    /// With cgroup v2.
    inactive_file: Option<u64>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct PidsStats {
    current: Option<u64>,
    limit: Option<u64>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct BlkioStats {
    io_service_bytes_recursive: Option<Vec<BlkioEntry>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct BlkioEntry {
    op: String,
    value: u64,
}

/// Parses a response. `None` if it is not JSON of this form. The engine reports no limit of memory here that it does not mix with the
/// machine's memory, and no OOM kills.
pub fn parse(body: &[u8]) -> Option<Usage> {
    let stats: Stats = serde_json::from_slice(body).ok()?;
    let io = stats
        .blkio_stats
        .and_then(|stats| stats.io_service_bytes_recursive);
    let io = io.map(|entries| {
        let sum = |word: &str| {
            let same = entries.iter().filter(|entry| entry.op.eq_ignore_ascii_case(word));
            same.fold(0_u64, |sum, entry| sum.saturating_add(entry.value))
        };
        (sum("read"), sum("write"))
    });
    let details = stats.memory_stats.stats.unwrap_or_default();
    // A container that does not run has no usage, or 0.
    let above_zero = |value: Option<u64>| value.filter(|value| *value > 0);
    Some(Usage {
        cpu_nanos: stats.cpu_stats.cpu_usage.total_usage,
        memory: above_zero(stats.memory_stats.usage),
        memory_peak: above_zero(stats.memory_stats.max_usage),
        inactive_file: details.total_inactive_file.or(details.inactive_file),
        tasks: above_zero(stats.pids_stats.current),
        tasks_limit: above_zero(stats.pids_stats.limit).filter(|limit| *limit < NO_TASKS_LIMIT),
        io,
        ..Usage::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn responses_of_docker_with_both_versions_of_cgroups_are_parsed() {
        // Responses of Docker 24, shortened.
        let v2 = br#"{"read": "x", "pids_stats": {"current": 5, "limit": 18446744073709551615}, "blkio_stats":
            {"io_service_bytes_recursive": [{"major": 8, "minor": 0, "op": "read", "value": 10},
             {"major": 8, "minor": 0, "op": "write", "value": 20}, {"major": 9, "minor": 0, "op": "read", "value": 1}]},
            "cpu_stats": {"cpu_usage": {"total_usage": 43217000, "usage_in_kernelmode": 1}, "online_cpus": 2},
            "memory_stats": {"usage": 4096, "stats": {"anon": 1, "inactive_file": 1024}, "limit": 8000000000}}"#;
        let usage = Usage {
            cpu_nanos: Some(43_217_000),
            memory: Some(4096),
            inactive_file: Some(1024),
            tasks: Some(5),
            io: Some((11, 20)),
            ..Usage::default()
        };
        assert_eq!(parse(v2), Some(usage));
        let v1 = br#"{"pids_stats": {"current": 1, "limit": 100}, "blkio_stats": {"io_service_bytes_recursive": null},
            "cpu_stats": {"cpu_usage": {"total_usage": 1}},
            "memory_stats": {"usage": 4096, "max_usage": 8192, "stats": {"inactive_file": 1, "total_inactive_file": 2}}}"#;
        let usage = Usage {
            cpu_nanos: Some(1),
            memory: Some(4096),
            memory_peak: Some(8192),
            inactive_file: Some(2),
            tasks: Some(1),
            tasks_limit: Some(100),
            ..Usage::default()
        };
        assert_eq!(parse(v1), Some(usage));
    }

    #[test]
    fn missing_values_are_absent() {
        assert_eq!(parse(b"{}"), Some(Usage::default()));
        let stopped = br#"{"pids_stats": {}, "blkio_stats": null, "memory_stats": {"usage": 0}, "cpu_stats": {"cpu_usage": {}}}"#;
        assert_eq!(parse(stopped), Some(Usage::default()));
        for text in ["", "[1]", "null", r#"{"memory_stats": {"usage": -1}}"#] {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
    }
}
