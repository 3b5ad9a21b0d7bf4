//! Every key of the main branch of blackbox_exporter: all of them load, or docs/BLACKBOX-DIFFERENCES.md has the reason.

use std::fs;

use upkeep_exporter::config::parse;

use crate::common::targets::tls;

fn document() -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/BLACKBOX-DIFFERENCES.md");
    fs::read_to_string(path).unwrap()
}

/// The keys of the main branch, one a line: the prober, and its options with the key. A line that begins with `#` is a comment.
/// CERTIFICATE and PRIVATE_KEY stand for PEM texts.
const KEYS: &str = include_str!("keys_of_main.txt");

#[test]
fn every_key_of_the_main_branch_loads_or_is_documented() {
    let document = document();
    let identity = tls::self_signed(&["example.org"]);
    let quoted = |pem: &str| format!("\"{}\"", pem.replace('\n', "\\n"));
    let filled = KEYS
        .replace("CERTIFICATE", &quoted(&identity.certificate))
        .replace("PRIVATE_KEY", &quoted(&identity.key));
    let mut wrong = Vec::new();
    for line in filled
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
    {
        let (prober, options) = line.split_once(' ').unwrap();
        // The other keys that every module of the prober needs.
        let more = match prober {
            "dns" if !options.contains("query_name") => ", query_name: example.org",
            _ => "",
        };
        let module = match prober {
            "module" => options.to_owned(),
            _ => format!("prober: {prober}, {prober}: {{ {options}{more} }}"),
        };
        let text = format!("modules: {{ m: {{ {module} }} }}\n");
        let Err(error) = parse(&text, "keys.yml") else {
            continue;
        };
        let error = error.to_string();
        // Each error names the path of a key.
        let paths = error
            .split_whitespace()
            .filter(|word| word.starts_with("modules.m."));
        let keys: Vec<&str> = paths
            .filter_map(|path| path.trim_end_matches(':').rsplit('.').next())
            .collect();
        let is_documented = |key: &&str| {
            let key = key.split('[').next().unwrap_or(key);
            document.contains(&format!("`{key}`")) || document.contains(&format!("`{key}: "))
        };
        if keys.is_empty() || !keys.iter().all(is_documented) {
            wrong.push(format!("{line}: {error}"));
        }
    }
    assert!(
        wrong.is_empty(),
        "neither accepted nor in docs/BLACKBOX-DIFFERENCES.md:\n{}",
        wrong.join("\n")
    );
}
