//! The signals that a job gets through this command.

use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll, Waker};

use rustix::process::Signal;
use tokio::signal::unix::{self, SignalKind, signal};

/// The signals to pass on: those that end processes and can be caught, except those for faults and timers of the process itself.
const FORWARDED: [(Signal, SignalKind); 6] = [
    (Signal::HUP, SignalKind::hangup()),
    (Signal::INT, SignalKind::interrupt()),
    (Signal::QUIT, SignalKind::quit()),
    (Signal::TERM, SignalKind::terminate()),
    (Signal::USR1, SignalKind::user_defined1()),
    (Signal::USR2, SignalKind::user_defined2()),
];

/// Signals to this process.
pub struct Signals {
    streams: Vec<(Signal, unix::Signal)>,
    /// If SIGCHLD were ignored, as some parents leave it, the exit status of the job would be lost (wait(2)).
    _child: unix::Signal,
}

impl Signals {
    /// Catches the signals from now on. A signal that this process ignores, such as SIGHUP below `nohup`, stays ignored, so the job
    /// ignores it too.
    ///
    /// # Errors
    /// When a handler can't be set.
    pub fn catch() -> io::Result<Self> {
        let ignored = ignored_signals();
        let streams = FORWARDED
            .into_iter()
            .filter(|(name, _)| ignored & (1 << (name.as_raw() - 1)) == 0)
            .map(|(name, kind)| Ok((name, signal(kind)?)))
            .collect::<io::Result<_>>()?;
        Ok(Self {
            streams,
            _child: signal(SignalKind::child())?,
        })
    }

    /// Waits for the next signal.
    pub async fn next(&mut self) -> Signal {
        poll_fn(|context| {
            for (name, stream) in &mut self.streams {
                if stream.poll_recv(context).is_ready() {
                    return Poll::Ready(*name);
                }
            }
            Poll::Pending
        })
        .await
    }

    /// Waits for a signal that requests the end.
    pub async fn stop(&mut self) {
        while !is_stop(self.next().await) {}
    }

    /// Takes the signals that have already arrived. Returns whether one of them requests the end.
    pub fn take_stop(&mut self) -> bool {
        let mut context = Context::from_waker(Waker::noop());
        let mut is_stopped = false;
        for (name, stream) in &mut self.streams {
            is_stopped |= stream.poll_recv(&mut context).is_ready() && is_stop(*name);
        }
        is_stopped
    }
}

/// Whether a signal requests the end of the process.
pub fn is_stop(signal: Signal) -> bool {
    [Signal::HUP, Signal::INT, Signal::QUIT, Signal::TERM].contains(&signal)
}

/// Whether the job got this signal from the terminal, too: the keys for SIGINT and SIGQUIT signal the whole foreground process group.
pub fn is_from_terminal(signal: Signal) -> bool {
    [Signal::INT, Signal::QUIT].contains(&signal)
        && procfs::process::Process::myself()
            .and_then(|own| own.stat())
            .is_ok_and(|stat| stat.tpgid == stat.pgrp)
}

/// The mask of ignored signals; zero if it can't be read.
fn ignored_signals() -> u64 {
    procfs::process::Process::myself()
        .and_then(|own| own.status())
        .map_or(0, |status| status.sigign)
}
