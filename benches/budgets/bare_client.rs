//! The least that a program can do for HTTP runs at a given pace: the system calls of a run of ours, paced like our checks, and
//! nothing else. It runs as a process of its own, and prints what it has spent.

use std::io::{ErrorKind, IoSlice, Read, Write};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use rustix::time::{ClockId, clock_gettime};

use crate::process::bound_to_us;
use crate::roles;
use crate::target::{self, Target};

/// How many runs begin in a second. Each of as many targets is used once a second, as by checks with an interval of one second.
pub const RATE: u32 = 4000;
/// For how long runs are counted.
pub const WINDOW: Duration = Duration::from_secs(10);
/// For how long runs are not counted yet.
const WARM_UP: Duration = Duration::from_secs(1);
/// The most runs in progress. More means that the target does not keep up.
const MAX_IN_FLIGHT: usize = RATE as usize;

/// CPU time for one run, in seconds, in a process of its own.
pub fn measure(target: &Target) -> anyhow::Result<f64> {
    let command = roles::command("client", &[target.address(0)])?;
    let output = bound_to_us(&command)
        .output()
        .context("starting the bare client")?;
    let text = String::from_utf8_lossy(&output.stdout);
    ensure!(
        output.status.success(),
        "the bare client failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    text.trim()
        .parse()
        .with_context(|| format!("the bare client printed {text}"))
}

/// A run in progress.
struct Run {
    stream: TcpStream,
    is_connected: bool,
}

/// The runs in progress, and those that have ended.
struct Client {
    poll: Poll,
    runs: Vec<Option<Run>>,
    free: Vec<usize>,
    finished: u32,
}

/// Makes runs of the targets at the port of `address` at the pace, and prints the CPU time for one, in seconds.
pub fn play(address: SocketAddr) -> anyhow::Result<ExitCode> {
    let mut client = Client {
        poll: Poll::new()?,
        runs: Vec::new(),
        free: Vec::new(),
        finished: 0,
    };
    let mut events = Events::with_capacity(1024);
    let begun = Instant::now();
    let mut started = 0;
    let mut before = None;
    loop {
        let now = begun.elapsed();
        if now >= WARM_UP && before.is_none() {
            before = Some((client.finished, cpu()));
        }
        if let Some((finished, used)) = before
            && now >= WARM_UP + WINDOW
        {
            println!("{}", (cpu() - used) / f64::from(client.finished - finished));
            return Ok(ExitCode::SUCCESS);
        }
        while due(started) <= now {
            let number = (started % RATE) as usize;
            client.start(SocketAddr::from((target::address(number), address.port())))?;
            started += 1;
        }
        let wait = due(started).saturating_sub(begun.elapsed());
        match client.poll.poll(&mut events, Some(wait)) {
            Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error.into()),
            _ => {}
        }
        for event in &events {
            client.advance(event.token(), event.is_writable(), event.is_readable())?;
        }
    }
}

/// When a run begins, after the first one.
fn due(number: u32) -> Duration {
    Duration::from_secs(1) * number / RATE
}

/// The CPU time of this process, in seconds.
fn cpu() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

impl Client {
    /// Begins a run: socket, connect, epoll_ctl.
    fn start(&mut self, address: SocketAddr) -> anyhow::Result<()> {
        let mut stream = TcpStream::connect(address)?;
        let index = self.free.pop().unwrap_or(self.runs.len());
        ensure!(
            index < MAX_IN_FLIGHT,
            "the target does not keep up with {RATE} runs a second"
        );
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.poll
            .registry()
            .register(&mut stream, Token(index), interest)?;
        let run = Some(Run {
            stream,
            is_connected: false,
        });
        match self.runs.get_mut(index) {
            Some(place) => *place = run,
            None => self.runs.push(run),
        }
        Ok(())
    }

    /// Continues a run: getsockopt and writev once it is connected; recv, epoll_ctl and close once the response is there.
    fn advance(&mut self, token: Token, is_writable: bool, is_readable: bool) -> anyhow::Result<()> {
        const REQUEST: &[u8] =
            b"GET / HTTP/1.1\r\nconnection: close\r\nuser-agent: bare client\r\nhost: 127.1.0.1\r\n\r\n";
        let Some(run) = &mut self.runs[token.0] else {
            return Ok(());
        };
        if !run.is_connected && is_writable {
            if let Some(error) = run.stream.take_error()? {
                bail!("connecting: {error}");
            }
            let written = run.stream.write_vectored(&[IoSlice::new(REQUEST)])?;
            ensure!(written == REQUEST.len(), "the request is not sent at once");
            run.is_connected = true;
            return Ok(());
        }
        if !run.is_connected || !is_readable {
            return Ok(());
        }
        let mut response = [0; 8192];
        let length = match run.stream.read(&mut response) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            read => read?,
        };
        ensure!(
            response[..length].starts_with(b"HTTP/1.1 200 "),
            "the response is {}",
            String::from_utf8_lossy(&response[..length])
        );
        self.poll.registry().deregister(&mut run.stream)?;
        self.runs[token.0] = None;
        self.free.push(token.0);
        self.finished += 1;
        Ok(())
    }
}
