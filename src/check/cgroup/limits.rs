//! Compares what a group uses with the configured limits. Pure.

use super::usage::Usage;
use crate::config::resource_limits::{ResourceLimits, ResourceSettings};
use crate::model::{Problem, Reason};

/// The unit or container whose group is compared.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// Its name.
    pub name: &'a str,
    /// The command that shows details.
    pub advice: &'a str,
}

/// The result of a comparison with limits.
#[derive(Clone, Debug, PartialEq)]
pub enum LimitProblem {
    /// A limit is reached.
    Reached(Problem),
    /// Limits can't be compared.
    NotComparable(Problem),
}

/// Combines the warning of a run with the result of a comparison. Limits that can't be compared only warn: they do not show that the
/// unit or container has a problem.
///
/// # Errors
/// The reached limit, if it fails the run.
pub fn conclude(
    settings: &ResourceSettings,
    warning: Option<Problem>,
    limit: Option<LimitProblem>,
) -> Result<Option<Problem>, Problem> {
    match limit {
        Some(LimitProblem::Reached(reached)) => settings.conclude(warning, Some(reached)),
        Some(LimitProblem::NotComparable(problem)) => Ok(warning.or(Some(problem))),
        None => Ok(warning),
    }
}

/// The problem of a group that reaches a limit. `cpu` is the average number of CPUs that it used lately.
pub fn judge(
    usage: &Usage,
    cpu: Option<f64>,
    limits: &ResourceLimits,
    subject: Subject<'_>,
) -> Option<Problem> {
    let memory = usage.working_set();
    let mut reached = Vec::new();
    if let Some((used, limit)) = memory
        .zip(limits.memory_below)
        .filter(|(used, limit)| used >= limit)
    {
        reached.push(format!(
            "uses {} of memory (memory_below: {})",
            size(used),
            size(limit)
        ));
    }
    if let Some(((used, max), limit)) = memory.zip(usage.memory_limit).zip(limits.memory_share_below) {
        let share = ratio(used, max);
        if share >= limit {
            reached.push(format!(
                "uses {:.0} % of its memory limit of {} (memory_share_below: {limit})",
                share * 100.0,
                size(max)
            ));
        }
    }
    if let Some((used, limit)) = cpu.zip(limits.cpu_below).filter(|(used, limit)| used >= limit) {
        reached.push(format!("uses {used:.2} CPUs (cpu_below: {limit})"));
    }
    if let Some((used, limit)) = usage
        .tasks
        .zip(limits.tasks_below)
        .filter(|(used, limit)| used >= limit)
    {
        reached.push(format!("has {used} tasks (tasks_below: {limit})"));
    }
    if reached.is_empty() {
        return None;
    }
    let Subject { name, advice } = subject;
    Some(Problem::new(
        Reason::Limit,
        format!("{name} {}; see `{advice}`", reached.join(", and ")),
    ))
}

/// The problem of limits that can't be compared because the values are not measured.
pub fn unmeasured(usage: Option<&Usage>, limits: &ResourceLimits, subject: Subject<'_>) -> Option<Problem> {
    let has_memory = usage.is_some_and(|usage| usage.memory.is_some());
    let has_cpu = usage.is_some_and(|usage| usage.cpu_nanos.is_some());
    let has_tasks = usage.is_some_and(|usage| usage.tasks.is_some());
    let missing: Vec<&str> = [
        ("memory_below", limits.memory_below.is_some() && !has_memory),
        (
            "memory_share_below",
            limits.memory_share_below.is_some() && !has_memory,
        ),
        ("cpu_below", limits.cpu_below.is_some() && !has_cpu),
        ("tasks_below", limits.tasks_below.is_some() && !has_tasks),
    ]
    .into_iter()
    .filter_map(|(key, is_missing)| is_missing.then_some(key))
    .collect();
    if missing.is_empty() {
        return None;
    }
    let what = match usage {
        None => "its control group can't be read at /sys/fs/cgroup",
        Some(_) => {
            "the kernel does not measure it for this control group (MemoryAccounting=, CPUAccounting=, TasksAccounting=)"
        }
    };
    Some(Problem::new(
        Reason::Limit,
        format!(
            "can't compare {} with {}: {what}; see `{}`",
            subject.name,
            missing.join(", "),
            subject.advice
        ),
    ))
}

#[allow(clippy::cast_precision_loss, reason = "a share needs no more than 53 bits")]
fn ratio(used: u64, max: u64) -> f64 {
    if max == 0 {
        f64::INFINITY
    } else {
        used as f64 / max as f64
    }
}

/// A size as in the configuration: in the largest unit in which it is a whole number or has enough digits, or else in KB.
fn size(bytes: u64) -> String {
    let units = [(30, "GB", 100), (20, "MB", 10)];
    let is_whole = |shift: u32| bytes > 0 && bytes.trailing_zeros() >= shift;
    let (shift, unit, _) = units
        .iter()
        .find(|(shift, _, least)| is_whole(*shift) || bytes >> shift >= *least)
        .unwrap_or(&(10, "KB", 0));
    format!("{}{unit}", bytes >> shift)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::resource_limits::OverLimit;

    const SUBJECT: Subject<'_> = Subject {
        name: "a.service",
        advice: "systemctl status a.service",
    };

    fn usage() -> Usage {
        Usage {
            cpu_nanos: Some(1),
            memory: Some(600 << 20),
            inactive_file: Some(100 << 20),
            memory_limit: Some(1000 << 20),
            tasks: Some(10),
            ..Usage::default()
        }
    }

    fn message(limits: &ResourceLimits, cpu: Option<f64>) -> Option<String> {
        judge(&usage(), cpu, limits, SUBJECT).map(|problem| {
            assert_eq!(problem.reason, Reason::Limit);
            problem.message().to_owned()
        })
    }

    #[test]
    fn a_limit_is_reached_at_its_value() {
        let limits = ResourceLimits::default;
        for (limits, cpu, expected) in [
            (limits(), Some(9.0), None),
            (
                ResourceLimits {
                    memory_below: Some(500 << 20),
                    ..limits()
                },
                None,
                Some(
                    "a.service uses 500MB of memory (memory_below: 500MB); see `systemctl status a.service`",
                ),
            ),
            (
                ResourceLimits {
                    memory_below: Some((500 << 20) + 1),
                    ..limits()
                },
                None,
                None,
            ),
            (
                ResourceLimits {
                    memory_share_below: Some(0.5),
                    ..limits()
                },
                None,
                Some(
                    "a.service uses 50 % of its memory limit of 1000MB (memory_share_below: 0.5); see `systemctl status a.service`",
                ),
            ),
            (
                ResourceLimits {
                    memory_share_below: Some(0.51),
                    ..limits()
                },
                None,
                None,
            ),
            (
                ResourceLimits {
                    cpu_below: Some(1.5),
                    tasks_below: Some(10),
                    ..limits()
                },
                Some(1.5),
                Some(
                    "a.service uses 1.50 CPUs (cpu_below: 1.5), and has 10 tasks (tasks_below: 10); see `systemctl status a.service`",
                ),
            ),
            (
                ResourceLimits {
                    cpu_below: Some(1.5),
                    tasks_below: Some(11),
                    ..limits()
                },
                Some(1.4),
                None,
            ),
            (
                ResourceLimits {
                    cpu_below: Some(1.5),
                    ..limits()
                },
                None,
                None,
            ),
        ] {
            assert_eq!(message(&limits, cpu).as_deref(), expected);
        }
    }

    #[test]
    fn only_a_reached_limit_can_fail_a_run() {
        let settings = ResourceSettings {
            over_limit: OverLimit::Failure,
            ..ResourceSettings::default()
        };
        let problem = || Problem::new(Reason::Limit, "a");
        let conclude = |limit| conclude(&settings, None, Some(limit));
        assert_eq!(conclude(LimitProblem::Reached(problem())), Err(problem()));
        assert_eq!(
            conclude(LimitProblem::NotComparable(problem())),
            Ok(Some(problem()))
        );
    }

    #[test]
    fn a_share_needs_a_limit() {
        let limits = ResourceLimits {
            memory_share_below: Some(0.1),
            ..ResourceLimits::default()
        };
        let usage = Usage {
            memory_limit: None,
            ..usage()
        };
        assert_eq!(judge(&usage, None, &limits, SUBJECT), None);
    }

    #[test]
    fn limits_on_values_that_are_not_measured_are_reported() {
        let limits = ResourceLimits {
            memory_below: Some(1),
            tasks_below: Some(1),
            ..ResourceLimits::default()
        };
        assert_eq!(unmeasured(Some(&usage()), &limits, SUBJECT), None);
        assert_eq!(unmeasured(None, &ResourceLimits::default(), SUBJECT), None);
        let text = |usage| unmeasured(usage, &limits, SUBJECT).unwrap().message().to_owned();
        assert_eq!(
            text(None),
            "can't compare a.service with memory_below, tasks_below: its control group can't be read at /sys/fs/cgroup; see \
             `systemctl status a.service`"
        );
        let partial = Usage {
            memory: None,
            ..usage()
        };
        assert!(
            text(Some(&partial))
                .starts_with("can't compare a.service with memory_below: the kernel does not measure")
        );
    }

    #[test]
    fn sizes_are_short() {
        for (bytes, text) in [
            (0, "0KB"),
            (4096, "4KB"),
            (1 << 20, "1MB"),
            ((1 << 20) + 1024, "1025KB"),
            (42_582_016, "40MB"),
            (153_600_001, "146MB"),
            (2 << 30, "2GB"),
            ((2 << 30) + 1, "2048MB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }
}
