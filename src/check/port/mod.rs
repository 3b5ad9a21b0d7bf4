//! The port check. It compares the holders of a local port with the expected ones.
//!
//! The kernel reports the sockets of a port with their users and control groups to every user. The process of a socket is found
//! by its descriptor, which needs CAP_SYS_PTRACE for processes of other users. So processes are searched only if the settings
//! name one, or if the result is not as expected.

mod describe;
mod families;
mod judge;

use std::borrow::Cow;

use self::describe::UserNames;
use self::families::sample;
use self::judge::{Criteria, Verdict, judge};
use super::host_reads::HostReads;
use super::port_scan::{Answer, Detail, HeldSocket, PortScanError, PortScanner, Question};
use super::{CheckContext, executable, user};
use crate::config::port::{Expect, PortSettings, Protocol};
use crate::config::process::User;
use crate::model::{Finding, MAX_FINDINGS, Problem, Reason, Report};
use crate::net::shortage;

pub use families::{ACCEPT_QUEUE, ACCEPT_QUEUE_LIMIT, CONFLICT, FAMILIES, HELD, SOCKETS};

/// A port check.
#[derive(Debug)]
pub struct PortCheck {
    settings: PortSettings,
    scanner: PortScanner,
    reads: HostReads,
    /// What the first scan of a run finds out: processes too, if the settings name one, or if the last run needed them.
    detail: Detail,
}

impl PortCheck {
    /// Creates a check with these settings.
    pub fn new(settings: &PortSettings, context: &CheckContext) -> Self {
        Self {
            settings: settings.clone(),
            scanner: context.ports.clone(),
            reads: context.host.clone(),
            detail: match settings.exe.is_some() || settings.process.is_some() {
                true => Detail::Holders,
                false => Detail::Sockets,
            },
        }
    }

    /// Runs once.
    ///
    /// # Errors
    /// `missing` if nothing holds the port, `state` if another program does or if it should be free. `unreachable` if the
    /// sockets can't be listed. If the exporter may not read who holds the port, the run succeeds with the warning `permission`.
    pub async fn run(&mut self, report: &mut Report) -> Result<(), Problem> {
        report.step = "looking up the user and the executable".into();
        // The user and the executable are resolved at every run, because users and symbolic links can change.
        let user = match &self.settings.user {
            None => None,
            Some(User::Id(id)) => Some(*id),
            Some(User::Name(name)) => Some(user::resolve(name).await?),
        };
        let executables = match &self.settings.exe {
            None => None,
            Some(path) => Some(executable::resolve(path, &self.reads).await?),
        };
        let criteria = Criteria {
            settings: &self.settings,
            user,
            executables: executables.as_deref(),
        };
        report.step = "listing the sockets of the port".into();
        let mut answer = self.ask(self.detail).await?;
        if judge(criteria, &answer).1 != Verdict::Expected {
            // The first scan can have used what an earlier one found, and a socket can have changed during it.
            report.step = "searching the processes that hold the port".into();
            answer = self.ask(Detail::FreshHolders).await?;
            if judge(criteria, &answer).1 == Verdict::Expected {
                self.detail = Detail::Holders;
            }
        }
        let (sockets, verdict) = judge(criteria, &answer);
        push_samples(&sockets, &verdict, report);
        self.conclude(&verdict, &answer, report).await
    }

    async fn ask(&self, detail: Detail) -> Result<Answer, Problem> {
        let question = Question {
            protocol: self.settings.protocol,
            port: self.settings.port,
            detail,
            needs_held_ports: detail == Detail::FreshHolders && self.settings.range.is_some(),
        };
        self.scanner.ask(question).await.map_err(|error| problem(&error))
    }

    /// Turns the verdict into the result of the run.
    async fn conclude(
        &self,
        verdict: &Verdict<'_>,
        answer: &Answer,
        report: &mut Report,
    ) -> Result<(), Problem> {
        let settings = &self.settings;
        let target = settings.target();
        let show = describe::show_command(settings);
        match verdict {
            Verdict::Expected => Ok(()),
            Verdict::NotHeld => {
                report.findings.push(self.not_held());
                Err(Problem::new(
                    Reason::Missing,
                    format_args!(
                        "{target} is not held: {} in the exporter's network namespace{}",
                        match settings.protocol {
                            Protocol::Tcp => "nothing listens on it",
                            Protocol::Udp => "no socket is bound to it",
                        },
                        self.expected_clause()
                    ),
                ))
            }
            Verdict::NotOpen(sockets) => {
                let users = users(sockets).await;
                let state = match settings.protocol {
                    Protocol::Tcp => "does not listen",
                    Protocol::Udp => "has one peer only",
                };
                let holders = describe::holders(sockets, answer, &users);
                Err(Problem::new(
                    Reason::State,
                    format_args!("{target} is bound, but its socket {state}: {holders}; see `{show}`"),
                ))
            }
            Verdict::OnlySome(sockets) => {
                let users = users(sockets).await;
                let holders = describe::holders(sockets, answer, &users);
                Err(Problem::new(
                    Reason::State,
                    format_args!("{target} is held on some addresses only: {holders}; see `{show}`"),
                ))
            }
            Verdict::Conflict(sockets) => {
                let users = users(sockets).await;
                for held in sockets {
                    let finding = describe::conflict(held, answer, settings, &users);
                    report.findings.push(finding);
                }
                let wanted = match settings.expect {
                    Expect::Free => "; expected to be free".into(),
                    Expect::Held => self.expected_clause(),
                };
                let next = describe::suggestion(settings, answer);
                let next = next.unwrap_or_else(|| format!("see `{show}`"));
                Err(Problem::new(
                    Reason::State,
                    format_args!(
                        "{target} is held by another program: {}{wanted}; {next}{}",
                        describe::holders(sockets, answer, &users),
                        describe::socket_unit_hint(settings, sockets)
                    ),
                ))
            }
            Verdict::Unknown(sockets) => {
                let users = users(sockets).await;
                report.warning = Some(Problem::new(
                    Reason::Permission,
                    format_args!(
                        "can't verify who holds {target}: {}{}; {}{}",
                        describe::holders(sockets, answer, &users),
                        self.expected_clause(),
                        describe::unknown(answer),
                        describe::socket_unit_hint(settings, sockets)
                    ),
                ));
                Ok(())
            }
        }
    }

    fn expected_clause(&self) -> Cow<'static, str> {
        match &*describe::expected(&self.settings) {
            "" => "".into(),
            expected => format!("; expected {expected}").into(),
        }
    }

    /// A finding about a port that nothing holds.
    fn not_held(&self) -> Finding {
        let settings = &self.settings;
        Finding {
            subject: settings.target(),
            state: "missing",
            detail: format!("nothing holds it{}", self.expected_clause()),
            fix: settings
                .units
                .first()
                .map(|unit| format!("systemctl start {unit}")),
        }
    }
}

/// The names of the users who opened these sockets.
async fn users(sockets: &[&HeldSocket]) -> UserNames {
    let mut names = UserNames::new();
    for held in sockets.iter().take(MAX_FINDINGS) {
        let id = held.socket.user;
        if let std::collections::hash_map::Entry::Vacant(entry) = names.entry(id) {
            entry.insert(user::name(id).await);
        }
    }
    names
}

fn push_samples(sockets: &[&HeldSocket], verdict: &Verdict<'_>, report: &mut Report) {
    let number = |flag| f64::from(u8::from(flag));
    let open: Vec<_> = sockets.iter().filter(|held| held.socket.is_open).collect();
    let is_conflict = matches!(verdict, Verdict::Conflict(_));
    report.samples.extend([
        sample(&HELD, number(!open.is_empty())),
        sample(&CONFLICT, number(is_conflict)),
        sample(&SOCKETS, sockets.len() as f64),
    ]);
    for (family, values) in [
        (
            &ACCEPT_QUEUE,
            open.iter()
                .map(|held| held.socket.waiting)
                .collect::<Option<Vec<_>>>(),
        ),
        (
            &ACCEPT_QUEUE_LIMIT,
            open.iter().map(|held| held.socket.backlog).collect(),
        ),
    ] {
        if let Some(values) = values.filter(|values| !values.is_empty()) {
            let sum: f64 = values.into_iter().map(f64::from).sum();
            report.samples.push(sample(family, sum));
        }
    }
}

fn problem(error: &PortScanError) -> Problem {
    let (shortage, reason) = match error {
        PortScanError::List { cause, .. } => {
            let reason = match cause.kind() {
                std::io::ErrorKind::PermissionDenied => Reason::Permission,
                _ => Reason::Unreachable,
            };
            (shortage::from_error(&**cause), reason)
        }
        PortScanError::Netlink { cause } | PortScanError::Processes { cause, .. } => {
            (shortage::from_errno(*cause), Reason::Unreachable)
        }
        PortScanError::Thread { cause } => (Some(shortage::from_thread_error(cause)), Reason::Internal),
        PortScanError::Panicked => (None, Reason::Internal),
    };
    shortage::problem_or(shortage, reason, error)
}
