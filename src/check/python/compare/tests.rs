//! Each state, command and option on small environments.

use std::path::PathBuf;
use std::str::FromStr;

use pep440_rs::{Version, VersionSpecifiers};

use super::*;
use crate::check::python::direct_url::{DirectUrl, Source};
use crate::check::python::interpreter::{Interpreter, InterpreterOrigin};
use crate::check::python::wanted::Origin;
use crate::config::python::{PythonSettings, PythonSource};

const FILE: &str = "/srv/requirements.txt";

fn name(text: &str) -> Name {
    Name::normalize(text)
}

/// A package with these requirements.
fn package(version: &str, requires: &[&str]) -> Package {
    Package::Installed(Box::new(Installed {
        version: Version::from_str(version).unwrap(),
        requires: requires.iter().map(ToString::to_string).collect(),
        direct_url: None,
        develop: None,
        is_of_system: false,
    }))
}

fn packages(list: &[(&str, &str, &[&str])]) -> Packages {
    let list = list.iter();
    list.map(|(key, version, requires)| (name(key), package(version, requires)))
        .collect()
}

fn wanted(text: &str, line: usize) -> Wanted {
    let requirement = Requirement::parse(text).unwrap();
    Wanted {
        name: Some(requirement.name),
        extras: requirement.extras,
        versions: Versions::Matching(requirement.specifiers),
        source: requirement
            .url
            .map(|url| Source::from_url(&url, &PathBuf::from("/srv"))),
        origin: Origin::file(&PathBuf::from(FILE)).at(line),
    }
}

fn required(format: Format, path: &str, texts: &[&str]) -> Required {
    let lines = texts.iter().enumerate();
    Required {
        files: vec![FileRequirements {
            path: path.into(),
            format,
            wanted: lines.map(|(index, text)| wanted(text, index + 1)).collect(),
            requires_python: None,
            is_complete: false,
        }],
        ..Required::default()
    }
}

fn commands(installed: &Packages) -> Commands {
    let environment = Environment::for_tests("3.11.2");
    let interpreter = Interpreter {
        python: "/srv/.venv/bin/python".into(),
        site_directories: Vec::new(),
        own_directories: 0,
        environment,
        origin: InterpreterOrigin::Venv,
    };
    let settings = PythonSettings {
        source: PythonSource::Environment("/srv/.venv".into()),
        requirements: Vec::new(),
        groups: vec!["dev".to_owned()],
        extras: Vec::new(),
        transitive: false,
        extra: false,
    };
    Commands::new(&interpreter, installed, &settings)
}

fn run(required: &Required, installed: &Packages, options: Options) -> Comparison {
    let environment = Environment::for_tests("3.11.2");
    compare(
        required,
        installed,
        &environment,
        &commands(installed),
        options,
        &|| false,
    )
}

/// The findings as `state name: detail`.
fn shown(comparison: &Comparison) -> Vec<String> {
    let list = comparison.dependencies.iter();
    list.map(|it| format!("{} {}: {}", it.state.as_str(), it.name, it.detail()))
        .collect()
}

const TRANSITIVE: Options = Options {
    transitive: true,
    extra: false,
};

#[test]
fn requirements_are_satisfied_missing_or_mismatched() {
    let installed = packages(&[
        ("a", "1.5", &[]),
        ("b", "1.0", &[]),
        ("pip", "25", &[]),
        ("f", "2.0b1", &[]),
    ]);
    let required = required(
        Format::Requirements,
        FILE,
        &["A>=1", "b>=2,<3", "c", "a<1.2", "f>=1"],
    );
    let comparison = run(&required, &installed, Options::default());
    assert_eq!(comparison.satisfied, 1);
    assert_eq!(
        shown(&comparison),
        [
            "mismatched a: wanted <1.2 (/srv/requirements.txt:4), installed 1.5",
            "mismatched b: wanted >=2,<3 (/srv/requirements.txt:2), installed 1.0",
            "missing c: wanted any version (/srv/requirements.txt:3)",
        ]
    );
    assert_eq!(
        comparison.dependencies[1].fix.as_deref(),
        Some("/srv/.venv/bin/python -m pip install 'b>=2,<3'")
    );
    assert_eq!(
        comparison.fix.as_deref(),
        Some("/srv/.venv/bin/python -m pip install -r /srv/requirements.txt")
    );
}

#[test]
fn the_requirements_of_a_named_extra_count() {
    let installed = packages(&[
        (
            "u",
            "1",
            &["c", "h>=1; extra == 'standard'", "i[x]; extra == 'standard'"],
        ),
        ("i", "1", &["j; extra == 'x'", "k; extra == 'y'"]),
    ]);
    let required = required(Format::Requirements, FILE, &["u[Standard]"]);
    let comparison = run(&required, &installed, Options::default());
    assert_eq!(
        shown(&comparison),
        [
            "missing h: wanted >=1 (required by u)",
            "missing j: wanted any version (required by i)"
        ]
    );
    assert_eq!(
        comparison.fix.as_deref(),
        Some("python3 -m pip --python /srv/.venv/bin/python install 'h>=1' j")
    );
    let names: Vec<String> = run(&required, &installed, TRANSITIVE)
        .dependencies
        .into_iter()
        .map(|it| it.name)
        .collect();
    assert_eq!(names, ["c", "h", "j"]);
}

#[test]
fn an_extra_counts_although_another_package_requires_it_as_well() {
    let installed = packages(&[("a", "1", &["u[x]"]), ("u", "1", &["v; extra == 'x'"])]);
    let required = required(Format::Requirements, FILE, &["a", "u[x]"]);
    let comparison = run(&required, &installed, Options::default());
    assert_eq!(
        shown(&comparison),
        ["missing v: wanted any version (required by u)"]
    );
}

#[test]
fn many_requirements_end_with_a_limit() {
    let requires: Vec<String> = (0..2000).map(|number| format!("a[x{number}]")).collect();
    let requires: Vec<&str> = requires.iter().map(String::as_str).collect();
    let installed = packages(&[("a", "1", &requires)]);
    let required = required(Format::Requirements, FILE, &["a"]);
    let comparison = run(&required, &installed, TRANSITIVE);
    assert_eq!(comparison.dependencies[0].state, State::Unreadable(Reason::Limit));
}

#[test]
fn transitive_asks_what_pip_check_asks() {
    let mut installed = packages(&[
        ("a", "1", &["b>=2", "c; sys_platform == 'win32'", "d", "e==1.*"]),
        ("b", "1", &[]),
        ("e", "1.4", &["bad requirement"]),
    ]);
    installed.insert(
        name("z"),
        Package::Broken(Reason::Permission, "reading z".to_owned()),
    );
    let comparison = run(&Required::default(), &installed, TRANSITIVE);
    assert_eq!(
        shown(&comparison),
        [
            "mismatched b: wanted >=2 (required by a), installed 1",
            "missing d: wanted any version (required by a)",
            "unreadable e: its requirements can't be read: bad: the versions do not follow PEP 440, such as \
             >=1.2,<2",
            "unreadable z: reading z",
        ]
    );
}

#[test]
fn constraints_limit_what_is_required() {
    let installed = packages(&[("a", "1", &["b"]), ("b", "2", &[]), ("other", "1", &[])]);
    let mut required = required(Format::Requirements, FILE, &["a"]);
    required.constraints = ["b<2", "other>5", "absent==1"]
        .iter()
        .map(|text| wanted(text, 9))
        .collect();
    let comparison = run(&required, &installed, Options::default());
    assert_eq!(
        shown(&comparison),
        ["mismatched b: wanted <2 (/srv/requirements.txt:9), installed 2"]
    );
    assert!(comparison.fix.unwrap().ends_with("install 'b<2'"));
}

#[test]
fn extra_packages_are_those_that_nothing_leads_to() {
    let installed = packages(&[
        ("a", "1", &["b", "c; extra == 'x'"]),
        ("b", "1", &[]),
        ("c", "1", &[]),
        ("pip", "25", &[]),
        ("setuptools", "60", &[]),
    ]);
    let options = Options {
        transitive: false,
        extra: true,
    };
    let mut required = required(Format::Requirements, FILE, &["a"]);
    let comparison = run(&required, &installed, options);
    assert_eq!(
        shown(&comparison),
        ["extra c: 1 is installed, nothing requires it"]
    );
    assert_eq!(
        comparison.fix.as_deref(),
        Some("/srv/.venv/bin/python -m pip uninstall -y c")
    );
    // Packages of the system are not extra.
    let mut with_system = installed.clone();
    if let Some(Package::Installed(package)) = with_system.get_mut(&name("c")) {
        package.is_of_system = true;
    }
    assert_eq!(run(&required, &with_system, options).dependencies, []);
    // A lock lists everything.
    required.files[0].is_complete = true;
    let names: Vec<String> = run(&required, &installed, options)
        .dependencies
        .into_iter()
        .map(|it| it.name)
        .collect();
    assert_eq!(names, ["b", "c"]);
}

#[test]
fn a_source_must_be_the_same() {
    let mut installed = packages(&[("a", "1", &[]), ("b", "1", &[]), ("c", "1", &[])]);
    for (key, json) in [
        (
            "b",
            r#"{"url": "https://code.test/b", "vcs_info": {"vcs": "git", "commit_id": "0", "requested_revision": "v1"}}"#,
        ),
        ("c", r#"{"url": "file:///srv/c", "dir_info": {"editable": true}}"#),
    ] {
        let Some(Package::Installed(package)) = installed.get_mut(&name(key)) else {
            panic!()
        };
        package.direct_url = Some(DirectUrl::parse(json.as_bytes()).unwrap());
    }
    let mut required = required(
        Format::Requirements,
        FILE,
        &[
            "a @ https://x.test/a.zip",
            "b @ git+https://user:secret@code.test/b@v2",
            "c @ ./c",
        ],
    );
    required.files[0].wanted[2].source = Some(Source::from_path(&PathBuf::from("/srv/c"), true));
    let comparison = run(&required, &installed, Options::default());
    assert_eq!(comparison.satisfied, 1);
    assert_eq!(
        shown(&comparison),
        [
            "mismatched a: wanted https://x.test/a.zip (/srv/requirements.txt:1), installed 1 from an index",
            "mismatched b: wanted https://code.test/b@v2 (/srv/requirements.txt:2), installed 1 from https://code.test/b@v1",
        ]
    );
    // A directory or a repository without a name is found by where it was installed from.
    required.files[0].wanted.truncate(0);
    let repository = |url| Source::from_url(url, &PathBuf::from("/"));
    for source in [
        Source::from_path(&PathBuf::from("/srv/c"), true),
        repository("git+https://code.test/b.git@v1"),
    ] {
        required.files[0].wanted.push(Wanted {
            name: None,
            source: Some(source),
            ..wanted("x", 1)
        });
    }
    assert_eq!(run(&required, &installed, Options::default()).satisfied, 2);
    required.files[0].wanted[1].source = Some(repository("git+https://code.test/b@v2"));
    assert_eq!(
        shown(&run(&required, &installed, Options::default())),
        [
            "mismatched b: wanted https://code.test/b@v2 (/srv/requirements.txt:1), installed 1 from https://code.test/b@v1"
        ]
    );
}

#[test]
fn a_locked_package_does_not_keep_others_from_their_requirements() {
    let installed = packages(&[("pip", "25", &[])]);
    let commands = commands(&installed);
    let fixed = |name: &str, fix: Option<String>| Dependency {
        name: name.to_owned(),
        state: State::Missing,
        wanted: String::new(),
        installed: None,
        fix,
    };
    let exactly = Versions::Exactly(Version::from_str("1").unwrap());
    let locked = fixed("a", commands.install_versions(&name("a"), &[], &exactly, true));
    let other = fixed(
        "b",
        commands.install_versions(&name("b"), &[], &Versions::any(), false),
    );
    assert_eq!(
        commands.mend(&[], &[&locked, &other], &[]).as_deref(),
        Some("/srv/.venv/bin/python -m pip install --no-deps a==1 && /srv/.venv/bin/python -m pip install b")
    );
}

#[test]
fn each_format_has_its_command() {
    let installed = packages(&[("pip", "26.1", &[])]);
    for (format, path, command) in [
        (
            Format::Pyproject,
            "/srv/pyproject.toml",
            "/srv/.venv/bin/python -m pip install 'a>=1' b",
        ),
        (
            Format::Pylock,
            "/srv/pylock.toml",
            "/srv/.venv/bin/python -m pip install -r /srv/pylock.toml",
        ),
        (
            Format::UvLock,
            "/srv/uv.lock",
            "uv sync --project /srv --frozen --no-default-groups --inexact --group dev",
        ),
        (
            Format::UvLock,
            "/opt/app/uv.lock",
            "UV_PROJECT_ENVIRONMENT=/srv/.venv uv sync --project /opt/app --frozen --no-default-groups --inexact --group dev",
        ),
        (
            Format::PoetryLock,
            "/srv/poetry.lock",
            "VIRTUAL_ENV=/srv/.venv poetry -C /srv install --no-root --only main,dev",
        ),
    ] {
        let comparison = run(
            &required(format, path, &["a>=1", "b"]),
            &installed,
            Options::default(),
        );
        assert_eq!(comparison.fix.as_deref(), Some(command));
    }
    let installed = packages(&[("pip", "25.0", &[])]);
    let comparison = run(
        &required(Format::Pylock, "/srv/pylock.toml", &["a"]),
        &installed,
        Options::default(),
    );
    let command = "uv pip install --python /srv/.venv/bin/python -r /srv/pylock.toml --group dev";
    assert_eq!(comparison.fix.as_deref(), Some(command));
}

#[test]
fn the_version_of_python_is_compared() {
    let mut required = required(Format::Pyproject, "/srv/pyproject.toml", &[]);
    for (specifier, expected) in [
        (">=3.9", vec![]),
        (
            ">=3.12",
            vec!["mismatched python: wanted >=3.12 (/srv/pyproject.toml), installed 3.11.2".to_owned()],
        ),
    ] {
        required.files[0].requires_python = Some(VersionSpecifiers::from_str(specifier).unwrap());
        assert_eq!(
            shown(&run(&required, &Packages::new(), Options::default())),
            expected
        );
    }
}

#[test]
fn unknown_names_and_unreadable_files_are_reported() {
    let mut required = Required::default();
    required.unknown_groups.push(name("tset"));
    required
        .unreadable
        .push(crate::check::python::required::Unreadable {
            place: "/srv/uv.lock".to_owned(),
            reason: Reason::Limit,
            text: "too long".to_owned(),
        });
    assert_eq!(
        shown(&run(&required, &Packages::new(), Options::default())),
        [
            "unreadable /srv/uv.lock: too long",
            "unreadable tset: no file has the group tset: correct it in the check's groups",
        ]
    );
}

#[test]
fn a_cancelled_comparison_ends_at_the_next_package() {
    let count = 1000;
    let keys: Vec<String> = (0..count).map(|number| format!("p{number}")).collect();
    let list: Vec<(&str, &str, &[&str])> = keys
        .iter()
        .map(|key| (key.as_str(), "1", &["gone"][..]))
        .collect();
    let environment = Environment::for_tests("3.11.2");
    let installed = packages(&list);
    let required = required(Format::Requirements, FILE, &["p1", "p2"]);
    let calls = std::cell::Cell::new(0);
    let is_cancelled = || calls.replace(calls.get() + 1) >= 10;
    let commands = commands(&installed);
    compare(
        &required,
        &installed,
        &environment,
        &commands,
        TRANSITIVE,
        &is_cancelled,
    );
    assert!((10..100).contains(&calls.get()), "{} steps", calls.get());
}
