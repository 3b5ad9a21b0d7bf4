//! No input makes the loader panic, or take more than 5 s or 500 MB.

use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use proptest::prelude::*;
use upkeep_exporter::config::{MAX_FILE_BYTES, MAX_SHOWN, parse, parse_bytes};

/// What one file may cost. Of the processor's time, so that other work on the machine does not count. What is promised holds
/// for the optimised build; without optimisation the worst of these files take four times as long.
pub const MAX_TIME: Duration = Duration::from_secs(if cfg!(debug_assertions) { 15 } else { 5 });
const MAX_MEMORY_KB: u64 = 500_000;

const CASE: &str = "UPKEEP_TEST_CASE";

/// `count` lines, or fewer where the file would get too long.
fn lines(head: &str, count: usize, line: impl Fn(usize) -> String) -> String {
    let mut text = head.to_owned();
    for index in 0..count {
        let line = line(index);
        if text.len() + line.len() > MAX_FILE_BYTES {
            break;
        }
        text.push_str(&line);
    }
    text
}

const SERVICES: &str = "services:\n";

/// A service with a check that has this CEL expression.
fn cel(index: usize, expression: &str) -> String {
    format!(
        "  - {{ key: k{index}, checks: [{{ kind: http, url: \"http://a/\", fail_if_body_json_not_matches_cel: \"{expression}\" }}] }}\n"
    )
}

/// A service with a check that takes the version from this JSON path.
fn json_path(path: &str) -> String {
    let digits: String = path.chars().filter(char::is_ascii_digit).collect();
    format!(
        "  - {{ key: k{digits}, checks: [{{ kind: http, url: \"http://a/\", extract_version: \"{path}\" }}] }}\n"
    )
}

/// Makes a file.
type Make = fn() -> String;

/// Files that are as bad as they can be, by name.
fn cases() -> Vec<(&'static str, Make)> {
    vec![
        ("one long text", || {
            format!("services: {}", "a".repeat(MAX_FILE_BYTES - 10))
        }),
        ("one long quoted text", || {
            format!("services: \"{}\"", "\\n".repeat(MAX_FILE_BYTES / 2 - 10))
        }),
        ("one long key", || {
            format!("{}: 1", "a".repeat(MAX_FILE_BYTES - 10))
        }),
        ("one long kind", || {
            format!(
                "services: [{{ key: a, checks: [{{ kind: {} }}] }}]",
                "a".repeat(1 << 23)
            )
        }),
        ("only line breaks", || "\n".repeat(MAX_FILE_BYTES)),
        ("only comments", || "#\n".repeat(MAX_FILE_BYTES / 2)),
        ("only spaces", || " ".repeat(MAX_FILE_BYTES)),
        ("question marks", || "? ".repeat(MAX_FILE_BYTES / 2)),
        ("colons", || ": ".repeat(MAX_FILE_BYTES / 2)),
        ("anchors without values", || "&a ".repeat(MAX_FILE_BYTES / 3)),
        ("directives", || "%TAG !a! b\n".repeat(MAX_FILE_BYTES / 11)),
        ("documents", || "---\n".repeat(MAX_FILE_BYTES / 4)),
        ("tiny items", || "- \n".repeat(MAX_FILE_BYTES / 3)),
        ("tiny items in a flow", || {
            format!("[{}]", "a,".repeat(MAX_FILE_BYTES / 2 - 1))
        }),
        ("keys", || lines("", usize::MAX, |index| format!("k{index}: 1\n"))),
        ("unknown keys of a service", || {
            lines("services:\n  - key: a\n    port: 1\n", usize::MAX, |index| {
                format!("    k{index}: 1\n")
            })
        }),
        ("unknown keys of a service in the old monitor's form", || {
            lines("services:\n  - key: a\n    systemd: b\n", usize::MAX, |index| {
                format!("    k{index}: 1\n")
            })
        }),
        ("services in the old monitor's form", || {
            lines("services:\n", 100_000, |index| {
                format!("  - {{ key: k{index}, systemd: a, port: \"{index}\", process_match: [\"\"] }}\n")
            })
        }),
        ("duplicate keys", || "services: 1\n".repeat(MAX_FILE_BYTES / 12)),
        ("lists for keys", || "? [a]\n: b\n".repeat(MAX_FILE_BYTES / 10)),
        ("tags", || "- !a b\n".repeat(MAX_FILE_BYTES / 7)),
        ("anchors", || {
            lines("", usize::MAX, |index| format!("- &a{index} x\n"))
        }),
        ("aliases", || {
            format!("- &a x\n{}", "- *a\n".repeat(MAX_FILE_BYTES / 5 - 2))
        }),
        ("aliases without anchors", || "- *a\n".repeat(MAX_FILE_BYTES / 5)),
        ("a billion laughs", || {
            lines("a0: &a0 [x]\n", 40, |index| {
                format!(
                    "a{}: &a{} [{}]\n",
                    index + 1,
                    index + 1,
                    format!("*a{index},").repeat(10)
                )
            })
        }),
        ("laughs by merge keys", || {
            let wide = lines("", 1000, |index| format!("  k{index}: 1\n"));
            lines(&format!("a: &a\n{wide}"), usize::MAX, |index| {
                format!("b{index}: {{ <<: *a }}\n")
            })
        }),
        ("aliases that nest ever deeper", || {
            lines("- &a0 []\n", usize::MAX, |index| {
                format!("- &a{} [[[*a{index}]]]\n", index + 1)
            })
        }),
        ("deep lists", || "[".repeat(100_000)),
        ("deep mappings", || "{a: ".repeat(100_000)),
        ("deep lines", || {
            lines("", 5_000, |index| format!("{}a:\n", " ".repeat(index)))
        }),
        ("deep dashes", || format!("{}a", "- ".repeat(100_000))),
        ("services that are nothing", || {
            lines(SERVICES, usize::MAX, |_| "  - {}\n".to_owned())
        }),
        ("services with faults", || {
            lines(SERVICES, usize::MAX, |index| {
                format!("  - {{ key: k{index}, port: x, tier: y, nmae: z, depends_on: [q{index}] }}\n")
            })
        }),
        ("services", || {
            lines(SERVICES, usize::MAX, |index| {
                format!("  - {{ key: k{index}, port: 1 }}\n")
            })
        }),
        ("a long circle", || {
            lines(SERVICES, 60_000, |index| {
                format!(
                    "  - {{ key: k{index}, port: 1, depends_on: [k{}] }}\n",
                    (index + 1) % 60_000
                )
            })
        }),
        ("circles without number", || {
            let all = lines("", 400, |index| format!("k{index},"));
            lines(SERVICES, 400, |index| {
                format!("  - {{ key: k{index}, port: 1, depends_on: [{all}] }}\n")
            })
        }),
        ("dependencies on nothing", || {
            let all = lines("", 500_000, |index| format!("q{index},"));
            format!("services: [{{ key: a, port: 1, depends_on: [{all}] }}]")
        }),
        ("faulty items", || {
            let all = "x,".repeat(400_000);
            format!(
                "services: [{{ key: a, checks: [{{ kind: http, url: \"http://a/\", valid_status_codes: [{all}] }}] }}]"
            )
        }),
        ("a huge regular expression", || {
            let regex = "(a|b){9}".repeat(1_000_000);
            format!("services: [{{ key: a, checks: [{{ kind: process, regex: \"{regex}\" }}] }}]")
        }),
        ("many regular expressions", || {
            lines(SERVICES, 10_000, |index| {
                format!(
                    "  - {{ key: k{index}, checks: [{{ kind: process, regex: 'a.*b[0-9]+c{index}' }}] }}\n"
                )
            })
        }),
        ("heavy regular expressions", || {
            lines(SERVICES, 10_000, |index| {
                format!(
                    "  - {{ key: k{index}, checks: [{{ kind: process, regex: '(.{{90}}){{90}}{index}' }}] }}\n"
                )
            })
        }),
        ("regular expressions that are too heavy", || {
            lines(SERVICES, 10_000, |index| {
                format!(
                    "  - {{ key: k{index}, checks: [{{ kind: process, regex: '((.{{90}}){{90}}){{90}}{index}' }}] }}\n"
                )
            })
        }),
        ("many CEL expressions", || {
            lines(SERVICES, 10_000, |index| {
                cel(index, &format!("body.a == {index}"))
            })
        }),
        ("long CEL expressions", || {
            lines(SERVICES, 10_000, |index| {
                cel(index, &format!("body.a in [{}{index}]", "1,".repeat(2000)))
            })
        }),
        ("deep CEL expressions", || {
            lines(SERVICES, 10_000, |index| {
                cel(
                    index,
                    &format!("{}{index}{} == 1", "(".repeat(60), ")".repeat(60)),
                )
            })
        }),
        ("faulty CEL expressions", || {
            lines(SERVICES, 10_000, |index| {
                cel(index, &format!("{}{index}", "body.a || ".repeat(100)))
            })
        }),
        ("many JSON paths", || {
            lines(SERVICES, usize::MAX, |index| json_path(&format!("$.a{index}")))
        }),
        ("deep JSON paths", || {
            lines(SERVICES, usize::MAX, |index| {
                json_path(&format!("$.a{index}{}", ".a".repeat(120)))
            })
        }),
        ("JSON paths with filters", || {
            lines(SERVICES, 100_000, |index| {
                json_path(&format!("$[?@[?(((({}@.a{index}))))]]", "@.a&&".repeat(44)))
            })
        }),
        ("faulty JSON paths", || {
            lines(SERVICES, 100_000, |index| {
                json_path(&format!("$[?@[?(((({}{index}", "'a'=='b'||".repeat(23)))
            })
        }),
    ]
}

/// What this thread has used of the processor.
pub fn processor_time() -> Duration {
    used(rustix::time::ClockId::ThreadCPUTime)
}

fn used(clock: rustix::time::ClockId) -> Duration {
    Duration::try_from(rustix::time::clock_gettime(clock)).unwrap()
}

/// In a process of its own, whose memory is that of the one case: `time_ms memory_kb`.
fn measure(case: &str) {
    let (_, make) = cases().into_iter().find(|(name, _)| *name == case).unwrap();
    let text = make();
    assert!(
        text.len() <= MAX_FILE_BYTES,
        "{case} is too long to be read at all"
    );
    // Of the whole process: the loader may use threads.
    let clock = rustix::time::ClockId::ProcessCPUTime;
    let started = used(clock);
    let errors = parse(&text, "case.yml").map_or_else(|error| error.to_string(), |_| String::new());
    let milliseconds = (used(clock) - started).as_millis();
    assert!(errors.lines().count() <= MAX_SHOWN + 2);
    assert!(errors.len() < 200_000, "{} bytes of errors", errors.len());
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap();
    println!("measured {milliseconds} {}", peak.trim().trim_end_matches(" kB"));
}

#[test]
fn the_worst_files_stay_within_time_and_memory() {
    if let Ok(case) = std::env::var(CASE) {
        return measure(&case);
    }
    let cases = cases();
    let next = AtomicUsize::new(0);
    let told = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some((case, _)) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let measured = in_a_process_of_its_own(case);
                    told.lock().unwrap().push(measured);
                }
            });
        }
    });
    let told = told.into_inner().unwrap();
    assert_eq!(told.len(), cases.len());
    let lines: Vec<_> = told
        .iter()
        .map(|(case, time, kb)| format!("{case}: {time:?}, {} MB", kb / 1000))
        .collect();
    println!("{}", lines.join("\n"));
    for (case, time, memory_kb) in told {
        assert!(time <= MAX_TIME, "{case} took {time:?} of the processor's time");
        assert!(memory_kb <= MAX_MEMORY_KB, "{case} took {memory_kb} kB");
    }
}

/// The case, and what it took.
fn in_a_process_of_its_own(case: &'static str) -> (&'static str, Duration, u64) {
    let output = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "limits::the_worst_files_stay_within_time_and_memory",
            "--nocapture",
        ])
        .env(CASE, case)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{case}: {text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let measured = text
        .lines()
        .find_map(|line| line.split_once("measured "))
        .unwrap()
        .1;
    let (milliseconds, memory_kb) = measured.split_once(' ').unwrap();
    (
        case,
        Duration::from_millis(milliseconds.parse().unwrap()),
        memory_kb.parse().unwrap(),
    )
}

#[test]
fn thousands_of_different_expressions_load() {
    let different = |index| {
        format!("body.status == 'ok' && body.queue.size() < {index} && body.items.all(x, x.age < 30)")
    };
    let text = lines(SERVICES, 3000, |index| cel(index, &different(index)));
    parse(&text, "cel.yml").unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn too_many_different_expressions_are_told_at_their_places() {
    let text = lines(SERVICES, 10_000, |index| {
        cel(index, &format!("body.a == '{:0>99}'", index))
    });
    let error = parse(&text, "cel.yml").unwrap_err();
    assert!(
        error.errors[0]
            .path
            .ends_with("fail_if_body_json_not_matches_cel")
            && error.errors[0].message.ends_with("(equal ones count once)"),
        "{error}"
    );
    let equal = lines(SERVICES, 10_000, |index| {
        cel(index, &format!("body.a == '{:0>99}'", 1))
    });
    parse(&equal, "cel.yml").unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn a_file_that_is_too_long_is_not_examined() {
    let error = parse_bytes(&vec![b'a'; MAX_FILE_BYTES + 1], "long.yml").unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("long.yml: the file is longer than 16 MB"),
        "{error}"
    );
}

/// Valid files, to be mutated.
fn seeds() -> Vec<Vec<u8>> {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files: Vec<_> = std::fs::read_dir(root.join("tests/bad-config"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "yml"));
    files.push(root.join("config/upkeep.example.yml"));
    files.push(root.join("config/default.yml"));
    files.sort();
    files
        .into_iter()
        .map(|path| std::fs::read(path).unwrap())
        .collect()
}

/// Pieces of text that mean something to YAML or to the loader.
const TOKENS: [&str; 40] = [
    "- ",
    "\n",
    "\n  ",
    "\n    ",
    ": ",
    ", ",
    "[",
    "]",
    "{",
    "}",
    "&a ",
    "*a",
    "<<: ",
    "!t ",
    "!!str ",
    "|\n",
    ">-\n",
    "\"",
    "'",
    "#",
    "\t",
    "---\n",
    "...\n",
    "%YAML 1.2\n",
    "? ",
    "\u{feff}",
    "\0",
    "~",
    "services:",
    "key: a",
    "checks:",
    "kind: http",
    "kind: process",
    "port: 1",
    "interval: 1s",
    "thresholds:",
    "depends_on: [a]",
    "0x10",
    "process_match: y",
    "tiers:",
];

fn loads_or_says_why(bytes: &[u8]) {
    match parse_bytes(bytes, "any.yml") {
        Ok(loaded) => assert!(!loaded.config.services.is_empty()),
        Err(error) => assert!(!error.errors.is_empty() && !error.to_string().contains('\0')),
    }
}

proptest! {
    // Without a file of past failures: what fails becomes a test.
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_load_or_are_told_what_is_wrong(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        loads_or_says_why(&bytes);
    }

    #[test]
    fn any_tokens_load_or_are_told_what_is_wrong(tokens in proptest::collection::vec(0..TOKENS.len(), 0..60)) {
        let text: String = tokens.into_iter().map(|token| TOKENS[token]).collect();
        loads_or_says_why(text.as_bytes());
    }

    #[test]
    fn any_mutation_of_a_file_loads_or_is_told_what_is_wrong(
        seed in any::<prop::sample::Index>(),
        edits in proptest::collection::vec((any::<prop::sample::Index>(), 0..20_usize, 0..TOKENS.len()), 1..6),
    ) {
        let seeds = seeds();
        let mut bytes = seed.get(&seeds).clone();
        for (at, removed, token) in edits {
            let at = at.index(bytes.len() + 1);
            let end = (at + removed).min(bytes.len());
            bytes.splice(at..end, TOKENS[token].bytes());
        }
        loads_or_says_why(&bytes);
    }
}
