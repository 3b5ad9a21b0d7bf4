//! Aliases of units: links from one unit file to another (systemd.unit(5), "Unit File Load Path").

use std::ffi::OsStr;
use std::fs;
use std::path::Path;

/// The directories with unit files of the system's manager, most important first.
const UNIT_DIRECTORIES: [&str; 5] = [
    "etc/systemd/system",
    "run/systemd/system",
    "usr/local/lib/systemd/system",
    "usr/lib/systemd/system",
    "lib/systemd/system",
];

/// The maximum number of links to follow, against loops. Real chains have one or two links.
const MAX_LINKS: usize = 8;

/// The unit's own name, if `unit` is an alias below `root`.
pub fn own_name(unit: &str, root: &Path) -> Option<String> {
    let mut name = unit.to_owned();
    for _ in 0..MAX_LINKS {
        match next(&name, root) {
            Some(next) => name = next,
            None => break,
        }
    }
    (name != unit).then_some(name)
}

/// The unit that the link `unit`, or the link of its template, refers to.
fn next(unit: &str, root: &Path) -> Option<String> {
    let target = link_target(unit, root).or_else(|| link_target(&template(unit)?, root))?;
    match target.split_once("@.") {
        // An instance of the linked template.
        Some((stem, suffix)) => {
            let instance = unit.split_once('@')?.1.rsplit_once('.')?.0;
            Some(format!("{stem}@{instance}.{suffix}")).filter(|name| name != unit)
        }
        None => Some(target),
    }
}

/// The file name that the first link called `name` refers to. `None` if there is no link, it masks the unit, or the name is the
/// same.
fn link_target(name: &str, root: &Path) -> Option<String> {
    let file = UNIT_DIRECTORIES
        .iter()
        .map(|directory| root.join(directory).join(name))
        .find(|file| file.symlink_metadata().is_ok())?;
    let target = fs::read_link(file).ok()?;
    let target_name = target.file_name().and_then(OsStr::to_str)?;
    (target != Path::new("/dev/null") && target_name != name).then(|| target_name.to_owned())
}

/// The name of the template of an instance.
fn template(unit: &str) -> Option<String> {
    let (stem, rest) = unit.split_once('@')?;
    let (_, suffix) = rest.rsplit_once('.')?;
    Some(format!("{stem}@.{suffix}"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_to_other_units_are_aliases() {
        let root = tempfile::tempdir().unwrap();
        let etc = root.path().join("etc/systemd/system");
        let usr = root.path().join("usr/lib/systemd/system");
        fs::create_dir_all(&etc).unwrap();
        fs::create_dir_all(&usr).unwrap();
        for file in ["ssh.service", "ssh@.service", "getty@.service", "other.service"] {
            fs::write(usr.join(file), "").unwrap();
        }
        for (target, link) in [
            ("/lib/systemd/system/ssh.service", "sshd.service"),
            ("sshd.service", "secure-shell.service"),
            ("/lib/systemd/system/ssh@.service", "sshd@.service"),
            ("/lib/systemd/system/getty@.service", "getty@tty1.service"),
            ("/opt/app/app.service", "app.service"),
            ("/dev/null", "masked.service"),
            ("two.service", "one.service"),
            ("one.service", "two.service"),
        ] {
            symlink(target, etc.join(link)).unwrap();
        }
        // A file in /etc is more important than a link in /usr.
        fs::write(etc.join("own.service"), "").unwrap();
        symlink("other.service", usr.join("own.service")).unwrap();
        for (unit, own) in [
            ("sshd.service", Some("ssh.service")),
            ("secure-shell.service", Some("ssh.service")),
            ("sshd@a\\x2db.service", Some("ssh@a\\x2db.service")),
            ("ssh.service", None),
            ("ssh@1.service", None),
            ("getty@tty1.service", None),
            ("app.service", None),
            ("masked.service", None),
            ("one.service", None),
            ("own.service", None),
            ("absent.service", None),
        ] {
            assert_eq!(own_name(unit, root.path()).as_deref(), own, "{unit}");
        }
    }
}
