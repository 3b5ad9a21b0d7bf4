//! Puts the source revision into release builds, for `upkeep_build_info`: the variable `UPKEEP_REVISION` if it is set, else
//! the commit that git reports. Development builds have none, because every commit would build everything again.

use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=UPKEEP_REVISION");
    let is_release = std::env::var("PROFILE").is_ok_and(|profile| profile == "release");
    if std::env::var_os("UPKEEP_REVISION").is_some() || !is_release {
        return;
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    if let Some(revision) = revision(root) {
        println!("cargo::rustc-env=UPKEEP_REVISION={revision}");
    }
    // Every commit, checkout and reset adds a line.
    if let Some(log) = git(root, &["rev-parse", "--git-path", "logs/HEAD"]) {
        println!("cargo::rerun-if-changed={log}");
    }
}

/// The commit of the checkout in `folder`; `None` without git, or where the folder is part of another project's checkout.
pub fn revision(folder: &Path) -> Option<String> {
    let top = git(folder, &["rev-parse", "--show-toplevel"])?;
    let is_own = Path::new(&top).canonicalize().ok()? == folder.canonicalize().ok()?;
    is_own.then(|| git(folder, &["rev-parse", "HEAD"])).flatten()
}

fn git(folder: &Path, arguments: &[&str]) -> Option<String> {
    let output = Command::new("git")
        .arg("-C")
        .arg(folder)
        .args(arguments)
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let line = text.trim();
    (output.status.success() && !line.is_empty()).then(|| line.to_owned())
}
