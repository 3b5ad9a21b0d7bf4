//! The threads on which targets' words are held against expressions. What a target chooses to be dear costs these threads, which
//! are two and have a low priority, and nobody else.
//!
//! Work that is small is done at once. Other work gets a turn of `QUICK` on one thread; what needs more begins again on the
//! other one, where it gets up to `MOST`. So dear work delays dear work only. A check that was dear waits for the second
//! thread at once the next time. A check has one piece of work at a time: its run waits for the result.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use crate::config::budget::{Budget, Exhausted};
use crate::config::expression::STACK_BYTES;
use crate::model::{Problem, Reason, Shortage};

/// Texts up to this length are judged where the run is.
const LIGHT_BYTES: usize = 4 << 10;
/// The processor time that such a judgement gets before it moves to the threads: as long as other tasks may wait.
const LIGHT: Duration = Duration::from_millis(1);
/// The first turn on the threads. A simple expression finds what it looks for in 10 MB within it.
const QUICK: Duration = Duration::from_millis(50);
/// What the judgements of one run may take together.
const MOST: Duration = Duration::from_secs(1);
/// How much work may wait for a thread.
const MAX_WAITING: usize = 1024;
/// The nice value of the threads: they get a tenth of what the others get where all cores are busy (sched(7)).
const NICE: i32 = 10;

type Job = Box<dyn FnOnce() + Send>;

/// What is judged, perhaps twice.
type Work<T> = Arc<dyn Fn(&Arc<Budget>) -> Result<T, Exhausted> + Send + Sync>;

/// The threads. A clone shares them; they start when they are needed first.
#[derive(Clone, Debug, Default)]
pub struct Workers {
    quick: Arc<Lane>,
    slow: Arc<Lane>,
}

/// One thread, what waits for it, and how much that is, with what it does now.
#[derive(Default)]
struct Lane {
    queue: Mutex<Option<SyncSender<Job>>>,
    pending: Arc<AtomicUsize>,
}

/// The judging of one check.
#[derive(Debug)]
pub struct Judging {
    workers: Workers,
    /// Whether the last work needed the second thread.
    is_dear: AtomicBool,
    /// What the run's judgements took until now, in microseconds.
    spent: AtomicU64,
}

/// What came of a piece of work on a thread.
enum Turn<T> {
    Done(T),
    Exhausted,
}

impl Judging {
    /// That of a check.
    pub fn new(workers: &Workers) -> Self {
        Self {
            workers: workers.clone(),
            is_dear: AtomicBool::new(false),
            spent: AtomicU64::new(0),
        }
    }

    /// Begins a run, whose judgements share `MOST`.
    pub fn begin(&self) {
        self.spent.store(0, Ordering::Relaxed);
    }

    /// Judges a text of `length` bytes. `work` may be called again where its budget did not suffice. It waits for `wait` at most.
    ///
    /// # Errors
    /// With the reason `limit` where it takes too much time or memory. Where no thread can be had that is our own shortage.
    pub async fn judge<T: Send + 'static>(
        &self,
        length: usize,
        wait: Duration,
        work: impl Fn(&Arc<Budget>) -> Result<T, Exhausted> + Send + Sync + 'static,
    ) -> Result<T, Problem> {
        if length <= LIGHT_BYTES
            && let Ok(done) = work(&Arc::new(Budget::new(LIGHT, Arc::default())))
        {
            return Ok(done);
        }
        let until = tokio::time::Instant::now() + wait;
        let work: Work<T> = Arc::new(work);
        if !self.is_dear.load(Ordering::Relaxed) {
            let turn = self.turn(&self.workers.quick, QUICK, &work);
            match tokio::time::timeout_at(until, turn).await {
                Ok(turn) => match turn? {
                    Turn::Done(done) => return Ok(done),
                    Turn::Exhausted => {}
                },
                Err(_) => {
                    let message =
                        "what the target sent waited for its turn to be judged until the time was over";
                    return Err(Problem::from_shortage(Shortage::Time, message));
                }
            }
        }
        self.is_dear.store(true, Ordering::Relaxed);
        let spent = Duration::from_micros(self.spent.load(Ordering::Relaxed));
        // So that it ends by itself, unless it does not get the processor.
        let time = MOST.min(wait / 2);
        let turn = self.turn(&self.workers.slow, time.saturating_sub(spent), &work);
        match tokio::time::timeout_at(until, turn).await {
            Ok(turn) => match turn? {
                Turn::Done(done) => Ok(done),
                Turn::Exhausted => Err(too_dear(time)),
            },
            // What it waited for may be another target's fault, or the machine's.
            Err(_) => {
                let message = "what the target sent waited for its turn to be judged, or for a processor, until the time was over";
                Err(Problem::from_shortage(Shortage::Time, message))
            }
        }
    }

    /// One turn on a thread, which ends early when nobody waits for it any longer.
    async fn turn<T: Send + 'static>(
        &self,
        lane: &Lane,
        time: Duration,
        work: &Work<T>,
    ) -> Result<Turn<T>, Problem> {
        let guard = Waiting(Arc::default());
        let is_abandoned = Arc::clone(&guard.0);
        let work = Arc::clone(work);
        let (tell, told) = oneshot::channel();
        lane.give(Box::new(move || {
            if is_abandoned.load(Ordering::Relaxed) {
                return;
            }
            let budget = Arc::new(Budget::new(time, is_abandoned));
            let done = work(&budget);
            // What the work holds, such as a body, is free before the run goes on.
            drop(work);
            let _ = tell.send((done, budget.used()));
        }))?;
        let (done, used) = told.await.map_err(|_| {
            let message = "judging what the target sent failed: the log says more";
            Problem::new(Reason::Internal, message)
        })?;
        drop(guard);
        let micros = u64::try_from(used.as_micros()).unwrap_or(u64::MAX);
        self.spent.fetch_add(micros, Ordering::Relaxed);
        self.is_dear
            .store(used >= QUICK || done.is_err(), Ordering::Relaxed);
        Ok(done.map_or(Turn::Exhausted, Turn::Done))
    }
}

fn too_dear(time: Duration) -> Problem {
    let message = format!(
        "holding what the target sent against the expressions takes more than {} s of processor time, or too much memory: \
         use simpler expressions, or a smaller answer",
        time.as_secs_f64()
    );
    Problem::new(Reason::Limit, message)
}

/// Says, when it is dropped, that nobody waits any longer.
struct Waiting(Arc<AtomicBool>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Counts a piece of work as pending until it is dropped.
struct Pending(Arc<AtomicUsize>);

impl Drop for Pending {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Lane {
    fn give(&self, job: Job) -> Result<(), Problem> {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let jobs = match &*queue {
            Some(jobs) => jobs,
            None => {
                let (jobs, waiting) = sync_channel(MAX_WAITING);
                std::thread::Builder::new()
                    .name("judge".to_owned())
                    .stack_size(STACK_BYTES)
                    .spawn(move || serve(&waiting))
                    .map_err(|error| {
                        let message =
                            format_args!("starting a thread that judges what targets send: {error}");
                        Problem::from_shortage(Shortage::Threads, message)
                    })?;
                queue.insert(jobs)
            }
        };
        self.pending.fetch_add(1, Ordering::Relaxed);
        let pending = Pending(Arc::clone(&self.pending));
        let job = Box::new(move || {
            let _pending = pending;
            job();
        });
        jobs.try_send(job).map_err(|error| {
            let what = match error {
                TrySendError::Full(_) => "too much of what targets sent waits to be judged",
                TrySendError::Disconnected(_) => "the thread that judges what targets send has ended",
            };
            Problem::from_shortage(Shortage::Time, what)
        })
    }
}

impl fmt::Debug for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lane").finish_non_exhaustive()
    }
}

/// Does the work that comes, until nobody can give any more.
fn serve(waiting: &Receiver<Job>) {
    // Where the call is not allowed, as in the shipped unit, the work is done at the usual priority.
    let _ = rustix::process::setpriority_process(None, NICE);
    for job in waiting {
        // A panic is that of one piece of work: its run is told, since nobody tells it a result.
        let _ = catch_unwind(AssertUnwindSafe(job));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    /// Work without an end.
    fn endless(budget: &Arc<Budget>) -> Result<(), Exhausted> {
        loop {
            budget.step()?;
        }
    }

    #[tokio::test]
    async fn small_work_is_done_where_it_is_and_other_work_on_a_thread() {
        let judging = Judging::new(&Workers::default());
        let name = |_: &Arc<Budget>| Ok(std::thread::current().name().map(str::to_owned));
        let here = std::thread::current().name().map(str::to_owned);
        assert_eq!(judging.judge(LIGHT_BYTES, LONG, name).await, Ok(here));
        let elsewhere = judging.judge(LIGHT_BYTES + 1, LONG, name).await;
        assert_eq!(elsewhere, Ok(Some("judge".to_owned())));
    }

    #[tokio::test]
    async fn dear_work_ends_with_limit_and_delays_no_other() {
        let workers = Workers::default();
        let dear: Vec<Judging> = (0..3).map(|_| Judging::new(&workers)).collect();
        for judging in &dear {
            let begun = Instant::now();
            let problem = judging.judge(0, LONG, endless).await.unwrap_err();
            assert_eq!(problem.reason, Reason::Limit);
            assert!(begun.elapsed() >= MOST, "{:?}", begun.elapsed());
        }
        // They are known to be dear now: the first thread is free for others.
        let others = async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            let begun = Instant::now();
            let judging = Judging::new(&workers);
            assert_eq!(judging.judge(1 << 20, LONG, |_| Ok(7)).await, Ok(7));
            begun.elapsed()
        };
        let wait = Duration::from_secs(4);
        let [one, two, three] = &dear[..] else { panic!() };
        let (took, first, second, third) = tokio::join!(
            others,
            one.judge(0, wait, endless),
            two.judge(0, wait, endless),
            three.judge(0, wait, endless)
        );
        assert!(took < MOST, "{took:?}");
        for result in [first, second, third] {
            let problem = result.unwrap_err();
            let is_ours = problem.shortage == Some(Shortage::Time);
            assert!(problem.reason == Reason::Limit || is_ours, "{problem}");
        }
    }

    #[tokio::test]
    async fn a_check_that_was_dear_is_quick_again() {
        let judging = Judging::new(&Workers::default());
        judging.is_dear.store(true, Ordering::Relaxed);
        assert_eq!(judging.judge(1 << 20, LONG, |_| Ok(1)).await, Ok(1));
        assert!(!judging.is_dear.load(Ordering::Relaxed));
    }

    #[tokio::test]
    async fn the_judgements_of_a_run_share_its_time() {
        let judging = Judging::new(&Workers::default());
        judging
            .spent
            .store(u64::try_from(MOST.as_micros()).unwrap(), Ordering::Relaxed);
        let begun = Instant::now();
        assert_eq!(
            judging.judge(0, LONG, endless).await.unwrap_err().reason,
            Reason::Limit
        );
        judging.begin();
        assert_eq!(judging.spent.load(Ordering::Relaxed), 0);
        assert!(begun.elapsed() < LONG);
    }

    #[tokio::test]
    async fn work_that_nobody_waits_for_ends() {
        let judging = Judging::new(&Workers::default());
        let short = Duration::from_millis(20);
        for _ in 0..5 {
            let _ = tokio::time::timeout(short, judging.judge(1 << 20, LONG, endless)).await;
        }
        assert_eq!(judging.judge(1 << 20, LONG, |_| Ok(1)).await, Ok(1));
    }

    #[tokio::test]
    async fn a_panic_is_that_of_one_piece_of_work() {
        let judging = Judging::new(&Workers::default());
        let failing = |_: &Arc<Budget>| -> Result<(), Exhausted> { panic!("on purpose") };
        let problem = judging.judge(1 << 20, LONG, failing).await.unwrap_err();
        assert_eq!((problem.reason, problem.shortage), (Reason::Internal, None));
        assert_eq!(judging.judge(1 << 20, LONG, |_| Ok(1)).await, Ok(1));
    }
}
