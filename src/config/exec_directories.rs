//! The directories of the programs that exec checks may run. Nobody but root and the exporter's user may change them.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Deserialize;

use super::place::Place;
use super::yaml::{Node, read};

/// Write permission of the group and of others.
const OTHERS_WRITE: u32 = 0o022;
/// In a directory with this bit, users can't rename files of others.
const STICKY: u32 = 0o1000;

/// The options of the key `exec` at the top level.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ExecRootOptions {
    /// Directories of the programs that exec checks may run, with their subdirectories. Only root and the exporter's user may be able
    /// to write there. Default: none, so exec checks are errors.
    pub allowed_directories: Option<Vec<PathBuf>>,
}

/// Resolves the key `exec` at `place`. Reports errors.
pub fn resolve(exec: Option<&Node>, place: &Place<'_>) -> Vec<PathBuf> {
    let Some(node) = exec.filter(|node| !node.is_null()) else {
        return Vec::new();
    };
    let options: ExecRootOptions = read(node, place).value.unwrap_or_default();
    let place = place.field("allowed_directories");
    let directories = options.allowed_directories.unwrap_or_default();
    for (index, directory) in directories.iter().enumerate() {
        validate(directory, &place.index(index));
    }
    directories
}

fn validate(directory: &Path, place: &Place<'_>) {
    if !directory.is_absolute() || directory.components().any(|part| part.as_os_str() == "..") {
        place.error("not an absolute path without ..: write a directory, such as /usr/lib/nagios/plugins");
        return;
    }
    match resolve_trusted(directory) {
        Ok(Ok(_)) => {}
        Ok(Err(problem)) => {
            place.error(problem);
        }
        Err(error) => place.warn(format_args!(
            "reading {}: {error}; every run of its programs fails until it exists",
            directory.display()
        )),
    }
}

/// Verifies that only root and this process's user can change a file or directory. Returns its path without links, or a message that
/// says who else can change it.
///
/// # Errors
/// When the path, or a directory above it, can't be read.
pub fn resolve_trusted(path: &Path) -> io::Result<Result<PathBuf, String>> {
    let real = path.canonicalize()?;
    let user = rustix::process::geteuid().as_raw();
    // From the root downwards: nobody else can change what is in a directory that was verified, so the result stays true.
    let parts: Vec<&Path> = real.ancestors().collect();
    for (depth, part) in parts.into_iter().enumerate().rev() {
        let metadata = part.symlink_metadata()?;
        let may_be_shared = depth > 0 && metadata.mode() & STICKY != 0;
        let part = part.display();
        if metadata.is_symlink() {
            return Ok(Err(format!("{part} was replaced by a link while it was read")));
        }
        if metadata.uid() != 0 && metadata.uid() != user {
            return Ok(Err(format!(
                "{part} belongs to user {}, who could replace programs: change its owner to root",
                metadata.uid()
            )));
        }
        if metadata.mode() & OTHERS_WRITE != 0 && !may_be_shared {
            return Ok(Err(match metadata.mode() & STICKY {
                0 => format!("others can write to {part}, and so replace programs: run chmod go-w {part}"),
                _ => format!(
                    "others can write to {part}: use a directory of root, such as /usr/local/lib/upkeep"
                ),
            }));
        }
    }
    Ok(Ok(real))
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_directory_that_others_can_change_is_not_trusted() {
        let outer = tempfile::tempdir().unwrap();
        let directory = outer.path().join("plugins");
        fs::create_dir(&directory).unwrap();
        let set = |path: &Path, mode: u32| fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        set(outer.path(), 0o755);
        set(&directory, 0o755);
        let directory = directory.canonicalize().unwrap();
        assert_eq!(resolve_trusted(&directory).unwrap(), Ok(directory.clone()));
        for mode in [0o775, 0o757, 0o1777] {
            set(&directory, mode);
            let problem = resolve_trusted(&directory).unwrap().unwrap_err();
            assert!(problem.contains("others can write to"), "{problem}");
        }
        set(&directory, 0o755);
        set(outer.path(), 0o777);
        let problem = resolve_trusted(&directory).unwrap().unwrap_err();
        let expected = format!("others can write to {}, and", outer.path().display());
        assert!(problem.starts_with(&expected), "{problem}");
        // As /tmp: others can add files there, but not replace this directory.
        set(outer.path(), 0o1777);
        assert_eq!(resolve_trusted(&directory).unwrap(), Ok(directory.clone()));
        assert!(resolve_trusted(&outer.path().join("absent")).is_err());
        // The result is the path without links: a link that others can change afterwards has no effect.
        let link = outer.path().join("link");
        std::os::unix::fs::symlink(&directory, &link).unwrap();
        assert_eq!(resolve_trusted(&link).unwrap(), Ok(directory.clone()));
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(&directory, Some(65534), None).unwrap();
            let problem = resolve_trusted(&link).unwrap().unwrap_err();
            assert!(problem.contains("belongs to user 65534"), "{problem}");
        }
    }
}
