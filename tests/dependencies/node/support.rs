//! Runs node checks and package managers.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use upkeep_exporter::check::{Check, CheckContext};
use upkeep_exporter::config;
use upkeep_exporter::model::{Problem, Report};

/// The repository's `target/dep-tools/node`, which has the package managers, their caches and the environments.
pub fn tools() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/dep-tools/node")
}

/// The cache of yarn for this thread. yarn 1 does not lock its cache, so two that unpack the same package at once fail (EEXIST). The others
/// may share theirs.
fn yarn_cache() -> PathBuf {
    static THREADS: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static NUMBER: usize = THREADS.fetch_add(1, Ordering::Relaxed);
    }
    tools().join(format!("yarn-cache-{}", NUMBER.with(|number| *number)))
}

/// A package manager of a fixed version; npm is the installed one.
pub fn manager(name: &str) -> Command {
    let tools = tools();
    let mut command = match name {
        "npm" | "node" | "git" | "tar" | "cp" | "sh" => Command::new(name),
        _ => {
            let program = tools.join("node_modules/.bin").join(name);
            assert!(program.exists(), "{name} is not installed: run tests/setup.sh");
            Command::new(program)
        }
    };
    let path = std::env::var("PATH").unwrap_or_default();
    command
        .env(
            "PATH",
            format!("{}:{path}", tools.join("node_modules/.bin").display()),
        )
        .env("npm_config_cache", tools.join("npm-cache"))
        .env("npm_config_store_dir", tools.join("pnpm-store"))
        .env("npm_config_prefer_offline", "true")
        .env("npm_config_audit", "false")
        .env("npm_config_fund", "false")
        .env("npm_config_update_notifier", "false")
        .env("npm_config_ignore_scripts", "true")
        // The default differs between versions of npm.
        .env("npm_config_install_links", "false")
        .env("YARN_CACHE_FOLDER", yarn_cache())
        .env("CI", "true")
        .stdin(Stdio::null());
    command
}

/// Runs a command and returns its output. Panics if it fails.
pub fn succeed(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

/// What a run found, by state. Names only.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Found {
    pub missing: BTreeSet<String>,
    pub mismatched: BTreeSet<String>,
    pub unreadable: BTreeSet<String>,
    pub extra: BTreeSet<String>,
}

impl Found {
    /// From words such as `missing:once extra:left`.
    pub fn parse(words: &str) -> Self {
        let mut found = Self::default();
        for word in words.split_whitespace() {
            let (state, name) = word.split_once(':').unwrap();
            found.of(state).insert(name.to_owned());
        }
        found
    }

    pub fn of(&mut self, state: &str) -> &mut BTreeSet<String> {
        match state {
            "missing" => &mut self.missing,
            "mismatched" => &mut self.mismatched,
            "unreadable" => &mut self.unreadable,
            "extra" => &mut self.extra,
            _ => panic!("{state}"),
        }
    }
}

/// A run of a node check.
#[derive(Debug)]
pub struct Run {
    pub result: Result<(), Problem>,
    pub report: Report,
    pub found: Found,
}

impl Run {
    /// The value of `upkeep_dependencies` with this state.
    pub fn count(&self, state: &str) -> Option<f64> {
        let samples = &mut self.report.samples.iter();
        samples
            .find(|sample| sample.family.name == "upkeep_dependencies" && sample.labels[0] == state)
            .map(|sample| sample.value)
    }

    /// The command that mends everything.
    pub fn fix(&self) -> Option<&str> {
        self.report.findings.fix()
    }
}

/// Runs a check of the project in `directory`, with more keys.
pub fn run(directory: &Path, keys: &str) -> Run {
    let text = format!(
        "services: [{{ key: s, checks: [{{ kind: node, directory: \"{}\", {keys} }}] }}]",
        directory.display()
    );
    let loaded = config::parse(&text, "test.yml").unwrap_or_else(|error| panic!("{text}\n{error}"));
    let settings = &loaded.config.services[0].checks[0];
    let mut check = Check::new(settings, &CheckContext::new("/proc".into()));
    let mut report = Report::default();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let result = runtime.block_on(async {
        let run = check.run(&mut report);
        tokio::time::timeout(Duration::from_secs(20), run).await
    });
    let result = result.expect("the run takes longer than 20 s");
    let mut found = Found::default();
    for finding in report.findings.list() {
        found.of(finding.state).insert(finding.subject.clone());
    }
    Run {
        result,
        report,
        found,
    }
}
