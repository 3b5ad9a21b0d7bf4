//! What the answers and the lengths of queues mean: pure.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

use super::roster::label;
use crate::config::celery::{CelerySettings, Serializer};
use crate::model::{Problem, Reason};

/// How many names a message lists.
const MAX_LISTED: usize = 5;

/// What came of one ping.
#[derive(Debug, Default)]
pub struct Tally {
    /// Who answered it.
    pub workers: BTreeSet<String>,
    /// What was wrong with the first answer that could not be read.
    pub unreadable: Option<String>,
    /// How many seem to have got it, where the broker shows that.
    pub listening: Option<usize>,
    /// How long answers were waited for, where that is known.
    pub waited: Option<Duration>,
    /// Labels of workers that are known and did not answer.
    pub silent: Vec<String>,
    /// The serializers in which pings were sent.
    pub asked_in: Vec<Serializer>,
}

impl Tally {
    fn asked_in(&self) -> String {
        let names: Vec<String> = self.asked_in.iter().map(ToString::to_string).collect();
        names.join(", ")
    }
}

/// What is known of a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Length {
    /// So many messages wait in it.
    Messages(u64),
    /// It is not there, or not a queue: why.
    Unknown(String),
}

/// Judges a run: a failure, or a warning, or neither.
///
/// # Errors
/// The failure.
pub fn judge(
    settings: &CelerySettings,
    tally: &Tally,
    lengths: &[Length],
) -> Result<Option<Problem>, Problem> {
    let answered = tally.workers.len();
    if answered < settings.min_workers {
        return Err(too_few(settings, tally));
    }
    let mut warnings = Vec::new();
    if let Some(expected) = settings.expected_workers.filter(|expected| answered < *expected) {
        let message = format!(
            "{answered} of {expected} expected workers answered the ping{}{}",
            listed(" (", tally.workers.iter().map(|name| label(name)), ")"),
            silence(tally)
        );
        warnings.push((Reason::Missing, message));
    }
    if let Some(why) = &tally.unreadable {
        warnings.push((
            Reason::Protocol,
            format!("an answer to the ping is not counted: {why}"),
        ));
    }
    warnings.extend(queues(settings, lengths));
    let Some((reason, _)) = warnings.first() else {
        return Ok(None);
    };
    let texts: Vec<&str> = warnings.iter().map(|(_, text)| text.as_str()).collect();
    Ok(Some(Problem::new(*reason, texts.join("; "))))
}

fn too_few(settings: &CelerySettings, tally: &Tally) -> Problem {
    let within = seconds(tally.waited.unwrap_or(settings.reply_timeout));
    let mut message = match tally.workers.len() {
        0 => format!("no worker answered the ping within {within}"),
        answered => format!(
            "{answered} of at least {} workers answered the ping within {within}{}",
            settings.min_workers,
            listed(" (", tally.workers.iter().map(|name| label(name)), ")")
        ),
    };
    if let Some(why) = &tally.unreadable {
        // Writing to a string does not fail.
        let _ = write!(message, "; an answer is not counted: {why}");
        return Problem::new(Reason::Protocol, message);
    }
    message += &silence(tally);
    if tally.listening == Some(0) {
        let _ = write!(
            message,
            "; nobody listens at {}.pidbox: start a worker on this broker, with remote control on",
            settings.control_exchange
        );
    } else {
        let _ = write!(
            message,
            "; a worker that is stopped or hangs, that runs a task in a solo pool, or that does not accept {} \
             (accept_content) does not answer: look at its log",
            tally.asked_in()
        );
    }
    Problem::new(Reason::Missing, message)
}

/// Who did not answer, as far as that is known.
fn silence(tally: &Tally) -> String {
    let names = listed("; not answering: ", tally.silent.iter().map(String::as_str), "");
    match tally.listening {
        Some(listening) if listening > tally.workers.len() => {
            format!("{names}; {listening} listen at the broker")
        }
        _ => names,
    }
}

/// The first of these names between two texts; nothing where there is none.
fn listed<'a>(before: &str, names: impl Iterator<Item = &'a str>, after: &str) -> String {
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

/// The queues that are not as they should be.
fn queues<'a>(
    settings: &'a CelerySettings,
    lengths: &'a [Length],
) -> impl Iterator<Item = (Reason, String)> + 'a {
    settings
        .queues
        .iter()
        .zip(lengths)
        .filter_map(|(queue, length)| match (length, queue.max_messages) {
            (Length::Messages(found), Some(most)) if *found > most => Some((
                Reason::Limit,
                format!(
                    "the queue {} has {found} messages, at most {most} are allowed",
                    queue.name
                ),
            )),
            (Length::Messages(_), _) => None,
            (Length::Unknown(why), _) => Some((Reason::Missing, format!("the queue {}: {why}", queue.name))),
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
            KindSettings::Celery(settings) => *settings,
            other => panic!("{other:?}"),
        }
    }

    fn tally(workers: &[&str], listening: Option<usize>, silent: &[&str]) -> Tally {
        Tally {
            workers: workers.iter().map(|name| (*name).to_owned()).collect(),
            unreadable: None,
            listening,
            silent: silent.iter().map(|name| (*name).to_owned()).collect(),
            waited: None,
            asked_in: vec![Serializer::Json],
        }
    }

    fn text(result: Result<Option<Problem>, Problem>) -> String {
        match result {
            Ok(None) => "fine".to_owned(),
            Ok(Some(warning)) => format!("warning {warning}"),
            Err(failure) => failure.to_string(),
        }
    }

    const HINT: &str = "a worker that is stopped or hangs, that runs a task in a solo pool, or that does not accept json \
                        (accept_content) does not answer: look at its log";

    #[test]
    fn enough_workers_are_fine_and_fewer_than_expected_a_warning() {
        let settings = settings(", min_workers: 1, expected_workers: 2");
        let result = judge(&settings, &tally(&["a", "b"], Some(2), &[]), &[]);
        assert_eq!(text(result), "fine");
        let result = judge(&settings, &tally(&["a"], Some(2), &["b"]), &[]);
        assert_eq!(
            text(result),
            "warning missing: 1 of 2 expected workers answered the ping (a); not answering: b; 2 listen at the broker"
        );
    }

    #[test]
    fn too_few_workers_are_a_failure_that_says_what_to_do() {
        let two = settings(", min_workers: 2, reply_timeout: 500ms");
        let result = judge(&two, &tally(&["a"], None, &[]), &[]);
        assert_eq!(
            text(result),
            format!("missing: 1 of at least 2 workers answered the ping within 500ms (a); {HINT}")
        );
        let one = settings("");
        let result = judge(&one, &tally(&[], Some(1), &["a"]), &[]);
        assert_eq!(
            text(result),
            format!(
                "missing: no worker answered the ping within 1s; not answering: a; 1 listen at the broker; {HINT}"
            )
        );
        let result = judge(&one, &tally(&[], Some(0), &[]), &[]);
        assert_eq!(
            text(result),
            "missing: no worker answered the ping within 1s; nobody listens at celery.pidbox: start a worker on this \
             broker, with remote control on"
        );
    }

    #[test]
    fn an_answer_that_can_t_be_read_is_told() {
        let mut tally = tally(&[], Some(1), &[]);
        tally.unreadable = Some("it is no JSON object".to_owned());
        let result = judge(&settings(""), &tally, &[]);
        assert_eq!(
            text(result),
            "protocol: no worker answered the ping within 1s; an answer is not counted: it is no JSON object"
        );
        tally.workers.insert("a".to_owned());
        let result = judge(&settings(""), &tally, &[]);
        assert_eq!(
            text(result),
            "warning protocol: an answer to the ping is not counted: it is no JSON object"
        );
    }

    #[test]
    fn queues_above_their_limits_and_missing_ones_are_warnings() {
        let settings = settings(", queues: [{ name: a, max_messages: 2 }, b, c]");
        let lengths = [
            Length::Messages(3),
            Length::Unknown("there is no such queue".to_owned()),
            Length::Messages(1000),
        ];
        let result = judge(&settings, &tally(&["w"], None, &[]), &lengths);
        assert_eq!(
            text(result),
            "warning limit: the queue a has 3 messages, at most 2 are allowed; the queue b: there is no such queue"
        );
        let result = judge(&settings, &tally(&["w"], None, &[]), &[Length::Messages(2)]);
        assert_eq!(text(result), "fine");
    }

    #[test]
    fn a_message_lists_a_few_names() {
        let names = ["a", "b", "c", "d", "e", "f", "g"];
        assert_eq!(listed("(", names.into_iter(), ")"), "(a, b, c, d, e and 2 more)");
    }
}
