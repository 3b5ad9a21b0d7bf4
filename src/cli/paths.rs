//! Directories from environment variables.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// The first of several directories, which systemd separates by colons.
pub fn first_directory(directories: &OsStr) -> Option<PathBuf> {
    let first = directories.as_bytes().split(|byte| *byte == b':').next()?;
    (!first.is_empty()).then(|| OsStr::from_bytes(first).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_several_directories_is_used() {
        for (variable, expected) in [
            ("", None),
            (":/b", None),
            ("/var/lib/a", Some("/var/lib/a")),
            ("/var/lib/a:/b", Some("/var/lib/a")),
        ] {
            assert_eq!(
                first_directory(OsStr::new(variable)),
                expected.map(PathBuf::from),
                "{variable}"
            );
        }
    }
}
