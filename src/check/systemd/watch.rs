//! The background task of a bus: connects, moves messages between the connection and the [`Session`], and begins anew
//! when the connection is lost. Ends when nobody watches a unit any more.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use tokio::time::Instant;
use zbus::{Connection, MessageStream};

use super::hub::Bus;
use super::session::{CALL_TIMEOUT, Session};
use super::table::Link;
use crate::model::Problem;
use crate::net::dbus::{self, Backoff};

/// Waits between attempts to connect. Local sockets are cheap to try, so healing is quick.
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));

/// Starts the task of a bus unless it runs.
pub(super) fn ensure_running(bus: &Arc<Bus>) {
    let mut table = bus.table();
    if table.is_task_running {
        return;
    }
    table.is_task_running = true;
    if let Link::Pending { since, .. } = &mut table.link {
        *since = Instant::now();
    }
    let running = Running(bus.clone());
    tokio::spawn(async move { keep(&running.0).await });
}

/// Marks the task as ended however it ends: a runtime that is shut down or a panic included.
struct Running(Arc<Bus>);

impl Drop for Running {
    fn drop(&mut self) {
        let mut table = self.0.table();
        table.is_task_running = false;
        table.set_pending(Instant::now(), None);
        drop(table);
        // A run that waits starts the task anew.
        self.0.progress.notify_waiters();
    }
}

/// Keeps a bus's table true until nobody watches anything on it.
async fn keep(bus: &Arc<Bus>) {
    let mut backoff = BACKOFF;
    loop {
        let problem = match dbus::connect(&bus.address).await {
            Err(error) => error.into(),
            Ok(connection) => match serve(bus, connection, &mut backoff).await {
                Err(problem) => problem,
                Ok(Unused) => return,
            },
        };
        tracing::debug!(bus = %dbus::describe(&bus.address), %problem, "no link to systemd");
        bus.table().set_pending(Instant::now(), Some(problem));
        bus.progress.notify_waiters();
        if pause(bus, backoff.next_delay()).await.is_some() {
            return;
        }
    }
}

/// Nobody watches a unit any more.
struct Unused;

/// Waits, and wakes the checks meanwhile when it is time to.
async fn pause(bus: &Bus, wait: Duration) -> Option<Unused> {
    let end = Instant::now() + wait;
    loop {
        let until = {
            let mut table = bus.table();
            if table.units.is_empty() {
                return Some(Unused);
            }
            table.tell(Instant::now());
            table.tell_at().map_or(end, |at| at.min(end))
        };
        tokio::select! {
            () = tokio::time::sleep_until(until) => if Instant::now() >= end { return None },
            () = bus.units_changed.notified() => {}
        }
    }
}

/// Works on one connection until it is lost or not needed any more.
async fn serve(bus: &Bus, connection: Connection, backoff: &mut Backoff) -> Result<Unused, Problem> {
    let mut messages = MessageStream::from(&connection);
    let mut session = Session::new(&bus.address, bus.resync_interval, Instant::now());
    loop {
        if bus.table().units.is_empty() {
            return Ok(Unused);
        }
        loop {
            let next = session.next_call(&mut bus.table(), Instant::now())?;
            let Some(message) = next else { break };
            let sent = tokio::time::timeout(CALL_TIMEOUT, connection.send(&message)).await;
            sent.map_err(|_| session.lost("the bus takes no more messages"))?
                .map_err(|error| session.lost(&error.to_string()))?;
        }
        let deadline = session.deadline(&bus.table());
        tokio::select! {
            message = messages.next() => match message {
                Some(Ok(message)) => session.receive(&message, &mut bus.table(), Instant::now())?,
                Some(Err(error)) => return Err(session.lost(&error.to_string())),
                None => return Err(session.lost("the bus closed the connection")),
            },
            () = bus.units_changed.notified() => session.ask_unknown(&bus.table()),
            () = tokio::time::sleep_until(deadline) => session.tick(&mut bus.table(), Instant::now())?,
        }
        if session.take_progress() {
            backoff.reset();
            bus.progress.notify_waiters();
        }
    }
}
