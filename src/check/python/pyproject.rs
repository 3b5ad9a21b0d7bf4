//! `pyproject.toml`: the dependencies of PEP 621 and the groups of PEP 735.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::direct_url::Source;
use super::environment::Environment;
use super::marker::applies;
use super::name::Name;
use super::poetry_project::{PoetryProject, Root};
use super::requirement::{Requirement, parse_specifiers, shown_name};
use super::toml_file;
use super::wanted::{Fault, Known, Origin, Parsed, Selection, Versions, Wanted};

/// How deep groups and extras may include each other. Projects have two or three levels.
const MAX_DEPTH: usize = 50;

/// The parts of the file that matter here.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct Pyproject {
    project: Option<Project>,
    dependency_groups: BTreeMap<String, Vec<GroupItem>>,
    tool: Tool,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct Project {
    name: Option<String>,
    dependencies: Vec<String>,
    optional_dependencies: BTreeMap<String, Vec<String>>,
    requires_python: Option<String>,
    dynamic: Vec<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum GroupItem {
    Requirement(String),
    Include {
        #[serde(rename = "include-group")]
        group: String,
    },
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Tool {
    poetry: Option<PoetryProject>,
}

/// Parses the file.
///
/// # Errors
/// What is wrong with it.
pub fn read(text: &str) -> Result<Pyproject, String> {
    toml_file::parse(text)
}

/// The requirements of the file.
///
/// # Errors
/// If the file can't be used as a whole.
pub fn parse(
    text: &str,
    origin: &Origin,
    environment: &Environment,
    selection: &Selection,
) -> Result<Parsed, String> {
    let file = read(text)?;
    if file.project.is_none() && file.dependency_groups.is_empty() {
        let advice = match file.tool.poetry {
            Some(_) => ": set requirements to poetry.lock, which pins the dependencies of [tool.poetry]",
            None => "",
        };
        return Err(format!(
            "it has neither [project] nor [dependency-groups]{advice}"
        ));
    }
    let project = file.project.unwrap_or_default();
    let mut collector = Collector {
        origin,
        environment,
        parsed: Parsed::default(),
        project: project.name.as_deref().map(Name::normalize),
        extras: by_name(&project.optional_dependencies),
        seen_extras: BTreeSet::new(),
        seen_groups: BTreeSet::new(),
        depth: 0,
    };
    for list in ["dependencies", "optional-dependencies"] {
        let matters = list == "dependencies" || !selection.extras.is_empty();
        if matters && project.dynamic.iter().any(|dynamic| dynamic == list) {
            let text = format!("project.{list} is dynamic: add the file that contains it to requirements");
            collector.fault(text);
        }
    }
    if let Some(text) = &project.requires_python {
        match parse_specifiers(text) {
            Ok(specifiers) => collector.parsed.requires_python = Some(specifiers),
            Err(error) => collector.fault(format!("requires-python: {error}")),
        }
    }
    for text in &project.dependencies {
        collector.add(text);
    }
    for extra in &selection.extras {
        collector.add_extra(extra);
    }
    let groups = by_name(&file.dependency_groups);
    for group in &selection.groups {
        collector.add_group(group, &groups, &mut Vec::new());
    }
    collector.parsed.known = Known {
        extras: collector.extras.into_keys().collect(),
        groups: groups.into_keys().collect(),
    };
    Ok(collector.parsed)
}

fn by_name<T: Clone>(lists: &BTreeMap<String, T>) -> BTreeMap<Name, T> {
    let lists = lists.iter();
    lists
        .map(|(name, list)| (Name::normalize(name), list.clone()))
        .collect()
}

/// Collects the requirements of a project.
struct Collector<'a> {
    origin: &'a Origin,
    environment: &'a Environment,
    parsed: Parsed,
    project: Option<Name>,
    extras: BTreeMap<Name, Vec<String>>,
    seen_extras: BTreeSet<Name>,
    /// Groups whose requirements were added.
    seen_groups: BTreeSet<Name>,
    /// How many extras include the one that is added.
    depth: usize,
}

impl Collector<'_> {
    fn fault(&mut self, text: String) {
        let origin = self.origin.clone();
        self.parsed.faults.push(Fault { origin, text });
    }

    fn add(&mut self, text: &str) {
        let requirement = match Requirement::parse(text) {
            Ok(requirement) => requirement,
            Err(error) => return self.fault(format!("{}: {error}", shown_name(text))),
        };
        match applies(requirement.marker.as_ref(), self.environment, &[]) {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => return self.fault(format!("{}: {error}", shown_name(text))),
        }
        // An extra may consist of other extras of the same project: `all = ["app[db,cache]"]`.
        if self.project.as_ref() == Some(&requirement.name) {
            requirement.extras.iter().for_each(|extra| self.add_extra(extra));
            return;
        }
        let directory = std::path::Path::new(&*self.origin.file).parent();
        let source = requirement.url.as_deref();
        self.parsed.wanted.push(Wanted {
            source: source.map(|url| Source::from_url(url, directory.unwrap_or(std::path::Path::new("/")))),
            name: Some(requirement.name),
            extras: requirement.extras,
            versions: Versions::Matching(requirement.specifiers),
            origin: self.origin.clone(),
        });
    }

    fn add_extra(&mut self, extra: &Name) {
        if !self.seen_extras.insert(extra.clone()) {
            return;
        }
        if self.depth >= MAX_DEPTH {
            return self.fault(format!("extras nest more than {MAX_DEPTH} levels deep"));
        }
        let list = self.extras.get(extra).cloned().unwrap_or_default();
        self.depth += 1;
        list.iter().for_each(|text| self.add(text));
        self.depth -= 1;
    }

    /// `path` has the groups that include this one.
    fn add_group(&mut self, group: &Name, groups: &BTreeMap<Name, Vec<GroupItem>>, path: &mut Vec<Name>) {
        if path.contains(group) {
            return self.fault(format!("the dependency group {group} includes itself"));
        }
        if self.seen_groups.contains(group) {
            return;
        }
        if path.len() >= MAX_DEPTH {
            return self.fault(format!("groups nest more than {MAX_DEPTH} levels deep"));
        }
        let Some(items) = groups.get(group) else {
            if let Some(parent) = path.last() {
                self.fault(format!(
                    "the dependency group {parent} includes {group}, which does not exist"
                ));
            }
            return;
        };
        path.push(group.clone());
        for item in items {
            match item {
                GroupItem::Requirement(text) => self.add(text),
                GroupItem::Include { group } => self.add_group(&Name::normalize(group), groups, path),
            }
        }
        path.pop();
        self.seen_groups.insert(group.clone());
    }
}

impl Pyproject {
    /// The name of the project.
    pub fn name(&self) -> Option<Name> {
        let project = self.project.as_ref().and_then(|project| project.name.as_deref());
        let poetry = self
            .tool
            .poetry
            .as_ref()
            .and_then(|poetry| poetry.name.as_deref());
        project.or(poetry).and_then(Name::parse)
    }

    /// The packages that a Poetry project requires directly, with these groups and extras. Its own extras are in the lock.
    pub fn poetry_roots(&self, environment: &Environment, selection: &Selection) -> Vec<Root> {
        let mut roots = Vec::new();
        if let Some(project) = &self.project {
            let extras = by_name(&project.optional_dependencies);
            let selected = selection.extras.iter().filter_map(|extra| extras.get(extra));
            for text in project.dependencies.iter().chain(selected.flatten()) {
                let Ok(requirement) = Requirement::parse(text) else {
                    continue;
                };
                if applies(requirement.marker.as_ref(), environment, &[]) != Ok(false) {
                    roots.push(Root {
                        name: requirement.name,
                        extras: requirement.extras,
                    });
                }
            }
        }
        if let Some(poetry) = &self.tool.poetry {
            roots.extend(poetry.roots(environment, selection));
        }
        roots
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(parsed: &Parsed) -> Vec<String> {
        let wanted = parsed.wanted.iter();
        wanted
            .map(|wanted| format!("{}{}", wanted.name.as_ref().unwrap(), wanted.versions))
            .collect()
    }

    fn parse_with(text: &str, extras: &[&str], groups: &[&str]) -> Parsed {
        let list = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        let selection = Selection::new(&list(extras), &list(groups));
        let origin = Origin::file(std::path::Path::new("/srv/pyproject.toml"));
        parse(text, &origin, &Environment::for_tests("3.11.2"), &selection).unwrap()
    }

    const PROJECT: &str = r#"
[project]
name = "My.App"
requires-python = ">=3.9"
dependencies = ["a>=1", "b; sys_platform == 'win32'", "c @ ./c", "d=1"]
[project.optional-dependencies]
db = ["e==2"]
Full_Set = ["my-app[db]", "f"]
[dependency-groups]
test = ["g<3", {include-group = "Lint"}]
lint = ["h"]
loop = [{include-group = "loop"}]
lost = [{include-group = "nowhere"}]
"#;

    #[test]
    fn dependencies_extras_and_groups_are_read() {
        let parsed = parse_with(PROJECT, &[], &[]);
        assert_eq!(names(&parsed), ["a>=1", "c"]);
        assert_eq!(parsed.wanted[1].source.as_ref().unwrap().to_string(), "/srv/c");
        assert_eq!(parsed.faults.len(), 1);
        assert!(parsed.faults[0].text.starts_with("d: "), "{:?}", parsed.faults);
        assert_eq!(parsed.requires_python.unwrap().to_string(), ">=3.9");
        let parsed = parse_with(PROJECT, &["full-set"], &["test"]);
        assert_eq!(names(&parsed), ["a>=1", "c", "e==2", "f", "g<3", "h"]);
        assert_eq!((parsed.known.extras.len(), parsed.known.groups.len()), (2, 4));
    }

    #[test]
    fn faulty_groups_and_dynamic_lists_are_faults() {
        let texts =
            |parsed: Parsed| -> Vec<String> { parsed.faults.into_iter().map(|fault| fault.text).collect() };
        assert_eq!(
            texts(parse_with(PROJECT, &[], &["loop"]))[1],
            "the dependency group loop includes itself"
        );
        assert_eq!(
            texts(parse_with(PROJECT, &[], &["lost"]))[1],
            "the dependency group lost includes nowhere, which does not exist"
        );
        let dynamic = "[project]\nname = \"a\"\ndynamic = [\"dependencies\"]\nrequires-python = \"x\"\n";
        assert_eq!(
            texts(parse_with(dynamic, &[], &[])),
            [
                "project.dependencies is dynamic: add the file that contains it to requirements",
                "requires-python: the versions do not follow PEP 440, such as >=1.2,<2",
            ]
        );
    }

    #[test]
    fn groups_and_extras_that_include_many_others_end() {
        // Twice as many inclusions at each level, then more levels than the stack has room for.
        let mut twice = "[dependency-groups]\ndev = [{include-group = \"g0\"}]\n".to_owned();
        for level in 0..45 {
            let next = format!("{{include-group = \"g{}\"}}", level + 1);
            twice += &format!("g{level} = [{next}, {next}]\n");
        }
        twice += "g45 = [\"a\"]\n";
        assert_eq!(names(&parse_with(&twice, &[], &["dev"])), ["a"]);
        let chain = |start: &str, item: fn(usize) -> String| {
            let lines = (0..20_000).map(|level| format!("g{level} = [{}]\n", item(level + 1)));
            format!("{start}{}g20000 = []\n", lines.collect::<String>())
        };
        let groups = chain("[dependency-groups]\n", |next| {
            format!("{{include-group = \"g{next}\"}}")
        });
        let faults = parse_with(&groups, &[], &["g0"]).faults;
        assert_eq!(faults.len(), 1);
        assert_eq!(faults[0].text, "groups nest more than 50 levels deep");
        let start = "[project]\nname = \"p\"\n[project.optional-dependencies]\n";
        let extras = chain(start, |next| format!("\"p[g{next}]\""));
        let faults = parse_with(&extras, &["g0"], &[]).faults;
        assert_eq!(faults[0].text, "extras nest more than 50 levels deep");
    }

    #[test]
    fn a_file_without_a_project_says_what_to_do() {
        let origin = Origin::file(std::path::Path::new("/p"));
        let parse = |text| {
            let environment = Environment::for_tests("3.11.2");
            parse(text, &origin, &environment, &Selection::default()).unwrap_err()
        };
        assert_eq!(
            parse("[build-system]\n"),
            "it has neither [project] nor [dependency-groups]"
        );
        assert!(
            parse("[tool.poetry]\nname = \"a\"\n")
                .ends_with("set requirements to poetry.lock, which pins the dependencies of [tool.poetry]")
        );
        assert!(parse("[project]\ndependencies = 1\n").starts_with("line 2: "));
    }
}
