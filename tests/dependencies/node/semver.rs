//! Compares ranges of versions with npm's own semver.

use serde_json::Value;
use upkeep_exporter::check::node::fuzz_parse;

use super::support::{manager, succeed};

const VERSIONS: &[&str] = &[
    "0.0.0",
    "0.0.1",
    "0.0.3",
    "0.1.0",
    "0.1.2",
    "0.2.0",
    "1.0.0",
    "1.0.0-0",
    "1.0.0-alpha",
    "1.0.0-alpha.1",
    "1.0.0-beta.2",
    "1.0.0-beta.11",
    "1.0.0-rc.1",
    "1.2.3",
    "1.2.3-pre",
    "1.2.4",
    "1.3.0",
    "1.3.0-beta",
    "1.9.9",
    "2.0.0",
    "2.0.0-rc.1",
    "2.0.0-0",
    "2.3.4",
    "3.0.0",
    "3.0.0+build.1",
    "v1.2.3",
    "=1.2.3",
    " 1.2.3 ",
    "10.20.30",
    "99999.0.0",
    "1.2",
    "x",
    "",
];

const RANGES: &[&str] = &[
    "",
    "*",
    "x",
    "X",
    "1",
    "1.x",
    "1.2",
    "1.2.x",
    "1.*",
    "1.2.*",
    "1.x.x",
    "^1",
    "^1.2",
    "^1.2.3",
    "^0",
    "^0.0",
    "^0.0.3",
    "^0.1",
    "^0.1.2",
    "^1.x",
    "~1",
    "~1.2",
    "~1.2.3",
    "~0",
    "~0.1",
    "~>1.2",
    "~ 1.2",
    ">1",
    ">1.2",
    ">1.2.3",
    ">=1",
    ">= 1.2.3",
    "<1",
    "<2.0.0",
    "<=1.2.3",
    "<=1",
    "=1.2.3",
    "==1.2.3",
    "v1.2.3",
    "^v1.2.3",
    ">=1 <2",
    ">=1.2.3 <2.0.0 || >=3",
    "1 || 2 || 3",
    "1||2",
    "<1 || >=3",
    "1.2.3 - 2.3.4",
    "1.2 - 2",
    "1 - 2.3",
    "0.0.1 - 1",
    "^1.2.3-beta.2",
    "^1.0.0-alpha",
    "~1.0.0-alpha",
    ">=1.0.0-alpha <1.0.0",
    ">1.0.0-beta",
    "1.0.0-beta.2 - 1.0.0",
    "=1.0.0-rc.1",
    "1.2.3+build",
    "^1.2.3 ^1.2.4",
    "* || 1",
    ">*",
    "<*",
    ">=*",
    "|| 1",
    "1 ||",
    "||",
    "latest",
    "next",
    "beta",
    "v",
    "xyz",
    "1.2.3.4",
    "1.2.3foo",
    "^1.2.3foo",
    "a1",
    "1 2",
    "~",
    "^",
    ">",
    "1.2.-",
    "01.2.3",
    "^01.2.3",
    "1.02.3",
    "- 1",
    "1 -",
    "1 - 2 - 3",
    "^1 - 2",
    "foo || 1",
    "1 || foo",
    "1.2.3-01",
    ">=1.2.3-0",
    "2.0.0-0",
    "<2.0.0-0",
    ">=2.0.0-rc.1 <2.0.0",
    "\t>=1 \t<2",
    ">=1,<2",
    "^1.2.3,",
    "99999999999999999999",
];

/// Answers of npm: for each range whether it is one, and which versions satisfy it, as npm decides for a requirement.
const SCRIPT: &str = r"
const { createRequire } = require('module');
const { execSync } = require('child_process');
const { realpathSync } = require('fs');
const npm = realpathSync(execSync('command -v npm', { shell: '/bin/sh' }).toString().trim());
const semver = createRequire(npm)('semver');
const [ranges, versions] = JSON.parse(require('fs').readFileSync(0));
console.log(JSON.stringify(ranges.map(range => {
  const spec = range.trim();
  const any = spec === '' || spec === '*' || semver.validRange(spec, true) === null && semver.valid(spec, true) === null;
  return [any, versions.map(version => any || semver.satisfies(version, spec, true))];
})));
";

/// Random ranges of the forms that npm documents, always the same.
fn random_ranges() -> Vec<String> {
    let mut state = 42_u64;
    let mut next = move |limit: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % limit
    };
    let mut pick = move |parts: &[&'static str]| parts[next(parts.len())];
    let mut partial = {
        let numbers = ["0", "1", "1", "2", "3"];
        let mut pick = pick;
        move || {
            let [major, minor, patch] = [(); 3].map(|()| pick(&numbers));
            let suffix = pick(&["", "", "-0", "-alpha", "-beta.2", "-rc.1", "+build"]);
            match pick(&["1", "2", "3", "3", "3", "x", "1.x", "1.2.x"]) {
                "1" => major.to_owned(),
                "2" => format!("{major}.{minor}"),
                "x" => pick(&["x", "X", "*"]).to_owned(),
                "1.x" => format!("{major}.{}", pick(&["x", "*", "x.x"])),
                "1.2.x" => format!("{major}.{minor}.{}", pick(&["x", "*"])),
                _ => format!("{major}.{minor}.{patch}{suffix}"),
            }
        }
    };
    let operators = ["", "", "^", "~", ">", ">=", "<", "<=", "=", ">= ", "^ ", "~> "];
    let mut set = move |pick: &mut dyn FnMut(&[&'static str]) -> &'static str| match pick(&[
        "-", "1", "1", "2", "2", "3", "",
    ]) {
        "-" => format!("{} - {}", partial(), partial()),
        "" => String::new(),
        count => {
            let comparators =
                (0..count.parse::<usize>().unwrap()).map(|_| pick(&operators).to_owned() + &partial());
            comparators.collect::<Vec<_>>().join(" ")
        }
    };
    (0..4000)
        .map(|_| match pick(&["1", "1", "2"]) {
            "1" => set(&mut pick),
            _ => set(&mut pick) + pick(&["||", " || ", "|| "]) + &set(&mut pick),
        })
        .collect()
}

#[test]
fn ranges_are_those_of_npm() {
    let mut ranges: Vec<String> = RANGES.iter().map(|range| (*range).to_owned()).collect();
    ranges.extend(random_ranges());
    let input = serde_json::to_string(&(&ranges, VERSIONS)).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("input");
    std::fs::write(&path, input).unwrap();
    let input = std::fs::File::open(&path).unwrap();
    let output = succeed(manager("node").args(["-e", SCRIPT]).stdin(input));
    let theirs: Value = serde_json::from_slice(&output.stdout).unwrap();
    let mut differences = Vec::new();
    for (range, theirs) in ranges.iter().zip(theirs.as_array().unwrap()) {
        for (version, theirs) in VERSIONS.iter().zip(theirs[1].as_array().unwrap()) {
            let text = format!("range\n{range}\n{version}");
            let ours = fuzz_parse(text.as_bytes()).unwrap();
            if ours.ends_with(" true") != theirs.as_bool().unwrap() {
                differences.push(format!("{range:?} {version:?}: npm {theirs}, we {ours}"));
            }
        }
    }
    let count = differences.len();
    differences.truncate(60);
    assert!(
        differences.is_empty(),
        "{count} differences\n{}",
        differences.join("\n")
    );
}
