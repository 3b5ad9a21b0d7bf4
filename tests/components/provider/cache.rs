//! Results that are reused: after a restart, while they are fresh, and while the provider wants no requests.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use upkeep_exporter::store::StateDir;

use super::*;

/// A check as after a start of the exporter with this state directory. All checks share its lock, because earlier ones may not have ended.
fn started(keys: &str, dir: &Path) -> Check {
    static LOCKED: Mutex<BTreeMap<PathBuf, Arc<StateDir>>> = Mutex::new(BTreeMap::new());
    let mut locked = LOCKED.lock().unwrap();
    let new = || StateDir::new(dir.to_owned());
    let state_dir = Arc::clone(locked.entry(dir.to_owned()).or_insert_with(new));
    drop(locked);
    let settings = Arc::new(crate::common::config::check(keys));
    let context = CheckContext::new("/proc".into()).with_state_dir(Some(state_dir));
    Check::new(&settings, &context)
}

/// Waits until the file of the results contains a text.
async fn saved(dir: &Path, wanted: &str) -> String {
    let deadline = tokio::time::Instant::now() + LONG;
    loop {
        let text = std::fs::read_to_string(dir.join("provider-results.json")).unwrap_or_default();
        if text.contains(wanted) {
            return text;
        }
        assert!(tokio::time::Instant::now() < deadline, "{text}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_restart_asks_nobody_and_a_changed_key_asks_again() {
    let server = openai(KEY, &["gpt-5"]).await;
    let dir = tempfile::tempdir().unwrap();
    let key_file = dir.path().join("key");
    std::fs::write(&key_file, format!("{KEY}\n")).unwrap();
    let keys = format!(
        "kind: provider, provider: openai, base_url: \"{}\", api_key_file: {}, expected_models: [gpt-5]",
        server.url(""),
        key_file.display()
    );
    let ran = run!(started(&keys, dir.path()), LONG);
    passed(&ran);
    // The list, and once with a wrong key.
    assert_eq!(server.received().len(), 2);
    let text = saved(dir.path(), "gpt-5").await;
    assert!(
        !text.contains("sk-proj") && !text.contains("0123456789abcdefghij"),
        "{text}"
    );
    for _ in 0..3 {
        let mut check = started(&keys, dir.path());
        let mut report = Report {
            debug_log: Some(upkeep_exporter::model::DebugLog::new()),
            ..Report::default()
        };
        assert_eq!(check.run(&mut report).await, Ok(()));
        let steps = format!("{:?}", report.debug_log.unwrap().lines());
        assert!(steps.contains("using the response of "), "{steps}");
        let finding = &report.findings.list()[0];
        assert!(
            finding.detail.contains("last response about the key"),
            "{finding:?}"
        );
        assert!(
            report
                .samples
                .iter()
                .any(|sample| sample.family.name == "upkeep_provider_key_valid")
        );
        assert_eq!(report.catalog.unwrap().models.len(), 1);
    }
    assert_eq!(server.received().len(), 2, "a restart sends no request");
    // An expectation is judged again without a request.
    let expecting = keys.replace("[gpt-5]", "[gpt-6]");
    let ran = run!(started(&expecting, dir.path()), LONG);
    warning(&ran, Reason::Missing);
    assert_eq!(server.received().len(), 2);
    std::fs::write(&key_file, "sk-proj-another-key-000000000").unwrap();
    let mut check = started(&keys, dir.path());
    let ran = run!(check, LONG);
    ran.failed(Reason::Auth, "rejects the API key");
    assert_eq!(server.received().len(), 3);
    // Back to the first key, in the same process: its result is still known.
    std::fs::write(&key_file, KEY).unwrap();
    passed(&run!(check, LONG));
    assert_eq!(server.received().len(), 3);
    std::fs::write(&key_file, "").unwrap();
    run!(check, LONG).failed(Reason::Auth, "the API key is empty");
    std::fs::remove_file(&key_file).unwrap();
    run!(check, LONG).failed(Reason::Auth, "reading the secret file");
}

#[tokio::test]
async fn a_broken_file_is_moved_aside_and_the_provider_is_asked() {
    let server = openai(KEY, &["gpt-5"]).await;
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("provider-results.json"), "{\"version\":1,").unwrap();
    let ran = run!(started(&keys("openai", &server, ""), dir.path()), LONG);
    passed(&ran);
    assert_eq!(server.received().len(), 2);
    saved(dir.path(), "gpt-5").await;
    assert!(dir.path().join("provider-results.json.broken-1").exists());
}

#[tokio::test]
async fn a_rate_limit_is_obeyed_and_the_last_answer_stands() {
    let requests = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&requests);
    let server = provider(move |_| {
        counter.fetch_add(1, Ordering::Relaxed);
        Reply::new(429, "slow down").with("Retry-After: 600")
    })
    .await;
    let dir = tempfile::tempdir().unwrap();
    let keys = keys("huggingface", &server, "");
    let mut check = started(&keys, dir.path());
    let ran = run!(check, LONG);
    assert!(warning(&ran, Reason::Limit).contains("the provider limits the rate of requests (status 429)"));
    assert_eq!((state(&ran), key_valid(&ran)), ("rate_limited", None));
    let wait = ran.report.next_run_after.unwrap();
    assert!(
        wait > Duration::from_secs(590) && wait <= Duration::from_secs(600),
        "{wait:?}"
    );
    saved(dir.path(), "wait_until").await;
    for check in [&mut check, &mut started(&keys, dir.path())] {
        let ran = run!(check, LONG);
        assert!(warning(&ran, Reason::Limit).contains("the next request is in "));
    }
    assert_eq!(requests.load(Ordering::Relaxed), 1, "also after a restart");
}

#[tokio::test]
async fn the_last_answer_stands_during_a_rate_limit_and_an_outage() {
    let step = Arc::new(AtomicUsize::new(0));
    let current = Arc::clone(&step);
    let server = provider(move |request| match current.load(Ordering::Relaxed) {
        _ if !request.has_bearer(KEY) => Reply::new(401, "{}"),
        0 => Reply::new(200, openai_list(&["a", "b"])),
        1 => Reply::new(429, "{}"),
        2 => Reply::new(503, "{}"),
        _ => Reply::new(200, openai_list(&["b", "c"])),
    })
    .await;
    // Without a schedule every run asks.
    let settings = crate::common::config::check(&keys("openai", &server, ""));
    let mut check = Check::from_kind(&settings.kind, &CheckContext::new("/proc".into()));
    passed(&run!(check, LONG));
    step.store(1, Ordering::Relaxed);
    let ran = run!(check, LONG);
    passed(&ran);
    assert_eq!(ran.report.warning, None, "the key was valid a moment ago");
    assert_eq!((state(&ran), key_valid(&ran)), ("rate_limited", Some(1.0)));
    step.store(2, Ordering::Relaxed);
    let ran = run!(check, LONG);
    assert!(
        warning(&ran, Reason::Status).contains("s ago, was: valid"),
        "{:?}",
        ran.report.warning
    );
    assert_eq!((state(&ran), key_valid(&ran)), ("unavailable", Some(1.0)));
    assert_eq!(ran.value("upkeep_provider_models", None), Some(2.0));
    let changes = |ran: &Ran, change| ran.value("upkeep_provider_model_changes_total", Some(change));
    assert_eq!(
        (changes(&ran, "added"), changes(&ran, "removed")),
        (Some(0.0), Some(0.0))
    );
    step.store(3, Ordering::Relaxed);
    let ran = run!(check, LONG);
    passed(&ran);
    assert_eq!(
        (changes(&ran, "added"), changes(&ran, "removed")),
        (Some(1.0), Some(1.0))
    );
    let wrong = server
        .received()
        .iter()
        .filter(|request| request.contains("wrong-key"))
        .count();
    assert_eq!(wrong, 1, "the proof that the list needs a key is reused");
}

/// A provider that always responds in this way, and the number of its responses.
async fn counted(reply: Reply) -> (Target, Arc<AtomicUsize>) {
    let requests = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&requests);
    let server = provider(move |_| {
        counter.fetch_add(1, Ordering::Relaxed);
        reply.clone()
    });
    (server.await, requests)
}

#[tokio::test]
async fn an_outage_with_a_retry_after_stays_an_outage() {
    let (server, requests) = counted(Reply::new(503, "{}").with("Retry-After: 3600")).await;
    let dir = tempfile::tempdir().unwrap();
    let keys_of = |api: &str| keys(api, &server, "");
    // An own server fails. It is asked again at every recheck.
    let mut check = started(&keys_of("vllm"), dir.path());
    let ran = run!(check, LONG);
    ran.failed(Reason::Status, "the provider has an outage (status 503)");
    let wait = ran.report.next_run_after.unwrap();
    assert!(wait <= Duration::from_secs(300), "{wait:?}");
    saved(dir.path(), "outage").await;
    for check in [&mut check, &mut started(&keys_of("vllm"), dir.path())] {
        let ran = run!(check, LONG);
        ran.failed(Reason::Status, "(status 503); the next request is in ");
        assert_eq!(state(&ran), "unavailable");
    }
    assert_eq!(requests.load(Ordering::Relaxed), 1);
    // A hosted provider gets all the time that it asks for.
    let mut check = started(&keys_of("mistral"), dir.path());
    let wait = run!(check, LONG).report.next_run_after.unwrap();
    assert!(wait > Duration::from_secs(3500), "{wait:?}");
    let ran = run!(check, LONG);
    assert!(warning(&ran, Reason::Status).contains("has an outage"));
    assert_eq!(state(&ran), "unavailable");
    assert_eq!(requests.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn an_outage_does_not_end_the_failure_of_a_bad_key() {
    let is_down = Arc::new(AtomicUsize::new(0));
    let current = Arc::clone(&is_down);
    let server = provider(move |_| match current.load(Ordering::Relaxed) {
        0 => Reply::new(401, r#"{"error":{"code":"invalid_api_key"}}"#),
        _ => Reply::new(503, "{}"),
    })
    .await;
    let settings = crate::common::config::check(&keys("openai", &server, ""));
    let mut check = Check::from_kind(&settings.kind, &CheckContext::new("/proc".into()));
    run!(check, LONG).failed(Reason::Auth, "the provider rejects the API key");
    is_down.store(1, Ordering::Relaxed);
    let ran = run!(check, LONG);
    let rejected = "the provider rejects the API key (status 401, invalid_api_key); now: ";
    ran.failed(Reason::Auth, rejected);
    ran.failed(Reason::Auth, "the provider has an outage (status 503)");
    assert_eq!((state(&ran), key_valid(&ran)), ("unavailable", Some(0.0)));
}

#[tokio::test]
async fn a_used_up_quota_stays_one_while_the_provider_wants_no_requests() {
    let reply = Reply::new(429, r#"{"error":{"code":"insufficient_quota"}}"#).with("Retry-After: 3600");
    let (server, requests) = counted(reply).await;
    let dir = tempfile::tempdir().unwrap();
    let more = ", interval: 2s, recheck_interval: 1s, timeout: 1s";
    let mut check = started(&keys("openai", &server, more), dir.path());
    let first = run!(check, LONG);
    first.failed(
        Reason::Limit,
        "the credits or the spend limit of the account are used up",
    );
    // The answer is no longer fresh.
    tokio::time::sleep(Duration::from_millis(2100)).await;
    let ran = run!(check, LONG);
    ran.failed(
        Reason::Limit,
        "the credits or the spend limit of the account are used up",
    );
    assert_eq!((state(&ran), key_valid(&ran)), ("quota_spent", Some(1.0)));
    assert_eq!(requests.load(Ordering::Relaxed), 1);
}

/// The runs that a check makes, and whether each repeats an earlier result.
async fn repeats(check: &mut Check, runs: usize) -> Vec<bool> {
    let mut repeats = Vec::new();
    for _ in 0..runs {
        let mut report = Report::default();
        let _ = tokio::time::timeout(LONG, check.run(&mut report)).await.unwrap();
        repeats.push(report.is_repeated);
    }
    repeats
}

#[tokio::test]
async fn a_reused_result_is_not_new_evidence() {
    let (server, requests) = counted(Reply::new(401, "{}")).await;
    let dir = tempfile::tempdir().unwrap();
    let keys = keys("openai", &server, "");
    assert_eq!(repeats(&mut started(&keys, dir.path()), 2).await, [false, true]);
    saved(dir.path(), "invalid").await;
    assert_eq!(repeats(&mut started(&keys, dir.path()), 2).await, [true, true]);
    assert_eq!(requests.load(Ordering::Relaxed), 1);
    // Two checks with the same key share results. The second one has not used the result of the first one's request.
    let context = CheckContext::new("/proc".into());
    let settings = Arc::new(crate::common::config::check(&keys));
    let [mut one, mut other] = [(); 2].map(|()| Check::new(&settings, &context));
    assert_eq!(repeats(&mut one, 1).await, [false]);
    assert_eq!(
        repeats(&mut other, 1).await,
        [true],
        "it may have used it before a restart"
    );
    let more = keys.clone() + ", interval: 1s, recheck_interval: 1s, timeout: 1s";
    let settings = Arc::new(crate::common::config::check(&more));
    let mut third = Check::new(&settings, &context);
    tokio::time::sleep(Duration::from_millis(2100)).await;
    assert_eq!(repeats(&mut third, 1).await, [false], "the result is too old");
    assert_eq!(
        repeats(&mut other, 2).await,
        [false, true],
        "it is the result of the third check's request"
    );
}

#[tokio::test]
async fn a_run_between_two_ticks_sends_a_request() {
    let server = openai(KEY, &["gpt-5"]).await;
    let dir = tempfile::tempdir().unwrap();
    let keys = keys(
        "openai",
        &server,
        ", interval: 1h, recheck_interval: 1s, timeout: 1s",
    );
    let mut check = started(&keys, dir.path());
    passed(&run!(check, LONG));
    let seen = server.received().len();
    // Long enough for whole seconds to pass.
    tokio::time::sleep(Duration::from_millis(2100)).await;
    saved(dir.path(), "gpt-5").await;
    passed(&run!(started(&keys, dir.path()), LONG));
    assert_eq!(
        server.received().len(),
        seen,
        "the first run after a restart reuses the result"
    );
    passed(&run!(check, LONG));
    assert_eq!(server.received().len(), seen + 1);
}
