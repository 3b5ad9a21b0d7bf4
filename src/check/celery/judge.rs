//! Judges the replies of workers and the lengths of queues. Pure.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

use super::roster::label;
use crate::config::celery::{CelerySettings, Serializer};
use crate::model::{Problem, Reason};

/// The maximum number of names in a message.
const MAX_LISTED: usize = 5;

/// The result of a ping.
#[derive(Debug, Default)]
pub struct PingResult {
    /// The workers that replied.
    pub workers: BTreeSet<String>,
    /// What was wrong with the first unreadable reply.
    pub unreadable: Option<String>,
    /// How many workers listen for pings, if the broker reports it.
    pub listening: Option<usize>,
    /// How long the run waited for replies, if known.
    pub waited: Option<Duration>,
    /// Labels of known workers that did not reply.
    pub silent: Vec<String>,
    /// The serializers of the pings.
    pub serializers: Vec<Serializer>,
}

impl PingResult {
    fn serializer_names(&self) -> String {
        let names: Vec<String> = self.serializers.iter().map(ToString::to_string).collect();
        names.join(", ")
    }
}

/// The length of a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QueueLength {
    /// The number of messages in it.
    Messages(u64),
    /// It is unknown, for this reason.
    Unknown(String),
}

/// The facts that a run reads after the replies.
pub struct FinalFacts {
    /// The lengths of the configured queues, in their order.
    pub lengths: Vec<QueueLength>,
    /// How many workers that did not reply still have a mailbox, if the broker reports it.
    pub silent: Option<usize>,
}

/// Judges a run. Returns a warning, if there is one.
///
/// # Errors
/// The problem that makes the run fail.
pub fn judge(
    settings: &CelerySettings,
    pinged: &PingResult,
    lengths: &[QueueLength],
) -> Result<Option<Problem>, Problem> {
    let replied = pinged.workers.len();
    if replied < settings.min_workers {
        return Err(too_few(settings, pinged));
    }
    let mut warnings = Vec::new();
    if let Some(expected) = settings.expected_workers.filter(|expected| replied < *expected) {
        let message = format!(
            "{replied} of {expected} expected workers replied to the ping{}{}",
            join_names(" (", pinged.workers.iter().map(|name| label(name)), ")"),
            describe_silent(pinged)
        );
        warnings.push((Reason::Missing, message));
    }
    if let Some(why) = &pinged.unreadable {
        warnings.push((
            Reason::Protocol,
            format!("an unreadable reply to the ping was ignored: {why}"),
        ));
    }
    warnings.extend(queue_warnings(settings, lengths));
    let Some((reason, _)) = warnings.first() else {
        return Ok(None);
    };
    let texts: Vec<&str> = warnings.iter().map(|(_, text)| text.as_str()).collect();
    Ok(Some(Problem::new(*reason, texts.join("; "))))
}

fn too_few(settings: &CelerySettings, pinged: &PingResult) -> Problem {
    let within = seconds(pinged.waited.unwrap_or(settings.reply_timeout));
    let mut message = match pinged.workers.len() {
        0 => format!("no worker replied to the ping within {within}"),
        replied => format!(
            "{replied} of at least {} workers replied to the ping within {within}{}",
            settings.min_workers,
            join_names(" (", pinged.workers.iter().map(|name| label(name)), ")")
        ),
    };
    if let Some(why) = &pinged.unreadable {
        // Writing to a string does not fail.
        let _ = write!(message, "; an unreadable reply was ignored: {why}");
        return Problem::new(Reason::Protocol, message);
    }
    message += &describe_silent(pinged);
    if pinged.listening == Some(0) {
        let _ = write!(
            message,
            "; no worker listens on {}.pidbox: start a worker on this broker with remote control enabled",
            settings.control_exchange
        );
    } else {
        let _ = write!(
            message,
            "; check the worker's log: a worker does not reply if it is stopped, hangs, runs a task in a solo pool, \
             or does not accept {} (accept_content)",
            pinged.serializer_names()
        );
    }
    Problem::new(Reason::Missing, message)
}

/// Describes which workers did not reply, if known.
fn describe_silent(pinged: &PingResult) -> String {
    let names = join_names("; not replying: ", pinged.silent.iter().map(String::as_str), "");
    match pinged.listening {
        Some(listening) if listening > pinged.workers.len() => {
            format!("{names}; listening workers: {listening}")
        }
        _ => names,
    }
}

/// The first names, enclosed in two texts; empty if there are no names.
fn join_names<'a>(before: &str, names: impl Iterator<Item = &'a str>, after: &str) -> String {
    let names: Vec<&str> = names.collect();
    if names.is_empty() {
        return String::new();
    }
    let more = names.len().saturating_sub(MAX_LISTED);
    let more = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    let shown = names[..names.len().min(MAX_LISTED)].join(", ");
    format!("{before}{shown}{more}{after}")
}

/// The warnings about queues.
fn queue_warnings<'a>(
    settings: &'a CelerySettings,
    lengths: &'a [QueueLength],
) -> impl Iterator<Item = (Reason, String)> + 'a {
    settings
        .queues
        .iter()
        .zip(lengths)
        .filter_map(|(queue, length)| match (length, queue.max_messages) {
            (QueueLength::Messages(found), Some(max)) if *found > max => Some((
                Reason::Limit,
                format!(
                    "the queue {} has {found} messages, the limit (max_messages) is {max}",
                    queue.name
                ),
            )),
            (QueueLength::Messages(_), _) => None,
            (QueueLength::Unknown(why), _) => {
                Some((Reason::Missing, format!("the queue {}: {why}", queue.name)))
            }
        })
}

fn seconds(time: Duration) -> String {
    crate::config::duration::DurationText(time).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::KindSettings;
    use crate::config::tests_support::check;

    fn settings(more: &str) -> CelerySettings {
        match check(&format!("kind: celery, broker_url: \"redis://cache\"{more}")).kind {
            KindSettings::Celery(settings) => std::sync::Arc::unwrap_or_clone(settings),
            other => panic!("{other:?}"),
        }
    }

    fn pinged(workers: &[&str], listening: Option<usize>, silent: &[&str]) -> PingResult {
        PingResult {
            workers: workers.iter().map(|name| (*name).to_owned()).collect(),
            unreadable: None,
            listening,
            silent: silent.iter().map(|name| (*name).to_owned()).collect(),
            waited: None,
            serializers: vec![Serializer::Json],
        }
    }

    fn text(result: Result<Option<Problem>, Problem>) -> String {
        match result {
            Ok(None) => "fine".to_owned(),
            Ok(Some(warning)) => format!("warning {warning}"),
            Err(failure) => failure.to_string(),
        }
    }

    const HINT: &str = "check the worker's log: a worker does not reply if it is stopped, hangs, runs a task in a solo \
                        pool, or does not accept json (accept_content)";

    #[test]
    fn fewer_workers_than_expected_are_a_warning() {
        let settings = settings(", min_workers: 1, expected_workers: 2");
        let result = judge(&settings, &pinged(&["a", "b"], Some(2), &[]), &[]);
        assert_eq!(text(result), "fine");
        let result = judge(&settings, &pinged(&["a"], Some(2), &["b"]), &[]);
        assert_eq!(
            text(result),
            "warning missing: 1 of 2 expected workers replied to the ping (a); not replying: b; listening workers: 2"
        );
    }

    #[test]
    fn too_few_workers_are_a_failure() {
        let two = settings(", min_workers: 2, reply_timeout: 500ms");
        let result = judge(&two, &pinged(&["a"], None, &[]), &[]);
        assert_eq!(
            text(result),
            format!("missing: 1 of at least 2 workers replied to the ping within 500ms (a); {HINT}")
        );
        let one = settings("");
        let result = judge(&one, &pinged(&[], Some(1), &["a"]), &[]);
        assert_eq!(
            text(result),
            format!(
                "missing: no worker replied to the ping within 1s; not replying: a; listening workers: 1; {HINT}"
            )
        );
        let result = judge(&one, &pinged(&[], Some(0), &[]), &[]);
        assert_eq!(
            text(result),
            "missing: no worker replied to the ping within 1s; no worker listens on celery.pidbox: start a worker on this \
             broker with remote control enabled"
        );
    }

    #[test]
    fn unreadable_replies_are_reported() {
        let mut pinged = pinged(&[], Some(1), &[]);
        pinged.unreadable = Some("not an object in json".to_owned());
        let result = judge(&settings(""), &pinged, &[]);
        assert_eq!(
            text(result),
            "protocol: no worker replied to the ping within 1s; an unreadable reply was ignored: not an object in json"
        );
        pinged.workers.insert("a".to_owned());
        let result = judge(&settings(""), &pinged, &[]);
        assert_eq!(
            text(result),
            "warning protocol: an unreadable reply to the ping was ignored: not an object in json"
        );
    }

    #[test]
    fn queues_above_their_limits_and_missing_ones_are_warnings() {
        let settings = settings(", queues: [{ name: a, max_messages: 2 }, b, c]");
        let lengths = [
            QueueLength::Messages(3),
            QueueLength::Unknown("not found on the broker".to_owned()),
            QueueLength::Messages(1000),
        ];
        let result = judge(&settings, &pinged(&["w"], None, &[]), &lengths);
        assert_eq!(
            text(result),
            "warning limit: the queue a has 3 messages, the limit (max_messages) is 2; the queue b: not found on the broker"
        );
        let result = judge(&settings, &pinged(&["w"], None, &[]), &[QueueLength::Messages(2)]);
        assert_eq!(text(result), "fine");
    }

    #[test]
    fn long_lists_of_names_are_shortened() {
        let names = ["a", "b", "c", "d", "e", "f", "g"];
        assert_eq!(
            join_names("(", names.into_iter(), ")"),
            "(a, b, c, d, e and 2 more)"
        );
    }
}
