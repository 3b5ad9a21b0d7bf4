//! Finds files of one folder that use each other in a circle.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use regex::Regex;

use super::{is_test_file, sources, without_tests};

/// Circles that may stay, as a folder and its files: something that starts a task, and the task.
const SPAWNERS: &[(&str, &[&str])] = &[("src/check/unit_watch", &["hub", "watch"])];

/// A module, as its path below `src`: `["cli", "show", "csv"]`.
type Module = Vec<String>;

/// The code of a module's file.
struct Code {
    /// The paths in `use` declarations, each with whether the declaration is public.
    uses: Vec<(Vec<String>, bool)>,
    /// Everything else.
    rest: String,
}

#[test]
fn files_of_a_folder_do_not_use_each_other_in_a_circle() {
    let modules = modules();
    let mut edges = BTreeSet::new();
    for (module, code) in &modules {
        for target in dependencies(module, code, &modules) {
            edges.insert((module.clone(), target));
        }
    }
    let folders: BTreeSet<&[String]> = modules
        .keys()
        .filter_map(|module| module.get(..module.len() - 1))
        .collect();
    let mut found = Vec::new();
    for folder in folders.into_iter().filter(|folder| !folder.is_empty()) {
        found.extend(circles(folder, &edges));
    }
    let expected = |circle: &(String, Vec<String>)| {
        SPAWNERS
            .iter()
            .any(|(folder, files)| *folder == circle.0 && *files == circle.1)
    };
    let wrong: Vec<String> = found
        .iter()
        .filter(|circle| !expected(circle))
        .map(|(folder, files)| format!("{folder}: {}", files.join(", ")))
        .collect();
    assert!(
        wrong.is_empty(),
        "these files use each other in a circle:\n{}",
        wrong.join("\n")
    );
    for (folder, files) in SPAWNERS {
        let is_found = found
            .iter()
            .any(|circle| circle.0 == *folder && circle.1 == *files);
        assert!(
            is_found,
            "the circle in {folder} of {files:?} is gone: remove it from the list"
        );
    }
}

/// All modules of the library that have a file, without tests.
fn modules() -> BTreeMap<Module, Code> {
    let files = sources("src").into_iter().filter(|(path, _)| !is_test_file(path));
    files
        .map(|(path, text)| (module_of(&path), parse(without_tests(&text))))
        .filter(|(module, _)| !matches!(module.first().map(String::as_str), None | Some("lib" | "main")))
        .collect()
}

fn module_of(path: &Path) -> Module {
    let path = path.strip_prefix("src").unwrap().with_extension("");
    let mut module: Module = path
        .iter()
        .map(|part| part.to_str().unwrap().to_owned())
        .collect();
    if module.last().is_some_and(|last| last == "mod") {
        module.pop();
    }
    module
}

fn parse(text: &str) -> Code {
    let comment = Regex::new(r"(?m)//.*$").unwrap();
    let text = comment.replace_all(text, "");
    let declaration = Regex::new(r"(?m)^\s*(pub(?:\([a-z: ]+\))? )?use ([^;]+);").unwrap();
    let mut uses = Vec::new();
    for found in declaration.captures_iter(&text) {
        let tree: String = found[2].split_whitespace().collect::<Vec<_>>().join(" ");
        for path in expand(&tree) {
            uses.push((path, found.get(1).is_some()));
        }
    }
    let rest = declaration.replace_all(&text, "").into_owned();
    Code { uses, rest }
}

/// The paths of a tree in a `use` declaration: `a::{b, c::D}` has `a::b` and `a::c::D`.
fn expand(tree: &str) -> Vec<Vec<String>> {
    let Some(open) = tree.find('{') else {
        let path = tree.split(" as ").next().unwrap_or(tree);
        return vec![path.split("::").map(|part| part.trim().to_owned()).collect()];
    };
    let prefix: Vec<String> = tree[..open]
        .split("::")
        .map(|part| part.trim().to_owned())
        .filter(|part| !part.is_empty())
        .collect();
    let inner = tree[open + 1..].rsplit_once('}').map_or("", |(inner, _)| inner);
    let (mut depth, mut start, mut items) = (0, 0, Vec::new());
    for (position, character) in inner.char_indices() {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                items.push(&inner[start..position]);
                start = position + 1;
            }
            _ => {}
        }
    }
    items.push(&inner[start..]);
    let items = items.into_iter().map(str::trim).filter(|item| !item.is_empty());
    items
        .flat_map(expand)
        .map(|path| prefix.iter().cloned().chain(path).collect())
        .collect()
}

/// The modules that a module uses.
fn dependencies(module: &Module, code: &Code, modules: &BTreeMap<Module, Code>) -> BTreeSet<Module> {
    let inline = Regex::new(r"(?:^|[^:\w])((?:[a-z_0-9]+::)+\w+)").unwrap();
    let mut paths: Vec<Vec<String>> = inline
        .captures_iter(&code.rest)
        .map(|found| found[1].split("::").map(str::to_owned).collect())
        .collect();
    for (path, is_public) in &code.uses {
        // A re-export alone is not a use.
        let name = path.last().unwrap();
        let is_used = || {
            Regex::new(&format!(r"\b{}\b", regex::escape(name)))
                .unwrap()
                .is_match(&code.rest)
        };
        if !is_public || is_used() {
            paths.push(path.clone());
        }
    }
    paths
        .iter()
        .filter_map(|path| resolve(module, path, modules, 0))
        .filter(|target| target != module)
        .collect()
}

/// The module with the file that defines what a path of `module` names; follows re-exports.
fn resolve(module: &Module, path: &[String], modules: &BTreeMap<Module, Code>, depth: u8) -> Option<Module> {
    let mut absolute = match path.first()?.as_str() {
        "crate" => Vec::new(),
        "self" => module.clone(),
        "super" => module[..module.len() - 1].to_vec(),
        first => {
            let mut child = module.clone();
            child.push(first.to_owned());
            modules.contains_key(&child).then_some(child)?
        }
    };
    for part in &path[1..] {
        match part.as_str() {
            "super" => drop(absolute.pop()),
            part => absolute.push(part.to_owned()),
        }
    }
    let length = (1..=absolute.len())
        .rev()
        .find(|length| modules.contains_key(&absolute[..*length]))?;
    let (target, rest) = absolute.split_at(length);
    let target = target.to_vec();
    let (Some(name), true) = (rest.first(), depth < 8) else {
        return Some(target);
    };
    let exported = modules[&target]
        .uses
        .iter()
        .find(|(path, _)| path.last() == Some(name));
    exported
        .and_then(|(path, _)| resolve(&target, path, modules, depth + 1))
        .or(Some(target))
}

/// The circles among the files and folders that are directly in `folder`.
fn circles(folder: &[String], edges: &BTreeSet<(Module, Module)>) -> Vec<(String, Vec<String>)> {
    let unit = |module: &Module| {
        let below = module.strip_prefix(folder)?;
        Some(below.first().map_or("mod", String::as_str).to_owned())
    };
    let mut uses: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (from, to) in edges {
        if let (Some(from), Some(to)) = (unit(from), unit(to))
            && from != to
        {
            uses.entry(from).or_default().insert(to);
        }
    }
    let reachable = |from: &String| {
        let (mut seen, mut next) = (BTreeSet::new(), vec![from]);
        while let Some(unit) = next.pop() {
            for used in uses.get(unit).into_iter().flatten() {
                if seen.insert(used.clone()) {
                    next.push(used);
                }
            }
        }
        seen
    };
    let reach: BTreeMap<&String, BTreeSet<String>> =
        uses.keys().map(|unit| (unit, reachable(unit))).collect();
    let mut circles = BTreeSet::new();
    for (unit, reached) in &reach {
        let members = reached
            .iter()
            .filter(|other| reach.get(other).is_some_and(|back| back.contains(*unit)));
        let members: Vec<String> = members.cloned().collect();
        if members.len() > 1 {
            circles.insert(members);
        }
    }
    let folder = format!("src/{}", folder.join("/"));
    circles
        .into_iter()
        .map(|members| (folder.clone(), members))
        .collect()
}
