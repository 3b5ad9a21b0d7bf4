//! The guard of `/probe`: judges every address of a probe before it is connected to, redirects included, and counts refusals.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::config::probe::{GuardRules, TargetRefusal};
use crate::model::{Problem, Reason};

/// The number of refusals by reason, shared by all guards of an exporter.
#[derive(Debug, Default)]
pub struct Refusals([AtomicU64; TargetRefusal::ALL.len()]);

impl Refusals {
    /// Counts a refusal.
    pub fn count(&self, refusal: TargetRefusal) {
        let position = TargetRefusal::ALL.iter().position(|known| *known == refusal);
        if let Some(count) = position.and_then(|position| self.0.get(position)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Every reason with its count.
    pub fn all(&self) -> Vec<(&'static str, u64)> {
        let counts = self.0.iter().map(|count| count.load(Ordering::Relaxed));
        TargetRefusal::ALL
            .iter()
            .map(|refusal| refusal.as_str())
            .zip(counts)
            .collect()
    }
}

/// The guard of one probe.
#[derive(Debug)]
pub struct ProbeGuard {
    rules: Arc<GuardRules>,
    refusals: Arc<Refusals>,
    has_refused: AtomicBool,
}

impl ProbeGuard {
    /// A guard with these rules.
    pub fn new(rules: Arc<GuardRules>, refusals: Arc<Refusals>) -> Self {
        Self {
            rules,
            refusals,
            has_refused: AtomicBool::new(false),
        }
    }

    /// Whether the guard refused a target that the run needs. The reason `permission` does not show it, since the system's
    /// refusals have the same one.
    pub fn has_refused(&self) -> bool {
        self.has_refused.load(Ordering::Relaxed)
    }

    /// Judges the target of a request, before it is resolved.
    ///
    /// # Errors
    /// Why it is refused. The refusal is counted.
    pub fn judge_request(&self, host: &str, port: Option<u16>) -> Result<(), TargetRefusal> {
        self.count_refusal(self.rules.judge_request(host, port))
    }

    /// Judges the target that a proxy connects to.
    ///
    /// # Errors
    /// Why it is refused. The refusal is counted.
    pub fn judge_proxied(&self, host: &str, port: u16) -> Result<(), TargetRefusal> {
        self.count_refusal(self.rules.judge_proxied(host, port))
    }

    /// Judges the path of a Unix socket.
    ///
    /// # Errors
    /// Why it is refused. The refusal is counted.
    pub fn judge_path(&self, path: &str) -> Result<(), TargetRefusal> {
        self.count_refusal(self.rules.judge_path(path))
    }

    /// Removes the addresses of a host that the guard refuses.
    ///
    /// # Errors
    /// A problem with the reason `permission` if no address is left. The refusal is counted.
    pub fn admit(
        &self,
        host: &str,
        mut addresses: Vec<IpAddr>,
        port: Option<u16>,
    ) -> Result<Vec<IpAddr>, Problem> {
        let mut refused = None;
        addresses.retain(|address| match self.rules.judge(host, *address, port) {
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

    fn count_refusal(&self, verdict: Result<(), TargetRefusal>) -> Result<(), TargetRefusal> {
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
    fn allowed_addresses_are_kept_and_a_refusal_is_counted_once() {
        let refusals = Arc::new(Refusals::default());
        let guard = ProbeGuard::new(Arc::default(), refusals.clone());
        let open: IpAddr = "192.0.2.1".parse().unwrap();
        let local: IpAddr = "127.0.0.1".parse().unwrap();
        assert_eq!(guard.admit("x", vec![local, open], Some(80)), Ok(vec![open]));
        assert!(!guard.has_refused());
        let problem = guard
            .admit("x", vec![local, "::1".parse().unwrap()], Some(80))
            .unwrap_err();
        assert_eq!(
            problem.to_string(),
            "permission: the guard refuses 127.0.0.1 of x: a loopback address is refused unless probe.allow names its network \
             (together with all other targets: docs/PROBE.md)"
        );
        let counted: Vec<_> = refusals
            .all()
            .into_iter()
            .filter(|(_, count)| *count > 0)
            .collect();
        assert_eq!(counted, [("loopback", 1)]);
        assert!(guard.has_refused());
    }
}
