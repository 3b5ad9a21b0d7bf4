//! What must hold for any input: one function for each fuzz target, which panics where it does not. The fuzz targets below
//! `fuzz/` and the tests beside this file use them alike. Beside what they assert, none may panic, hang or take much memory.

use std::fmt::Debug;
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use upkeep_exporter::check;
use upkeep_exporter::config::probe::{Endpoint, ProbeSettings, RequestError};
use upkeep_exporter::config::regular_file::FileError;
use upkeep_exporter::config::{self, Config, ConfigError, KindSettings};
use upkeep_exporter::heartbeat::{Beat, Heartbeats, MAX_MESSAGE_BYTES, Verdict};
use upkeep_exporter::model::{BeatKind, Sample};
use upkeep_exporter::probe::request;
use upkeep_exporter::web::config::{Files, parse_bytes};
use upkeep_exporter::web::fuzz_api;

/// A name, as in `fuzz/fuzz_targets/NAME.rs`, and what must hold.
pub type Property = (&'static str, fn(&[u8]));

/// All of them.
pub const PROPERTIES: &[Property] = &[
    ("probe", probe),
    ("request", request),
    ("heartbeat", heartbeat),
    ("dialogue", dialogue),
    ("web_config", web_config),
    ("config", config),
    ("texts", texts),
    ("packets", packets),
    ("exchange", exchange),
    ("python", python),
    ("node", node),
];

/// Stands, as a line of its own, between the two parts of an input that has two.
const BETWEEN: &[u8] = b"\n%%\n";
/// The longest text of an error about a short input.
const MAX_ERROR_BYTES: usize = 4096;
/// The most bytes that one step of a dialogue sends, with its line feed.
const MAX_STEP_BYTES: usize = (64 << 10) + 1;
/// The most steps of a dialogue.
const MAX_STEPS: usize = 256;

/// The token of the job that receives beats.
const TOKEN: &str = "0123456789abcdef";

/// Modules to probe with, a guard, and a check of each kind that judges an answer.
const SETTINGS: &str = include_str!("settings.yml");

fn halves(input: &[u8]) -> (&[u8], &[u8]) {
    let between = input.windows(BETWEEN.len()).position(|window| window == BETWEEN);
    match between {
        Some(at) => (&input[..at], &input[at + BETWEEN.len()..]),
        None => (input, &[]),
    }
}

/// Calls `function` twice. Both results must be equal.
fn twice<T: PartialEq + Debug>(function: impl Fn() -> T) -> T {
    let first = function();
    assert_eq!(first, function(), "the same input has two results");
    first
}

/// Whether a terminal shows the text as one line, in its own order.
fn is_printable_line(text: &str) -> bool {
    let is_invisible = |character: char| {
        character.is_control()
            || matches!(character, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    !text.is_empty() && !text.contains(is_invisible)
}

fn assert_error(text: &str) {
    assert!(is_printable_line(text), "no printable line: {text:?}");
    assert!(text.len() <= MAX_ERROR_BYTES, "{} bytes: {text}", text.len());
}

fn assert_samples(samples: &[Sample]) {
    for sample in samples {
        assert_eq!(sample.family.labels.len(), sample.labels.len(), "{sample:?}");
        let longest = sample.labels.iter().map(|label| label.len()).max();
        assert!(longest.unwrap_or(0) <= MAX_ERROR_BYTES, "{sample:?}");
    }
}

/// A query to `/probe` and the scraper's header.
pub fn probe(input: &[u8]) {
    let (query, header) = halves(input);
    let (query, header) = (String::from_utf8_lossy(query), String::from_utf8_lossy(header));
    let offset = Duration::from_millis(500);
    match twice(|| request::timeout(Some(&header), Some(Duration::from_secs(5)), offset)) {
        Ok(deadline) => assert!(!deadline.is_zero() && deadline <= Duration::from_secs(5)),
        Err(error) => assert_error(&error),
    }
    let asked = match twice(|| request::parse(&query)) {
        Ok(asked) => asked,
        Err(error) => return assert_error(&error),
    };
    assert!(!asked.target.is_empty());
    let settings = &settings().0;
    for module in settings.modules.usable.values() {
        match twice(|| module.with_target(&asked.target, asked.hostname.as_deref())) {
            Ok(targeted) => {
                assert_eq!(targeted.settings.kind(), module.prober.kind());
                assert!(!targeted.settings.target().contains(char::is_control));
                let verdict = match &targeted.endpoint {
                    Endpoint::Host(host, port) => settings.guard.judge_request(host, *port),
                    Endpoint::Path(path) => settings.guard.judge_path(path),
                };
                if let Err(refusal) = verdict {
                    assert_error(&refusal.to_string());
                }
            }
            Err(RequestError::Target(error) | RequestError::Hostname(error)) => assert_error(&error),
        }
    }
}

/// What the exporter's own server reads of a request: queries, parts of paths, and header fields.
pub fn request(input: &[u8]) {
    if let Some(user) = twice(|| fuzz_api::user(input)) {
        assert!(user.len() <= input.len());
    }
    let text = String::from_utf8_lossy(input);
    for error in [
        twice(|| fuzz_api::parse_query(&text)).err(),
        twice(|| fuzz_api::decode_path_part(&text)).err(),
    ] {
        error.iter().for_each(|error| assert_error(error));
    }
    twice(|| fuzz_api::negotiate(&text));
    let url = fuzz_api::overview_url(&text);
    assert!(url.starts_with('/') && is_printable_line(&url), "{url}");
    // What is read of a query is what the URL made of it says.
    assert_eq!(fuzz_api::overview_url(url.trim_start_matches(['/', '?'])), url);
}

/// The target of a request of a job, and its text. The job with the token [`TOKEN`] receives it.
pub fn heartbeat(input: &[u8]) {
    let (target, text) = halves(input);
    let target = String::from_utf8_lossy(target);
    let Some(parsed) = twice(|| fuzz_api::parse_beat(&target)) else {
        return;
    };
    assert!(target.contains(&parsed.token), "{parsed:?}");
    let run_id = match parsed.run_id {
        Ok(run_id) => run_id,
        Err(error) => return assert_error(&error),
    };
    assert!(run_id.as_ref().is_none_or(|id| (1..=64).contains(&id.len())));
    let Some((kind, exit_status)) = parsed.signal else {
        return;
    };
    match kind {
        BeatKind::Start => assert_eq!(exit_status, None),
        BeatKind::Success => assert!(exit_status.is_none_or(|status| status == 0)),
        BeatKind::Fail => assert_ne!(exit_status, Some(0)),
    }
    let config = job();
    let heartbeats = Heartbeats::default();
    heartbeats.apply(config);
    let beat = Beat {
        kind,
        exit_status,
        run_id,
    };
    let received = heartbeats.receive(&parsed.token, beat);
    assert_eq!(received.is_ok(), parsed.token == TOKEN, "{received:?}");
    let (Ok(accepted), KindSettings::Heartbeat(settings)) = (received, &config.services[0].checks[0].kind)
    else {
        return;
    };
    heartbeats.add_message(&accepted, TOKEN, text);
    let evaluation = heartbeats.evaluate(settings, Some(TOKEN));
    let message = &evaluation.view.beats[0].message;
    assert!(
        message.len() <= MAX_MESSAGE_BYTES && !message.contains(TOKEN),
        "{message:?}"
    );
    let is_shown = |character: char| matches!(character, '\n' | '\t') || !character.is_control();
    assert!(message.chars().all(is_shown), "{message:?}");
    match evaluation.assessment.verdict {
        Verdict::Up => assert_ne!(kind, BeatKind::Fail),
        Verdict::Degraded(_, message) | Verdict::Down(_, message) => assert_error(&message),
    }
}

/// A configuration with a job.
fn job() -> &'static Config {
    static PARSED: OnceLock<Config> = OnceLock::new();
    PARSED.get_or_init(|| {
        let text =
            format!("services: [{{ key: job, checks: [{{ kind: heartbeat, token: {TOKEN}, every: 1h }}] }}]");
        match config::parse(&text, "job.yml") {
            Ok(loaded) => loaded.config,
            Err(error) => panic!("{error}"),
        }
    })
}

/// The keys of a tcp check, and what a server sends, as a stream and as messages.
pub fn dialogue(input: &[u8]) {
    let (text, server) = halves(input);
    let text = String::from_utf8_lossy(text);
    for is_messages in [false, true] {
        match twice(|| check::dialogue::fuzz_parse(&text, server, is_messages)) {
            Ok(sent) => assert!(sent.len() <= MAX_STEPS * MAX_STEP_BYTES),
            Err(error) => assert_error(&error),
        }
    }
}

/// A web configuration, and what each file holds that it names; those whose name ends in `x` are not there.
pub fn web_config(input: &[u8]) {
    let (text, file) = halves(input);
    let read = |path: &Path| match path.to_string_lossy().ends_with('x') {
        true => Err(FileError::Io(std::io::ErrorKind::NotFound.into())),
        false => Ok(file.to_vec()),
    };
    let files = Files::new(Path::new("/web"), &read);
    let parse = || {
        let result = parse_bytes(text, "web.yml", &files);
        result.map(|settings| (settings.tls.is_some(), settings.users.len()))
    };
    if let Err(error) = twice(parse) {
        assert_located(&error, "web.yml");
    }
}

/// A configuration. Those that name files are left out: what is in them is not part of the input.
pub fn config(input: &[u8]) {
    let names_files = ["_file", "_dir", "_path"];
    let text = String::from_utf8_lossy(input);
    if names_files.iter().any(|key| text.contains(key)) {
        return;
    }
    match twice(|| config::parse_bytes(input, "any.yml")) {
        Ok(loaded) => {
            let warnings = loaded.warnings.iter().map(ToString::to_string);
            warnings.for_each(|remark| assert_error(&remark));
            let mut checks = loaded.config.services.iter().flat_map(|service| &service.checks);
            assert!(checks.all(|check| !check.timeout.is_zero() && !check.interval.is_zero()));
        }
        Err(error) => assert_located(&error, "any.yml"),
    }
}

fn assert_located(error: &ConfigError, file_name: &str) {
    assert!(!error.errors.is_empty());
    for error in &error.errors {
        let text = error.to_string();
        assert_error(&text);
        // Of an error about the whole file, both are 0.
        let is_whole = error.line == 0 && error.column == 0;
        assert!(is_whole || (error.line > 0 && error.column > 0), "{text}");
        let place = match is_whole {
            true => format!("{file_name}: "),
            false => format!("{file_name}:{}:{}: ", error.line, error.column),
        };
        assert!(text.starts_with(&place), "{text}");
    }
}

/// Answers in texts: of HTTP services, container engines, Celery's workers, Redis and S3, and files of /proc.
pub fn texts(input: &[u8]) {
    for kind in &settings().1 {
        let samples = match kind {
            KindSettings::Http(settings) => twice(|| check::http::fuzz_parse(settings, input)),
            KindSettings::Docker(settings) => twice(|| check::docker::fuzz_parse(settings, input)),
            KindSettings::Redis(settings) => {
                let text = String::from_utf8_lossy(input);
                twice(|| check::redis::fuzz_parse(settings, &text))
            }
            _ => continue,
        };
        match samples {
            Ok(samples) => assert_samples(&samples),
            Err(error) => assert_error(&error),
        }
    }
    if let Some(dates) = twice(|| check::http::fuzz_parse_deprecation(input)) {
        // The years 1 to 9999.
        assert!(dates.len() <= 2 && dates.iter().all(|date| (-6.3e10..=2.6e11).contains(date)));
    }
    match twice(|| check::celery::fuzz_parse(input)) {
        Ok(worker) => assert!(!worker.is_empty() && worker.len() <= MAX_ERROR_BYTES),
        Err(error) => assert!(!error.is_empty() && error.len() <= MAX_ERROR_BYTES, "{error}"),
    }
    let text = String::from_utf8_lossy(input);
    let (nagios, prometheus) = twice(|| check::exec::fuzz_parse(&text));
    for values in [Some(&nagios), prometheus.as_ref().ok()].into_iter().flatten() {
        assert!(values.len() <= 100, "{}", values.len());
        assert!(values.iter().all(|value| value.len() <= 600), "{values:?}");
        // Each line or item has at most one value.
        assert!(values.len() <= text.len());
    }
    if let Err(error) = prometheus {
        assert!(error.len() <= text.len() + 100, "{error}");
    }
    if let Err(line) = twice(|| check::memcached::fuzz_parse(&text)) {
        assert!(line.len() <= text.len());
    }
    let status = 300 + input.first().map_or(0, |byte| u16::from(*byte));
    assert!(twice(|| check::provider::fuzz_parse(status, input)) <= 2 * input.len());
    if let Some(word) = twice(|| check::s3::fuzz_parse(input)) {
        assert!(word.len() <= input.len());
    }
    let (name, _, length) = twice(|| check::proc_scan::fuzz_parse(input));
    assert!(name.unwrap_or_default().len() <= input.len() && length <= input.len());
    let (is_pressure, is_file_count) = twice(|| check::host::fuzz_parse(input));
    assert!(!(is_pressure && is_file_count), "a file has one format");
    let (cgroups, _) = twice(|| upkeep_exporter::process_groups::fuzz_parse(input));
    assert!(cgroups.len() <= input.len() / 2);
    let (_, files, _) = twice(|| check::port_scan::fuzz_parse(input));
    // A line has ten fields. The address has ten bytes with its port.
    assert!(
        files <= input.len() / 28 + 1,
        "{files} sockets in {} bytes",
        input.len()
    );
}

/// A response over HTTP/1.1 is read as hyper reads it.
pub fn exchange(input: &[u8]) {
    // hyper reports the two highest lengths as too large.
    let highest = b"1844674407370955161";
    if input.windows(highest.len()).any(|window| window == highest) {
        return;
    }
    let (ours, theirs) = upkeep_exporter::net::http::beside_hyper::fuzz(input);
    assert_eq!(ours, theirs);
}

/// Answers in bytes: of name servers, brokers, gRPC services, certificates and echo replies.
pub fn packets(input: &[u8]) {
    for kind in &settings().1 {
        if let KindSettings::Dns(settings) = kind {
            match twice(|| check::dns::fuzz_parse(settings, input)) {
                Ok(records) => records.iter().for_each(|record| assert_record(record)),
                Err(error) => assert_error(&error),
            }
        }
    }
    match twice(|| upkeep_exporter::net::resolve::fuzz_parse(input)) {
        Ok(addresses) => assert!(!addresses.is_empty() && addresses.len() <= input.len() / 12),
        Err(error) => assert_error(&error),
    }
    match twice(|| check::amqp::fuzz_parse(input)) {
        Ok(frames) => assert!(frames <= input.len() / 8),
        Err(error) => assert_error(&error),
    }
    if let Err(error) = twice(|| check::grpc::fuzz_parse(input)) {
        assert_error(&error);
    }
    if let Some(labels) = twice(|| upkeep_exporter::net::tls::probe_samples::fuzz_parse(input)) {
        assert!(labels.iter().all(|label| label.len() <= MAX_ERROR_BYTES));
    }
    assert!(!check::icmp::fuzz_parse(input), "a reply was guessed");
    let (sockets, _, _) = twice(|| check::port_scan::fuzz_parse(input));
    assert!(sockets <= input.len() / 88, "a socket has 88 bytes");
}

/// A name, a time to live, a class, a type and the rest, whatever the record holds.
fn assert_record(record: &str) {
    let is_edns = record.starts_with("\n;; OPT PSEUDOSECTION:\n; EDNS: version ");
    assert!(is_edns || record.splitn(5, '\t').count() == 5, "{record:?}");
    assert!(record.len() <= 5 << 20, "{} bytes", record.len());
}

/// Those of [`SETTINGS`].
fn settings() -> &'static (ProbeSettings, Vec<KindSettings>) {
    static PARSED: OnceLock<(ProbeSettings, Vec<KindSettings>)> = OnceLock::new();
    PARSED.get_or_init(|| {
        let loaded = match config::parse(SETTINGS, "settings.yml") {
            Ok(loaded) => loaded,
            Err(error) => panic!("{error}"),
        };
        let checks = loaded.config.services.iter().flat_map(|service| &service.checks);
        let kinds = checks.map(|check| check.kind.clone()).collect();
        (loaded.config.probe, kinds)
    })
}

/// The files that say what a Python project requires, and the metadata of installed packages.
pub fn python(input: &[u8]) {
    for result in twice(|| check::python::fuzz_parse(input)) {
        match result {
            // A fault names at most one word of the file, and that has the length of a name.
            Err(error) => assert!(
                !error.is_empty() && error.len() <= MAX_ERROR_BYTES + input.len(),
                "{error}"
            ),
            Ok(found) => assert!(
                found.len() <= 64 * (input.len() + 64),
                "{} bytes: {found}",
                found.len()
            ),
        }
    }
}

/// The files of a Node.js project, and ranges of versions.
pub fn node(input: &[u8]) {
    if let Some(found) = twice(|| check::node::fuzz_parse(input)) {
        assert!(found.len() <= 256 * (input.len() + 64), "{} bytes", found.len());
    }
}
