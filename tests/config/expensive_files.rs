//! The most expensive files for the loader.

use upkeep_exporter::config::MAX_FILE_BYTES;

/// `count` lines, or as many as fit into a file.
pub fn lines(head: &str, count: usize, line: impl Fn(usize) -> String) -> String {
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

/// The first line of a list of services.
pub const SERVICES: &str = "services:\n";

/// A service with a check that has this CEL expression.
pub fn cel(index: usize, expression: &str) -> String {
    format!(
        "  - {{ key: k{index}, checks: [{{ kind: http, url: \"http://a/\", fail_if_body_json_not_matches_cel: \"{expression}\" }}] }}\n"
    )
}

/// A service with a check that extracts the version with this JSON path.
fn json_path(path: &str) -> String {
    let digits: String = path.chars().filter(char::is_ascii_digit).collect();
    format!(
        "  - {{ key: k{digits}, checks: [{{ kind: http, url: \"http://a/\", extract_version: \"{path}\" }}] }}\n"
    )
}

/// Generates a file.
pub type Make = fn() -> String;

/// The most expensive files, by name.
pub fn cases() -> Vec<(&'static str, Make)> {
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
        ("unknown keys of a service in ChatStack's format", || {
            lines("services:\n  - key: a\n    systemd: b\n", usize::MAX, |index| {
                format!("    k{index}: 1\n")
            })
        }),
        ("services in ChatStack's format", || {
            lines("services:\n", 100_000, |index| {
                format!("  - {{ key: k{index}, systemd: a, port: \"{index}\", process_match: [\"\"] }}\n")
            })
        }),
        ("duplicate keys", || "services: 1\n".repeat(MAX_FILE_BYTES / 12)),
        ("lists as keys", || "? [a]\n: b\n".repeat(MAX_FILE_BYTES / 10)),
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
        ("aliases with increasing nesting", || {
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
        ("empty services", || {
            lines(SERVICES, usize::MAX, |_| "  - {}\n".to_owned())
        }),
        ("services with errors", || {
            lines(SERVICES, usize::MAX, |index| {
                format!("  - {{ key: k{index}, port: x, tier: y, nmae: z, depends_on: [q{index}] }}\n")
            })
        }),
        ("services", || {
            lines(SERVICES, usize::MAX, |index| {
                format!("  - {{ key: k{index}, port: 1 }}\n")
            })
        }),
        ("a long cycle", || {
            lines(SERVICES, 60_000, |index| {
                format!(
                    "  - {{ key: k{index}, port: 1, depends_on: [k{}] }}\n",
                    (index + 1) % 60_000
                )
            })
        }),
        ("many cycles", || {
            let all = lines("", 400, |index| format!("k{index},"));
            lines(SERVICES, 400, |index| {
                format!("  - {{ key: k{index}, port: 1, depends_on: [{all}] }}\n")
            })
        }),
        ("unknown dependencies", || {
            let all = lines("", 500_000, |index| format!("q{index},"));
            format!("services: [{{ key: a, port: 1, depends_on: [{all}] }}]")
        }),
        ("invalid items", || {
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
        ("invalid CEL expressions", || {
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
        ("invalid JSON paths", || {
            lines(SERVICES, 100_000, |index| {
                json_path(&format!("$[?@[?(((({}{index}", "'a'=='b'||".repeat(23)))
            })
        }),
    ]
}
