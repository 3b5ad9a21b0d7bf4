//! Two low-priority threads that evaluate what targets send. A target can send data that is expensive to evaluate, but that
//! delays only these threads.
//!
//! Small work is done in the run's own task. Other work gets up to `QUICK_TIME` on the quick thread. Work that needs more
//! starts again on the slow thread, where it gets up to `MAX_TIME`. So expensive work delays only expensive work. A check
//! whose last work was expensive uses the slow thread immediately. Every check has at most one piece of work at a time,
//! because its run waits for the result.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use crate::config::budget::{Budget, Exhausted};
use crate::config::expression::STACK_BYTES;
use crate::model::{Problem, Reason, Shortage};

/// Texts up to this length are evaluated in the run's own task.
const INLINE_BYTES: usize = 4 << 10;
/// The processor time for such a text. It is short because other tasks wait. If it is not enough, the work moves to the
/// threads.
const INLINE_TIME: Duration = Duration::from_millis(1);
/// The processor time on the quick thread. It is enough for a simple expression and 10 MB of text.
const QUICK_TIME: Duration = Duration::from_millis(50);
/// The processor time of all evaluations of one run.
const MAX_TIME: Duration = Duration::from_secs(1);
/// The maximum wait for an evaluation. The deadline of the run limits it further.
pub const MAX_WAIT: Duration = Duration::from_secs(3600);
/// How much work may wait for a thread.
const MAX_WAITING: usize = 1024;
/// The nice value of the threads. If all cores are busy, they get a tenth of the time of other threads (sched(7)).
const NICE: i32 = 10;

type Job = Box<dyn FnOnce() + Send>;

/// A piece of work. It may be called a second time with another budget.
type Work<T> = Arc<dyn Fn(&Arc<Budget>) -> Result<T, Exhausted> + Send + Sync>;

/// The threads. Clones share them. They start when they are needed for the first time.
#[derive(Clone, Debug, Default)]
pub struct Workers {
    quick: Arc<Worker>,
    slow: Arc<Worker>,
}

/// One thread with its queue.
#[derive(Default)]
struct Worker {
    queue: Mutex<Option<SyncSender<Job>>>,
}

/// Evaluates the data of one check on the threads.
#[derive(Debug)]
pub struct Evaluator {
    workers: Workers,
    /// Whether the last work needed the slow thread.
    is_expensive: AtomicBool,
    /// The processor time used by the run so far, in microseconds.
    spent: AtomicU64,
}

/// The result of a piece of work on a thread.
enum WorkResult<T> {
    Done(T),
    Exhausted,
}

impl Evaluator {
    /// Creates the evaluator of a check.
    pub fn new(workers: &Workers) -> Self {
        Self {
            workers: workers.clone(),
            is_expensive: AtomicBool::new(false),
            spent: AtomicU64::new(0),
        }
    }

    /// Begins a run. All evaluations of a run share `MAX_TIME`.
    pub fn begin_run(&self) {
        self.spent.store(0, Ordering::Relaxed);
    }

    /// Evaluates a text of `length` bytes. Calls `work` again if its budget was exhausted. Waits up to `wait`.
    ///
    /// # Errors
    /// `limit` if the work takes too much time or memory. A shortage if no thread is available.
    pub async fn evaluate<T: Send + 'static>(
        &self,
        length: usize,
        wait: Duration,
        work: impl Fn(&Arc<Budget>) -> Result<T, Exhausted> + Send + Sync + 'static,
    ) -> Result<T, Problem> {
        if length <= INLINE_BYTES
            && let Ok(done) = work(&Arc::new(Budget::new(INLINE_TIME, Arc::default())))
        {
            return Ok(done);
        }
        // Boxed, because most work is small.
        Box::pin(self.evaluate_on_threads(wait, work)).await
    }

    /// Evaluates on the quick thread, then on the slow one, see [`Self::evaluate`].
    async fn evaluate_on_threads<T: Send + 'static>(
        &self,
        wait: Duration,
        work: impl Fn(&Arc<Budget>) -> Result<T, Exhausted> + Send + Sync + 'static,
    ) -> Result<T, Problem> {
        let until = tokio::time::Instant::now() + wait;
        let work: Work<T> = Arc::new(work);
        if !self.is_expensive.load(Ordering::Relaxed) {
            let running = self.run_on(&self.workers.quick, QUICK_TIME, &work);
            match tokio::time::timeout_at(until, running).await {
                Ok(outcome) => match outcome? {
                    WorkResult::Done(done) => return Ok(done),
                    WorkResult::Exhausted => {}
                },
                Err(_) => {
                    let message = "evaluating the response: no thread was free before the deadline";
                    return Err(Problem::from_shortage(Shortage::Time, message));
                }
            }
        }
        self.is_expensive.store(true, Ordering::Relaxed);
        let spent = Duration::from_micros(self.spent.load(Ordering::Relaxed));
        // Half of the wait, so that the work ends before the deadline if it gets the processor.
        let time = MAX_TIME.min(wait / 2);
        let running = self.run_on(&self.workers.slow, time.saturating_sub(spent), &work);
        match tokio::time::timeout_at(until, running).await {
            Ok(outcome) => match outcome? {
                WorkResult::Done(done) => Ok(done),
                WorkResult::Exhausted => Err(too_expensive(time)),
            },
            // Other targets or the machine can cause the delay.
            Err(_) => {
                let message = "evaluating the response: no thread or processor was free before the deadline";
                Err(Problem::from_shortage(Shortage::Time, message))
            }
        }
    }

    /// Runs the work on a thread. It stops early if this future is dropped.
    async fn run_on<T: Send + 'static>(
        &self,
        worker: &Worker,
        time: Duration,
        work: &Work<T>,
    ) -> Result<WorkResult<T>, Problem> {
        let guard = AbandonGuard(Arc::default());
        let is_abandoned = Arc::clone(&guard.0);
        let work = Arc::clone(work);
        let (sender, receiver) = oneshot::channel();
        worker.push(Box::new(move || {
            if is_abandoned.load(Ordering::Relaxed) {
                return;
            }
            let budget = Arc::new(Budget::new(time, is_abandoned));
            let done = work(&budget);
            // Free the memory of the work, such as a body, before the run continues.
            drop(work);
            let _ = sender.send((done, budget.used()));
        }))?;
        let (done, used) = receiver.await.map_err(|_| {
            let message = "evaluating the response panicked; see the log";
            Problem::new(Reason::Internal, message)
        })?;
        drop(guard);
        let micros = u64::try_from(used.as_micros()).unwrap_or(u64::MAX);
        self.spent.fetch_add(micros, Ordering::Relaxed);
        self.is_expensive
            .store(used >= QUICK_TIME || done.is_err(), Ordering::Relaxed);
        Ok(done.map_or(WorkResult::Exhausted, WorkResult::Done))
    }
}

fn too_expensive(time: Duration) -> Problem {
    let message = format!(
        "evaluating the response takes more than {} s of processor time, or too much memory: use simpler expressions, or \
         make the response smaller",
        time.as_secs_f64()
    );
    Problem::new(Reason::Limit, message)
}

/// Marks the work as abandoned when it is dropped.
struct AbandonGuard(Arc<AtomicBool>);

impl Drop for AbandonGuard {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Worker {
    /// Adds a job to the queue. Starts the thread if necessary.
    fn push(&self, job: Job) -> Result<(), Problem> {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let jobs = match &*queue {
            Some(jobs) => jobs,
            None => {
                let (jobs, waiting) = sync_channel(MAX_WAITING);
                std::thread::Builder::new()
                    .name("evaluator".to_owned())
                    .stack_size(STACK_BYTES)
                    .spawn(move || serve(&waiting))
                    .map_err(|error| {
                        let message = format_args!("starting a thread that evaluates responses: {error}");
                        Problem::from_shortage(Shortage::Threads, message)
                    })?;
                queue.insert(jobs)
            }
        };

        jobs.try_send(job).map_err(|error| {
            let message = match error {
                TrySendError::Full(_) => "evaluating the response: too many responses wait for evaluation",
                TrySendError::Disconnected(_) => "evaluating the response: the thread for it has ended",
            };
            Problem::from_shortage(Shortage::Time, message)
        })
    }
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker").finish_non_exhaustive()
    }
}

/// Runs jobs until all senders are gone.
fn serve(waiting: &Receiver<Job>) {
    // If this is not allowed, as in the shipped unit, the thread has the normal priority.
    let _ = rustix::process::setpriority_process(None, NICE);
    for job in waiting {
        // A panic ends only this job. Its run fails, because the sender of the result is dropped.
        let _ = catch_unwind(AssertUnwindSafe(job));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    /// Work that never ends.
    fn endless(budget: &Arc<Budget>) -> Result<(), Exhausted> {
        loop {
            budget.step()?;
        }
    }

    #[tokio::test]
    async fn small_work_is_done_inline_and_other_work_on_a_thread() {
        let evaluator = Evaluator::new(&Workers::default());
        let name = |_: &Arc<Budget>| Ok(std::thread::current().name().map(str::to_owned));
        let here = std::thread::current().name().map(str::to_owned);
        assert_eq!(evaluator.evaluate(INLINE_BYTES, LONG, name).await, Ok(here));
        let elsewhere = evaluator.evaluate(INLINE_BYTES + 1, LONG, name).await;
        assert_eq!(elsewhere, Ok(Some("evaluator".to_owned())));
    }

    #[tokio::test]
    async fn expensive_work_ends_with_limit_and_does_not_delay_other_work() {
        let workers = Workers::default();
        let expensive: Vec<Evaluator> = (0..3).map(|_| Evaluator::new(&workers)).collect();
        for evaluator in &expensive {
            let started = Instant::now();
            let problem = evaluator.evaluate(0, LONG, endless).await.unwrap_err();
            assert_eq!(problem.reason, Reason::Limit);
            assert!(started.elapsed() >= MAX_TIME, "{:?}", started.elapsed());
        }
        // They now use the slow thread, so the quick one is free.
        let others = async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            let started = Instant::now();
            let evaluator = Evaluator::new(&workers);
            assert_eq!(evaluator.evaluate(1 << 20, LONG, |_| Ok(7)).await, Ok(7));
            started.elapsed()
        };
        let wait = Duration::from_secs(4);
        let [one, two, three] = &expensive[..] else {
            panic!()
        };
        let (took, first, second, third) = tokio::join!(
            others,
            one.evaluate(0, wait, endless),
            two.evaluate(0, wait, endless),
            three.evaluate(0, wait, endless)
        );
        assert!(took < MAX_TIME, "{took:?}");
        for result in [first, second, third] {
            let problem = result.unwrap_err();
            let is_shortage = problem.shortage == Some(Shortage::Time);
            assert!(problem.reason == Reason::Limit || is_shortage, "{problem}");
        }
    }

    #[tokio::test]
    async fn a_check_uses_the_quick_thread_again_after_cheap_work() {
        let evaluator = Evaluator::new(&Workers::default());
        evaluator.is_expensive.store(true, Ordering::Relaxed);
        assert_eq!(evaluator.evaluate(1 << 20, LONG, |_| Ok(1)).await, Ok(1));
        assert!(!evaluator.is_expensive.load(Ordering::Relaxed));
    }

    #[tokio::test]
    async fn the_evaluations_of_a_run_share_its_time() {
        let evaluator = Evaluator::new(&Workers::default());
        evaluator
            .spent
            .store(u64::try_from(MAX_TIME.as_micros()).unwrap(), Ordering::Relaxed);
        let started = Instant::now();
        assert_eq!(
            evaluator.evaluate(0, LONG, endless).await.unwrap_err().reason,
            Reason::Limit
        );
        evaluator.begin_run();
        assert_eq!(evaluator.spent.load(Ordering::Relaxed), 0);
        assert!(started.elapsed() < LONG);
    }

    #[tokio::test]
    async fn abandoned_work_ends() {
        let evaluator = Evaluator::new(&Workers::default());
        let short = Duration::from_millis(20);
        for _ in 0..5 {
            let _ = tokio::time::timeout(short, evaluator.evaluate(1 << 20, LONG, endless)).await;
        }
        assert_eq!(evaluator.evaluate(1 << 20, LONG, |_| Ok(1)).await, Ok(1));
    }

    #[tokio::test]
    async fn a_panic_fails_one_piece_of_work_only() {
        let evaluator = Evaluator::new(&Workers::default());
        let failing = |_: &Arc<Budget>| -> Result<(), Exhausted> { panic!("on purpose") };
        let problem = evaluator.evaluate(1 << 20, LONG, failing).await.unwrap_err();
        assert_eq!((problem.reason, problem.shortage), (Reason::Internal, None));
        assert_eq!(evaluator.evaluate(1 << 20, LONG, |_| Ok(1)).await, Ok(1));
    }
}
