//! Limits on what a unit or a container uses.

use schemars::{Schema, SchemaGenerator, json_schema};

use super::place::{Invalid, Place};
use super::size::SizeText;
use super::suggest;
use crate::model::{Problem, words};

words! {
    /// What a reached limit does to a check.
    OverLimit {
        /// The run succeeds with a warning, so the check is degraded.
        Warning = "warning",
        /// The run fails.
        Failure = "failure",
    }
}

/// The limits of a unit or a container. At a limit, the check has a problem.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ResourceLimits {
    /// Memory in bytes, without the inactive part of the page cache.
    pub memory_below: Option<u64>,
    /// The same memory divided by the limit of the unit or container.
    pub memory_share_below: Option<f64>,
    /// The number of CPUs in use, averaged over about five seconds.
    pub cpu_below: Option<f64>,
    /// Processes and threads.
    pub tasks_below: Option<u64>,
}

/// Whether and how what a unit or a container uses is measured and limited.
#[derive(Clone, Debug, PartialEq)]
pub struct ResourceSettings {
    /// Whether it is measured.
    pub is_measured: bool,
    /// The limits.
    pub limits: ResourceLimits,
    /// What a reached limit does.
    pub over_limit: OverLimit,
}

impl Default for ResourceSettings {
    fn default() -> Self {
        Self {
            is_measured: true,
            limits: ResourceLimits::default(),
            over_limit: OverLimit::Warning,
        }
    }
}

impl ResourceSettings {
    /// Combines the warning of a run with the problem of a reached limit. The warning comes first.
    ///
    /// # Errors
    /// The reached limit, if it fails the run.
    pub fn conclude(
        &self,
        warning: Option<Problem>,
        reached: Option<Problem>,
    ) -> Result<Option<Problem>, Problem> {
        match (reached, self.over_limit) {
            (Some(reached), OverLimit::Failure) => Err(reached),
            (reached, _) => Ok(warning.or(reached)),
        }
    }
}

/// The schema of the key `over_limit`.
pub(super) fn over_limit_schema(_: &mut SchemaGenerator) -> Schema {
    let words: Vec<&str> = OverLimit::ALL.iter().map(|word| word.as_str()).collect();
    let words = words.into_iter().map(Some).chain([None]);
    json_schema!({ "type": ["string", "null"], "enum": words.collect::<Vec<_>>() })
}

/// The keys as written.
#[derive(Debug)]
pub(super) struct ResourceOptions {
    pub resources: Option<bool>,
    pub memory_below: Option<SizeText>,
    pub memory_share_below: Option<f64>,
    pub cpu_below: Option<f64>,
    pub tasks_below: Option<u64>,
    pub over_limit: Option<String>,
}

impl ResourceOptions {
    /// Resolves the keys.
    ///
    /// # Errors
    /// Reported at their keys.
    pub fn resolve(self, place: &Place<'_>) -> Result<ResourceSettings, Invalid> {
        let is_measured = self.resources.unwrap_or(true);
        let zero = |key: &str, advice: &str| {
            place.field(key).error(format_args!(
                "0 would always be reached: write {advice}, or remove this key"
            ))
        };
        let memory_below = match self.memory_below {
            Some(SizeText(0)) => Err(zero("memory_below", "a size such as 500MB")),
            size => Ok(size.map(|size| size.0)),
        };
        let memory_share_below = match self.memory_share_below {
            Some(share) if !(share > 0.0 && share <= 1.0) => {
                Err(place.field("memory_share_below").error(format_args!(
                    "{share} is out of range: write a number above 0 and at most 1, such as 0.9 for 90 %"
                )))
            }
            share => Ok(share),
        };
        let cpu_below = match self.cpu_below {
            Some(cpus) if !(cpus > 0.0 && cpus.is_finite()) => Err(place.field("cpu_below").error(
                format_args!("{cpus} is out of range: write a number of CPUs above 0, such as 1.5"),
            )),
            cpus => Ok(cpus),
        };
        let tasks_below = match self.tasks_below {
            Some(0) => Err(zero("tasks_below", "a number of tasks")),
            tasks => Ok(tasks),
        };
        let over_limit = match &self.over_limit {
            None => Ok(OverLimit::Warning),
            Some(word) => OverLimit::from_word(word).ok_or_else(|| {
                let words = OverLimit::ALL.iter().map(|word| word.as_str());
                place
                    .field("over_limit")
                    .error(suggest::unknown("value", word, words))
            }),
        };
        let limits = ResourceLimits {
            memory_below: memory_below?,
            memory_share_below: memory_share_below?,
            cpu_below: cpu_below?,
            tasks_below: tasks_below?,
        };
        let over_limit = over_limit?;
        let has_limits = limits != ResourceLimits::default();
        if has_limits && !is_measured {
            return Err(place.field("resources").error(
                "the limits of this check need measured resources: remove this key, or the keys that end in _below",
            ));
        }
        if self.over_limit.is_some() && !has_limits {
            return Err(place.field("over_limit").error(
                "no limit is set: add memory_below, memory_share_below, cpu_below or tasks_below, or remove this key",
            ));
        }
        Ok(ResourceSettings {
            is_measured,
            limits,
            over_limit,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests_support::resolve_at_root;

    fn options() -> ResourceOptions {
        ResourceOptions {
            resources: None,
            memory_below: None,
            memory_share_below: None,
            cpu_below: None,
            tasks_below: None,
            over_limit: None,
        }
    }

    fn resolve(options: ResourceOptions) -> Result<ResourceSettings, Vec<String>> {
        resolve_at_root(|root| options.resolve(root))
    }

    #[test]
    fn by_default_resources_are_measured_without_limits() {
        assert_eq!(resolve(options()), Ok(ResourceSettings::default()));
    }

    #[test]
    fn limits_are_resolved() {
        let written = ResourceOptions {
            memory_below: Some(SizeText(500 << 20)),
            memory_share_below: Some(1.0),
            cpu_below: Some(0.5),
            tasks_below: Some(100),
            over_limit: Some("failure".into()),
            ..options()
        };
        let settings = resolve(written).unwrap();
        assert_eq!(settings.over_limit, OverLimit::Failure);
        assert_eq!(settings.limits.memory_below, Some(500 << 20));
        assert_eq!(settings.limits.cpu_below, Some(0.5));
    }

    #[test]
    fn all_errors_are_reported_at_once() {
        let written = ResourceOptions {
            memory_below: Some(SizeText(0)),
            memory_share_below: Some(90.0),
            cpu_below: Some(f64::NAN),
            tasks_below: Some(0),
            over_limit: Some("fail".into()),
            ..options()
        };
        assert_eq!(
            resolve(written).unwrap_err(),
            [
                "memory_below: 0 would always be reached: write a size such as 500MB, or remove this key",
                "memory_share_below: 90 is out of range: write a number above 0 and at most 1, such as 0.9 for 90 %",
                "cpu_below: NaN is out of range: write a number of CPUs above 0, such as 1.5",
                "tasks_below: 0 would always be reached: write a number of tasks, or remove this key",
                "over_limit: unknown value fail: did you mean failure?",
            ]
        );
    }

    #[test]
    fn a_reached_limit_warns_or_fails() {
        let problem = |text| Some(Problem::new(crate::model::Reason::Limit, text));
        let mut settings = ResourceSettings::default();
        assert_eq!(settings.conclude(None, None), Ok(None));
        assert_eq!(settings.conclude(None, problem("a")), Ok(problem("a")));
        assert_eq!(settings.conclude(problem("b"), problem("a")), Ok(problem("b")));
        settings.over_limit = OverLimit::Failure;
        assert_eq!(
            settings.conclude(problem("b"), problem("a")),
            Err(problem("a").unwrap())
        );
        assert_eq!(settings.conclude(problem("b"), None), Ok(problem("b")));
    }

    #[test]
    fn contradictions_are_reported() {
        let written = ResourceOptions {
            resources: Some(false),
            tasks_below: Some(1),
            ..options()
        };
        assert_eq!(
            resolve(written).unwrap_err(),
            [
                "resources: the limits of this check need measured resources: remove this key, or the keys that end in _below"
            ]
        );
        let written = ResourceOptions {
            over_limit: Some("warning".into()),
            ..options()
        };
        assert_eq!(
            resolve(written).unwrap_err(),
            [
                "over_limit: no limit is set: add memory_below, memory_share_below, cpu_below or tasks_below, or remove this key"
            ]
        );
    }
}
