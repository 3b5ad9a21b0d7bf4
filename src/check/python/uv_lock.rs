//! `uv.lock`: the packages that `uv sync` installs for a project.

mod format;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use self::format::{Dependency, Lock};
use super::environment::Environment;
use super::marker::{Marker, Scope};
use super::name::Name;
use super::requirement::parse_specifiers;
use super::wanted::{Fault, Origin, Parsed, Selection};

/// How many dependencies are compared with packages at most. A lock of 500 packages has about 2000.
const MAX_STEPS: usize = 1_000_000;
/// The version of the format that this reads. Later revisions of it only add keys.
const VERSION: u32 = 1;

/// The packages of the lock that belong in the environment.
///
/// # Errors
/// If the lock can't be used as a whole.
pub fn parse(
    text: &str,
    origin: &Origin,
    environment: &Environment,
    selection: &Selection,
) -> Result<Parsed, String> {
    let lock = Lock::parse(text)?;
    if lock.version != VERSION {
        return Err(format!(
            "its format has version {}, but only version {VERSION} is supported",
            lock.version
        ));
    }
    let mut walk = Walk {
        lock: &lock,
        by_name: BTreeMap::new(),
        environment,
        selection,
        scope_extras: Vec::new(),
        seen: BTreeSet::new(),
        queue: Vec::new(),
        steps: 0,
        faults: Vec::new(),
        origin,
    };
    for (index, package) in lock.packages.iter().enumerate() {
        walk.by_name.entry(&package.name).or_default().push(index);
    }
    let roots = lock.roots();
    walk.scope_extras = lock.conflict_names(&roots, selection);
    walk.start(&roots);
    while let Some((package, extra)) = walk.queue.pop() {
        walk.visit(package, extra.as_ref());
    }
    if walk.steps > MAX_STEPS {
        return Err("following its dependencies takes too many steps".to_owned());
    }
    let packages: BTreeSet<usize> = walk.seen.iter().map(|(package, _)| *package).collect();
    let mut parsed = Parsed {
        faults: walk.faults,
        known: lock.known(&roots),
        is_complete: true,
        ..Parsed::default()
    };
    if let Some(text) = &lock.requires_python {
        parsed.requires_python = Some(parse_specifiers(text)?);
    }
    let directory = Path::new(&*origin.file).parent().unwrap_or(Path::new("/"));
    for package in packages {
        match lock.packages[package].wanted(origin, directory) {
            Ok(wanted) => parsed.wanted.extend(wanted),
            Err(text) => parsed.faults.push(Fault {
                origin: origin.clone(),
                text,
            }),
        }
    }
    Ok(parsed)
}

/// A walk over the graph of packages.
struct Walk<'a> {
    lock: &'a Lock,
    by_name: BTreeMap<&'a Name, Vec<usize>>,
    environment: &'a Environment,
    selection: &'a Selection,
    /// The extras for markers.
    scope_extras: Vec<Name>,
    /// Packages, each without and with its extras.
    seen: BTreeSet<(usize, Option<Name>)>,
    queue: Vec<(usize, Option<Name>)>,
    /// How many dependencies were compared with packages.
    steps: usize,
    faults: Vec<Fault>,
    origin: &'a Origin,
}

impl<'a> Walk<'a> {
    fn start(&mut self, roots: &[usize]) {
        let lock = self.lock;
        for root in roots {
            self.push(*root, None);
            for extra in &self.selection.extras {
                self.push(*root, Some(extra));
            }
            for group in &self.selection.groups {
                if let Some(list) = lock.packages[*root].dev_dependencies.get(group) {
                    self.follow(list);
                }
            }
        }
        for group in &self.selection.groups {
            if let Some(list) = lock.manifest.dependency_groups.get(group) {
                self.follow(list);
            }
        }
    }

    fn push(&mut self, package: usize, extra: Option<&Name>) {
        let key = (package, extra.cloned());
        if self.seen.insert(key.clone()) {
            self.queue.push(key);
        }
    }

    fn visit(&mut self, package: usize, extra: Option<&Name>) {
        let package = &self.lock.packages[package];
        match extra {
            None => self.follow(&package.dependencies),
            Some(extra) => {
                if let Some(list) = package.optional_dependencies.get(extra) {
                    self.follow(list);
                }
            }
        }
    }

    fn follow(&mut self, list: &'a [Dependency]) {
        for dependency in list {
            match self.applies(dependency) {
                Ok(true) => {}
                Ok(false) => continue,
                Err(text) => {
                    let origin = self.origin.clone();
                    self.faults.push(Fault { origin, text });
                    continue;
                }
            }
            let lock = self.lock;
            let named = self.by_name.get(&dependency.name).map_or(&[][..], Vec::as_slice);
            self.steps += 1 + named.len();
            if self.steps > MAX_STEPS {
                return;
            }
            let refers = |index: &&usize| dependency.refers_to(&lock.packages[**index]);
            let found: Vec<usize> = named.iter().filter(refers).copied().collect();
            if found.is_empty() {
                let text = format!("it requires {}, but has no such package", dependency.name);
                let origin = self.origin.clone();
                self.faults.push(Fault { origin, text });
            }
            for package in found {
                self.push(package, None);
                for extra in &dependency.extra {
                    self.push(package, Some(extra));
                }
            }
        }
    }

    fn applies(&self, dependency: &Dependency) -> Result<bool, String> {
        let Some(text) = &dependency.marker else {
            return Ok(true);
        };
        let scope = Scope::Sets {
            extras: &self.scope_extras,
            groups: &[],
        };
        Marker::parse(text)
            .and_then(|marker| {
                marker
                    .evaluate(self.environment, scope)
                    .map_err(|error| error.to_string())
            })
            .map_err(|error| format!("{}: {error}", dependency.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCK: &str = r#"
version = 1
revision = 3
requires-python = ">=3.9"

[[package]]
name = "app"
version = "0.1.0"
source = { editable = "." }
dependencies = [
    { name = "a", extra = ["fast"] },
    { name = "w", marker = "sys_platform == 'win32'" },
    { name = "n", version = "1.0", source = { registry = "https://index.test/simple" }, marker = "python_full_version < '3.10'" },
    { name = "n", version = "2.0", source = { registry = "https://index.test/simple" }, marker = "python_full_version >= '3.10'" },
]

[package.optional-dependencies]
cpu = [{ name = "t", version = "2.1+cpu", source = { registry = "x" }, marker = "extra == 'extra-3-app-cpu'" }]

[package.dev-dependencies]
dev = [{ name = "d" }]

[package.metadata]
requires-dist = [{ name = "a" }]
provides-extras = ["cpu", "none"]

[package.metadata.requires-dev]
dev = [{ name = "d" }]
empty = []

[[package]]
name = "a"
version = "1.0"
source = { registry = "https://index.test/simple" }
dependencies = [{ name = "g" }]
sdist = { url = "https://files.test/a-1.0.tar.gz", hash = "sha256:00", size = 1 }
wheels = [{ url = "https://files.test/a-1.0-py3-none-any.whl", hash = "sha256:00", size = 1 }]

[package.optional-dependencies]
fast = [{ name = "f" }]

[[package]]
name = "f"
version = "3"
source = { git = "https://code.test/f.git?subdirectory=py&rev=v3#abc" }

[[package]]
name = "g"
version = "4"
source = { directory = "../g" }
dependencies = [{ name = "a" }]

[[package]]
name = "w"
version = "1"
source = { registry = "x" }

[[package]]
name = "n"
version = "1.0"
source = { registry = "https://index.test/simple" }

[[package]]
name = "n"
version = "2.0"
source = { registry = "https://index.test/simple" }

[[package]]
name = "t"
version = "2.1+cpu"
source = { registry = "x" }

[[package]]
name = "d"
version = "1"
source = { path = "d-1-py3-none-any.whl" }
"#;

    fn parse_with(text: &str, extras: &[&str], groups: &[&str]) -> Result<Parsed, String> {
        let list = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        let selection = Selection::new(&list(extras), &list(groups));
        let origin = Origin::file(Path::new("/srv/app/uv.lock"));
        parse(text, &origin, &Environment::for_tests("3.11.2"), &selection)
    }

    fn shown(parsed: &Parsed) -> Vec<String> {
        let wanted = parsed.wanted.iter().map(|wanted| {
            let source = wanted.source.as_ref().map(|source| format!(" from {source}"));
            let name = wanted.name.as_ref().unwrap();
            format!("{name}{}{}", wanted.versions, source.unwrap_or_default())
        });
        wanted.collect()
    }

    #[test]
    fn the_graph_is_followed_from_the_project() {
        let parsed = parse_with(LOCK, &[], &[]).unwrap();
        assert_eq!(
            shown(&parsed),
            [
                "app==0.1.0 from editable /srv/app",
                "a==1.0",
                "f==3 from https://code.test/f@abc",
                "g==4 from /srv/g",
                "n==2.0",
            ]
        );
        assert!(parsed.is_complete && parsed.faults.is_empty());
        let parsed = parse_with(LOCK, &["cpu"], &["dev"]).unwrap();
        assert_eq!(
            shown(&parsed)[5..],
            ["t==2.1+cpu", "d==1 from /srv/app/d-1-py3-none-any.whl"]
        );
        // One of each has no packages.
        assert_eq!((parsed.known.extras.len(), parsed.known.groups.len()), (2, 2));
    }

    #[test]
    fn a_workspace_without_a_project_has_all_members() {
        let lock = "version = 1\n[manifest]\nmembers = [\"a\", \"b\"]\n[manifest.dependency-groups]\ndev = [{ name = \"c\" }]\n\
                    [[package]]\nname = \"a\"\nsource = { editable = \"a\" }\n\
                    [[package]]\nname = \"b\"\nsource = { virtual = \"b\" }\n\
                    [[package]]\nname = \"c\"\nversion = \"1\"\nsource = { registry = \"x\" }\n";
        assert_eq!(
            shown(&parse_with(lock, &[], &[]).unwrap()),
            ["a from editable /srv/app/a"]
        );
        assert_eq!(shown(&parse_with(lock, &[], &["dev"]).unwrap())[1..], ["c==1"]);
    }

    #[test]
    fn broken_locks_are_errors_and_broken_packages_are_faults() {
        assert!(
            parse_with("version = 2", &[], &[])
                .unwrap_err()
                .contains("only version 1")
        );
        assert!(
            parse_with("version = 1\n[[package]\n", &[], &[])
                .unwrap_err()
                .starts_with("line 2")
        );
        let lock = LOCK
            .replace("name = \"g\" }", "name = \"lost\" }")
            .replace("'win32'", "win32");
        let parsed = parse_with(&lock, &[], &[]).unwrap();
        let texts: Vec<&str> = parsed.faults.iter().map(|fault| &*fault.text).collect();
        assert_eq!(texts[1], "it requires lost, but has no such package");
        assert!(texts[0].starts_with("w: "), "{texts:?}");
    }
}
