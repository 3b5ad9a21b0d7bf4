//! Any input loads or reports errors: random bytes, random tokens, and mutations of valid and invalid files.

use proptest::prelude::*;
use upkeep_exporter::config::parse_bytes;

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

/// Tokens with a meaning for YAML or the loader.
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

fn assert_loads_or_reports(bytes: &[u8]) {
    match parse_bytes(bytes, "any.yml") {
        Ok(loaded) => assert!(!loaded.config.services.is_empty()),
        Err(error) => assert!(!error.errors.is_empty() && !error.to_string().contains('\0')),
    }
}

proptest! {
    // Failures are not persisted: each one becomes a test.
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_load_or_report_errors(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        assert_loads_or_reports(&bytes);
    }

    #[test]
    fn any_tokens_load_or_report_errors(tokens in proptest::collection::vec(0..TOKENS.len(), 0..60)) {
        let text: String = tokens.into_iter().map(|token| TOKENS[token]).collect();
        assert_loads_or_reports(text.as_bytes());
    }

    #[test]
    fn any_mutation_of_a_file_loads_or_reports_errors(
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
        assert_loads_or_reports(&bytes);
    }
}
