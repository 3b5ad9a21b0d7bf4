//! A Node.js project with many installed packages, in the sizes of real ones, and a lock file that has them. Nothing in it can be run.

use std::fmt::Write;
use std::path::Path;

/// What a package needs.
const REQUIREMENTS: usize = 4;
/// Every fifth package contains one of another version.
const NESTED: usize = 5;

/// Writes a project with this many packages, including nested ones.
pub fn write(directory: &Path, packages: usize) {
    let write = |name: &str, text: &str| {
        let path = directory.join(name).join("package.json");
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    let top = packages - packages / (NESTED + 1);
    let mut dependencies = String::new();
    let mut lock = String::from("{\"lockfileVersion\": 3, \"packages\": {\"\": {}");
    let mut written = 0;
    let mut add = |place: &str, name: &str, version: &str, number: usize, lock: &mut String| {
        write(place, &manifest(name, version, number, top));
        // Writing to a String can't fail.
        let _ = write!(
            lock,
            ",\n\"{place}\": {{\"version\": \"{version}\", \"resolved\": \"https://files.test/{name}/-/{name}-{version}.tgz\", \
             \"integrity\": \"sha512-{}\", \"license\": \"MIT\", \"engines\": {{\"node\": \">=18\"}}}}",
            "A".repeat(88)
        );
        written += 1;
    };
    for number in 0..top {
        let name = format!("package-{number}");
        let place = format!("node_modules/{name}");
        add(&place, &name, "1.2.3", number, &mut lock);
        let separator = if number == 0 { "" } else { ", " };
        let _ = write!(dependencies, "{separator}\"{name}\": \"^1.0.0\"");
        if number < packages - top {
            let nested = format!("package-{}", (number + 7) % top);
            add(
                &format!("{place}/node_modules/{nested}"),
                &nested,
                "1.9.0",
                number + 7,
                &mut lock,
            );
        }
    }
    assert_eq!(written, packages);
    write(
        "",
        &format!("{{\"name\": \"app\", \"dependencies\": {{{dependencies}}}}}"),
    );
    std::fs::write(directory.join("package-lock.json"), lock + "}}").unwrap();
}

fn manifest(name: &str, version: &str, number: usize, top: usize) -> String {
    let needs: Vec<String> = (1..=REQUIREMENTS)
        .map(|step| format!("\"package-{}\": \"^1.0.0\"", (number + step * 7) % top))
        .collect();
    // Other fields and the list of files take most of a real package.json.
    let rest = "x".repeat(1500);
    format!(
        "{{\"name\": \"{name}\", \"version\": \"{version}\", \"description\": \"{rest}\", \"dependencies\": {{{}}}, \
         \"devDependencies\": {{\"test-runner\": \"^9.0.0\"}}}}",
        needs.join(", ")
    )
}
