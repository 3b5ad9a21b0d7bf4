//! Log lines and events of changes.

use std::io::Write;
use std::sync::Mutex;

use super::*;
use crate::store::shared::STATUS_EVENTS;

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Returns what `action` logs.
fn log_of(action: impl FnOnce()) -> String {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_writer(move || writer.clone())
        .with_ansi(false)
        .without_time()
        .finish();
    // Other tests have no subscriber. If one of them reaches a log statement first, tracing remembers that nobody is interested in it.
    let _ = tracing::subscriber::set_global_default(tracing_subscriber::registry());
    tracing::subscriber::with_default(subscriber, action);
    String::from_utf8(log.0.lock().unwrap().clone()).unwrap()
}

#[test]
fn changes_are_logged_and_runs_are_not() {
    let text = log_of(|| {
        let test = TestStore::new(&config(vec![("api", vec![check("http"), check("tcp")])]));
        test.run("api/tcp", 1, None);
        for second in 0..300 {
            let failed = (100..200).contains(&second);
            test.run("api/http", 10 + 5 * second, failed.then_some(Reason::Refused));
            test.run("api/tcp", 10 + 5 * second, None);
        }
        for second in 2000..2003 {
            test.run("api/http", second, REFUSED);
            test.run("api/tcp", second, REFUSED);
        }
    });
    let lines: Vec<&str> = text
        .lines()
        .map(|line| line.split_once(": ").unwrap().1)
        .collect();
    let expected = [
        "status changed service=api old=up new=down check=\"http\" reason=refused",
        "status changed service=api old=down new=up since=1970-01-12T14:",
        "status changed service=api old=up new=down check=\"http\" reason=refused",
        "check has a problem service=api check=tcp status=down reason=refused",
    ];
    let logged: Vec<&&str> = lines.iter().filter(|line| !line.contains("unknown")).collect();
    assert_eq!(logged.len(), expected.len(), "{text}");
    for (line, start) in logged.iter().zip(expected) {
        assert!(
            line.contains(start.split_once(' ').unwrap().1),
            "{line} is not {start}"
        );
    }
    assert!(
        text.contains("problem=\"failed with refused\"") && text.contains("since=1970-01-12T13:55:09.000Z"),
        "{text}"
    );
}

#[test]
fn a_changed_problem_is_logged_at_most_once_a_minute() {
    let text = log_of(|| {
        let test = TestStore::new(&config(vec![("api", vec![check("http")])]));
        for (from, to, reason) in [
            (0, 100, Reason::Auth),
            (100, 105, Reason::Timeout),
            (105, 300, Reason::Auth),
        ] {
            for second in from..to {
                test.run("api/http", second, Some(reason));
            }
        }
    });
    let logged: Vec<&str> = text
        .lines()
        .filter_map(|line| line.split_once("reason=")?.1.split(' ').next())
        .collect();
    assert_eq!(logged, ["auth", "timeout", "auth"], "{text}");
}

#[test]
fn subscribers_receive_every_status_change_and_the_number_of_lost_ones() {
    let test = TestStore::new(&config(vec![("api", vec![check("http")])]));
    let mut events = test.store.subscribe();
    test.run("api/http", 5, None);
    test.run("api/http", 6, None);
    test.run("api/http", 7, REFUSED);
    let first = events.try_recv().unwrap();
    assert_eq!(
        (first.old, first.new, first.check),
        (Status::Unknown, Status::Up, None)
    );
    let second = events.try_recv().unwrap();
    assert_eq!(
        (second.service.as_str(), second.old, second.new),
        ("api", Status::Up, Status::Down)
    );
    assert_eq!(
        (second.since, second.check.unwrap().as_str()),
        (1_000_006.0, "http")
    );
    assert_eq!(second.problem.unwrap().message(), "failed with refused");
    assert!(events.try_recv().is_err());

    // A recovery takes two runs, so three runs cause two changes.
    let changes = i64::try_from(STATUS_EVENTS).unwrap() + 4;
    for second in 0..changes / 2 * 3 {
        test.run(
            "api/http",
            10 + 5 * second,
            (second % 3 == 2).then_some(Reason::Refused),
        );
    }
    let lost = events.try_recv().unwrap_err();
    assert_eq!(lost, broadcast::error::TryRecvError::Lagged(4));
    assert_eq!(events.len(), STATUS_EVENTS);
}
