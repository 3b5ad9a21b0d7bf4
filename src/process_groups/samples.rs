//! The samples of process groups.

use std::borrow::Cow;

use super::counts::Counts;
use super::families as family;
use super::group::{Group, ThreadGroup};
use super::reading::RunState;
use super::sweep::TICKS_PER_SECOND;
use super::tracker::Tracker;
use crate::model::{Family, Sample};

/// The start time of a group without processes, as in process-exporter: Go's zero time, the year 1, as a Unix time.
const NO_START: f64 = -62_135_596_800.0;

/// An estimate of the number of samples of a group.
const SAMPLES_PER_GROUP: usize = 32;

/// The samples of all groups, and of the scans.
pub fn samples(tracker: &Tracker) -> Vec<Sample> {
    let groups = tracker.groups();
    let mut samples = Vec::with_capacity((groups.len() + 1) * SAMPLES_PER_GROUP);
    for (name, group) in &groups {
        let mut series = Series {
            samples: &mut samples,
            labels: vec![Cow::Owned((*name).to_owned())],
        };
        push_group(&mut series, group, tracker);
        for (name, thread) in &group.threads {
            series.labels.push(Cow::Owned(name.clone()));
            push_thread(&mut series, thread);
            series.labels.pop();
        }
    }
    let mut series = Series {
        samples: &mut samples,
        labels: Vec::new(),
    };
    let (processes, threads) = tracker.left_out();
    series.push(&family::GROUPS, groups.len() as f64);
    series.push(&family::LEFT_OUT_PROCESSES, processes as f64);
    series.push(&family::LEFT_OUT_THREADS, threads as f64);
    push_scans(&mut series, tracker);
    samples
}

/// The samples after a scan that failed: those of the scans only.
pub fn samples_without_groups(tracker: &Tracker) -> Vec<Sample> {
    let mut samples = Vec::new();
    let mut series = Series {
        samples: &mut samples,
        labels: Vec::new(),
    };
    push_scans(&mut series, tracker);
    samples
}

/// Adds samples that share their first labels.
struct Series<'s> {
    samples: &'s mut Vec<Sample>,
    labels: Vec<Cow<'static, str>>,
}

impl Series<'_> {
    fn push(&mut self, family: &'static Family, value: f64) {
        let labels = self.labels.clone();
        self.samples.push(Sample {
            family,
            labels,
            value,
        });
    }

    fn push_with(&mut self, family: &'static Family, label: impl Into<Cow<'static, str>>, value: f64) {
        let labels = self.labels.iter().cloned().chain([label.into()]).collect();
        self.samples.push(Sample {
            family,
            labels,
            value,
        });
    }
}

fn push_scans(series: &mut Series<'_>, tracker: &Tracker) {
    let counts = tracker.scan_counts();
    series.push(&family::SCRAPE_ERRORS, counts.failed as f64);
    series.push(&family::READ_ERRORS, counts.read_errors as f64);
    series.push(&family::PARTIAL_ERRORS, counts.partial_errors as f64);
    series.push(&family::REMOVED_GROUPS, counts.removed_groups as f64);
}

fn push_group(series: &mut Series<'_>, group: &Group, tracker: &Tracker) {
    let Group { totals, current, .. } = group;
    series.push(&family::PROCESSES, current.processes as f64);
    push_cpu(series, &family::CPU, totals);
    series.push(&family::READ_BYTES, totals.read_bytes as f64);
    series.push(&family::WRITE_BYTES, totals.written_bytes as f64);
    series.push(&family::MAJOR_FAULTS, totals.major_faults as f64);
    series.push(&family::MINOR_FAULTS, totals.minor_faults as f64);
    push_switches(series, &family::CONTEXT_SWITCHES, totals);
    let memory = &current.memory;
    series.push_with(&family::MEMORY, "resident", memory.resident as f64);
    series.push_with(&family::MEMORY, "virtual", memory.virtual_size as f64);
    series.push_with(&family::MEMORY, "swapped", memory.swapped as f64);
    if tracker.switches().smaps {
        series.push_with(
            &family::MEMORY,
            "proportionalResident",
            memory.proportional as f64,
        );
        series.push_with(
            &family::MEMORY,
            "proportionalSwapped",
            memory.proportional_swapped as f64,
        );
    }
    series.push(&family::OPEN_FDS, current.open_fds as f64);
    series.push(&family::WORST_FD_RATIO, current.worst_fd_ratio);
    let start = |ticks| (tracker.boot_time() + ticks / TICKS_PER_SECOND) as f64;
    series.push(
        &family::OLDEST_START,
        current.oldest_start.map_or(NO_START, start),
    );
    series.push(&family::THREADS, current.threads as f64);
    for ((_, name), count) in RunState::ALL.into_iter().zip(current.states) {
        series.push_with(&family::STATES, name, count as f64);
    }
    for (channel, count) in &current.wait_channels {
        series.push_with(&family::WAIT_CHANNELS, channel.clone(), *count as f64);
    }
}

fn push_thread(series: &mut Series<'_>, thread: &ThreadGroup) {
    let totals = &thread.totals;
    series.push(&family::THREAD_COUNT, thread.count as f64);
    push_cpu(series, &family::THREAD_CPU, totals);
    series.push_with(&family::THREAD_IO, "read", totals.read_bytes as f64);
    series.push_with(&family::THREAD_IO, "write", totals.written_bytes as f64);
    series.push(&family::THREAD_MAJOR_FAULTS, totals.major_faults as f64);
    series.push(&family::THREAD_MINOR_FAULTS, totals.minor_faults as f64);
    push_switches(series, &family::THREAD_SWITCHES, totals);
}

fn push_cpu(series: &mut Series<'_>, family: &'static Family, totals: &Counts) {
    let seconds = |ticks: u64| ticks as f64 / TICKS_PER_SECOND as f64;
    series.push_with(family, "user", seconds(totals.user_ticks));
    series.push_with(family, "system", seconds(totals.system_ticks));
}

fn push_switches(series: &mut Series<'_>, family: &'static Family, totals: &Counts) {
    series.push_with(family, "voluntary", totals.voluntary_switches as f64);
    series.push_with(family, "nonvoluntary", totals.involuntary_switches as f64);
}
