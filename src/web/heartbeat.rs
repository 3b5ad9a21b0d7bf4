//! `/api/heartbeat/{token}`: receives the beats of jobs. The token authorizes the request, so it needs no user. The path contains the token:
//! it never appears in a log or in a response.

use std::time::Duration;

use http::header::{ALLOW, CACHE_CONTROL, CONNECTION, HeaderValue, RETRY_AFTER};
use http::{Method, Request, StatusCode, Uri};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use tokio::time::timeout;

use super::client::Client;
use super::config::Rate;
use super::error_reply::{API_PREFIX, error_reply};
use super::peer::Peer;
use super::query;
use super::reply::Reply;
use super::throttle::Throttle;
use crate::heartbeat::{Accepted, Beat, Heartbeats, MAX_MESSAGE_BYTES, Refusal};
use crate::log_throttle::LogThrottle;
use crate::model::BeatKind;

/// The prefix of the path. The token follows.
const PREFIX: &str = "/api/heartbeat/";

/// The methods of requests.
const METHODS: &str = "GET, HEAD, POST";

/// How long the body of a beat may take. The beat counts before.
const BODY_TIMEOUT: Duration = Duration::from_secs(5);

/// How many bytes after the text of a beat are read and ignored. If the server closed the connection at once, a client that still sends could
/// not read the response.
const MAX_IGNORED_BYTES: usize = 1024 * 1024;

/// The longest id of a run, in bytes. A UUID has 36.
const MAX_RUN_ID: usize = 64;

/// How often a client may send a token that no check has. A job with a wrong token retries about that often.
const UNKNOWN: Rate = Rate {
    interval: Duration::from_secs(1),
    burst: 10,
};

/// The number of clients whose unknown tokens are counted.
const MAX_CLIENTS: usize = 1024;

/// The jobs, and the limits of clients.
#[derive(Debug)]
pub struct HeartbeatEndpoint {
    heartbeats: Heartbeats,
    unknown: Throttle,
    log: LogThrottle,
}

impl HeartbeatEndpoint {
    /// An endpoint that receives the beats of these jobs.
    pub fn new(heartbeats: Heartbeats) -> Self {
        Self {
            heartbeats,
            unknown: Throttle::new(UNKNOWN, MAX_CLIENTS),
            log: LogThrottle::default(),
        }
    }

    /// Handles a request whose path [`is_beat`].
    pub(super) async fn handle(&self, request: Request<Incoming>) -> Reply {
        let (parts, body) = request.into_parts();
        if !matches!(parts.method, Method::GET | Method::HEAD | Method::POST) {
            let text = format!("a heartbeat supports {METHODS}");
            return error_reply(API_PREFIX, StatusCode::METHOD_NOT_ALLOWED, &text)
                .with(ALLOW.as_str(), METHODS);
        }
        let run_id = match run_id(&parts.uri) {
            Ok(run_id) => run_id,
            Err(message) => return error_reply(API_PREFIX, StatusCode::BAD_REQUEST, &message),
        };
        let peer = parts
            .extensions
            .get()
            .map_or(Peer::Local, |client: &Client| client.peer);
        let (token, signal) = split(parts.uri.path());
        let received = match signal {
            Some((kind, exit_status)) => self.heartbeats.receive(
                token,
                Beat {
                    kind,
                    exit_status,
                    run_id,
                },
            ),
            None => {
                self.heartbeats.count_refused(Refusal::UnknownToken);
                Err(Refusal::UnknownToken)
            }
        };
        match received {
            Ok(accepted) => self.accept(&accepted, token, body).await,
            Err(Refusal::RateLimit(wait)) => too_many(wait),
            Err(Refusal::UnknownToken) => self.refuse_unknown(peer),
        }
    }

    /// Replies to a beat that counts, after its text was read.
    async fn accept(&self, accepted: &Accepted, token: &str, body: Incoming) -> Reply {
        let mut text = Vec::new();
        let is_complete = timeout(BODY_TIMEOUT, read(body, &mut text))
            .await
            .unwrap_or(false);
        self.heartbeats.add_message(accepted, token, &text);
        let reply = Reply::text(StatusCode::OK, "OK\n").with(CACHE_CONTROL.as_str(), "no-store");
        match is_complete {
            true => reply,
            false => reply.with(CONNECTION.as_str(), "close"),
        }
    }

    /// Replies to a token or path that does not exist. All of them get the same response.
    fn refuse_unknown(&self, peer: Peer) -> Reply {
        if let Some(suppressed) = self.log.allow() {
            tracing::warn!(
                client = %peer, suppressed,
                "rejected a heartbeat: no check has its token; compare the token of the job with token_file of its check"
            );
        }
        match self.unknown.take(peer) {
            Ok(()) => {
                let text =
                    "no check has this token, or the path after it is not start, fail or an exit status";
                error_reply(API_PREFIX, StatusCode::NOT_FOUND, text)
            }
            // It was counted as an unknown token.
            Err(wait) => too_many(wait),
        }
    }
}

impl Default for HeartbeatEndpoint {
    fn default() -> Self {
        Self::new(Heartbeats::default())
    }
}

/// Whether the path is that of a beat.
pub(super) fn is_beat(path: &str) -> bool {
    path.starts_with(PREFIX)
}

/// Splits a path into the token, and the kind and exit status of the beat. These are `None` if the path after the token is unknown.
pub(super) fn split(path: &str) -> (&str, Option<(BeatKind, Option<u8>)>) {
    let rest = path.strip_prefix(PREFIX).unwrap_or_default();
    let Some((token, signal)) = rest.split_once('/') else {
        return (rest, Some((BeatKind::Success, None)));
    };
    let is_number = !signal.is_empty() && signal.bytes().all(|byte| byte.is_ascii_digit());
    let signal = match signal {
        "start" => Some((BeatKind::Start, None)),
        "fail" => Some((BeatKind::Fail, None)),
        _ if is_number => signal.parse().ok().map(|status| match status {
            0 => (BeatKind::Success, Some(status)),
            _ => (BeatKind::Fail, Some(status)),
        }),
        _ => None,
    };
    (token, signal)
}

/// The id of the run.
///
/// # Errors
/// The message of a 400.
pub(super) fn run_id(uri: &Uri) -> Result<Option<String>, String> {
    let [run_id] = query::parse(uri.query(), ["rid"])?;
    let is_valid = |id: &String| {
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        (1..=MAX_RUN_ID).contains(&id.len()) && id.bytes().all(is_allowed)
    };
    match run_id {
        Some(id) if !is_valid(&id) => {
            Err("rid must have 1 to 64 characters of A-Z, a-z, 0-9, _ and -".to_owned())
        }
        run_id => Ok(run_id),
    }
}

/// Reads the text of a beat into `text`. Returns whether the body is complete.
async fn read(mut body: Incoming, text: &mut Vec<u8>) -> bool {
    let mut ignored = 0;
    while !body.is_end_stream() {
        match body.frame().await {
            Some(Ok(frame)) => {
                let data = frame.into_data().unwrap_or_default();
                let room = MAX_MESSAGE_BYTES.saturating_sub(text.len()).min(data.len());
                text.extend_from_slice(data.get(..room).unwrap_or_default());
                ignored += data.len() - room;
                if ignored > MAX_IGNORED_BYTES {
                    return false;
                }
            }
            Some(Err(_)) => return false,
            None => break,
        }
    }
    true
}

fn too_many(wait: Duration) -> Reply {
    let text = "too many heartbeats; send the next one after the time in Retry-After";
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    error_reply(API_PREFIX, StatusCode::TOO_MANY_REQUESTS, text)
        .with_value(RETRY_AFTER, HeaderValue::from(seconds.max(1)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_beat_has_what_its_path_says(token in "[^/]{0,20}", rest in "(/(start|fail|[0-9]{1,4}|.{0,6}))?") {
            let path = format!("{PREFIX}{token}{rest}");
            let (found, signal) = split(&path);
            prop_assert_eq!(found, &token);
            let word = rest.strip_prefix('/');
            let number = word.filter(|word| !word.starts_with('+')).and_then(|word| word.parse::<u8>().ok());
            let expected = match (word, number) {
                (None, _) => Some((BeatKind::Success, None)),
                (Some("start"), _) => Some((BeatKind::Start, None)),
                (Some("fail"), _) => Some((BeatKind::Fail, None)),
                (_, Some(0)) => Some((BeatKind::Success, Some(0))),
                (_, Some(status)) => Some((BeatKind::Fail, Some(status))),
                (Some(_), None) => None,
            };
            prop_assert_eq!(signal, expected, "{}", path);
        }

        #[test]
        fn any_query_has_a_valid_run_id_or_an_error(query in "(rid=)?[a-zA-Z0-9%&=+._-]{0,70}") {
            let uri: Uri = format!("http://h{PREFIX}x?{query}").parse().unwrap();
            match run_id(&uri) {
                Ok(Some(id)) => {
                    prop_assert!((1..=MAX_RUN_ID).contains(&id.len()));
                    prop_assert!(id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte)), "{}", id);
                }
                Ok(None) => prop_assert!(query.bytes().all(|byte| byte == b'&'), "{}", query),
                Err(error) => prop_assert!(!error.is_empty() && !error.contains(char::is_control)),
            }
        }
    }

    #[test]
    fn a_path_is_a_token_and_a_signal() {
        for (path, token, signal) in [
            ("abc", "abc", Some((BeatKind::Success, None))),
            ("abc/start", "abc", Some((BeatKind::Start, None))),
            ("abc/fail", "abc", Some((BeatKind::Fail, None))),
            ("abc/0", "abc", Some((BeatKind::Success, Some(0)))),
            ("abc/255", "abc", Some((BeatKind::Fail, Some(255)))),
            ("abc/256", "abc", None),
            ("abc/+1", "abc", None),
            ("abc/", "abc", None),
            ("abc/start/", "abc", None),
            ("", "", Some((BeatKind::Success, None))),
        ] {
            assert_eq!(split(&format!("{PREFIX}{path}")), (token, signal), "{path}");
        }
        assert!(is_beat("/api/heartbeat/x") && !is_beat("/api/heartbeat") && !is_beat("/api/Heartbeat/x"));
    }

    #[test]
    fn a_run_id_is_a_short_word() {
        let parse = |query: &str| run_id(&format!("http://h/api/heartbeat/x?{query}").parse().unwrap());
        assert_eq!(parse(""), Ok(None));
        assert_eq!(parse("rid=a-B_9"), Ok(Some("a-B_9".to_owned())));
        for wrong in [
            "rid=",
            "rid=a.b",
            "rid=a%20b",
            "rid=a&rid=b",
            "run=a",
            &format!("rid={}", "a".repeat(65)),
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
