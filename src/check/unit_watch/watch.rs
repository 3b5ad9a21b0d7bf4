//! The background task of a bus. It connects, passes messages between the connection and the [`BusSession`], and reconnects
//! when the connection is lost. It ends when no unit is watched.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use tokio::time::Instant;
use zbus::{Connection, MessageStream};

use super::hub::Bus;
use super::session::{BusSession, CALL_TIMEOUT};
use super::table::Link;
use crate::model::Problem;
use crate::net::dbus::{self, Backoff};

/// The delays between attempts to connect. They are short because connecting to a local socket is cheap.
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));

/// Starts the task of a bus if it does not run.
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
    tokio::spawn(async move { watch(&running.0).await });
}

/// Marks the task as ended when it is dropped, also after a panic or a shutdown of the runtime.
struct Running(Arc<Bus>);

impl Drop for Running {
    fn drop(&mut self) {
        let mut table = self.0.table();
        table.is_task_running = false;
        table.set_pending(Instant::now(), None);
        drop(table);
        // A waiting run starts the task again.
        self.0.progress.notify_waiters();
    }
}

/// Keeps a bus's table up to date until no unit is watched on it.
async fn watch(bus: &Arc<Bus>) {
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
        if wait_to_reconnect(bus, backoff.next_delay()).await.is_some() {
            return;
        }
    }
}

/// No unit is watched any more.
struct Unused;

/// Waits before the next attempt. Wakes the checks if the link does not recover in time.
async fn wait_to_reconnect(bus: &Bus, wait: Duration) -> Option<Unused> {
    let end = Instant::now() + wait;
    loop {
        let until = {
            let mut table = bus.table();
            if table.units.is_empty() {
                return Some(Unused);
            }
            table.notify_overdue(Instant::now());
            table.notify_at().map_or(end, |at| at.min(end))
        };
        tokio::select! {
            () = tokio::time::sleep_until(until) => if Instant::now() >= end { return None },
            () = bus.units_changed.notified() => {}
        }
    }
}

/// Serves one connection until it is lost or no longer needed.
async fn serve(bus: &Bus, connection: Connection, backoff: &mut Backoff) -> Result<Unused, Problem> {
    let mut messages = MessageStream::from(&connection);
    let mut session = BusSession::new(&bus.address, bus.resync_interval, Instant::now());
    loop {
        if bus.table().units.is_empty() {
            return Ok(Unused);
        }
        loop {
            let next = session.next_call(&mut bus.table(), Instant::now())?;
            let Some(message) = next else { break };
            let sent = tokio::time::timeout(CALL_TIMEOUT, connection.send(&message)).await;
            sent.map_err(|_| session.lost("the bus accepts no more messages"))?
                .map_err(|error| session.lost(&error.to_string()))?;
        }
        let deadline = session.deadline(&bus.table());
        tokio::select! {
            message = messages.next() => match message {
                Some(Ok(message)) => session.receive(&message, &mut bus.table(), Instant::now())?,
                Some(Err(error)) => return Err(session.lost(&error.to_string())),
                None => return Err(session.lost("the bus closed the connection")),
            },
            () = bus.units_changed.notified() => session.schedule_wanted(&mut bus.table()),
            () = tokio::time::sleep_until(deadline) => session.tick(&mut bus.table(), Instant::now())?,
        }
        if session.take_progress() {
            backoff.reset();
            bus.progress.notify_waiters();
        }
    }
}
