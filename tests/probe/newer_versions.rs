//! The files that blackbox_exporter ships, from 0.23 to the main branch, and every key of the main branch: all of them load, or
//! docs/BLACKBOX-DIFFERENCES.md has the reason.

use std::fs;
use std::path::PathBuf;

use upkeep_exporter::config::parse;

use crate::common::targets::tls;

/// The files by version, which are shared with other projects.
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/blackbox-files");
/// How many files there are at least.
const MIN_FILES: usize = 14;

fn document() -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/BLACKBOX-DIFFERENCES.md");
    fs::read_to_string(path).unwrap()
}

/// Whether every key that the error is about is named in the document, which has the reason why it is not supported.
fn names_documented_keys(error: &str, document: &str) -> bool {
    let paths = error
        .split_whitespace()
        .filter(|word| word.starts_with("modules."));
    let keys = paths.filter_map(|path| path.trim_end_matches(':').rsplit('.').next());
    let keys: Vec<&str> = keys.map(|key| key.split('[').next().unwrap_or(key)).collect();
    let is_documented =
        |key: &&str| document.contains(&format!("`{key}`")) || document.contains(&format!("`{key}: "));
    !keys.is_empty() && keys.iter().all(is_documented)
}

#[test]
fn every_file_that_blackbox_exporter_ships_loads() {
    let entries = fs::read_dir(FOLDER).unwrap_or_else(|error| {
        panic!(
            "reading {FOLDER}: {error}\nThis test needs the configuration files that blackbox_exporter ships (blackbox.yml, \
             example.yml and config/testdata/blackbox-good.yml of each version), beside the repository"
        )
    });
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yml"))
        .collect();
    files.sort();
    assert!(
        files.len() >= MIN_FILES,
        "{FOLDER} has {} files, expected at least {MIN_FILES}",
        files.len()
    );
    let mut wrong = Vec::new();
    for file in files {
        let name = file.file_name().unwrap().to_str().unwrap();
        match parse(&fs::read_to_string(&file).unwrap(), name) {
            Err(error) => wrong.push(format!("{name}: {error}")),
            Ok(loaded) => {
                let modules = &loaded.config.probe.modules;
                assert!(!modules.usable.is_empty(), "{name} has no modules");
                // Their own test file has a module with an unknown prober.
                let unusable = modules
                    .unusable
                    .iter()
                    .filter(|(module, _)| *module != "grpc_health");
                wrong.extend(unusable.map(|(module, why)| format!("{name}: {module}: {why}")));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
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
        if !names_documented_keys(&error, &document) {
            wrong.push(format!("{line}: {error}"));
        }
    }
    assert!(
        wrong.is_empty(),
        "neither accepted nor in docs/BLACKBOX-DIFFERENCES.md:\n{}",
        wrong.join("\n")
    );
}
