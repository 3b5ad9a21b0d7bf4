//! The revision that release builds show in `upkeep_build_info`.

#![allow(clippy::unwrap_used)]

#[allow(dead_code)]
#[path = "../build.rs"]
mod build;

use std::fs;
use std::path::Path;
use std::process::Command;

fn git(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .arg("-C")
        .arg(folder)
        .args([
            "-c",
            "user.name=a",
            "-c",
            "user.email=a@localhost",
            "-c",
            "commit.gpgsign=false",
        ])
        .args(arguments)
        .output()
        .expect("git is needed: apt-get install git");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn the_revision_is_the_commit_of_the_project_s_own_checkout() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    assert_eq!(build::revision(root), None, "not a checkout");
    git(root, &["init", "-q"]);
    assert_eq!(build::revision(root), None, "no commit yet");
    git(root, &["commit", "-q", "--allow-empty", "-m", "first"]);
    let first = git(root, &["rev-parse", "HEAD"]);
    assert_eq!(first.len(), 40);
    assert_eq!(build::revision(root), Some(first));
    let vendored = root.join("vendored");
    fs::create_dir(&vendored).unwrap();
    assert_eq!(
        build::revision(&vendored),
        None,
        "a part of another project's checkout"
    );
}
