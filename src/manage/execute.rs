//! Executes a plan: each step when the steps that it waits for have succeeded, independent steps at the same time.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::plan::Plan;

/// The maximum number of steps at the same time. Each needs connections to systemd and to the targets of its checks.
const MAX_STEPS: usize = 32;

/// How a step ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StepResult<R> {
    /// It was done, with this result.
    Done(R),
    /// It was not done, because the step at this position failed or was not done.
    Skipped(usize),
}

/// Executes the steps of a plan. `run` does one step, by its position. Steps that wait for it are done if `is_success` holds for
/// its result. `ended` is called with every result as soon as it is known.
///
/// Dropping the future cancels the steps in progress.
pub async fn execute<R, F>(
    plan: &Plan,
    run: impl Fn(usize) -> F,
    is_success: impl Fn(&R) -> bool,
    mut ended: impl FnMut(usize, &StepResult<R>),
) -> Vec<StepResult<R>>
where
    R: Send + 'static,
    F: Future<Output = R> + Send + 'static,
{
    let places = Arc::new(Semaphore::new(MAX_STEPS));
    let mut results: Vec<Option<StepResult<R>>> = plan.steps.iter().map(|_| None).collect();
    let mut is_started = vec![false; plan.steps.len()];
    let mut running = JoinSet::new();
    loop {
        // Steps wait for earlier ones only, so one pass in this order finds all that are ready or skipped.
        for position in 0..plan.steps.len() {
            if is_started[position] {
                continue;
            }
            match readiness(&plan.steps[position].after, &results, &is_success) {
                Readiness::Waiting => {}
                Readiness::Ready => {
                    is_started[position] = true;
                    let (step, places) = (run(position), Arc::clone(&places));
                    running.spawn(async move {
                        // The semaphore is never closed.
                        let _place = places.acquire_owned().await;
                        (position, step.await)
                    });
                }
                Readiness::Blocked(by) => {
                    is_started[position] = true;
                    let result = StepResult::Skipped(by);
                    ended(position, &result);
                    results[position] = Some(result);
                }
            }
        }
        match running.join_next().await {
            None => break,
            Some(Ok((position, result))) => {
                let result = StepResult::Done(result);
                ended(position, &result);
                results[position] = Some(result);
            }
            // The step panicked. The panic continues here.
            Some(Err(error)) => {
                if let Ok(panic) = error.try_into_panic() {
                    std::panic::resume_unwind(panic);
                }
            }
        }
    }
    results.into_iter().flatten().collect()
}

enum Readiness {
    /// A step that it waits for is not complete.
    Waiting,
    /// All of them succeeded.
    Ready,
    /// The one at this position failed.
    Blocked(usize),
}

fn readiness<R>(
    after: &[usize],
    results: &[Option<StepResult<R>>],
    is_success: impl Fn(&R) -> bool,
) -> Readiness {
    let mut readiness = Readiness::Ready;
    for earlier in after {
        match &results[*earlier] {
            Some(StepResult::Done(result)) if is_success(result) => {}
            Some(_) => return Readiness::Blocked(*earlier),
            None => readiness = Readiness::Waiting,
        }
    }
    readiness
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::time::Duration;

    use tokio::time::{Instant, sleep};

    use super::super::plan::Step;
    use super::*;
    use crate::actuator::Action;
    use crate::config::tests_support::{check, config};

    /// A plan with steps that wait for these others.
    fn plan(after: &[&[usize]]) -> Plan {
        let service = config(vec![("s", vec![check("kind: tcp, address: \"127.0.0.1:1\"")])])
            .services
            .remove(0);
        let step = |after: &&[usize]| Step {
            service: Arc::clone(&service),
            targets: Vec::new(),
            shared: Vec::new(),
            after: after.to_vec(),
            also_affects: Vec::new(),
        };
        Plan {
            action: Action::Start,
            steps: after.iter().map(step).collect(),
        }
    }

    /// Executes steps that take a second each and fail at these positions. Returns their start times in seconds, and the results.
    async fn run(plan: &Plan, failing: &'static [usize]) -> (Vec<Option<u64>>, Vec<StepResult<bool>>) {
        let (began, starts) = (Instant::now(), Arc::new(Mutex::new(vec![None; plan.steps.len()])));
        let mut ended = Vec::new();
        let step = |position: usize| {
            let starts = Arc::clone(&starts);
            async move {
                starts.lock().unwrap()[position] = Some(began.elapsed().as_secs());
                sleep(Duration::from_secs(1)).await;
                !failing.contains(&position)
            }
        };
        let results = execute(
            plan,
            step,
            |is_success| *is_success,
            |position, _| ended.push(position),
        )
        .await;
        ended.sort_unstable();
        assert_eq!(ended, (0..plan.steps.len()).collect::<Vec<_>>());
        let starts = starts.lock().unwrap().clone();
        (starts, results)
    }

    #[tokio::test(start_paused = true)]
    async fn independent_steps_are_done_at_the_same_time() {
        let (starts, results) = run(&plan(&[&[], &[0], &[0], &[1, 2], &[]]), &[]).await;
        assert_eq!(starts, [Some(0), Some(1), Some(1), Some(2), Some(0)]);
        assert!(results.iter().all(|result| *result == StepResult::Done(true)));
    }

    #[tokio::test(start_paused = true)]
    async fn steps_behind_a_failed_one_are_skipped() {
        let (starts, results) = run(&plan(&[&[], &[0], &[1], &[]]), &[0]).await;
        assert_eq!(starts, [Some(0), None, None, Some(0)]);
        assert_eq!(
            results,
            [
                StepResult::Done(false),
                StepResult::Skipped(0),
                StepResult::Skipped(1),
                StepResult::Done(true)
            ]
        );
    }

    #[tokio::test(start_paused = true)]
    async fn the_number_of_steps_at_the_same_time_is_bounded() {
        let all: Vec<&[usize]> = vec![&[]; MAX_STEPS + 1];
        let (starts, _) = run(&plan(&all), &[]).await;
        assert_eq!(starts.iter().filter(|start| **start == Some(1)).count(), 1);
    }
}
