//! Drives an HTTP/2 connection without spawning tasks. The futures that hyper spawns are polled together with the
//! connection, so dropping the run frees everything at once.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use hyper::rt::Executor;

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Collects the futures that hyper spawns.
#[derive(Clone, Default)]
pub struct Tasks(Arc<Mutex<Vec<Task>>>);

impl<F> Executor<F> for Tasks
where
    F: Future + Send + 'static,
{
    fn execute(&self, future: F) {
        let task = Box::pin(async move {
            future.await;
        });
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(task);
    }
}

/// A connection with its tasks.
pub struct Http2Driver<C> {
    connection: Option<Pin<Box<C>>>,
    incoming: Tasks,
    running: Vec<Task>,
}

impl<C> Http2Driver<C> {
    /// Drives a connection that spawns into these tasks.
    pub fn new(connection: C, incoming: Tasks) -> Self {
        Self {
            connection: Some(Box::pin(connection)),
            incoming,
            running: Vec::new(),
        }
    }
}

impl<C: Future<Output = hyper::Result<()>>> Future for Http2Driver<C> {
    type Output = hyper::Result<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        if let Some(connection) = &mut this.connection
            && let Poll::Ready(result) = connection.as_mut().poll(cx)
        {
            this.connection = None;
            if result.is_err() {
                return Poll::Ready(result);
            }
        }
        loop {
            let added = std::mem::take(&mut *this.incoming.0.lock().unwrap_or_else(PoisonError::into_inner));
            let is_new = !added.is_empty();
            this.running.extend(added);
            this.running
                .retain_mut(|task| task.as_mut().poll(cx).is_pending());
            if !is_new {
                break;
            }
        }
        match this.connection.is_none() && this.running.is_empty() {
            true => Poll::Ready(Ok(())),
            false => Poll::Pending,
        }
    }
}
