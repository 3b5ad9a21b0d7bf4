//! Catches panics of checks: each fails the run in which it happens, and prints nothing.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Once;
use std::task::{Context, Poll};

use crate::model::{Problem, Reason};
use crate::net::shortage;

thread_local! {
    /// Whether this thread is polling or dropping a check.
    static IS_CATCHING: Cell<bool> = const { Cell::new(false) };
    /// The source location of the last panic of a check on this thread.
    static LOCATION: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Keeps panics of checks off standard error: a check that panics would print a backtrace on every run. Panics of other code are
/// printed as usual.
pub fn install_panic_hook() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let default_hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if IS_CATCHING.get() {
                LOCATION.set(info.location().map(ToString::to_string));
            } else {
                default_hook(info);
            }
        }));
    });
}

/// A caught panic, displayed with its message and source location.
pub struct Panic {
    payload: Box<dyn Any + Send>,
    location: Option<String>,
}

impl fmt::Display for Panic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match (
            self.payload.downcast_ref::<&str>(),
            self.payload.downcast_ref::<String>(),
        ) {
            (Some(text), _) => text,
            (None, Some(text)) => text.as_str(),
            (None, None) => "(no message)",
        };
        let location = self.location.as_deref().unwrap_or("an unknown location");
        write!(
            f,
            "the check panicked at {location}, which is a bug in the exporter: {text}"
        )
    }
}

impl Panic {
    /// The problem of the run that panicked.
    pub fn into_problem(self) -> Problem {
        let text = self.payload.downcast_ref::<String>();
        match text.and_then(|text| shortage::from_panic(text).map(|shortage| (shortage, text))) {
            Some((shortage, text)) => shortage::problem_or(Some(shortage), Reason::Internal, text),
            None => Problem::new(Reason::Internal, &self),
        }
    }
}

/// Calls a function and returns its panic as an error.
pub fn catch<T>(call: impl FnOnce() -> T) -> Result<T, Panic> {
    IS_CATCHING.set(true);
    let result = catch_unwind(AssertUnwindSafe(call));
    IS_CATCHING.set(false);
    result.map_err(|payload| Panic {
        payload,
        location: LOCATION.take(),
    })
}

/// A future that returns a panic of the inner future as an error. It must not be polled after that.
pub struct CatchPanic<F>(F);

impl<F: Future + Unpin> CatchPanic<F> {
    /// Wraps `future`.
    pub const fn new(future: F) -> Self {
        Self(future)
    }
}

impl<F: Future + Unpin> Future for CatchPanic<F> {
    type Output = Result<F::Output, Panic>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match catch(|| Pin::new(&mut self.0).poll(context)) {
            Ok(polled) => polled.map(Ok),
            Err(panic) => Poll::Ready(Err(panic)),
        }
    }
}
