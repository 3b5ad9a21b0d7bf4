//! The guard of `/probe` where connections are made: every address of a gated run is judged before it is connected to, that
//! of a redirect too, and refusals are counted.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::config::probe::{GuardRules, TargetRefusal};
use crate::model::{Problem, Reason};

/// Number of refusals by reason, shared by all gates of an exporter.
#[derive(Debug, Default)]
pub struct Refusals([AtomicU64; TargetRefusal::ALL.len()]);

impl Refusals {
    /// Counts one.
    pub fn count(&self, refusal: TargetRefusal) {
        let position = TargetRefusal::ALL.iter().position(|known| *known == refusal);
        if let Some(count) = position.and_then(|position| self.0.get(position)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The reasons with their counts.
    pub fn all(&self) -> Vec<(&'static str, u64)> {
        let counts = self.0.iter().map(|count| count.load(Ordering::Relaxed));
        TargetRefusal::ALL
            .iter()
            .map(|refusal| refusal.as_str())
            .zip(counts)
            .collect()
    }
}

/// What the run of a probe has to pass.
#[derive(Debug)]
pub struct ProbeGuard {
    guard: Arc<GuardRules>,
    refusals: Arc<Refusals>,
    has_refused: AtomicBool,
}

impl ProbeGuard {
    /// A gate with this guard.
    pub fn new(guard: Arc<GuardRules>, refusals: Arc<Refusals>) -> Self {
        Self {
            guard,
            refusals,
            has_refused: AtomicBool::new(false),
        }
    }

    /// Whether it refused something that the run can't do without. The system's refusals have the same reason, `permission`.
    pub fn has_refused(&self) -> bool {
        self.has_refused.load(Ordering::Relaxed)
    }

    /// Judges what a request asks for, before anything is resolved.
    ///
    /// # Errors
    /// Why it is refused; it was counted.
    pub fn judge_request(&self, host: &str, port: Option<u16>) -> Result<(), TargetRefusal> {
        self.counted(self.guard.judge_request(host, port))
    }

    /// Judges what a proxy is asked for.
    ///
    /// # Errors
    /// Why it is refused; it was counted.
    pub fn judge_proxied(&self, host: &str, port: u16) -> Result<(), TargetRefusal> {
        self.counted(self.guard.judge_proxied(host, port))
    }

    /// Judges the path of a Unix socket.
    ///
    /// # Errors
    /// Why it is refused; it was counted.
    pub fn judge_path(&self, path: &str) -> Result<(), TargetRefusal> {
        self.counted(self.guard.judge_path(path))
    }

    /// The addresses of a host that may be connected to.
    ///
    /// # Errors
    /// A problem with the reason `permission` where there is none; it was counted.
    pub fn admit(
        &self,
        host: &str,
        mut addresses: Vec<IpAddr>,
        port: Option<u16>,
    ) -> Result<Vec<IpAddr>, Problem> {
        let mut refused = None;
        addresses.retain(|address| match self.guard.judge(host, *address, port) {
            Ok(()) => true,
            Err(refusal) => {
                refused.get_or_insert((*address, refusal));
                false
            }
        });
        match refused {
            Some((address, refusal)) if addresses.is_empty() => {
                self.count(refusal);
                let shown = if host.parse::<IpAddr>().is_ok() {
                    String::new()
                } else {
                    format!(" of {host}")
                };
                let message = format!("the guard refuses {address}{shown}: {refusal}");
                Err(Problem::new(Reason::Permission, message))
            }
            _ => Ok(addresses),
        }
    }

    fn counted(&self, verdict: Result<(), TargetRefusal>) -> Result<(), TargetRefusal> {
        if let Err(refusal) = verdict {
            self.count(refusal);
        }
        verdict
    }

    fn count(&self, refusal: TargetRefusal) {
        self.has_refused.store(true, Ordering::Relaxed);
        self.refusals.count(refusal);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn allowed_addresses_are_taken_and_a_refusal_is_counted_once() {
        let refusals = Arc::new(Refusals::default());
        let gate = ProbeGuard::new(Arc::default(), refusals.clone());
        let open: IpAddr = "192.0.2.1".parse().unwrap();
        let local: IpAddr = "127.0.0.1".parse().unwrap();
        assert_eq!(gate.admit("x", vec![local, open], Some(80)), Ok(vec![open]));
        assert!(!gate.has_refused());
        let problem = gate
            .admit("x", vec![local, "::1".parse().unwrap()], Some(80))
            .unwrap_err();
        assert_eq!(
            problem.to_string(),
            "permission: the guard refuses 127.0.0.1 of x: a loopback address is refused unless probe.allow names its network \
             (and then all else that is to be probed: docs/PROBE.md)"
        );
        let counted: Vec<_> = refusals
            .all()
            .into_iter()
            .filter(|(_, count)| *count > 0)
            .collect();
        assert_eq!(counted, [("loopback", 1)]);
        assert!(gate.has_refused());
    }
}
