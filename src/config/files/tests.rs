//! The configuration of several files: what each file adds, and what an error in one of them does.

use std::fmt::Write as _;
use std::path::Path;

use super::discover::{FileText, Text};
use super::memory::Memory;
use super::report::LoadedFiles;
use super::resolve::resolve;
use crate::config::ConfigError;
use crate::config::heal::HealMode;
use crate::config::kinds::KindSettings;

/// Files that are loaded several times.
#[derive(Default)]
struct Files {
    memory: Memory,
}

impl Files {
    fn load(&mut self, files: &[(&str, &str)]) -> Result<LoadedFiles, ConfigError> {
        let files: Vec<FileText> = files
            .iter()
            .map(|(name, text)| {
                let text = match *text {
                    UNREADABLE => Text::Unreadable("Permission denied".to_owned()),
                    UNKNOWN => Text::Unknown,
                    text => Text::Bytes(text.as_bytes().into()),
                };
                FileText::new((*name).into(), text)
            })
            .collect();
        resolve(&files, &mut self.memory)
    }

    /// Loads files that are valid.
    fn valid(&mut self, files: &[(&str, &str)]) -> LoadedFiles {
        let loaded = self.load(files).unwrap_or_else(|errors| panic!("{errors}"));
        assert_eq!(errors(&loaded), "", "{files:?}");
        assert!(loaded.files.iter().all(|file| file.is_valid));
        loaded
    }

    /// Loads files of which some have errors.
    fn partly(&mut self, files: &[(&str, &str)]) -> LoadedFiles {
        let loaded = self.load(files).unwrap_or_else(|errors| panic!("{errors}"));
        assert!(loaded.errors.is_some(), "{files:?}");
        loaded
    }
}

const UNREADABLE: &str = "(unreadable)";
const UNKNOWN: &str = "(unknown)";

/// A service with this key and more keys.
fn service(key: &str, more: &str) -> String {
    format!("services: [{{ key: {key}, url: 'http://{key}/'{more} }}]\n")
}

fn keys(loaded: &LoadedFiles) -> Vec<&str> {
    let services = loaded.config.services.iter();
    services.map(|service| service.key.as_str()).collect()
}

fn errors(loaded: &LoadedFiles) -> String {
    lines(loaded.errors.as_ref().map_or(&[][..], |errors| &errors.errors))
}

fn lines(found: &[crate::config::Diagnostic]) -> String {
    found.iter().fold(String::new(), |mut text, found| {
        let _ = writeln!(text, "{found}");
        text
    })
}

/// The names of the invalid files.
fn invalid(loaded: &LoadedFiles) -> Vec<&str> {
    let invalid = loaded.files.iter().filter(|file| !file.is_valid);
    invalid.map(|file| &*file.name).collect()
}

fn dependencies<'a>(loaded: &'a LoadedFiles, key: &str) -> Vec<&'a str> {
    let service = loaded
        .config
        .services
        .iter()
        .find(|service| service.key.as_str() == key);
    service
        .unwrap()
        .depends_on
        .iter()
        .map(|key| key.as_str())
        .collect()
}

#[test]
fn each_file_adds_services_modules_and_windows() {
    let loaded = Files::default().valid(&[
        (
            "main.yml",
            "defaults: { interval: 7s }\nprobe: { max_concurrent: 3 }\nmaintenance: [{ groups: [shop], weekly: [sun], at: '03:00', for: 1h }]\n",
        ),
        ("a.yml", &format!("{}modules: {{ m: {{ prober: http }} }}\n", service("web", ", depends_on: [db]"))),
        (
            "b.yaml",
            &format!(
                "{}modules: {{ n: {{ prober: tcp }} }}\nmaintenance: [{{ name: night, services: [web], cron: '0 3 * * *', for: 1h }}]\n",
                service("db", ", group: shop")
            ),
        ),
    ]);
    let config = &loaded.config;
    assert_eq!(keys(&loaded), ["web", "db"]);
    assert_eq!(config.services[0].checks[0].interval.as_secs(), 7);
    assert_eq!(dependencies(&loaded, "web"), ["db"]);
    assert_eq!(config.probe.max_concurrent, 3);
    assert_eq!(config.probe.modules.usable.keys().collect::<Vec<_>>(), ["m", "n"]);
    let windows: Vec<_> = config
        .maintenance
        .iter()
        .map(|window| {
            let services = window.services.iter().flatten().map(|key| key.as_str());
            (&*window.name, services.collect::<Vec<_>>())
        })
        .collect();
    assert_eq!(
        windows,
        [("maintenance[0] of main.yml", vec!["db"]), ("night", vec!["web"])]
    );
}

#[test]
fn a_single_file_is_the_same_as_its_text() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/config/upkeep.example.yml");
    let text = std::fs::read_to_string(path).unwrap();
    let loaded = Files::default().valid(&[(path, &text)]);
    assert_eq!(loaded.config, crate::config::parse(&text, path).unwrap().config);
}

#[test]
fn positions_are_those_in_the_file() {
    let loaded = Files::default().partly(&[
        ("a.yml", &service("a", "")),
        ("b.yml", "services:\n  - { key: b, url: 'http://b/' }\n  - { key: c, url: 'http://c/', intervall: 5s }\n"),
        (
            "c.yml",
            "maintenance:\n  - { services: [d], weekly: [sun], at: '03:00', for: 1h }\nmodules:\n  m: { prober: http, http: { methodd: GET } }\n",
        ),
        ("d.yml", "defaults: { interval: 1 }\nservise: []\n"),
    ]);
    assert_eq!(keys(&loaded), ["a"]);
    assert_eq!(invalid(&loaded), ["b.yml", "c.yml", "d.yml"]);
    let errors = errors(&loaded);
    for expected in [
        "b.yml:3:33: services[1].intervall: unknown key",
        "c.yml:2:18: maintenance[0].services[0]: unknown service",
        "c.yml:4:30: modules.m.http.methodd: unknown key",
        "d.yml:1:23: defaults.interval: ",
        "d.yml:2:1: servise: unknown key",
    ] {
        assert!(errors.contains(expected), "{expected}\n{errors}");
    }
    assert!(
        loaded.errors.unwrap().to_string().ends_with("errors in 3 files"),
        "the count names all files"
    );
}

#[test]
fn the_last_valid_content_of_a_file_with_errors_stays_in_use() {
    let mut files = Files::default();
    let good = format!(
        "{}modules: {{ m: {{ prober: http }} }}\nmaintenance: [{{ weekly: [sun], at: '03:00', for: 1h }}]\n",
        service("web", ", depends_on: [db]")
    );
    let first = files.valid(&[("a.yml", &good), ("b.yml", &service("db", ""))]);
    for broken in [
        "services: [",
        "services: [{ key: web }]",
        "",
        UNREADABLE,
        UNKNOWN,
        "{ servises: [] }",
        "- 1",
    ] {
        let loaded = files.partly(&[
            ("a.yml", broken),
            ("b.yml", &service("db", "")),
            ("c.yml", "x: ["),
        ]);
        assert_eq!(loaded.config, first.config, "{broken}");
        let expected: &[&str] = if broken == UNKNOWN {
            &["c.yml"]
        } else {
            &["a.yml", "c.yml"]
        };
        assert_eq!(invalid(&loaded), expected, "{broken}");
    }
    // The other files change meanwhile, even what the file needs.
    let loaded = files.partly(&[("a.yml", "services: ["), ("b.yml", &service("cache", ""))]);
    assert_eq!(keys(&loaded), ["web", "cache"]);
    assert_eq!(dependencies(&loaded, "web"), [""; 0]);
    let loaded = files.partly(&[("a.yml", "services: ["), ("b.yml", &service("db", ""))]);
    assert_eq!(dependencies(&loaded, "web"), ["db"]);
    // A removed file is no error.
    let loaded = files.valid(&[("b.yml", &service("db", ""))]);
    assert_eq!(keys(&loaded), ["db"]);
    let loaded = files.partly(&[("a.yml", "services: ["), ("b.yml", &service("db", ""))]);
    assert_eq!(keys(&loaded), ["db"]);
}

#[test]
fn the_defaults_of_a_broken_file_stay_in_use() {
    let mut files = Files::default();
    let main = "defaults: { interval: 7s }\n";
    files.valid(&[("main.yml", main), ("a.yml", &service("a", ""))]);
    let loaded = files.partly(&[("main.yml", "defaults: {"), ("a.yml", &service("b", ""))]);
    assert_eq!(keys(&loaded), ["b"]);
    assert_eq!(loaded.config.services[0].checks[0].interval.as_secs(), 7);
    // They count as in use, so another file can't have some.
    let other = format!("defaults: {{ interval: 9s }}\n{}", service("c", ""));
    let loaded = files.partly(&[("a.yml", &other), ("main.yml", "defaults: {")]);
    assert_eq!(keys(&loaded), ["b"]);
    let errors = errors(&loaded);
    assert!(
        errors.starts_with("a.yml:1:1: defaults: global keys (defaults, tiers, ")
            && errors.contains(
                ") are also in main.yml, whose last valid content is in use: keep all of them in one file\n"
            ),
        "{errors}"
    );
}

#[test]
fn a_key_in_two_files_is_an_error_at_both() {
    let first = format!("# a\n{}", service("web", ", name: first"));
    let second =
        "services:\n  - { key: db, url: 'http://db/' }\n  - { key: web, url: 'http://web/', name: second }\n";
    let expected = "a.yml:2:19: services[0].key: web is also the key of a service in b.yml:3: use a unique key\n\
                    b.yml:3:12: services[1].key: web is also the key of a service in a.yml:2: use a unique key\n";
    // At the start, the first file is used.
    let loaded = Files::default().partly(&[("a.yml", &first), ("b.yml", second)]);
    assert_eq!(errors(&loaded), expected);
    assert_eq!(keys(&loaded), ["web"]);
    assert_eq!(invalid(&loaded), ["a.yml", "b.yml"]);
    // Later, the file in use.
    let mut files = Files::default();
    files.valid(&[("b.yml", second)]);
    for _ in 0..2 {
        let loaded = files.partly(&[("a.yml", &first), ("b.yml", second)]);
        assert_eq!(errors(&loaded), expected);
        assert_eq!(keys(&loaded), ["db", "web"]);
        assert_eq!(loaded.config.services[1].name, "second");
    }
    // A service moves from one file to another, which has an error.
    let mut files = Files::default();
    files.valid(&[("a.yml", &first), ("b.yml", &service("db", ""))]);
    let loaded = files.partly(&[("a.yml", "services: ["), ("b.yml", second)]);
    assert_eq!(keys(&loaded), ["web", "db"]);
    assert_eq!(loaded.config.services[0].name, "first");
    let loaded = files.valid(&[("b.yml", second)]);
    assert_eq!(keys(&loaded), ["db", "web"]);
}

#[test]
fn a_key_that_is_made_of_a_name_is_unique_in_all_files() {
    let named = "services: [{ name: Web, port: 1 }]\n";
    let loaded = Files::default().partly(&[("a.yml", named), ("b.yml", &service("web", ", enabled: false"))]);
    assert_eq!(
        errors(&loaded),
        "a.yml:1:20: services[0].name: web, the key that is made of this name, is also the key of a service in b.yml:1: add a unique key\n\
         b.yml:1:19: services[0].key: web is also the key of a service in a.yml:1: use a unique key\n"
    );
    assert_eq!(keys(&loaded), ["web"]);
    assert_eq!(loaded.config.disabled, []);
    assert_eq!(loaded.config.derived_keys.len(), 1);
}

#[test]
fn what_is_turned_off_in_a_broken_file_stays_off() {
    let mut files = Files::default();
    let off = "services: [{ name: Web, port: 1, enabled: false }]\n";
    let loaded = files.valid(&[("a.yml", off)]);
    assert_eq!(loaded.config.disabled.len(), 1);
    let loaded = files.partly(&[("a.yml", "services: ["), ("b.yml", &service("db", ""))]);
    assert_eq!(keys(&loaded), ["db"]);
    assert_eq!(loaded.config.disabled.len(), 1);
    assert_eq!(loaded.config.derived_keys.len(), 1);
    // Its key is still in use.
    let loaded = files.partly(&[("a.yml", "services: ["), ("b.yml", &service("web", ""))]);
    assert_eq!(keys(&loaded), ["db"]);
}

#[test]
fn names_of_modules_and_windows_and_global_keys_are_unique() {
    let text = |key: &str| {
        format!(
            "{}modules: {{ m: {{ prober: http }} }}\nmaintenance: [{{ name: night, weekly: [sun], at: '03:00', for: 1h }}]\ndefaults: {{}}\n",
            service(key, "")
        )
    };
    let loaded = Files::default().partly(&[("a.yml", &text("a")), ("b.yml", &text("b"))]);
    assert_eq!(keys(&loaded), ["a"]);
    assert_eq!(loaded.config.maintenance.len(), 1);
    let errors = errors(&loaded);
    for (this, other) in [("a.yml", "b.yml"), ("b.yml", "a.yml")] {
        for expected in [
            format!("{this}:2:12: modules.m: a module of {other}:2 has the same name: use a unique name"),
            format!(
                "{this}:3:23: maintenance[0].name: a maintenance window in {other}:3 has the same name: use a unique name"
            ),
            format!(") are also in {other}:4: keep all of them in one file"),
        ] {
            assert!(errors.contains(&expected), "{expected}\n{errors}");
        }
    }
    assert_eq!(errors.lines().count(), 6, "{errors}");
}

#[test]
fn a_cycle_over_two_files_is_an_error_of_one() {
    let mut files = Files::default();
    files.valid(&[
        ("b.yml", &service("b", "")),
        ("c.yml", &service("c", ", depends_on: [b]")),
    ]);
    // The file that did not change is found first, and its content stays in use.
    let loaded = files.partly(&[
        ("b.yml", &service("b", ", depends_on: [c]")),
        ("c.yml", &service("c", ", depends_on: [b]")),
    ]);
    assert_eq!(keys(&loaded), ["b", "c"]);
    assert_eq!(dependencies(&loaded, "c"), ["b"]);
    assert_eq!(dependencies(&loaded, "b"), [""; 0]);
    assert!(
        errors(&loaded).contains("in a cycle (b -> c -> b)"),
        "{}",
        errors(&loaded)
    );
}

#[test]
fn a_reference_to_a_file_with_errors_is_a_warning() {
    let web = format!(
        "{}maintenance: [{{ services: [db, web], groups: [shop], weekly: [sun], at: '03:00', for: 1h }}]\n",
        service("web", ", depends_on: [db]")
    );
    let loaded = Files::default().partly(&[("a.yml", &web), ("b.yml", "services: [")]);
    assert_eq!(invalid(&loaded), ["b.yml"]);
    assert_eq!(dependencies(&loaded, "web"), [""; 0]);
    let warnings = lines(&loaded.warnings);
    for expected in [
        "a.yml:1:57: warning: services[0].depends_on[0]: unknown service: ignored, because it may be in a file with errors",
        "maintenance[0].services[0]: unknown service: ignored",
        "maintenance[0].groups[0]: unknown group: ignored",
    ] {
        assert!(warnings.contains(expected), "{expected}\n{warnings}");
    }
    let services = loaded.config.maintenance[0].services.as_ref().unwrap();
    assert_eq!(
        services.iter().map(|key| key.as_str()).collect::<Vec<_>>(),
        ["web"]
    );
}

#[test]
fn a_reference_to_a_service_whose_key_is_wrong_is_a_warning() {
    let web = service("web", ", depends_on: [db]");
    for broken in [
        "services: [{ key: DB, url: 'http://db/' }]\n",
        "servises: [{ key: db, url: 'http://db/' }]\n",
        "services: { key: db, url: 'http://db/' }\n",
    ] {
        let loaded = Files::default().partly(&[("a.yml", &web), ("b.yml", broken)]);
        assert_eq!(
            (keys(&loaded), invalid(&loaded)),
            (vec!["web"], vec!["b.yml"]),
            "{broken}"
        );
        let warnings = lines(&loaded.warnings);
        assert!(
            warnings.contains("services[0].depends_on[0]: unknown service: ignored"),
            "{broken}: {warnings}"
        );
    }
    // The last valid content has the service, so there is no warning.
    let mut files = Files::default();
    files.valid(&[("a.yml", &web), ("b.yml", &service("db", ""))]);
    let loaded = files.partly(&[("a.yml", &web), ("b.yml", "servises: []\n")]);
    assert_eq!(invalid(&loaded), ["b.yml"]);
    let warnings = lines(&loaded.warnings);
    assert!(!warnings.contains("unknown service"), "{warnings}");
    assert_eq!(dependencies(&loaded, "web"), ["db"]);
    // Without another error, the reference is wrong.
    let loaded = Files::default().partly(&[("a.yml", &web), ("b.yml", &service("cache", ""))]);
    assert_eq!((keys(&loaded), invalid(&loaded)), (vec!["cache"], vec!["a.yml"]));
}

#[test]
fn without_the_file_of_the_limits_nothing_is_healed_or_probed() {
    let text =
        "services: [{ key: web, systemd: web, heal: { mode: act } }]\nmodules: { m: { prober: http } }\n";
    let is_restricted = |loaded: &LoadedFiles| {
        let heals = loaded
            .config
            .services
            .iter()
            .any(|service| service.heal.is_some());
        let probes = !loaded.config.probe.modules.usable.is_empty();
        assert_eq!(heals, probes);
        assert_eq!(loaded.config.probe.modules.unusable.contains_key("m"), !probes);
        !heals
    };
    for (broken, expected) in [
        ("probe: { allow: [", true),
        ("defaults: { heal: { mode: sleep } }", true),
        ("prob: { allow: [] }", true),
        ("default: { heal: { mode: 'off' } }", true),
        (UNREADABLE, true),
        ("services: [", false),
        ("services: [{ key: A }]", false),
    ] {
        let loaded = Files::default().partly(&[("a.yml", text), ("main.yml", broken)]);
        assert_eq!(is_restricted(&loaded), expected, "{broken}");
        assert_eq!(
            lines(&loaded.warnings).contains("main.yml: warning: until this file is valid"),
            expected,
            "{broken}"
        );
    }
    // Another file has global keys, but no limits.
    let without_limits = format!("logging: {{}}\n{text}");
    let loaded = Files::default().partly(&[("a.yml", &without_limits), ("main.yml", "probe: [")]);
    assert!(is_restricted(&loaded));
    // Another file has them.
    let with_limits = format!("probe: {{ max_concurrent: 3 }}\n{text}");
    let loaded = Files::default().partly(&[("a.yml", &with_limits), ("b.yml", "probe: [")]);
    assert!(!is_restricted(&loaded));
    // The last valid content has them.
    let mut files = Files::default();
    files.valid(&[("a.yml", text), ("main.yml", "defaults: { heal: { after: 3 } }")]);
    let loaded = files.partly(&[("a.yml", text), ("main.yml", "defaults: {")]);
    assert!(!is_restricted(&loaded));
    let heal = loaded.config.services[0].heal.as_ref().unwrap();
    assert_eq!(heal.mode, HealMode::Act);
}

#[test]
fn a_directory_of_programs_that_is_removed_is_forbidden_at_once() {
    let main = |directory: &str| format!("exec: {{ allowed_directories: [{directory}] }}\n");
    let programs = "services: [{ key: a, checks: [{ kind: exec, command: [/usr/bin/env] }] }]\n";
    let allowed = |loaded: &LoadedFiles| match &loaded.config.services[0].checks[0].kind {
        KindSettings::Exec(exec) => exec.allowed.to_vec(),
        other => panic!("{other:?}"),
    };
    let mut files = Files::default();
    let loaded = files.valid(&[("main.yml", &main("/usr/bin")), ("a.yml", programs)]);
    assert_eq!(allowed(&loaded), [Path::new("/usr/bin")]);
    // The last valid content of a.yml stays in use, but may not run its program.
    let loaded = files.partly(&[("main.yml", &main("/usr/share")), ("a.yml", programs)]);
    assert_eq!(invalid(&loaded), ["a.yml"]);
    let found = errors(&loaded);
    assert!(
        found.contains("not in one of exec.allowed_directories"),
        "{found}"
    );
    assert_eq!(allowed(&loaded), [Path::new("/usr/share")]);
    // Without the file that lists the directories, there are none.
    let loaded = Files::default().partly(&[("main.yml", "exec: ["), ("a.yml", programs)]);
    assert_eq!(invalid(&loaded), ["main.yml"]);
    assert_eq!(allowed(&loaded), [] as [&Path; 0]);
    let warnings = lines(&loaded.warnings);
    assert!(warnings.contains("does not run until"), "{warnings}");
}

#[test]
fn without_any_valid_file_loading_fails() {
    let failed = |files: &[(&str, &str)]| Files::default().load(files).unwrap_err().to_string();
    assert_eq!(
        failed(&[("a.yml", "services: {}"), ("b.yml", UNREADABLE)]),
        "a.yml:1:11: services: expected a list of services, found a mapping\nb.yml: Permission denied\n2 errors in 2 files"
    );
    assert_eq!(
        failed(&[("a.yml", "defaults: {}")]),
        "a.yml: services is missing: list the services to check, modules for /probe, or process_groups\n1 error in a.yml"
    );
    assert!(
        failed(&[("a.yml", "defaults: {}"), ("b.yml", "tiers:")])
            .contains("no file has services, modules or process_groups")
    );
    // At run time, everything stays in use.
    let mut files = Files::default();
    let first = files.valid(&[("a.yml", &service("a", ""))]);
    for nothing in [&[("a.yml", "defaults: {}")][..], &[]] {
        let loaded = files.partly(nothing);
        assert_eq!(loaded.config, first.config);
    }
    assert_eq!(files.partly(&[("a.yml", "defaults: {")]).config, first.config);
}

#[test]
fn sections_of_the_wrong_type_are_errors_of_their_file() {
    let loaded = Files::default().partly(&[
        ("a.yml", &service("a", "")),
        ("b.yml", "services: { key: b }\nmaintenance: 1\nmodules: []\n"),
    ]);
    assert_eq!(
        errors(&loaded),
        "b.yml:1:11: services: expected a list of services, found a mapping\n\
         b.yml:2:14: maintenance: expected a list of maintenance windows, found a number\n\
         b.yml:3:10: modules: expected a mapping of modules by name, found a list\n"
    );
}

#[test]
fn the_limit_of_values_is_for_all_files() {
    // 20 values per alias, 40,000 aliases.
    let item = ["1"; 19].join(",");
    let aliases = vec!["*a"; 40_000].join(",");
    let large = format!("logging: {{ a: &a [{item}], b: [{aliases}] }}\n");
    let loaded = Files::default().partly(&[
        ("a.yml", &format!("{large}{}", service("a", ""))),
        ("b.yml", &format!("{large}{}", service("b", ""))),
    ]);
    assert_eq!(keys(&loaded), ["a"]);
    assert!(errors(&loaded).contains("b.yml:1:"), "{}", errors(&loaded));
    assert!(errors(&loaded).contains("the files have more than 1000000 values"));
}

#[test]
fn each_file_is_shown_with_its_name_and_without_secrets() {
    let mut files = Files::default();
    let web = service("web", "");
    let db = format!(
        "{}modules: {{ m: {{ prober: http, http: {{ bearer_token: hunter2 }} }} }}\n",
        service("db", "")
    );
    let shown = |loaded: LoadedFiles| loaded.config.shown.0;
    let single = shown(files.valid(&[("a.yml", &web)]));
    assert!(
        single.starts_with("services:") && single.contains("key: web"),
        "{single}"
    );
    let broken = shown(files.partly(&[("a.yml", &web), ("b.yml", "services: [")]));
    assert_eq!(
        *broken,
        format!("---\n# a.yml\n{single}---\n# b.yml (no valid content)\n")
    );
    let both = shown(files.valid(&[("a.yml", &web), ("b.yml", &db)]));
    assert!(
        both.starts_with(&format!("---\n# a.yml\n{single}---\n# b.yml\nservices:")),
        "{both}"
    );
    assert!(
        both.contains("bearer_token: <secret>") && !both.contains("hunter2"),
        "{both}"
    );
    let last = shown(files.partly(&[("a.yml", &web), ("b.yml", "services: [")]));
    assert_eq!(*last, both.replace("# b.yml\n", "# b.yml (last valid content)\n"));
}

#[test]
fn an_empty_list_of_services_is_fine_if_another_file_has_content() {
    let loaded = Files::default().valid(&[
        ("a.yml", "services: []\n"),
        ("b.yml", "services: []\nmodules: { m: { prober: http } }\n"),
    ]);
    assert_eq!(keys(&loaded), [""; 0]);
    assert_eq!(loaded.config.probe.modules.usable.len(), 1);
}

#[test]
fn a_token_of_a_job_in_two_files_is_an_error() {
    let job = |key: &str| {
        format!(
            "services: [{{ key: {key}, checks: [{{ kind: heartbeat, token: 0123456789abcdef, every: 1h }}] }}]\n"
        )
    };
    let expected = "b.yml:1:57: services[0].checks[0].token: the check a/heartbeat has the same token, so the beats of both would be \
                    rejected: create another one with `openssl rand -hex 16`\n";
    let loaded = Files::default().partly(&[("a.yml", &job("a")), ("b.yml", &job("b"))]);
    assert_eq!(errors(&loaded), expected);
    assert_eq!(keys(&loaded), ["a"]);
    // The file of the first one has an error now, but its last valid content is in use.
    let mut files = Files::default();
    files.valid(&[("a.yml", &job("a"))]);
    let loaded = files.partly(&[("a.yml", "services: ["), ("b.yml", &job("b"))]);
    assert!(errors(&loaded).ends_with(expected), "{}", errors(&loaded));
    assert_eq!(keys(&loaded), ["a"]);
}
