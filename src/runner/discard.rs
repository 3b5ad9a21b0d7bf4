//! Discards failures that lost time may have caused, but only a few times in a row.

use std::time::Duration;

use super::deadline::DeadlinePolicy;
use crate::config::KindSettings;
use crate::config::duration::DurationText;
use crate::model::{Conclusion, Problem, Reason, Shortage};

/// Lost time excuses a failure if it exceeds the timeout divided by this.
const TOLERATED_LOSS_DIVISOR: u32 = 10;

/// How many runs of a check in a row are discarded because of lost time. The next failure counts: otherwise an exporter that
/// never has enough CPU time would never report an outage.
const MAX_DISCARDED: u32 = 5;

/// Whether so much time was lost that it may have caused a failure.
pub fn is_excessive(lost: Duration, timeout: Duration) -> bool {
    lost > timeout / TOLERATED_LOSS_DIVISOR
}

/// Whether lost time can cause this problem: the run stopped waiting too early, or the peer closed the connection meanwhile.
pub fn can_cause(problem: &Problem, kind: &KindSettings) -> bool {
    match problem.reason {
        Reason::Timeout | Reason::Closed | Reason::Dns => true,
        // The evaluation of a response gets only a part of the remaining time, so lost time can end it.
        Reason::Limit => kind.kind().is_timed(),
        Reason::Missing => kind.misses_when_late(),
        // The authorization server closed the connection meanwhile, for example.
        Reason::Auth => kind.requests_tokens(),
        _ => false,
    }
}

/// The conclusion of a run that failed with `problem`. `is_excused` says that the lost time may be the cause.
pub fn conclude(problem: Problem, is_excused: bool, lost: Duration, policy: DeadlinePolicy) -> Conclusion {
    let discarded = match policy {
        DeadlinePolicy::Extend { discarded } => discarded,
        DeadlinePolicy::Fixed => 0,
    };
    let counts_anyway = discarded >= MAX_DISCARDED;
    let text = problem.message();
    if counts_anyway && problem.shortage == Some(Shortage::Time) {
        let text =
            format!("{text} (the {MAX_DISCARDED} runs before failed in the same way, so this one counts)");
        return Conclusion::Failure(Problem::new(Reason::Timeout, text));
    }
    if problem.shortage.is_some() || !is_excused {
        return problem.into();
    }
    let lost = DurationText(Duration::from_millis(
        u64::try_from(lost.as_millis()).unwrap_or(u64::MAX),
    ));
    if counts_anyway {
        return Conclusion::Failure(problem.with_message(format_args!(
            "{text} (the exporter did not run for {lost} of that; the {MAX_DISCARDED} runs before failed in the same way, so this one counts)"
        )));
    }
    let message = format_args!("{text} (the exporter did not run for {lost} of that: give it more CPU time)");
    Problem::from_shortage(Shortage::Time, message).into()
}

/// How many runs in a row were discarded because of lost time: `discarded` before this one, which had this conclusion. Once
/// failures count, they count until a run succeeds, because a condition needs evidence of more than one run.
pub fn count_discarded(discarded: u32, conclusion: &Conclusion) -> u32 {
    match conclusion {
        Conclusion::Inconclusive(problem) => discarded + u32::from(problem.shortage == Some(Shortage::Time)),
        Conclusion::Failure(_) => discarded,
        Conclusion::Success | Conclusion::Warning(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests_support::check;

    #[test]
    fn lost_time_can_end_a_request_for_a_token() {
        let problem = Problem::new(Reason::Auth, "requesting a token: it closed the connection");
        for (oauth2, expected) in [
            ("", false),
            (", oauth2: { client_id: me, token_url: \"http://b/\" }", true),
        ] {
            let settings = check(&format!("kind: http, url: \"http://a/\"{oauth2}"));
            assert_eq!(can_cause(&problem, &settings.kind), expected, "{oauth2}");
        }
    }

    #[test]
    fn failures_count_until_a_run_succeeds() {
        let lack = |shortage| Conclusion::from(Problem::from_shortage(shortage, "text"));
        let failure = Conclusion::Failure(Problem::new(Reason::Timeout, "text"));
        assert_eq!(count_discarded(4, &lack(Shortage::Time)), 5);
        assert_eq!(count_discarded(4, &lack(Shortage::Descriptors)), 4);
        assert_eq!(count_discarded(5, &failure), 5);
        assert_eq!(count_discarded(5, &Conclusion::Success), 0);
    }
}
