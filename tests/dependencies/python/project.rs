//! A project with an environment, the tools that judge it, and the check.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

use crate::common::ran::{LONG, Ran, check, run};

/// The names of packages.
pub type Names = BTreeSet<String>;

/// Where tests/setup.sh installs the tools and the wheels.
pub fn tools() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/dep-tools/python");
    assert!(folder.join("installed").exists(), "run tests/setup.sh first");
    folder
}

/// The wheels of the packages.
pub fn wheels() -> PathBuf {
    tools().join("wheels")
}

/// The name in the form in which names are compared.
pub fn normalize(name: &str) -> String {
    name.to_lowercase().replace(['_', '.'], "-")
}

/// Names from a list of words.
pub fn names(words: &[&str]) -> Names {
    words.iter().map(|word| normalize(word)).collect()
}

/// A directory with `.venv` and files.
pub struct Project {
    directory: TempDir,
}

/// What the check found.
#[derive(Debug)]
pub struct Found {
    /// `state name`.
    pub findings: BTreeSet<String>,
    /// The command for all findings.
    pub fix: Option<String>,
    /// The result of the run, as a text.
    pub result: String,
    /// How many dependencies are satisfied.
    pub satisfied: f64,
}

impl Found {
    /// The names of packages that must be installed, as pip and uv list them.
    pub fn to_install(&self) -> Names {
        let findings = self.findings.iter().filter_map(|finding| finding.split_once(' '));
        let relevant = findings.filter(|(state, _)| matches!(*state, "missing" | "mismatched"));
        relevant.map(|(_, name)| name.to_owned()).collect()
    }
}

impl Project {
    /// A project without an environment.
    pub fn empty() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let project = Self { directory };
        project.write("uv-config.toml", "no-index = true\nfind-links = [\"{wheels}\"]\n");
        project
    }

    /// A project with an environment that has these packages, without their dependencies.
    pub fn new(packages: &[&str]) -> Self {
        let project = Self::empty();
        project.uv(&["venv", "--quiet", "--python", "/usr/bin/python3", ".venv"]);
        project.install(packages);
        project
    }

    /// The path of a file.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The directory, as a text.
    pub fn root(&self) -> String {
        self.directory.path().display().to_string()
    }

    /// Writes a file. `{dir}` becomes the directory of the project, `{wheels}` that of the wheels.
    pub fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, self.fill(text)).unwrap();
    }

    /// Replaces the placeholders of [`Self::write`].
    pub fn fill(&self, text: &str) -> String {
        let wheels = wheels().display().to_string();
        text.replace("{dir}", &self.root()).replace("{wheels}", &wheels)
    }

    /// Writes a library `app` that flit builds.
    pub fn write_library(&self, below: &str, version: &str, dependencies: &str) {
        let project = format!(
            "[build-system]\nrequires = [\"flit-core\"]\nbuild-backend = \"flit_core.buildapi\"\n[project]\nname = \"app\"\n\
             version = \"{version}\"\ndescription = \"x\"\ndependencies = [{dependencies}]\n"
        );
        self.write(&format!("{below}/pyproject.toml"), &project);
        self.write(&format!("{below}/app.py"), "");
    }

    /// Installs packages, without their dependencies.
    pub fn install(&self, packages: &[&str]) {
        if packages.is_empty() {
            return;
        }
        let packages: Vec<String> = packages.iter().map(|package| self.fill(package)).collect();
        let mut arguments = vec!["pip", "install", "--quiet", "--no-deps", "--python", ".venv"];
        arguments.extend(packages.iter().flat_map(|package| package.split(' ')));
        self.uv(&arguments);
    }

    /// Removes packages.
    pub fn remove(&self, packages: &[&str]) {
        let mut arguments = vec!["pip", "uninstall", "--quiet", "--python", ".venv"];
        arguments.extend(packages);
        self.uv(&arguments);
    }

    /// Runs uv, which must succeed.
    pub fn uv(&self, arguments: &[&str]) {
        let output = self
            .command(&tools().join("uv/bin/uv"))
            .args(arguments)
            .output()
            .unwrap();
        assert!(output.status.success(), "uv {arguments:?}: {}", text(&output));
    }

    /// A command in the project, whose tools use only the wheels.
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        let tools = tools();
        let path = format!("{}:/usr/bin:/bin", tools.join("uv/bin").display());
        command
            .current_dir(self.directory.path())
            .env_clear()
            .env("PATH", path)
            .env("HOME", self.directory.path())
            .env("PYTHONNOUSERSITE", "1")
            .env("PIP_NO_INDEX", "1")
            .env("PIP_FIND_LINKS", wheels())
            .env("PIP_DISABLE_PIP_VERSION_CHECK", "1")
            .env("UV_CONFIG_FILE", self.path("uv-config.toml"))
            .env("UV_CACHE_DIR", tools.join("cache"))
            .env("UV_LINK_MODE", "copy");
        command
    }

    /// Runs a recent pip with the environment's interpreter.
    fn pip(&self, arguments: &[String]) -> Output {
        self.pip_of(&self.path(".venv/bin/python"), arguments)
    }

    /// Runs a recent pip with an interpreter.
    pub fn pip_of(&self, python: &Path, arguments: &[String]) -> Output {
        self.command(python)
            .arg(tools().join("pip/pip"))
            .args(arguments)
            .output()
            .unwrap()
    }

    /// The packages that `pip check` finds missing or mismatched.
    pub fn pip_check(&self) -> Names {
        self.pip_check_of(&self.path(".venv/bin/python"))
    }

    /// As above, for any interpreter.
    pub fn pip_check_of(&self, python: &Path) -> Names {
        let output = self.pip_of(python, &["check".to_owned()]);
        let printed = text(&output);
        let mut found = Names::new();
        for line in printed.lines() {
            // "a 1 requires b, which is not installed." and "a 1 has requirement b<2, but you have b 3."
            if let Some((_, rest)) = line.split_once(" requires ") {
                found.insert(normalize(rest.split(',').next().unwrap()));
            } else if let Some((_, rest)) = line.split_once("but you have ") {
                found.insert(normalize(rest.split(' ').next().unwrap()));
            } else {
                assert!(line.contains("No broken requirements"), "{printed}");
            }
        }
        found
    }

    /// The packages that `pip install --dry-run` would install.
    pub fn pip_dry_run(&self, arguments: &str) -> Names {
        let mut words: Vec<String> = "install --quiet --dry-run --report -"
            .split(' ')
            .map(str::to_owned)
            .collect();
        words.extend(self.fill(arguments).split(' ').map(str::to_owned));
        let output = self.pip(&words);
        let report: Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}", text(&output)));
        let install = report["install"].as_array().unwrap().iter();
        install
            .map(|item| normalize(item["metadata"]["name"].as_str().unwrap()))
            .collect()
    }

    /// The packages that `uv sync --check` would install, and whether it is satisfied.
    pub fn uv_sync_check(&self, flags: &[&str]) -> (bool, Names) {
        let output = self
            .command(&tools().join("uv/bin/uv"))
            .args(["sync", "--check", "--frozen", "--no-default-groups"])
            .args(flags)
            .output()
            .unwrap();
        let printed = text(&output);
        assert!(matches!(output.status.code(), Some(0 | 1)), "{printed}");
        // `~` installs the same version again from another source.
        let install = |line: &'_ str| {
            line.strip_prefix("+ ")
                .or(line.strip_prefix("~ "))
                .map(str::to_owned)
        };
        let installs = printed.lines().filter_map(|line| install(line.trim()));
        let names = installs
            .map(|line| normalize(line.split(['=', ' ']).next().unwrap()))
            .collect();
        (output.status.success(), names)
    }

    /// Runs the check once. Its keys may have placeholders.
    pub async fn check(&self, keys: &str) -> Found {
        let mut check = check(&format!("kind: python, {}", self.fill(keys)));
        found(&run!(check, LONG))
    }

    /// Runs the check on `.venv`.
    pub async fn check_environment(&self, keys: &str) -> Found {
        self.check(&format!("environment: \"{{dir}}/.venv\"{keys}")).await
    }

    /// Runs a command that the check advises.
    pub fn mend(&self, command: &str) {
        let output = self
            .command(Path::new("/bin/sh"))
            .args(["-c", command])
            .output()
            .unwrap();
        assert!(output.status.success(), "{command}: {}", text(&output));
    }
}

/// What a run found.
pub fn found(ran: &Ran) -> Found {
    let findings = ran.report.findings.list().iter();
    Found {
        findings: findings
            .map(|finding| format!("{} {}", finding.state, finding.subject))
            .collect(),
        fix: ran.report.findings.fix().map(str::to_owned),
        result: match &ran.result {
            Some(Ok(())) => ran
                .report
                .warning
                .as_ref()
                .map_or("ok".to_owned(), ToString::to_string),
            Some(Err(problem)) => problem.to_string(),
            None => format!("timeout while {}", ran.report.step),
        },
        satisfied: ran
            .value("upkeep_dependencies", Some("satisfied"))
            .unwrap_or(-1.0),
    }
}

/// What a command printed.
pub fn text(output: &Output) -> String {
    let both = [&output.stdout[..], &output.stderr].concat();
    String::from_utf8_lossy(&both).into_owned()
}
