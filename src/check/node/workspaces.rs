//! Finds the directories of workspaces from their patterns.

use std::path::{Path, PathBuf};

use super::installed::{NODE_MODULES, unreadable};
use crate::check::dependencies::{Files, ReadError};

/// How many levels `**` descends.
const MAX_DEPTH: usize = 8;
/// How many lists of alternatives such as `{a,b}`, and commas in them, one step of a pattern may have. Projects have one list. Each list
/// multiplies the work.
const MAX_ALTERNATIVES: (usize, usize) = (3, 30);
/// The maximum number of workspaces.
const MAX_WORKSPACES: usize = 2000;

/// The directories below `root` that match the patterns and have a `package.json`, relative to `root` and sorted. Patterns that start
/// with `!` exclude directories.
///
/// # Errors
/// If the run must end.
pub fn find(files: &mut Files, root: &Path, patterns: &[String]) -> Result<Vec<String>, ReadError> {
    let mut found = Vec::new();
    for pattern in patterns.iter().filter(|pattern| !pattern.starts_with('!')) {
        let steps = steps(pattern);
        // A workspace is below its root.
        if steps.contains(&"..") {
            continue;
        }
        descend(files, root, "", &steps, 0, &mut found)?;
    }
    found.sort();
    found.dedup();
    let excluded: Vec<Vec<&str>> = patterns
        .iter()
        .filter_map(|pattern| pattern.strip_prefix('!').map(steps))
        .collect();
    found.retain(|path| {
        let parts: Vec<&str> = path.split('/').collect();
        !excluded.iter().any(|pattern| matches(pattern, &parts))
    });
    Ok(found)
}

fn steps(pattern: &str) -> Vec<&str> {
    let mut steps: Vec<&str> = pattern
        .split('/')
        .filter(|step| !step.is_empty() && *step != ".")
        .collect();
    // Each `**` multiplies the work.
    steps.dedup_by(|one, other| *one == "**" && *other == "**");
    steps
}

fn descend(
    files: &mut Files,
    root: &Path,
    path: &str,
    steps: &[&str],
    depth: usize,
    found: &mut Vec<String>,
) -> Result<(), ReadError> {
    if found.len() >= MAX_WORKSPACES || depth > MAX_DEPTH {
        return Ok(());
    }
    let Some((step, rest)) = steps.split_first() else {
        let manifest = root.join(path).join("package.json");
        match files.exists(&manifest) {
            Ok(true) if !path.is_empty() => found.push(path.to_owned()),
            Err(error) => {
                unreadable(error)?;
            }
            Ok(_) => {}
        }
        return Ok(());
    };
    let below = |name: &str| {
        if path.is_empty() {
            name.to_owned()
        } else {
            format!("{path}/{name}")
        }
    };
    if !step.contains(['*', '?', '{', '[']) {
        return descend(files, root, &below(step), rest, depth + 1, found);
    }
    if *step == "**" {
        descend(files, root, path, rest, depth + 1, found)?;
    }
    let names = match files.list(&root.join(path)) {
        Ok(names) => names,
        Err(error) => {
            unreadable(error)?;
            return Ok(());
        }
    };
    for name in names {
        let Some(name) = name
            .to_str()
            .filter(|name| *name != NODE_MODULES && !name.starts_with('.'))
        else {
            continue;
        };
        let next = below(name);
        let is_directory = || {
            let path: PathBuf = root.join(&next);
            path.is_dir()
        };
        if *step == "**" {
            // Links could lead back up.
            if is_directory() && !root.join(&next).is_symlink() {
                descend(files, root, &next, steps, depth + 1, found)?;
            }
        } else if is_match(step, name) && is_directory() {
            descend(files, root, &next, rest, depth + 1, found)?;
        }
    }
    Ok(())
}

/// Whether the steps of a pattern match the parts of a path.
fn matches(pattern: &[&str], parts: &[&str]) -> bool {
    match (pattern.split_first(), parts.split_first()) {
        (None, None) => true,
        (Some((&"**", rest)), Some((_, below))) => matches(rest, parts) || matches(pattern, below),
        (Some((&"**", rest)), None) => matches(rest, parts),
        (Some((step, rest)), Some((part, below))) => is_match(step, part) && matches(rest, below),
        _ => false,
    }
}

/// Whether a step with `*` and `?` matches a name. `{a,b}` are alternatives.
fn is_match(step: &str, name: &str) -> bool {
    if let Some((before, rest)) = step.split_once('{')
        && let Some((alternatives, after)) = rest.split_once('}')
    {
        let (lists, commas) = MAX_ALTERNATIVES;
        if step.matches('{').count() > lists || step.matches(',').count() > commas {
            return false;
        }
        return alternatives
            .split(',')
            .any(|word| is_match(&format!("{before}{word}{after}"), name));
    }
    let (step, name) = (step.as_bytes(), name.as_bytes());
    let (mut at, mut in_step) = (0, 0);
    let mut last_star = None;
    while at < name.len() {
        match step.get(in_step) {
            Some(b'*') => {
                last_star = Some((in_step, at));
                in_step += 1;
            }
            Some(byte) if *byte == b'?' || *byte == name[at] => {
                at += 1;
                in_step += 1;
            }
            _ => match last_star {
                Some((star, matched)) => {
                    last_star = Some((star, matched + 1));
                    (in_step, at) = (star + 1, matched + 1);
                }
                None => return false,
            },
        }
    }
    step[in_step..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::check::dependencies::Limits;

    #[test]
    fn patterns_find_directories() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        for path in [
            "apps/web",
            "packages/a",
            "packages/b",
            "packages/deep/c",
            "packages/node_modules/d",
            "tools",
        ] {
            fs::create_dir_all(root.join(path)).unwrap();
            fs::write(root.join(path).join("package.json"), "{}").unwrap();
        }
        fs::create_dir_all(root.join("packages/without")).unwrap();
        fs::write(root.join("package.json"), "{}").unwrap();
        let limits = Limits {
            file_bytes: 100,
            total_bytes: 100,
            files: 1000,
        };
        let found = |patterns: &[&str]| {
            let patterns: Vec<_> = patterns.iter().map(|pattern| (*pattern).to_owned()).collect();
            find(&mut Files::new(limits), root, &patterns).unwrap().join(" ")
        };
        assert_eq!(found(&["packages/*"]), "packages/a packages/b");
        assert_eq!(
            found(&["./packages/*/", "apps/web", "!packages/b"]),
            "apps/web packages/a"
        );
        assert_eq!(found(&["packages/**"]), "packages/a packages/b packages/deep/c");
        assert_eq!(
            found(&["**", "!**/deep/**"]),
            "apps/web packages/a packages/b tools"
        );
        assert_eq!(
            found(&["packages/{a,x}", "t?ols", "../*", "absent/*", "."]),
            "packages/a tools"
        );
    }

    #[test]
    fn stars_match_any_text() {
        for (step, name, expected) in [
            ("*", "", true),
            ("a*c", "abbc", true),
            ("a*c", "abcb", false),
            ("*a*b*", "xxaxxbxx", true),
            ("a?", "a", false),
            ("{a,b}-*", "b-1", true),
        ] {
            assert_eq!(is_match(step, name), expected, "{step} {name}");
        }
    }

    #[test]
    fn patterns_that_multiply_the_work_end() {
        assert!(!is_match(&"{a,b}".repeat(60), &"b".repeat(60)));
        let pattern = format!("{}absent", "**/".repeat(1000));
        let parts = ["a"; MAX_DEPTH];
        assert!(!matches(&steps(&pattern), &parts));
        assert!(matches(&steps("**/**/a"), &parts));
    }
}
