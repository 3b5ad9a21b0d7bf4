//! The exporter's own process, with the metric names of the Prometheus client libraries.

use procfs::process::{LimitValue, Process};
use procfs::{ProcError, boot_time_secs, page_size, ticks_per_second};

/// The state of the exporter's own process, read from /proc.
#[derive(Clone, Debug, PartialEq)]
pub struct OwnProcess {
    /// User and system time, in seconds.
    pub cpu_seconds: f64,
    /// Resident memory, in bytes.
    pub resident_bytes: u64,
    /// Virtual memory, in bytes.
    pub virtual_bytes: u64,
    /// Open file descriptors.
    pub open_fds: u64,
    /// The limit of open file descriptors. `None` if unlimited.
    pub max_fds: Option<u64>,
    /// Threads.
    pub threads: u64,
    /// Unix time of the start, in seconds.
    pub start_time: f64,
}

impl OwnProcess {
    /// Reads `/proc/self`.
    ///
    /// # Errors
    /// If /proc is not mounted or can't be read.
    #[allow(clippy::cast_precision_loss, reason = "the numbers are far below 2^52")]
    pub fn read() -> Result<Self, ProcError> {
        let process = Process::myself()?;
        let stat = process.stat()?;
        let ticks = ticks_per_second() as f64;
        let max_fds = match process.limits()?.max_open_files.soft_limit {
            LimitValue::Unlimited => None,
            LimitValue::Value(limit) => Some(limit),
        };
        Ok(Self {
            cpu_seconds: (stat.utime + stat.stime) as f64 / ticks,
            resident_bytes: stat.rss.saturating_mul(page_size()),
            virtual_bytes: stat.vsize,
            open_fds: process.fd_count()? as u64,
            max_fds,
            threads: u64::try_from(stat.num_threads).unwrap_or(0),
            start_time: boot_time_secs()? as f64 + stat.starttime as f64 / ticks,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::{SystemTime, UNIX_EPOCH};

    use super::*;

    #[test]
    fn it_reads_the_process_of_the_exporter() {
        let own = OwnProcess::read().unwrap();
        assert!(own.resident_bytes > 100_000 && own.virtual_bytes > own.resident_bytes);
        assert!(own.open_fds >= 3 && own.max_fds.is_none_or(|max| max >= own.open_fds));
        assert!(own.threads >= 1);
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_secs_f64();
        assert!(now - own.start_time > -2.0 && now - own.start_time < 3600.0 * 24.0);
    }
}
