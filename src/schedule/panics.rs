//! Panics of checks: caught, told once, as the failure of the run they happened in.

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
    /// Whether a check is being polled on this thread.
    static IS_GUARDED: Cell<bool> = const { Cell::new(false) };
    /// Where the last panic of a check on this thread happened.
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Keeps the panics of checks off standard error, where one would be printed a run, backtrace included. Those of all
/// other code are printed as before.
pub fn install_panic_hook() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let others = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if IS_GUARDED.get() {
                PLACE.set(info.location().map(ToString::to_string));
            } else {
                others(info);
            }
        }));
    });
}

/// A panic of a check; displayed with its message and its place in the source.
pub struct Panic {
    payload: Box<dyn Any + Send>,
    place: Option<String>,
}

impl fmt::Display for Panic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match (
            self.payload.downcast_ref::<&str>(),
            self.payload.downcast_ref::<String>(),
        ) {
            (Some(text), _) => text,
            (None, Some(text)) => text.as_str(),
            (None, None) => "(no text)",
        };
        let place = self.place.as_deref().unwrap_or("an unknown place");
        write!(
            f,
            "the check panicked at {place}, which is a bug in the exporter: {text}"
        )
    }
}

impl Panic {
    /// The problem of the run that panicked.
    pub fn problem(&self) -> Problem {
        let text = self.payload.downcast_ref::<String>();
        match text.and_then(|text| shortage::of_panic(text).map(|shortage| (shortage, text))) {
            Some((shortage, text)) => shortage::found(Some(shortage), Reason::Internal, text),
            None => Problem::new(Reason::Internal, self),
        }
    }
}

/// Calls foreign code; a panic in it is an error.
pub fn catch<T>(call: impl FnOnce() -> T) -> Result<T, Panic> {
    IS_GUARDED.set(true);
    let result = catch_unwind(AssertUnwindSafe(call));
    IS_GUARDED.set(false);
    result.map_err(|payload| Panic {
        payload,
        place: PLACE.take(),
    })
}

/// A future that yields a panic of the one it holds as an error. After that it must not be polled again.
pub struct Guarded<F>(F);

impl<F: Future + Unpin> Guarded<F> {
    /// Guards `future`.
    pub const fn new(future: F) -> Self {
        Self(future)
    }
}

impl<F: Future + Unpin> Future for Guarded<F> {
    type Output = Result<F::Output, Panic>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match catch(|| Pin::new(&mut self.0).poll(context)) {
            Ok(polled) => polled.map(Ok),
            Err(panic) => Poll::Ready(Err(panic)),
        }
    }
}
